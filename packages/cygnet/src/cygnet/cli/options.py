"""Command lines: a table of options in, a dictionary out.

A table has a row per option: name, what its value is called ("" for a switch), what it does. Nothing is abbreviated,
"--option=value" and "--option value" are the same, and "--" ends the options. argparse would be twice the start.
"""

from __future__ import annotations

from cygnet import __version__
from cygnet.errors import CygnetError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Options = tuple[tuple[str, str, str], ...]
HELP: Options = (("--help", "", "this text"), ("--version", "", "version of Cygnet"))


class UsageError(CygnetError):
    """The command line is none."""


class Done(Exception):
    """Help or version was asked for; the text to print."""


def parse(
    command: str, usage: Sequence[str], table: Options, words: Sequence[str], arguments: range = range(1)
) -> tuple[dict[str, str], list[str]]:
    """Options given (a switch has ""), and the other words, of which ``arguments`` says how many there may be."""
    values = {name: value for name, value, _ in table + HELP}
    given: dict[str, str] = {}
    rest = list(words)
    others: list[str] = []
    while rest:
        word = rest.pop(0)
        if word == "--":
            others += rest
            break
        if not word.startswith("-") or word == "-":
            others.append(word)
            continue
        name, equals, value = word.partition("=")
        if name not in values:
            raise UsageError(f'{command}: unknown option "{name}"{nearest(name, values)} ({command} --help lists them)')
        given[name] = _value(command, name, values[name], value if equals else None, rest)
    _help(command, usage, table, given)
    if len(others) not in arguments:
        raise UsageError(f"usage: {usage[0]}")
    return given, others


def number(command: str, name: str, text: str, allowed: range) -> int:
    """A value that is a number."""
    if not text.isdecimal() or len(text) > 9 or int(text) not in allowed:
        step = f", a multiple of {allowed.step}" if allowed.step > 1 else ""
        raise UsageError(f'{command}: {name} is a number from {allowed[0]} to {allowed[-1]}{step}, not "{text}"')
    return int(text)


def nearest(word: str, known: Iterable[str]) -> str:
    """A question, if anything comes near."""
    from difflib import get_close_matches

    found = get_close_matches(word, known, 1, 0.6)
    return f'; did you mean "{found[0]}"?' if found else ""


def _value(command: str, name: str, called: str, value: str | None, rest: list[str]) -> str:
    if not called:
        if value is not None:
            raise UsageError(f"{command}: {name} takes no value")
        return ""
    if value is None and not rest:
        raise UsageError(f"{command}: {name} needs a value: {called}")
    return rest.pop(0) if value is None else value


def _help(command: str, usage: Sequence[str], table: Options, given: dict[str, str]) -> None:
    if "--version" in given:
        raise Done(f"{command} {__version__}")
    if "--help" in given:
        lines = [f"{'usage: ' if not i else '       '}{line}" for i, line in enumerate(usage)]
        rows = [(f"{name} {value}".rstrip(), text) for name, value, text in table + HELP]
        width = max(len(left) for left, _ in rows)
        raise Done("\n".join([*lines, "", *(f"  {left:{width}}  {text}" for left, text in rows)]))
