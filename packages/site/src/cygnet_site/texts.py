"""Texts that are put together for a box, and where each of their lines was written: errors are told by that place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from cygnet_site.model import KeyPath, Site


class Text:
    """One text of a box. ``made``: what is said of a line that nobody wrote."""

    def __init__(self, site: Site, made: str) -> None:
        self.site, self.made = site, made
        self.lines: list[tuple[str, str]] = []

    def __str__(self) -> str:
        return "".join(f"{line}\n" for line, _ in self.lines)

    def add(self, text: str) -> None:
        """Lines of a template."""
        begin = len(self.lines) + 1
        self.lines += [(line, f"{self.made}:{number}") for number, line in enumerate(text.splitlines(), begin)]

    def add_key(self, text: str, at: KeyPath) -> None:
        """The text of a key, or what is made for it."""
        for number, line in enumerate(text.splitlines(), 1):
            self.lines.append((line, f"{self.site.path}:{self.site.lines.of_text(at, number)}"))

    def add_file(self, text: str, file: Path) -> None:
        """A whole file."""
        self.lines += [(line, f"{file}:{number}") for number, line in enumerate(text.splitlines(), 1)]

    def place(self, number: int) -> str:
        """FILE:LINE of a line, counted from 1 on."""
        return self.lines[min(number, len(self.lines)) - 1][1] if self.lines else f"{self.site.path}:1"


def told(sentence: str, texts: Mapping[str, Text]) -> str:
    """An error with the places in texts, by their names, replaced by those where the lines were written."""
    for name, text in texts.items():
        pattern = rf"(?<![\w/]){re.escape(name)}:(\d+)"
        sentence = re.sub(pattern, _placed(text), sentence)
    return sentence


def _placed(text: Text) -> Callable[[re.Match[str]], str]:
    return lambda match: text.place(int(match[1]))
