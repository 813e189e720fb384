"""What strangers make us say: a few lines a second at the most, and then how many were left out."""

from __future__ import annotations

from collections.abc import Callable

from cygnet.ike.path import Path

BURST = 20.0
RATE = 1.0


class Noise:
    """A log for what anybody can cause."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._tokens, self._since, self._left_out = BURST, 0.0, 0

    def say(self, path: Path, text: str, now: float) -> None:
        """One line about a packet from ``path``."""
        self._tokens = min(BURST, self._tokens + max(0.0, now - self._since) * RATE)
        self._since = now
        if self._tokens < 1:
            self._left_out += 1
            return
        self._tokens -= 1
        if self._left_out:
            self._log(f"{self._left_out} more messages like these were not logged")
            self._left_out = 0
        self._log(f"packet from {path}: {text}")
