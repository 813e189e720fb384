"""What the user sees while a build runs: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

REFRESH_PER_SECOND = 4


class Progress(Protocol):
    """Told what happens; steps run in threads, so every method may be called from any."""

    def plan(self, total: int, cached: int) -> None:
        """``total`` steps are wanted, ``cached`` of them are in the store."""

    def started(self, name: str) -> None:
        """A step begins."""

    def finished(self, name: str, seconds: float) -> None:
        """A step is done."""

    def say(self, sentence: str) -> None:
        """One line for the user."""


class Lines:
    """Plain lines: for logs, pipes and CI."""

    def __init__(self) -> None:
        self._total = self._done = self._cached = 0
        self._lock = threading.Lock()
        self._began = time.monotonic()

    def __enter__(self) -> Lines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def plan(self, total: int, cached: int) -> None:
        """See Progress."""
        self._total, self._cached, self._done = total, cached, cached
        if total > cached:
            self.say(f"{total} steps, {cached} from cache, {total - cached} to do")

    def started(self, name: str) -> None:
        """See Progress."""
        self.say(f"{self._count()} {name} ...")

    def finished(self, name: str, seconds: float) -> None:
        """See Progress."""
        with self._lock:
            self._done += 1
        self.say(f"{self._count()} {name} done in {seconds:.1f} s")

    def say(self, sentence: str) -> None:
        """See Progress."""
        print(f"{elapsed(time.monotonic() - self._began)} {sentence}", flush=True)

    def _count(self) -> str:
        return f"[{self._done}/{self._total}]"


class Table:
    """A live table: a bar, what runs and for how long; finished steps scroll above it."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        self._running: dict[str, float] = {}
        self._total = self._done = self._cached = 0
        self._lock = threading.Lock()
        self._began = time.monotonic()
        # Last: it draws at once.
        self._live = Live(get_renderable=self._render, console=self._console, refresh_per_second=REFRESH_PER_SECOND)

    def __enter__(self) -> Table:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._running.clear()
        self._live.__exit__(kind, error, trace)

    def plan(self, total: int, cached: int) -> None:
        """See Progress."""
        self._total, self._cached, self._done = total, cached, cached

    def started(self, name: str) -> None:
        """See Progress."""
        with self._lock:
            self._running[name] = time.monotonic()

    def finished(self, name: str, seconds: float) -> None:
        """See Progress."""
        with self._lock:
            self._running.pop(name, None)
            self._done += 1
        self._console.print(f"[green]done[/] {name} [dim]{seconds:.1f} s[/]")

    def say(self, sentence: str) -> None:
        """See Progress."""
        self._console.print(sentence, markup=False, highlight=False, soft_wrap=True)

    def _render(self) -> RenderableType:
        now = time.monotonic()
        with self._lock:
            running = [f"{name} {now - since:.0f} s" for name, since in self._running.items()]
        head = Text(
            f"{self._done}/{self._total} steps, {self._cached} from cache, {elapsed(now - self._began)}   "
            + "   ".join(running)
        )
        return Group(head, ProgressBar(total=max(1, self._total), completed=self._done, width=60))


def elapsed(seconds: float) -> str:
    """Minutes and seconds, e.g. ``3:07``."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def progress() -> Lines | Table:
    """The table on a terminal, else lines."""
    return Table() if sys.stdout.isatty() else Lines()
