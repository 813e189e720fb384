"""Small graphs to build in a test: steps that write down that they ran."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from builder.settings import Settings
from builder.steps.engine import Engine
from builder.steps.step import Step, Workspace


class Silent:
    """A progress that keeps what it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.begun: list[str] = []

    def plan(self, total: int, cached: int) -> None:
        pass

    def started(self, name: str) -> None:
        self.begun.append(name)

    def finished(self, name: str, seconds: float) -> None:
        pass

    def say(self, sentence: str) -> None:
        self.said.append(sentence)


def step(
    name: str, *needs: Step, text: str = "", action: Callable[[Workspace], None] | None = None, kind: str = "tar"
) -> Step:
    """A step whose result is one file holding ``text``."""

    def write(space: Workspace) -> None:
        (space.out / "root").mkdir()
        (space.out / "root" / name).write_text(text)

    return Step(name=name, inputs={"text": text}, action=action or write, needs=needs, kind=kind)  # type: ignore[arg-type]


def engine(cache: Path, shown: Silent) -> Engine:
    """An engine with a cache of its own and two jobs."""
    return Engine(Settings(cache=cache), shown, jobs=2)
