"""What swanctl prints with --pretty: sections in braces, lists in brackets, one `key = value` a line.

A value may hold anything but a newline; nothing is split at spaces.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Section = dict[str, Any]


def events(text: str, name: str) -> list[Section]:
    """The events called ``name``, in order."""
    found: list[Section] = []
    lines = iter(text.splitlines())
    for line in lines:
        if line.rstrip() == f"{name} event {{":
            found.append(_section(lines))
    return found


def _section(lines: Iterator[str]) -> Section:
    """Up to the brace that closes it."""
    found: Section = {}
    for line in lines:
        words = line.strip()
        if words == "}":
            return found
        if words.endswith("{"):
            found[words[:-1].strip()] = _section(lines)
        elif words.endswith(" = ["):
            found[words[: -len(" = [")]] = _list(lines)
        elif " = " in words:
            key, value = words.split(" = ", 1)
            found[key] = value
    raise AssertionError("swanctl's answer ends within a section")


def _list(lines: Iterator[str]) -> list[str]:
    found: list[str] = []
    for line in lines:
        if line.strip() == "]":
            return found
        found.append(line.strip())
    raise AssertionError("swanctl's answer ends within a list")
