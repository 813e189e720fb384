"""The size budget of a board: over it the build stops and says by how much."""

from __future__ import annotations

from builder.boards import Board
from builder.errors import CygnetError


def check_budget(board: Board, kernel: int, rootfs: int) -> None:
    """Raise when the kernel or the root file system (compressed, in bytes) is over the budget."""
    for what, size, most in (("kernel", kernel, board.budget.kernel), ("rootfs", rootfs, board.budget.rootfs)):
        if size > most:
            raise CygnetError(
                f"{board.name}: the {what} is {size:,} bytes, {size - most:,} over its budget of {most:,} "
                f"({board.folder / 'board.toml'}, [budget]). What takes them: ./inv size --board={board.name}"
            )
