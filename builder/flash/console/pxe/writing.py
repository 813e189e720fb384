"""An image onto a board's disk by the installer at its console: looked at, unlocked, written, read back, restarted.

As on a card in a reader (builder/flash/block_write.py) a mark takes the place of the first sector before anything else
is written, and the image's own first sector comes last, when all the rest has been read back.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from builder.boards import Board
from builder.errors import CygnetError
from builder.flash.block_disk import human
from builder.flash.block_layout import check_keeps_data
from builder.flash.console.line import Line, LineDropped
from builder.flash.console.patience import Patience
from builder.flash.console.prompt import Garbled, Prompt, Refused, Silent
from builder.flash.console.pxe.contents import BLOCK, EDGE, MARK, STEP, WHOLE, Check, Part
from builder.flash.console.pxe.installer import Installer
from builder.flash.image import Image
from builder.image.layout import SECTOR

DISK = re.compile(r"^disk=(\w+) sectors=(\d{1,15}) parts=([\w:,]*) model=([^\r\n]*)", re.MULTILINE)
SUM = re.compile(r"\b([0-9a-f]{64})\b")
HEXADECIMAL = re.compile(r"^((?:[0-9a-f]{2})+)\r?$", re.MULTILINE)
TRIES = 4
A = TypeVar("A", Part, Check)
# As much of a partition as has its file system's magic number.
LOOKED_AT = 3 * SECTOR


@dataclass(frozen=True)
class Disk:
    """A disk of the board; ``size`` in bytes."""

    name: str
    size: int
    partitions: str
    model: str

    def __str__(self) -> str:
        holds = f"; on it: {self.partitions}" if self.partitions else ""
        return f"{self.name}: {self.model or 'no model name'}, {human(self.size)}{holds}"


def disks(said: str) -> list[Disk]:
    """The disks that the installer names, in the BIOS' order."""
    found = []
    for name, sectors, parts, model in DISK.findall(said):
        sizes = (part.partition(":") for part in parts.split(",") if ":" in part)
        words = ", ".join(f"{part} {human(int(size or 0) * SECTOR)}" for part, _, size in sizes)
        found.append(Disk(name, int(sectors) * SECTOR, words, model.strip()))
    return found


class Writing:
    """One image on its way to one board; what state its disk is in is ``state``."""

    def __init__(
        self, board: Board, line: Line, prompt: Prompt, image: Image, installer: Installer, patience: Patience,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._board, self._line, self._prompt, self._image = board, line, prompt, image
        self._installer, self._patience, self._say = installer, patience, say
        self._state = "nothing on its disk was changed"

    def run(self, keep_data: bool) -> None:
        """Write and read back; raises CygnetError, which says what state the disk is in."""
        disk = self._disk()
        if keep_data:
            check_keeps_data(self._image, functools.partial(self._read, disk.name), f"{disk.name} of the board")
        self._do(f"unlock {self._installer.token} {disk.name}")
        what = self._installer.contents
        self._state = f"{disk.name} is half written and does not start; the same command begins anew"
        self._put(MARK, 0)
        self._each("written", what.parts, self._write)
        self._do("forget")
        self._each("read back", what.checks, self._compare)
        self._image.check_unchanged()
        for name in (EDGE, WHOLE):
            self._put(name, 0)
        self._do("forget")
        self._compare(what.first)
        self._state = f"{disk.name} holds the whole image"

    def restart(self) -> None:
        """Start what was written; returns at once."""
        for _ in range(TRIES):
            try:
                self._prompt.interrupt()
                self._prompt.start("reboot -f")
                return
            except Garbled:
                continue
            except LineDropped:
                self._reopen()
        raise self._told("it could not be told to restart: switch it off and on")

    def _disk(self) -> Disk:
        """The first disk, if it is large enough; the user hears which."""
        found = disks(self._do("disks"))
        if not found:
            raise self._told("it has no disk: is there a card in it?")
        for number, disk in enumerate(found):
            self._say(f"its {'disk' if number == 0 else 'other disk, which stays as it is'} is {disk}")
        disk, size = found[0], self._image.header.size
        if disk.size < size:
            raise self._told(f"{disk} is too small: the image has {human(size)} ({size - disk.size:,} bytes more)")
        return disk

    def _read(self, disk: str, at: int, size: int) -> bytes:
        """As much of what the disk holds as its first sectors and a file system are known by."""
        said = HEXADECIMAL.search(self._do(f"show {disk} {at // SECTOR} {LOOKED_AT // SECTOR}"))
        return bytes.fromhex(said[1] if said else "").ljust(size, b"\0")

    def _each(self, what: str, todo: Sequence[A], do: Callable[[A], None]) -> None:
        """``do`` all of it; the user hears how far it is."""
        done, total = 0, sum(each.size for each in todo)
        for each in todo:
            do(each)
            before, done = done, done + each.size
            if before // STEP != done // STEP or done == total:
                self._say(f"{what}: {done / 1e6:.0f} of {total / 1e6:.0f} MB")

    def _write(self, part: Part) -> None:
        if part.name:
            self._put(part.name, part.start)
        else:
            self._do(f"zero {part.start // BLOCK} {part.size // BLOCK}")

    def _put(self, name: str, start: int) -> None:
        self._do(f"put {name} {start // BLOCK}")

    def _compare(self, check: Check) -> None:
        found = SUM.search(self._do(f"sum {check.start // BLOCK} {check.size // BLOCK}"))
        if not found or found[1] != check.sha256:
            raise self._told(
                f"behind {check.start / 1e6:.0f} MB its disk holds something else than was written; if it happens "
                "again, the card is worn out, or smaller than it says"
            )

    def _do(self, command: str) -> str:
        """Have a command run, which may be run twice: over a line that dropped, too."""
        for _ in range(TRIES):
            try:
                return self._prompt.run(command, self._patience.boot)
            except LineDropped as reason:
                self._say(f"the line dropped ({reason}); going on as soon as it is back")
                self._reopen()
            except Silent:
                raise self._told(f"it has said nothing more since `{_name(command)}`") from None
            except Refused as refused:
                raise self._told(f"it refused `{_name(command)}`: {refused.last_words}") from None
            except CygnetError as error:
                raise CygnetError(f"{error}; {self._state}") from None
        raise self._told(f"the line dropped {TRIES} times")

    def _reopen(self) -> None:
        try:
            self._line.reopen(self._patience.line)
            self._prompt.interrupt()
        except LineDropped as reason:
            raise self._told(f"the line has gone: {reason}") from None

    def _told(self, what: str) -> CygnetError:
        return CygnetError(f"{self._board.name} at {self._line.url}: {what}; {self._state}")


def _name(command: str) -> str:
    """A command without what it is told: the token is nobody's business."""
    return command.split(" ", 1)[0]
