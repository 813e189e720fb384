"""Flashing a board over its serial console."""

from __future__ import annotations

from pathlib import Path

from builder.boards import Board
from builder.errors import CygnetError
from builder.flash.options import Options


def flash_by_console(board: Board, image: Path, to: str, options: Options) -> None:  # noqa: ARG001
    """Put ``image`` on the board at the other end of ``to``, which pyserial's serial_for_url takes."""
    raise CygnetError(f"--to={to}: {board.name} cannot be flashed over a console yet; name a block device or a file")
