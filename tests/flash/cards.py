"""A small board's images, and cards to write them to: in memory, and as loop devices of this machine."""

from __future__ import annotations

import errno
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from builder.boards import load_board
from builder.flash.block_layout import EXT_MAGIC, EXT_MAGIC_AT
from builder.flash.options import Options
from builder.image.header import write_header
from builder.image.layout import SECTOR, disk_id, disk_size, partition_table, partitions
from builder.settings import PROJECT

_PC486 = load_board(PROJECT / "board", "pc486")
# Its partitions have one MiB each.
BOARD = msgspec.structs.replace(
    _PC486, disk=msgspec.structs.replace(_PC486.need_disk(), boot_mib=1, slot_mib=1, data_mib=1)
)
SIZE = disk_size(BOARD.need_disk())
DATA = partitions(BOARD.need_disk())["data"]
YES = Options(yes=True, fixed_disk=True)
KEEP = Options(yes=True, fixed_disk=True, keep_data=True)


def make_image(to: Path, number: int, name: str = BOARD.name) -> Path:
    """An image of version ``number``: noise in every part but for the second slot, which is zero."""
    content = bytearray(SIZE)
    noise = random.Random(number)  # noqa: S311
    content[:440] = noise.randbytes(440)
    content[440:SECTOR] = partition_table(BOARD.need_disk(), disk_id(name))
    for at in range(SECTOR, SIZE, 4 * SECTOR):
        content[at : at + SECTOR] = noise.randbytes(SECTOR)
    slot = partitions(BOARD.need_disk())["slot-b"]
    content[slot.start : slot.start + slot.size] = bytes(slot.size)
    content[DATA.start + EXT_MAGIC_AT : DATA.start + EXT_MAGIC_AT + 2] = EXT_MAGIC
    to.write_bytes(content)
    write_header(to, name, DATA)
    return to


class Card:
    """A card in memory; ``before`` is told of every read, write and flush, and may raise what a broken card does."""

    name = "/dev/sdx"
    unfinished = "is half written"

    def __init__(self, content: bytes, before: Callable[[str, int], None] = lambda *_: None) -> None:
        self.content = bytearray(content)
        self.before = before
        self.writes: list[int] = []

    def read(self, at: int, size: int) -> bytes:
        self.before("read", at)
        return bytes(self.content[at : at + size])

    def write(self, at: int, content: bytes) -> None:
        self.before("write", at)
        self.writes.append(at)
        self.content[at : at + len(content)] = content

    def flush(self) -> None:
        self.before("flush", 0)


def pulled(after: int) -> Callable[[str, int], None]:
    """A card that is pulled after so many reads, writes and flushes."""
    left = [after]

    def before(_what: str, _at: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    return before


class Silent:
    """A meter that nobody looks at."""

    def begin(self, what: str, total: int) -> None: ...

    def advance(self, size: int) -> None: ...


def run(*words: str | Path) -> str:
    return subprocess.run([str(w) for w in words], check=True, capture_output=True, text=True).stdout.strip()


def attach(file: Path, *options: str) -> Path:
    """A loop device of ``file``, which needs root: where there is none the test fails."""
    return Path(run("losetup", "--find", "--show", *options, file))


def python(text: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program of a few lines in another process, as a second user would."""
    return subprocess.run([sys.executable, "-c", text, *map(str, words)], cwd=PROJECT, capture_output=True, text=True)
