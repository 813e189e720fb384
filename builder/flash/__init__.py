"""Putting an image on a box's hardware: a card in a reader, a plain file, or a board behind its serial console.

`target` says which of the three `--to` is; `block_*` are cards and files, `console` is the serial line. No byte is
written before the image is known to be whole and this board's.
"""

from __future__ import annotations

from pathlib import Path

from builder.boards import Board
from builder.flash.options import Options
from builder.flash.target import Kind, kind_of, url_of

__all__ = ["Options", "flash"]


def flash(board: Board, image: Path, to: str, options: Options) -> None:
    """Put ``image`` on ``to``; raises CygnetError when that cannot be, and then says what state ``to`` is in."""
    match kind_of(to):
        case Kind.CONSOLE:
            from builder.flash.console import flash_by_console

            flash_by_console(board, image, url_of(to), options)
        case Kind.DEVICE | Kind.FILE:
            from builder.flash.block import flash_block

            flash_block(board, image, Path(to), options)
