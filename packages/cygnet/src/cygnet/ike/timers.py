"""Deadlines of the engine, in the order in which they come; the clock is the caller's."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(order=True)
class Timer:
    """Something to do at ``when``; `cancel` makes it do nothing."""

    when: float
    number: int
    action: Callable[[], None] | None = field(compare=False)

    def cancel(self) -> None:
        """Forget it; a timer that has run already does not mind."""
        self.action = None


class Timers:
    """A heap of timers; cancelled ones are dropped when their time comes, or when they are the most."""

    def __init__(self) -> None:
        self._heap: list[Timer] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._heap)

    def at(self, when: float, action: Callable[[], None]) -> Timer:
        """Do ``action`` at ``when``."""
        self._count += 1
        timer = Timer(when, self._count, action)
        heapq.heappush(self._heap, timer)
        if self._count % 1024 == 0:
            self._heap = [one for one in self._heap if one.action]
            heapq.heapify(self._heap)
        return timer

    def next(self) -> float | None:
        """When the next timer is due, None if there is none."""
        while self._heap and self._heap[0].action is None:
            heapq.heappop(self._heap)
        return self._heap[0].when if self._heap else None

    def run(self, now: float) -> None:
        """Do everything that is due."""
        while (due := self.next()) is not None and due <= now:
            action = heapq.heappop(self._heap).action
            if action:
                action()
