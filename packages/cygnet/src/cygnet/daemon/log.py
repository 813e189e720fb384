"""The daemon's log: lines on standard error, in FreeS/WAN's manner; who reads them adds the time.

What strangers can cause without end (lines that begin "packet from") comes at a bounded rate; how many were left out
is said. A priority stands before the line where the kernel's log is the reader.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

STRANGER = "packet from "
STRANGERS_AT_ONCE = 20
STRANGERS_A_SECOND = 0.5
LONGEST_LINE = 900
KERNEL_LOG = os.makedev(1, 11)
PRIORITY = "<30>pluto: "  # facility daemon, level info


class Log:
    """Call it with a line."""

    def __init__(self, write: Callable[[str], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._write, self._clock = write, clock
        self._tokens, self._last, self._left_out = float(STRANGERS_AT_ONCE), clock(), 0

    def __call__(self, line: str) -> None:
        """One line, whatever it holds."""
        if line.startswith(STRANGER) and not self._affordable():
            self._left_out += 1
            return
        if self._left_out:
            self._put(f"{self._left_out} lines about strangers' packets left out")
            self._left_out = 0
        self._put(line)

    def _affordable(self) -> bool:
        now = self._clock()
        self._tokens = min(STRANGERS_AT_ONCE, self._tokens + (now - self._last) * STRANGERS_A_SECOND)
        self._last = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _put(self, line: str) -> None:
        """Control characters never reach a terminal or make a second line."""
        text = line if line.isprintable() else "".join(c if c.isprintable() else "?" for c in line)
        self._write(text[:LONGEST_LINE])


def standard_error() -> Log:
    """The log of this process."""
    prefix = PRIORITY if os.fstat(2).st_rdev == KERNEL_LOG else ""

    def write(line: str) -> None:
        try:
            os.write(2, f"{prefix}{line}\n".encode(sys.getfilesystemencoding(), "backslashreplace"))
        except OSError:
            return  # a full or closed log is no reason to stop

    return Log(write)
