"""The daemon's one loop: what became readable, whose time has come, which signal was sent.

Not asyncio: nothing here awaits anything, and asyncio costs 3 MB and a third of the start on the smallest box.
A selector entry's data is what to call with the event mask; whoever has timers says when the next one is due.
"""

from __future__ import annotations

import selectors
import signal
import socket
import time
from collections.abc import Callable
from typing import Any, Protocol

from cygnet.errors import CygnetError


class Timed(Protocol):
    """Something with timers, as the engine has them. ``now`` is `time.monotonic`."""

    def next_deadline(self) -> float | None:
        """When `run_timers` wants to be called, None if not at all."""

    def run_timers(self, now: float) -> object:
        """Do what is due."""


class Loop:
    """Runs until `stop`. An error in one callback is logged and ends nothing but that callback."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self.selector = selectors.DefaultSelector()
        self.timed: list[Timed] = []
        self._log = log
        self._stopping = False
        self._signals: dict[int, Callable[[], None]] = {}

    def on_signal(self, number: int, callback: Callable[[], None]) -> None:
        """Call back from within the loop, never in the middle of something else."""
        if not self._signals:
            here, there = socket.socketpair()
            here.setblocking(False)
            there.setblocking(False)
            signal.set_wakeup_fd(there.fileno(), warn_on_full_buffer=False)
            self.selector.register(here, selectors.EVENT_READ, lambda _: self._woken(here, there))
        self._signals[number] = callback
        signal.signal(number, lambda *_: None)

    def stop(self) -> None:
        """After the callback that is running."""
        self._stopping = True

    def run(self) -> None:
        """Until somebody calls `stop`."""
        while not self._stopping:
            for key, mask in self.selector.select(self._timeout()):
                self.guard(key.data, mask)
            now = time.monotonic()
            for timed in self.timed:
                deadline = timed.next_deadline()
                if deadline is not None and deadline <= now:
                    self.guard(timed.run_timers, now)

    def guard(self, callback: Callable[..., object], *arguments: Any) -> None:
        """Call it; whatever it raises becomes a line in the log, without values that may be secret."""
        try:
            callback(*arguments)
        except CygnetError as problem:
            self._log(str(problem))
        except Exception as problem:
            self._log(f"internal error, please report: {type(problem).__name__} at {_places(problem)}")

    def _timeout(self) -> float | None:
        deadlines = [deadline for timed in self.timed if (deadline := timed.next_deadline()) is not None]
        return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None

    def _woken(self, here: socket.socket, _keep: socket.socket) -> None:
        for number in here.recv(64):
            self._signals[number]()


def _places(problem: Exception) -> str:
    """Files and lines from the outside in."""
    places, step = [], problem.__traceback__
    while step:
        places.append(f"{step.tb_frame.f_code.co_filename.rpartition('/')[2]}:{step.tb_lineno}")
        step = step.tb_next
    return " ".join(places[1:])
