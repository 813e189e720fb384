"""The errors a user can cause or meet, each one sentence: what, where, what to do.

Raised anywhere in the builder, turned into one line at the top (tasks.py) and
nowhere else.
"""

from __future__ import annotations

import errno
from pathlib import Path

# What the system says when there is no room left; the user makes some.
FULL = (errno.ENOSPC, errno.EDQUOT)


class CygnetError(Exception):
    """An error whose text is meant for the user; the task ends with status 1."""


class RecipeError(CygnetError):
    """A recipe or board file that cannot be used: names the file, the line and what is expected."""

    def __init__(self, file: Path, line: int, expected: str) -> None:
        super().__init__(f"{file}:{line}: {expected}")


class StepFailed(CygnetError):
    """An outside program failed inside a step.

    ``log`` is the step's whole log, ``tail`` its last lines.
    """

    def __init__(self, step: str, what: str, log: Path, tail: list[str]) -> None:
        lines = "\n".join(f"    {line}" for line in tail)
        super().__init__(f"{step}: {what}. The log is {log}; its last lines:\n{lines}")


class SourceError(CygnetError):
    """A source that cannot be had, or is not what the signed index says."""


class Interrupted(CygnetError):
    """The user pressed Ctrl-C; unless ``state`` says otherwise, everything finished so far is in the store."""

    def __init__(self, state: str = "What was finished is kept: the same command goes on from there.") -> None:
        super().__init__(f"Interrupted. {state}")
