"""The image that is put somewhere: whole, the board's, and the same from the first look to the last byte."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from builder.boards import Board
from builder.errors import CygnetError
from builder.image.header import Header, verify


def check_image(board: Board, image: Path) -> Header:
    """The header of an image that is whole and made for ``board``; raises CygnetError when it is not."""
    header = verify(image)
    if header.board != board.name:
        raise CygnetError(
            f"{image} is for {header.board} and would not start on {board.name}: "
            f"name another image, or --board={header.board}; nothing was written"
        )
    return header


@dataclass(frozen=True)
class Image:
    """An image that was checked, opened; ``stamp``: by what a later change of the file is noticed."""

    path: Path
    header: Header
    file: int
    stamp: tuple[int, int, int]

    def read(self, at: int, size: int) -> bytes:
        """``size`` bytes from ``at`` on; raises CygnetError when there are fewer."""
        content = os.pread(self.file, size, at)
        if len(content) != size:
            raise self.changed()
        return content

    def check_unchanged(self) -> None:
        """Raise CygnetError unless the file is what it was when it was checked."""
        if _stamp(os.fstat(self.file)) != self.stamp:
            raise self.changed()

    def changed(self) -> CygnetError:
        """The error for an image that is not the one that was checked."""
        return CygnetError(f"{self.path} was changed while it was written: is a build running?")


@contextlib.contextmanager
def opened(board: Board, path: Path) -> Iterator[Image]:
    """The image at ``path``, checked."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise CygnetError(f"{path}: {error.strerror}; name an image that ./inv build made") from None
    try:
        stamp = _stamp(os.fstat(file))
        image = Image(path, check_image(board, path), file, stamp)
        if _stamp(path.stat()) != stamp:
            raise image.changed()
        yield image
    finally:
        os.close(file)


def _stamp(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_size, found.st_mtime_ns
