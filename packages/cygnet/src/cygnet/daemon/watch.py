"""Waits until links, addresses and default routes have settled after a change, then says so."""

from __future__ import annotations

import time
from collections.abc import Callable

from cygnet.kernel.changes import Changes

# Seconds: a link, its address and its route come one after the other.
SETTLING = 1.0


class Watch:
    """``settled`` is called a second after the first sign of a change, however many more there are till then."""

    def __init__(
        self, changes: Changes, settled: Callable[[], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._changes, self._settled, self._clock = changes, settled, clock
        self._due: float | None = None

    def readable(self, _mask: int) -> None:
        """The kernel has told something."""
        if self._changes.heard() and self._due is None:
            self._due = self._clock() + SETTLING

    def next_deadline(self) -> float | None:
        """When it has settled; None while there is nothing to settle."""
        return self._due

    def run_timers(self, _now: float) -> None:
        """It has."""
        self._due = None
        self._settled()
