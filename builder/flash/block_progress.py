"""How far the writing is and how long it will take: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from builder.progress import elapsed

SECONDS_BETWEEN_LINES = 5.0


class Meter(Protocol):
    """Told how far it is, in bytes."""

    def begin(self, what: str, total: int) -> None:
        """A pass over ``total`` bytes begins."""

    def advance(self, size: int) -> None:
        """So many more are done."""


class Lines:
    """For pipes and logs: a line for each pass, and one every few seconds of it."""

    def __init__(self, say: Callable[[str], None] = print, clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._clock = say, clock
        self._what = ""
        self._total = self._done = 0
        self._began = self._told = 0.0

    def begin(self, what: str, total: int) -> None:
        """See Meter."""
        self._what, self._total, self._done = what, total, 0
        self._began = self._told = self._clock()
        self._say(f"{what}: {total / 1e6:.1f} MB")

    def advance(self, size: int) -> None:
        """See Meter."""
        self._done += size
        now = self._clock()
        if now - self._told >= SECONDS_BETWEEN_LINES and self._done < self._total:
            self._told = now
            rate = self._done / (now - self._began)
            self._say(
                f"{self._what}: {self._done / 1e6:.1f} of {self._total / 1e6:.1f} MB, {rate / 1e6:.1f} MB/s, "
                f"{elapsed((self._total - self._done) / rate)} to go"
            )


class Bar:
    """For a terminal."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def begin(self, what: str, total: int) -> None:
        """See Meter."""
        self._task = self._progress.add_task(what, total=total)

    def advance(self, size: int) -> None:
        """See Meter."""
        if self._task is not None:
            self._progress.advance(self._task, size)


@contextlib.contextmanager
def shown() -> Iterator[Meter]:
    """The meter that fits where the output goes."""
    if not sys.stdout.isatty():
        yield Lines()
        return
    columns = (TextColumn("{task.description:20}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn()) as progress:
        yield Bar(progress)
