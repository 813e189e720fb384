"""Writing an image so that a card is the old one, the new one, or one that does not boot and says so.

Before anything else is written the first sector, the MBR, gives way to a mark (`block_layout`). What differs is then
written and all of it read back; the image's own first sector comes last, on its own: a card whose power fails writes
some sectors of a block and others not. Since only what differs is written, the
same command goes on where another was interrupted, and writes nothing on a card that holds the image already.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from builder.errors import CygnetError, Interrupted
from builder.flash.block_layout import FIRST, check_keeps_data, mark, pieces
from builder.flash.block_progress import Meter
from builder.flash.image import Image
from builder.image.layout import SECTOR

PULLED = (errno.EIO, errno.ENODEV, errno.ENXIO, errno.ENOMEDIUM, errno.EREMOTEIO)


class Target(Protocol):
    """What is written: ``name`` in errors; ``unfinished``: what it is, as a verb, when the writing ended early.

    What it cannot do is an OSError.
    """

    name: str
    unfinished: str

    def read(self, at: int, size: int) -> bytes:
        """What is there, not what the page cache remembers."""

    def write(self, at: int, content: bytes) -> None:
        """Put ``content`` there; it is there after the next `flush`."""

    def flush(self) -> None:
        """Wait until everything is there."""


@dataclass
class Writing:
    """One image on its way to one target. ``written`` bytes differed; ``marked``: the target does not boot now."""

    image: Image
    target: Target
    keep_data: bool
    meter: Meter
    written: int = 0
    marked: bool = False
    at: int = 0

    def run(self) -> int:
        """Write and read back; how many bytes differed. Raises CygnetError, which says what state the target is in."""
        try:
            self._write()
        except OSError as error:
            why = ": was the card pulled?" if error.errno in PULLED else ""
            raise CygnetError(f"{self._place()}: {os.strerror(error.errno or 0)}{why or ';'} {self._state()}") from None
        except KeyboardInterrupt:
            raise Interrupted(f"{self._state()}.") from None
        return self.written

    def _write(self) -> None:
        if self.keep_data:
            check_keeps_data(self.image, self.target.read, self.target.name)
        self._each("writing what differs", self._put)
        self.at = 0
        first = self.image.read(0, FIRST)
        if not self.marked and self.target.read(0, FIRST) == first:
            return
        self.target.flush()
        self._each("reading back", self._compare)
        self.image.check_unchanged()
        self.at, self.marked = 0, True
        self._first(self._mark + first[SECTOR:])
        self._first(first)
        self._compare(0, FIRST)
        self.marked = False
        self.written += FIRST

    def _each(self, what: str, do: Callable[[int, int], None]) -> None:
        todo = list(pieces(self.image.header, self.keep_data))
        self.meter.begin(what, sum(size for _, size in todo))
        for self.at, size in todo:
            do(self.at, size)
            self.meter.advance(size)

    def _put(self, at: int, size: int) -> None:
        wanted = self.image.read(at, size)
        if self.target.read(at, size) == wanted:
            return
        if not self.marked:
            # From the first try on: whether a write that failed got there is not known.
            self.marked = True
            self._first(self._mark + self.target.read(0, FIRST)[SECTOR:])
        self.target.write(at, wanted)
        self.written += size

    def _first(self, block: bytes) -> None:
        self.target.write(0, block)
        self.target.flush()

    @property
    def _mark(self) -> bytes:
        return mark(self.image.header, self.keep_data)

    def _compare(self, at: int, size: int) -> None:
        if self.target.read(at, size) != self.image.read(at, size):
            raise CygnetError(
                f"{self._place()}: what reads back is not what was written; {self._state()}; if it happens again, "
                "the card is worn out, or smaller than it says"
            )

    def _place(self) -> str:
        return f"{self.target.name}, at {self.at / 1e6:.1f} of {self.image.header.size / 1e6:.1f} MB"

    def _state(self) -> str:
        return f"{self.target.name} {self.target.unfinished if self.marked else 'is as it was'}"
