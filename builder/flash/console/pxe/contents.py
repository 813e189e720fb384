"""An image as an installer gets it: in compressed parts, each kept once, and where each of them goes.

A stock image has the same system in both slots, and mostly zeros elsewhere: a fifth of it is left, which fits into the
RAM of the smallest board.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from builder.flash.block_layout import FIRST, mark, pieces
from builder.flash.image import Image
from builder.image.layout import SECTOR

BLOCK = FIRST
# The first block, in three states: its first sector marked and nothing else touched, all but its first sector, whole.
MARK, EDGE, WHOLE = "mark", "edge", "first"


@dataclass(frozen=True)
class Part:
    """So much of the image: place and size in bytes, the part's name (none: zeros), SHA-256."""

    start: int
    size: int
    name: str
    sha256: str


@dataclass(frozen=True)
class Contents:
    """``parts`` in the order in which they are written, ``first``, which comes last, and the ``files`` they are in."""

    parts: list[Part]
    first: Part
    files: Mapping[str, bytes]

    @property
    def size(self) -> int:
        """How much is written, in bytes, but for the first block."""
        return sum(part.size for part in self.parts)


def contents(image: Image, keep_data: bool) -> Contents:
    """What is to be written of ``image``."""
    names: dict[str, str] = {}
    files: dict[str, bytes] = {}

    def part(start: int, size: int) -> Part:
        content = image.read(start, size)
        digest = hashlib.sha256(content).hexdigest()
        if not content.strip(b"\0"):
            return Part(start, size, "", digest)
        name = names.setdefault(digest, f"p{len(names)}")
        if name not in files:
            files[name] = _packed(content)
        return Part(start, size, name, digest)

    parts = [part(start, size) for start, size in pieces(image.header, keep_data)]
    first, sector = image.read(0, FIRST), mark(image.header, keep_data)
    files |= {MARK: _packed(sector), EDGE: _packed(sector + first[SECTOR:]), WHOLE: _packed(first)}
    return Contents(parts, Part(0, FIRST, WHOLE, hashlib.sha256(first).hexdigest()), files)


def _packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)
