"""A second operand that only one action of a task takes: `./inv site diff A B`, but `./inv site check A`.

To Invoke an operand is one that must be given, always. Here it is one only once `diff` has been read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from invoke.parser.argument import Argument
from invoke.tasks import Task

TAKES_TWO = "diff"


class SecondFile(Argument):
    """The operand ``other``; Invoke asks for an operand as long as its value is None."""

    def __init__(self, action: Argument, **options: Any) -> None:
        super().__init__(**options)
        self.action = action

    @property
    def value(self) -> Any:
        """None where it is still to be given."""
        given = super().value
        return given if given or self.action.value == TAKES_TWO else ""

    @value.setter
    def value(self, given: str) -> None:
        self.set_value(given, cast=False)


class TaskWithFiles(Task[Callable[..., Any]]):
    """A task with operands ``action`` and ``file``, and ``other`` for the action diff."""

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        """As Invoke makes them, ``other`` apart."""
        found = super().get_arguments(ignore_unknown_help)
        action, other = (next(one for one in found if one.name == name) for name in ("action", "other"))
        second = SecondFile(action, name="other", help=other.help, positional=True)
        return [second if one is other else one for one in found]
