"""Where keys stand: for whatever TOML allows, and beside tomllib, which says what the text means."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from cygnet_site.lines import Lines
from hypothesis import given, settings
from hypothesis import strategies as st

DOCUMENT = '''\
# format = 9
format = 1   # name = "no"

name = "x"
[wan]   # a comment
address = "203.0.113.5/24"
pppoe.user = "a"
pppoe.password = { file = "b", more = [1, 2] }

[[lan]]
interface = 'eth1'
  [[lan.lease]]
  mac = "52"
  [[lan.lease]]
  mac = "53"

[[lan]]
"quoted key" = 1
[lan.more]
deep = 2

[ssh]
keys = [
    # "not this",
    "one",  "two",
    """three
    and [more] = of # it""",
    [["nested"],
     ["again"]],
]
[firewall]
policy = """
zone wan $WAN
"quotes" and \\"escapes\\"
name = "no"
"""
last = \'\'\'it's "literal" \\\'\'\'
'''

PLACES = [
    (("format",), 2),
    (("name",), 4),
    (("wan",), 5),
    (("wan", "address"), 6),
    (("wan", "pppoe"), 7),
    (("wan", "pppoe", "user"), 7),
    (("wan", "pppoe", "password", "file"), 8),
    (("wan", "pppoe", "password", "more", 1), 8),
    (("lan",), 10),
    (("lan", 0), 10),
    (("lan", 0, "lease", 0, "mac"), 13),
    (("lan", 0, "lease", 1), 14),
    (("lan", 0, "lease", 1, "mac"), 15),
    (("lan", 1), 17),
    (("lan", 1, "quoted key"), 18),
    (("lan", 1, "more", "deep"), 20),
    (("ssh", "keys"), 23),
    (("ssh", "keys", 0), 25),
    (("ssh", "keys", 1), 25),
    (("ssh", "keys", 2), 26),
    (("ssh", "keys", 3, 1), 29),
    (("firewall", "policy"), 32),
    (("firewall", "last"), 37),
    # what is not there has the line of what is around it
    (("wan", "gateway"), 5),
    (("lan", 0, "lease", 7, "mac"), 12),
    (("nothing",), 1),
]


@pytest.mark.parametrize(("path", "line"), PLACES)
def test_a_key_is_where_it_stands(path: tuple[str | int, ...], line: int) -> None:
    assert Lines(DOCUMENT).of(path) == line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('a = """\none\ntwo"""', [2, 3, 3]),
        ('a = """one\ntwo"""', [1, 2, 2]),
        ('\na = "one"', [2, 2]),
        ("a = '''\n\none'''", [2, 3]),
    ],
)
def test_a_line_of_a_text_is_where_it_stands(text: str, line: list[int]) -> None:
    assert [Lines(text).of_text(("a",), number) for number in range(1, len(line) + 1)] == line


BARE = st.text("abzAZ019_-", min_size=1, max_size=4)
NAMES = st.one_of(BARE, st.text("a.=[]{}#\"' \\é", min_size=0, max_size=4))
PIECES = st.text("ab=\"[]{}#,\\ \t'", max_size=6)


class Writer:
    """Writes TOML in whatever style it draws, and remembers on which line each key began."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.text = ""
        self.places: dict[tuple[str | int, ...], int] = {}

    def line(self) -> int:
        return self.text.count("\n") + 1

    def put(self, *pieces: str) -> None:
        self.text += self.draw(st.sampled_from(pieces))

    def note(self, path: tuple[str | int, ...]) -> None:
        self.places.setdefault(path, self.line())

    def document(self) -> None:
        self.pairs((), 2)
        for name in self.draw(st.lists(NAMES, unique=True, max_size=3)):
            if (name,) in self.places:
                continue
            if self.draw(st.booleans()):
                self.table((name,))
            else:
                self.tables((name,))

    def table(self, path: tuple[str | int, ...]) -> None:
        self.blank()
        self.note(path)
        self.text += f"[{self.name([str(part) for part in path if isinstance(part, str)])}]"
        self.put("\n", " # [x]\n", "\t\n")
        self.pairs(path, 3)

    def tables(self, path: tuple[str | int, ...]) -> None:
        inner = self.draw(NAMES)
        for number in range(self.draw(st.integers(1, 3))):
            self.blank()
            self.note(path)
            self.note((*path, number))
            names = [part for part in path if isinstance(part, str)]
            self.text += f"[[{self.name(names)}]]\n"
            self.pairs((*path, number), 2)
            if len(path) == 1 and (*path, number, inner) not in self.places and self.draw(st.booleans()):
                self.tables((*path, number, inner))

    def pairs(self, path: tuple[str | int, ...], most: int) -> None:
        for name in self.draw(st.lists(NAMES, unique=True, max_size=most)):
            if (*path, name) in self.places:
                continue
            self.blank()
            self.pair((*path, name), single=False)
            self.put("\n", " # c = 1\n", "\n\n")

    def pair(self, path: tuple[str | int, ...], single: bool) -> None:
        self.note(path)
        more = self.draw(st.lists(NAMES, max_size=1))
        names = [str(path[-1]), *more]
        if more:
            self.note((*path, *more))
        self.text += self.name(names)
        self.put("=", " = ", "\t=  ")
        self.value((*path, *more), single, 2)

    def name(self, names: list[str]) -> str:
        return self.draw(st.sampled_from([".", " . "])).join(self.quoted(name) for name in names)

    def quoted(self, name: str) -> str:
        plain = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
        styles = [json.dumps(name)] + [name] * plain + [f"'{name}'"] * ("'" not in name)
        return self.draw(st.sampled_from(styles))

    def value(self, path: tuple[str | int, ...], single: bool, depth: int) -> None:
        kinds = [self.plain, self.string] + [self.array, self.inline] * (depth > 0) + [self.block] * (not single)
        self.draw(st.sampled_from(kinds))(path, single, depth)

    def plain(self, _path: object, _single: bool, _depth: int) -> None:
        self.put("1", "0x1f", "true", "1.5e3", "1979-05-27 07:32:00", "07:32:00", "inf")

    def string(self, _path: object, _single: bool, _depth: int) -> None:
        text = self.draw(PIECES)
        self.put(json.dumps(text), *([f"'{text}'"] if "'" not in text else []))

    def block(self, _path: object, _single: bool, _depth: int) -> None:
        lines = self.draw(st.lists(PIECES, max_size=3))
        body = "\n".join(lines)
        if self.draw(st.booleans()):
            self.text += '"""' + body.replace("\\", "\\\\").replace('"', '\\"')
            self.put('"""', '\\\n """', 'a""""', 'a"""""')
        else:
            self.text += "'''" + body.replace("'", "")
            self.put("'''", "''''", "'''''")

    def array(self, path: tuple[str | int, ...], single: bool, depth: int) -> None:
        self.text += "["
        for number in range(self.draw(st.integers(0, 3))):
            if not single:
                self.put("", "\n", " # ] = \n  ")
            self.note((*path, number))
            self.value((*path, number), single, depth - 1)
            self.put(",", " , " if single else ",\n")
        self.put("]", " ]" if single else "\n]")

    def inline(self, path: tuple[str | int, ...], _single: bool, depth: int) -> None:
        self.text += "{"
        names = self.draw(st.lists(NAMES, unique=True, max_size=2))
        for number, name in enumerate(names):
            self.put(", " if number else "", "," if number else " ")
            self.note((*path, name))
            self.text += self.name([name]) + "="
            self.value((*path, name), True, depth - 1)
        self.text += "}"

    def blank(self) -> None:
        self.put("", "\n", "# a = 1\n", '  \t\n# """\n')


@st.composite
def documents(draw: Any) -> tuple[str, dict[tuple[str | int, ...], int]]:
    writer = Writer(draw)
    writer.document()
    return writer.text, writer.places


def paths(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Of everything that tomllib found."""
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for name, one in items for found in [(*path, name), *paths(one, (*path, name))]]


@settings(max_examples=200, deadline=None)
@given(documents())
def test_every_key_of_every_document_is_found(document: tuple[str, dict[tuple[str | int, ...], int]]) -> None:
    text, places = document
    try:
        read = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        pytest.fail(f"the writer of this test wrote no TOML: {error}\n{text}")
    lines = Lines(text)
    assert {path: lines.of(path) for path in paths(read)} == {path: places[path] for path in paths(read)}


@settings(max_examples=150, deadline=None)
@given(documents(), st.integers(0), st.text("[]{}=\"'\\\n#.,a", max_size=3))
def test_a_text_that_is_no_toml_is_no_harm(document: tuple[str, object], at: int, noise: str) -> None:
    text = document[0]
    at %= len(text) + 1
    lines = Lines(text[:at] + noise + text[at + 1 :])
    assert 1 <= lines.of(("a", 0)) <= text.count("\n") + noise.count("\n") + 1
