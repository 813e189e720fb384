"""The daemon's log: lines on standard error, in FreeS/WAN's manner; whoever reads them adds the time.

A priority stands before each where the kernel's log is the reader. How often strangers are heard of is ike/noise.py's.
"""

from __future__ import annotations

import os
from collections.abc import Callable

LONGEST_LINE = 900  # of a message to the kernel's log
KERNEL_LOG = os.makedev(1, 11)
PRIORITY = "<30>pluto: "  # facility daemon, level info

Log = Callable[[str], None]


def line(text: str) -> str:
    """``text`` as one line that commands no terminal."""
    return (text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text))[:LONGEST_LINE]


def standard_error() -> Log:
    """The log of this process."""
    prefix = PRIORITY if os.fstat(2).st_rdev == KERNEL_LOG else ""

    def log(text: str) -> None:
        try:
            os.write(2, f"{prefix}{line(text)}\n".encode("utf-8", "backslashreplace"))
        except OSError:
            return  # a full or closed log is no reason to stop

    return log
