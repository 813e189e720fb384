"""Waiting for a machine, box or guest, to say what a test wants to hear."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

PAUSE = 0.4


class Machine(Protocol):
    """What runs commands; ``run`` gives output and status."""

    name: str

    def run(self, command: str) -> tuple[str, int]:
        """Output (errors among it) and exit status."""


def wait_for(machine: Machine, command: str, good: Callable[[str], bool], seconds: float) -> str:
    """Repeat a command until its output is good; the last output fails the test if it never is."""
    end = time.monotonic() + seconds
    while True:
        output, _ = machine.run(command)
        if good(output):
            return output
        assert time.monotonic() < end, f"{machine.name}: after {seconds:.0f} s `{command}` still says: {output}"
        time.sleep(PAUSE)
