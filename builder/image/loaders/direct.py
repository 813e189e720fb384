"""No loader on the disk: whoever starts the box (QEMU's -kernel) hands over the kernel and its command line."""

from __future__ import annotations

from pathlib import Path

from builder.boards import Board
from builder.image.loaders.loader import Boot
from builder.run import Runner

TEMPLATES: tuple[str, ...] = ()
TOOLS: tuple[str, ...] = ()
KERNEL_IN_ROOT = False


def boot(_board: Board, _tools: Path, _work: Path, _runner: Runner) -> Boot:
    """Nothing."""
    return Boot()


def kernel(_board: Board, _system: Path, _tools: Path, _work: Path, _runner: Runner) -> bytes:
    """Nothing."""
    return b""
