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
from builder.image.layout import MIB, SECTOR

BLOCK = FIRST
# So much is read back at once, and zeros are written at once: seconds on the slowest board.
STEP = 8 * MIB
# The first block, in three states: its first sector marked and nothing else touched, all but its first sector, whole.
MARK, EDGE, WHOLE = "mark", "edge", "first"


@dataclass(frozen=True)
class Part:
    """So much of the image, in bytes, and the part's name; none: zeros."""

    start: int
    size: int
    name: str


@dataclass(frozen=True)
class Check:
    """So much of the image as is read back at once."""

    start: int
    size: int
    sha256: str


@dataclass(frozen=True)
class Contents:
    """What is written, ``parts`` from the ``files``, and read back, both in order and without the first block.

    ``first``: what is read back of that, in the end.
    """

    parts: list[Part]
    checks: list[Check]
    first: Check
    files: Mapping[str, bytes]


def contents(image: Image, keep_data: bool) -> Contents:
    """What is to be written of ``image``."""
    packing = _Packing()
    for start, size in pieces(image.header, keep_data):
        packing.take(start, image.read(start, size))
    first, sector = image.read(0, FIRST), mark(image.header, keep_data)
    states = {MARK: sector, EDGE: sector + first[SECTOR:], WHOLE: first}
    files = packing.files | {name: _packed(content) for name, content in states.items()}
    return Contents(packing.parts, packing.checks, Check(0, FIRST, hashlib.sha256(first).hexdigest()), files)


class _Packing:
    """Pieces become parts and checks: zeros are joined, and what is read back at once, up to the next whole STEP."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.checks: list[Check] = []
        self.files: dict[str, bytes] = {}
        self._names: dict[bytes, str] = {}
        self._digest, self._end = hashlib.sha256(), 0

    def take(self, at: int, content: bytes) -> None:
        """The next piece."""
        goes_on = at == self._end and at % STEP != 0
        self._end = at + len(content)
        self._check(at, content, goes_on)
        if content.strip(b"\0"):
            self.parts.append(Part(at, len(content), self._keep(content)))
        else:
            zeros = self.parts.pop() if goes_on and self.parts and not self.parts[-1].name else Part(at, 0, "")
            self.parts.append(Part(zeros.start, zeros.size + len(content), ""))

    def _check(self, at: int, content: bytes, goes_on: bool) -> None:
        if goes_on:
            at = self.checks.pop().start
        else:
            self._digest = hashlib.sha256()
        self._digest.update(content)
        self.checks.append(Check(at, self._end - at, self._digest.hexdigest()))

    def _keep(self, content: bytes) -> str:
        name = self._names.setdefault(hashlib.sha256(content).digest(), f"p{len(self._names)}")
        if name not in self.files:
            self.files[name] = _packed(content)
        return name


def _packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)
