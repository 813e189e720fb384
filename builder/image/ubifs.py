"""UBIFS made from a directory, without root, the same bytes each time.

mkfs.ubifs gives each file system a random UUID and each inode the times of the directory it came from, and has no
option against either: both are settled afterwards.  On-flash format: the kernel's fs/ubifs/ubifs-media.h.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator
from pathlib import Path

from builder.boards import Flash
from builder.errors import CygnetError
from builder.image.flash_layout import UBI, logical_block
from builder.image.ubi import crc
from builder.run import Runner
from builder.settings import EPOCH

NAMESPACE = uuid.UUID("c5f1d1a4-4a0e-4b5c-8f0c-2f6f2f0b7e11")
MAGIC = 0x06101831
# What every node begins with: magic, checksum of what follows it, order, length, type.
NODE = struct.Struct("<IIQIB3x")
CHECKED = 8
ALIGNMENT = 8
INODE, SUPER_BLOCK = 0, 6
# Of an inode: access, change and modification in seconds, and each one's nanoseconds.
TIMES_AT, TIMES = 56, struct.Struct("<QQQIII")
UUID_AT = 108
# UBIFS writes no less at once, even on NOR.
LEAST_WRITE = 8


def make_ubifs(flash: Flash, content: Path, to: Path, tools: Path, runner: Runner, identity: str) -> None:
    """Write a file system holding ``content`` to ``to``, all of it root's; ``identity`` decides its UUID.

    It can grow as far as the flash goes.  -F: what flashed it may have written empty pages.
    """
    command = [tools / "usr/sbin/mkfs.ubifs", "-r", content, *options(flash), "-o", to]
    runner.run([str(word) for word in command], cwd=to.parent)
    image = bytearray(to.read_bytes())
    settle(image, uuid.uuid5(NAMESPACE, identity))
    to.write_bytes(image)


def options(flash: Flash) -> list[str]:
    """How mkfs.ubifs is told about the flash, and what it makes there."""
    sizes = {"-m": max(flash.page, LEAST_WRITE), "-e": logical_block(flash), "-c": flash.partitions[UBI] // flash.block}
    return [*(str(word) for size in sizes.items() for word in size), "-x", "zlib", "-U", "-F"]


def settle(image: bytearray, number: uuid.UUID) -> None:
    """Give a file system this UUID, and all that is in it the time EPOCH."""
    for at, length, kind in nodes(image):
        if kind == SUPER_BLOCK:
            image[at + UUID_AT : at + UUID_AT + 16] = number.bytes
        elif kind == INODE:
            TIMES.pack_into(image, at + TIMES_AT, EPOCH, EPOCH, EPOCH, 0, 0, 0)
        struct.pack_into("<I", image, at + 4, crc(image[at + CHECKED : at + length]))


def nodes(image: bytes | bytearray) -> Iterator[tuple[int, int, int]]:
    """Place, length and type of every node; one whose checksum is wrong is an error."""
    at = 0
    while at + NODE.size <= len(image):
        magic, checksum, _, length, kind = NODE.unpack_from(image, at)
        if magic != MAGIC:
            at += ALIGNMENT
            continue
        if crc(image[at + CHECKED : at + length]) != checksum:
            raise CygnetError(f"the data file system has a node with a wrong checksum at {at:#x}")
        yield at, length, kind
        at += -(-length // ALIGNMENT) * ALIGNMENT
