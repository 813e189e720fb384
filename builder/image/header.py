"""The header of an image: for which board it is, of which version, its size and hash, where its data partition is.

A disk image has it in the last sector before the first partition, which no boot loader uses; a file for bare flash, of
which every byte is the flash's, has it in a file beside it (`ubi.img.header`).  One sector of text either way:

    CYGNET IMAGE 1
    board=pc486
    version=0.1.0
    size=55574528
    data=38797312+16777216
    sha256=...

The hash is of the lines above it and of all that the image holds but the header and the data partition, so that a box
with its own data verifies like the stock image.  It finds damage and mistakes; it is no signature.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from builder.errors import CygnetError
from builder.image.layout import HEADER_AT, SECTOR, Partition
from builder.settings import VERSION

FORMAT = 1
MAGIC = b"CYGNET IMAGE "
FIELDS = re.compile(
    r"board=([a-z0-9][a-z0-9_-]*)\nversion=([\w.+~-]+)\nsize=(\d{1,15})\ndata=(\d{1,15})\+(\d{1,15})\n"
    r"sha256=([0-9a-f]{64})\n",
    re.ASCII,
)
CHUNK = 1 << 20


@dataclass(frozen=True)
class Header:
    """What an image says of itself. Places and sizes in bytes; ``data_size`` 0: no data partition, a header beside."""

    board: str
    version: str
    size: int
    data_start: int
    data_size: int
    sha256: str = ""

    @property
    def hashed(self) -> list[tuple[int, int]]:
        """The pieces that the hash is of, each from its first byte to before its last, in order."""
        if not self.data_size:
            return [(0, self.size)]
        data_end = self.data_start + self.data_size
        return [(0, HEADER_AT), (HEADER_AT + SECTOR, self.data_start), (data_end, self.size)]

    @property
    def head(self) -> bytes:
        """Its lines without the hash."""
        return (
            f"{MAGIC.decode()}{FORMAT}\nboard={self.board}\nversion={self.version}\nsize={self.size}\n"
            f"data={self.data_start}+{self.data_size}\n"
        ).encode()

    @property
    def sector(self) -> bytes:
        """The header as it is written."""
        return (self.head + f"sha256={self.sha256}\n".encode()).ljust(SECTOR, b"\0")


def beside(image: Path) -> Path:
    """The file with the header of an image that has none inside."""
    return image.with_name(f"{image.name}.header")


def write_header(image: Path, board: str, data: Partition) -> None:
    """Put the header into a whole disk image."""
    header = Header(board, VERSION, image.stat().st_size, data.start, data.size)
    with image.open("r+b") as file:
        sector = _with_hash(header, file).sector
        file.seek(HEADER_AT)
        file.write(sector)


def write_beside(image: Path, board: str, called: Path | None = None) -> None:
    """Put the header of ``image``, a file for bare flash, beside it, or beside what it will be ``called``."""
    with image.open("rb") as file:
        header = _with_hash(Header(board, VERSION, image.stat().st_size, 0, 0), file)
    to = beside(called or image)
    new = to.with_name(f"{to.name}.new")
    new.write_bytes(header.sector)
    new.replace(to)


def read_header(image: Path) -> Header:
    """What an image (or a card that one was written to) says of itself; it is not compared with the hash yet.

    Raises CygnetError when there is no such file, no header, or less than the header says.
    """
    try:
        with image.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(HEADER_AT)
            sector = file.read(SECTOR)
        if not sector.startswith(MAGIC):
            sector = beside(image).read_bytes() if beside(image).is_file() else b""
    except OSError as error:
        raise CygnetError(f"{image}: {error.strerror}; name an image that ./inv build made") from None
    header = parse(sector, image)
    if size < header.size:
        raise CygnetError(f"{image} is cut short: {size:,} of {header.size:,} bytes; build it or fetch it again")
    return header


def parse(sector: bytes, image: Path) -> Header:
    """A header from its bytes; ``image`` is what an error calls it."""
    first, _, rest = sector.partition(b"\n")
    if not first.startswith(MAGIC):
        raise CygnetError(f"{image} is no Cygnet image: it has no header; ./inv build makes one that has")
    if first != MAGIC + b"%d" % FORMAT:
        raise CygnetError(f"{image} has a header of another format than {FORMAT}: use the Cygnet that it was made with")
    found = FIELDS.fullmatch(rest.rstrip(b"\0").decode("ascii", "replace"))
    if not found:
        raise CygnetError(f"{image}: its header is damaged; build it or fetch it again")
    board, version, size, start, length, sha256 = found.groups()
    header = Header(board, version, int(size), int(start), int(length), sha256)
    if any(begin > end for begin, end in header.hashed):
        raise CygnetError(f"{image}: its header is damaged; build it or fetch it again")
    return header


def verify(image: Path) -> Header:
    """The header of an image whose content is what the header says; raises CygnetError when it is not."""
    header = read_header(image)
    with image.open("rb") as file:
        found = _with_hash(header, file).sha256
    if found != header.sha256:
        raise CygnetError(
            f"{image} is damaged: the SHA-256 of its content is {found}, its header says {header.sha256}; "
            "build it or fetch it again"
        )
    return header


def _with_hash(header: Header, file: BinaryIO) -> Header:
    """The header with the hash of what ``file`` holds now."""
    digest = hashlib.sha256(header.head)
    for begin, end in header.hashed:
        file.seek(begin)
        left = end - begin
        while left and (piece := file.read(min(left, CHUNK))):
            digest.update(piece)
            left -= len(piece)
    return Header(header.board, header.version, header.size, header.data_start, header.data_size, digest.hexdigest())
