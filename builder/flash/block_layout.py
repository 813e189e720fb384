"""What is where on a card, as far as writing it must know: the first block, the data partition, the mark of a half.

The mark takes the first sector's place while a card is written: no boot sector, no partition table, but a text that
says whether the data partition was to be kept, so that a second try may keep it too.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from builder.errors import CygnetError
from builder.flash.image import Image
from builder.image.header import Header
from builder.image.layout import BOOT_CODE, SECTOR

# Written and read at once; the first block is the largest sector that a card has.
PIECE = 1 << 20
FIRST = 4096
# INT 18h, "this disk does not boot", for a BIOS that does not look for the 55AA mark; then a jump to itself.
MARK = b"\xcd\x18\xeb\xfe\nCYGNET HALF WRITTEN\n"
# ext4's superblock is 1,024 bytes into its partition, its magic number 56 bytes into that.
EXT_MAGIC_AT = 1080
EXT_MAGIC = struct.pack("<H", 0xEF53)

Read = Callable[[int, int], bytes]


def pieces(header: Header, keep_data: bool) -> Iterator[tuple[int, int]]:
    """Place and size of everything behind the first block, in order, the data partition only if it is not kept."""
    data_end = header.data_start + header.data_size
    ranges = [(FIRST, header.data_start), (data_end, header.size)] if keep_data else [(FIRST, header.size)]
    for begin, end in ranges:
        while begin < end:
            # To the next whole piece.
            size = min(PIECE - begin % PIECE, end - begin)
            yield begin, size
            begin += size


def mark(header: Header, keep_data: bool) -> bytes:
    """The first sector of a card that is being written with an image that has this header."""
    data = f"data={header.data_start}+{header.data_size}\nkept={'yes' if keep_data else 'no'}\n"
    return (MARK + f"board={header.board}\n{data}".encode()).ljust(SECTOR, b"\0")


def is_marked(first: bytes) -> bool:
    """Whether a card with this first block was left half written."""
    return first.startswith(MARK)


def check_keeps_data(image: Image, read: Read, name: str) -> None:
    """Raise CygnetError unless the card has a data partition where the image has it, of the same board."""
    board, first = image.header.board, read(0, FIRST)[:SECTOR]
    if first == mark(image.header, False):
        raise CygnetError(
            f"--keep-data: {name} was left half written by a run without --keep-data: its data partition is lost; "
            "leave the switch out"
        )
    if first != mark(image.header, True) and first[BOOT_CODE:] != image.read(0, SECTOR)[BOOT_CODE:]:
        raise CygnetError(
            f"--keep-data: {name} is no Cygnet card of {board} with the data partition where {image.path} has it; "
            "leave the switch out to write all of it"
        )
    if read(image.header.data_start, FIRST)[EXT_MAGIC_AT : EXT_MAGIC_AT + 2] != EXT_MAGIC:
        raise CygnetError(f"--keep-data: the data partition of {name} holds no file system; leave the switch out")
