"""What is wrong with a site file: one line for each thing, FILE:LINE: what it is, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cygnet.errors import CygnetError

MOST_PROBLEMS = 50


class SiteError(CygnetError):
    """``problems`` has each of them as a line; the text is all of them. Never holds a secret."""

    def __init__(self, file: Path, line: int, message: str) -> None:
        super().__init__(problem(file, line, message))

    @property
    def problems(self) -> list[str]:
        """One line each."""
        return str(self).split("\n")

    @classmethod
    def of(cls, problems: Sequence[str]) -> SiteError:
        """All that was found, not more than anybody reads."""
        error = cls.__new__(cls)
        Exception.__init__(error, "\n".join(problems[:MOST_PROBLEMS]))
        return error


def problem(file: Path, line: int, message: str) -> str:
    """One line of a SiteError."""
    return f"{file}:{line}: {message}"
