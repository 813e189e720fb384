"""What is written where: a disk's image in pieces that fit into the board's RAM, a flash chip's files whole.

A disk's first piece holds the partition table and is written last: a new disk whose writing was cut short is no half
box that starts.  Files for bare flash are written whole, since a NAND's bad blocks shift what comes behind them.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

from builder.boards import Board, Monitor
from builder.errors import CygnetError, RecipeError
from builder.flash.image import check_image
from builder.image import flash
from builder.image.flash_layout import KERNELS, UBI, places
from builder.image.layout import MIB, SECTOR


@dataclass(frozen=True)
class Piece:
    """So many bytes of a file, and where they go; ``room``: what is erased for them. Places and sizes in bytes."""

    name: str
    file: Path
    offset: int
    length: int
    start: int
    room: int = 0

    def content(self) -> bytes:
        """The bytes."""
        with self.file.open("rb") as file:
            file.seek(self.offset)
            got = file.read(self.length)
        if len(got) != self.length:
            raise CygnetError(f"{self.file} has become shorter while it was read; build it or fetch it again")
        return got

    def command(self, template: str, address: int, board: Board) -> str:
        """A command of the board's, filled in."""
        words = {
            "address": address, "start": self.start, "length": self.length, "room": self.room,
            "sector": self.start // SECTOR, "sectors": self.length // SECTOR,
        }  # fmt: skip
        try:
            return template.format_map({name: f"{value:#x}" for name, value in words.items()})
        except (KeyError, ValueError, IndexError) as error:
            raise RecipeError(
                board.folder / "board.toml", 1, f"[monitor] {template!r}: {error}; there is {', '.join(words)}"
            ) from None


def pieces(board: Board, image: Path, keep_data: bool = False) -> list[Piece]:
    """All pieces of a board's image, in the order in which they are written; reads and checks the files."""
    header = check_image(board, image)
    if board.disk is None:
        if keep_data:
            raise CygnetError(f"--keep-data: {board.name}'s flash is written whole, data and all")
        return _of_flash(board, image)
    size = header.data_start if keep_data else header.size
    step = board.need_monitor().piece_mib * MIB
    found = [
        Piece(f"{start // MIB} MiB", image, start, min(step, size - start), start) for start in range(0, size, step)
    ]
    return [*found[1:], found[0]]


def _of_flash(board: Board, image: Path) -> list[Piece]:
    """The kernel for either slot, then what UBI has."""
    kernel = image.with_name(flash.KERNEL)
    if not kernel.is_file():
        # A box's own image is a folder further down than the stock image, whose kernel it has.
        kernel = image.parent.parent / flash.KERNEL
    check_image(board, kernel)
    files = dict.fromkeys(KERNELS.values(), kernel) | {UBI: image}
    where = places(board.need_flash())
    return [
        Piece(name, file, 0, file.stat().st_size, where[name].start, where[name].size) for name, file in files.items()
    ]


def check_address(monitor: Monitor, all_pieces: list[Piece]) -> int:
    """Where in RAM a piece is read back to: behind the largest."""
    largest = max(piece.length for piece in all_pieces)
    return monitor.load_address + -(-largest // MIB) * MIB


def crc(content: bytes) -> str:
    """The checksum as U-Boot's `crc32` shows it."""
    return f"{zlib.crc32(content):08x}"
