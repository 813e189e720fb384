"""docs/guide.md as its readers use it: the files that it prints, and what it shows of a shell.

An indented block that begins with `# /etc/FILE on WHO` is added to that file; one that begins with `WHO# command` is
typed, and the lines below a command are among what it answers (`...` stands for anything).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from offices import Side, lan_of, wan_of

GUIDE = Path(__file__).resolve().parents[2] / "docs/guide.md"
FILE = re.compile(r"# (?P<file>/\S+) on (?P<who>\w+)\n")
PROMPT = re.compile(r"(?P<who>[\w-]+)# (?P<command>.+)")
KEY = re.compile(r"0sAQ(\w+)\.\.\.")
BOTH = ("west", "east")
# Commands of the guide start Python on the box, some twice.
SECONDS = 90.0


@dataclass(frozen=True)
class Typed:
    """A command that the guide shows, on whose machine, and lines of its answer."""

    who: str
    command: str
    answer: tuple[str, ...]


def blocks(section: str = "") -> Iterator[str]:
    """The indented blocks of the guide, or of one section, without the indent."""
    text = GUIDE.read_text()
    if section:
        text = text.split(f"\n## {section}\n")[1].split("\n## ")[0]
    for found in re.findall(r"(?:^    .*\n|^\n(?=    ))+", text, re.MULTILINE):
        yield re.sub(r"^    ", "", found, flags=re.MULTILINE).strip("\n") + "\n"


def printed_files() -> dict[tuple[str, str], str]:
    """(who, file) -> text; public keys are names, for `KEY`."""
    files: dict[tuple[str, str], str] = {}
    for block in blocks():
        if head := FILE.match(block):
            for who in BOTH if head["who"] == "both" else (head["who"],):
                name, text = (who, head["file"]), block[head.end() :]
                files[name] = f"{files[name]}\n{text}" if name in files else text
    return files


def session(section: str) -> list[Typed]:
    """What is typed in a section, in order."""
    typed: list[Typed] = []
    for block in blocks(section):
        if PROMPT.match(block):
            for line in filter(None, block.splitlines()):
                if prompt := PROMPT.match(line):
                    whos = BOTH if prompt["who"] == "both" else (prompt["who"],)
                    typed += [Typed(who, prompt["command"], ()) for who in whos]
                else:
                    typed[-1] = Typed(typed[-1].who, typed[-1].command, (*typed[-1].answer, line))
    return typed


def type_in(typed: Typed, sides: Mapping[str, Side], fails: bool = False) -> str:
    """Type a command where it belongs; its answer must hold what the guide shows of it."""
    who, _, pc = typed.who.partition("-")
    side, command = sides[who], typed.command
    if not pc:
        command = on_this_board(command, side)
    output, status = (side.at_host if pc else side.box.run)(command, SECONDS)
    assert (status != 0) is fails, f"{typed.who}# {command} ended with status {status}: {output}"
    for shown in typed.answer:
        wanted = on_this_board(shown, side) if not pc else shown
        assert any(matches(line, wanted) for line in output.splitlines()), f"{wanted!r} is not in: {output}"
    return output


def on_this_board(text: str, side: Side) -> str:
    """With the names that its interfaces have."""
    names = {"eth0": wan_of(side.box), "eth1": lan_of(side.box)}
    return re.sub(r"\beth[01]\b", lambda found: names[found[0]], text)


def matches(line: str, shown: str) -> bool:
    """Whether a line is as the guide shows it."""
    return re.fullmatch(".*".join(map(re.escape, shown.split("..."))), line) is not None
