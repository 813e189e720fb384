"""What is wrong with a file: one sentence each, with its place."""

from __future__ import annotations

from cygnet.errors import CygnetError

MAX_PROBLEMS = 200


class ConfError(CygnetError):
    """Something in a file, at ``where`` (file:line), cannot be used."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where}: {reason}")
        self.where = where


class Problems(list[str]):
    """The sentences for the user, not more of them than anybody reads."""

    def note(self, sentence: str) -> None:
        """Add one; once there are too many, say so instead."""
        if len(self) < MAX_PROBLEMS:
            self.append(sentence)
        elif len(self) == MAX_PROBLEMS:
            self.append("there are more problems, which are not listed: mend these first")

    @property
    def full(self) -> bool:
        """Whether another sentence would be dropped: then it need not be made."""
        return len(self) > MAX_PROBLEMS


def nearest(word: str, known: list[str]) -> str:
    """The hint of an error: which word was probably meant."""
    import difflib

    close = difflib.get_close_matches(word[:64], known, n=1)
    return f"; did you mean {close[0]}?" if close else ""
