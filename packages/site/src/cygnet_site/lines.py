"""Where the keys of a TOML text stand: tomllib reads values, and forgets their lines.

The text is one that tomllib has read. This scanner knows just enough of TOML to find keys, items and texts in it:
strings of four kinds, comments, arrays, inline tables, arrays of tables. What it does not understand it gives up on,
and then says the line of what is around.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from contextlib import suppress

Path = tuple[str | int, ...]

_SPACE = re.compile(r"[ \t]*")
_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})'
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_PLAIN = re.compile(r"[^,\]}#\n]+")


class Lines:
    """Lines of a text by the path of a key: ("lan", 0, "dhcp")."""

    def __init__(self, text: str) -> None:
        scanner = _Scanner(text)
        # What was found until something is not understood is right.
        with suppress(_Lost, RecursionError, ValueError):
            scanner.document()
        self._keys, self._texts = scanner.keys, scanner.texts

    def of(self, path: Path) -> int:
        """The line of a key, of an item, or of what is around it."""
        while path and path not in self._keys:
            path = path[:-1]
        return self._keys.get(path, 1)

    def of_text(self, path: Path, number: int) -> int:
        """Where the line ``number`` (from 1 on) of a text with several lines stands."""
        first, last = self._texts.get(path, (self.of(path), self.of(path)))
        return min(first + number - 1, last)


class _Lost(Exception):
    """Something that is no TOML, or that this scanner does not know."""


class _Scanner:
    """Walks over the text once."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.ends = [match.start() for match in re.finditer("\n", text)]
        self.keys: dict[Path, int] = {}
        self.texts: dict[Path, tuple[int, int]] = {}
        self.counts: dict[Path, int] = {}

    def document(self) -> None:
        table: Path = ()
        while self.skip(_BLANK) < len(self.text):
            if self.peek() == "[":
                table = self.header()
            else:
                self.pair(table)

    def header(self) -> Path:
        """[a.b] or [[a.b]]; within an array of tables the last one is meant."""
        line, brackets = self.line(), 2 if self.text.startswith("[[", self.at) else 1
        self.at += brackets
        path: Path = ()
        parts = self.key()
        for i, part in enumerate(parts, 1):
            path = (*path, part)
            self.keys.setdefault(path, line)
            if i == len(parts) and brackets == 2:
                self.counts[path] = self.counts.get(path, -1) + 1
            if path in self.counts:
                path = (*path, self.counts[path])
            self.keys.setdefault(path, line)
        self.at += brackets
        return path

    def pair(self, table: Path) -> None:
        """KEY = VALUE."""
        line = self.line()
        for part in self.key():
            table = (*table, part)
            self.keys.setdefault(table, line)
        if self.peek() != "=":
            raise _Lost
        self.at += 1
        self.skip(_SPACE)
        self.value(table)

    def key(self) -> list[str]:
        """The parts of a dotted key, and white space around them."""
        parts: list[str] = []
        while not parts or self.peek() == ".":
            self.at += bool(parts)
            self.skip(_SPACE)
            quoted = self.peek() in "\"'"
            match = (_STRING if quoted else _BARE).match(self.text, self.at)
            if not match:
                raise _Lost
            parts.append(tomllib.loads(f"k={match[0]}")["k"] if quoted else match[0])
            self.at = match.end()
            self.skip(_SPACE)
        return parts

    def value(self, path: Path) -> None:
        match self.peek():
            case '"' | "'":
                self.string(path)
            case "[":
                self.array(path)
            case "{":
                self.inline(path)
            case _:
                self.take(_PLAIN)

    def string(self, path: Path) -> None:
        first = self.line()
        begin, found = self.at, self.take(_STRING)
        if found[:3] in ('"""', "'''") and re.match(r"\r?\n", self.text[begin + 3 :]):
            first += 1
        self.texts[path] = (first, first if self.line() < first else self.line())

    def array(self, path: Path) -> None:
        self.at += 1
        number = 0
        while self.skip(_BLANK) < len(self.text) and self.peek() != "]":
            if self.peek() == ",":
                self.at += 1
                continue
            self.keys[(*path, number)] = self.line()
            self.value((*path, number))
            number += 1
        self.at += 1

    def inline(self, path: Path) -> None:
        self.at += 1
        while self.skip(_BLANK) < len(self.text) and self.peek() != "}":
            if self.peek() == ",":
                self.at += 1
                continue
            self.pair(path)
        self.at += 1

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def skip(self, pattern: re.Pattern[str]) -> int:
        match = pattern.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return self.at

    def take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        if not match:
            raise _Lost
        self.at = match.end()
        return match[0]

    def line(self) -> int:
        """Of the place where the scanner is now."""
        return bisect_left(self.ends, self.at) + 1
