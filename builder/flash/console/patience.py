"""How long a board is waited for, in seconds: one place, so that tests need not wait as long."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """``switch_on``: until somebody has found the switch; ``line``: until a line that dropped is back.

    The others are of silence: ``echo`` for what is typed, ``answer`` for a command, ``write`` for one that erases or
    writes a flash, ``boot`` for a box that starts; ``tick`` makes what came last a prompt, and after ``nudge`` the
    board is spoken to.  ``modem`` is a factor for Y-modem's own times.  ``word``: after so long the user hears how far
    it is.
    """

    switch_on: float = 120
    line: float = 60
    echo: float = 2
    answer: float = 30
    write: float = 900
    boot: float = 120
    tick: float = 0.5
    nudge: float = 2
    modem: float = 1
    word: float = 60


PATIENCE = Patience()
