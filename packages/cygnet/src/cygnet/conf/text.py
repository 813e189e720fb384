"""Lines of a file and of what it includes: bounded in size, depth and number, with each line's place.

Both ipsec.conf(5) and ipsec.secrets(5) include other files alike: `include`, one name, wildcards as sh(1) has them,
relative to the including file. An included file that cannot be read is a problem; the first file is an error.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from cygnet.conf.error import ConfError, Problems

MAX_FILE = 1 << 20
MAX_TOTAL = 4 << 20
MAX_FILES = 5000
MAX_DEPTH = 10
MAX_LINE = 16 << 10


class Line(NamedTuple):
    """One line without its end. ``where`` is file:line; ``path`` the file."""

    where: str
    text: str
    path: Path

    @property
    def indented(self) -> bool:
        """Whether it goes on with what an earlier line began."""
        return self.text[:1] in (" ", "\t")


def read_bounded(path: Path, limit: int, private: bool) -> bytes:
    """A whole regular file; ``private``: that nobody but its owner may read."""
    try:
        if not path.is_file():
            raise ConfError(str(path), "this is no file" if path.exists() else "there is no such file")
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            data = file.read(limit + 1)
    except (OSError, ValueError) as error:
        raise ConfError(str(path), f"cannot be read: {getattr(error, 'strerror', error)}") from None
    if private and mode & 0o077:
        raise ConfError(str(path), f"others may read it (mode {mode:o}), so it is not used: chmod 600 {path}")
    if len(data) > limit:
        raise ConfError(str(path), f"is larger than {limit} bytes")
    return data


class Files:
    """Reads one file and all that it includes. ``problems`` gets what is wrong with included files."""

    def __init__(self, problems: Problems, private: bool = False) -> None:
        self.problems = problems
        self.private = private
        self.left = MAX_TOTAL
        self.files = 0

    def lines(self, path: Path, chain: tuple[str, ...] = ()) -> Iterator[Line]:
        """Its lines, with those of the included files in their places."""
        name = os.path.realpath(path)
        self.files += 1
        if name in chain or len(chain) > MAX_DEPTH or self.files > MAX_FILES:
            reason = "includes itself in the end" if name in chain else "is not read: includes are too deep or too many"
            raise ConfError(str(path), reason)
        data = read_bounded(path, min(MAX_FILE, self.left), self.private)
        self.left -= len(data)
        if b"\0" in data:
            raise ConfError(str(path), "holds NUL bytes, so it is no text")
        for number, text in enumerate(data.decode("utf-8", "surrogateescape").split("\n"), 1):
            line = Line(f"{path}:{number}", text.rstrip("\r"), path)
            if len(text) > MAX_LINE:
                self.problems.note(f"{line.where}: this line is longer than {MAX_LINE} characters, it is not read")
            elif text.startswith(("include ", "include\t")):
                yield from self._included(line, (*chain, name))
            else:
                yield line

    def _included(self, line: Line, chain: tuple[str, ...]) -> Iterator[Line]:
        words = without_comment(line.text).split()
        if len(words) != 2:
            self.problems.note(f"{line.where}: include takes one file name")
            return
        for name in _matches(line.path.parent, words[1]):
            try:
                yield from self.lines(line.path.parent / name, chain)
            except ConfError as error:
                self.problems.note(f"{line.where}: {error}")


def _matches(folder: Path, pattern: str) -> list[str]:
    import glob

    if not glob.has_magic(pattern):
        return [pattern]
    return sorted(islice(glob.iglob(pattern, root_dir=folder), MAX_FILES))  # noqa: PTH207 - it takes full names too


def without_comment(text: str) -> str:
    """The line up to a # that begins a word and is not within double quotes; no white space at its end."""
    at = text.find("#")
    while at >= 0:
        if (at == 0 or text[at - 1] in " \t") and text.count('"', 0, at) % 2 == 0:
            return text[:at].rstrip()
        at = text.find("#", at + 1)
    return text.rstrip()
