"""The kernel's command line: what every loader says, and what the box reads from it.

`cygnet.slot` and `cygnet.mode` (normal, trial, fallback) tell the box how it came up.
"""

from __future__ import annotations

from builder.boards import Board
from builder.image.layout import disk_id, partitions


def common_words(board: Board) -> str:
    """What is the same for both slots."""
    console = f"console={board.console.device},{board.console.speed}"
    return " ".join(["rootfstype=squashfs", "ro", "rootwait", console, "panic=10", *board.kernel.arguments])


def first_slot(board: Board) -> str:
    """The whole command line for slot a, where nobody chooses a slot."""
    number = partitions(board.need_disk())["slot-a"].number
    root = f"root=PARTUUID={disk_id(board.name):08x}-{number:02}"
    return f"{root} {common_words(board)} cygnet.slot=a cygnet.mode=normal"
