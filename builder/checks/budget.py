"""The size budget of a board: over it the build stops and says by how much."""

from __future__ import annotations

from collections.abc import Mapping

from builder.boards import Board
from builder.errors import CygnetError


def check_budget(
    board: Board, kernel: int, rootfs: int, now: Mapping[str, int] = {}, before: Mapping[str, int] = {}
) -> None:
    """Raise when the kernel or the root file system (compressed, in bytes) is over the budget.

    ``now`` and ``before``: bytes of each package, uncompressed, in this image and in the last one.
    """
    for what, size, most in (("kernel", kernel, board.budget.kernel), ("rootfs", rootfs, board.budget.rootfs)):
        if size > most:
            raise CygnetError(
                f"{board.name}: the {what} is {size:,} bytes, {size - most:,} over its budget of {most:,} "
                f"({board.folder / 'board.toml'}, [budget]). {grown(now, before)}"
                f"What takes them: ./inv size --board={board.name}"
            )


def grown(now: Mapping[str, int], before: Mapping[str, int]) -> str:
    """Which packages grew since the last image, most first; empty if none did or there was none."""
    more = {name: size - before.get(name, 0) for name, size in now.items() if before and size > before.get(name, 0)}
    rows = [f"{name} by {more[name]:,}" for name in sorted(more, key=lambda name: -more[name])]
    return f"Since the last image grew, in bytes before compression: {', '.join(rows)}. " if rows else ""
