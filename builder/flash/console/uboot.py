"""An image onto a board by its U-Boot: each piece compared, loaded, checked, written, read back and checked again.

What the board has already is not sent: first a piece is read from the medium, then only those parts are loaded whose
checksums differ.  So whoever runs it again after a failure goes on where it stopped.
"""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from builder.boards import Board
from builder.errors import CygnetError
from builder.flash.console.line import Line, LineDropped
from builder.flash.console.patience import Patience
from builder.flash.console.pieces import Piece, check_address, crc
from builder.flash.console.prompt import Garbled, Prompt, Refused, Silent
from builder.flash.console.reach import Reach
from builder.flash.console.transfer import Failed, Transfer
from builder.flash.options import Console
from builder.image.layout import BOOT_CODE, MIB, SECTOR

TRIES = 4
CRC = re.compile(r"==>\s*([0-9a-fA-F]{8})\b")


class Differs(Exception):
    """What was written reads back otherwise."""


class Writer:
    """Writes pieces to a board; ``say`` is told how it goes."""

    def __init__(
        self, board: Board, line: Line, transfer: Transfer, wishes: Console, patience: Patience,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._board, self._monitor, self._line = board, board.need_monitor(), line
        self._transfer, self._patience, self._say, self._wishes = transfer, patience, say, wishes
        self._prompt: Prompt | None = None
        self.written, self._state = 0, ""

    def reach(self) -> Prompt:
        """The prompt, with everything told that has to be told after a restart."""
        monitor = self._monitor
        way = Reach(
            self._line, monitor.stop_at, monitor.stop_key.encode(), self._patience, self._say, self._wishes.reboot
        )
        prompt = way.prompt()
        for command in monitor.prepare:
            prompt.run(command)
        self._transfer.prepare(prompt)
        return prompt

    def write(self, pieces: list[Piece]) -> None:
        """All pieces; raises CygnetError when that cannot be, which says what state the board is in."""
        self._check = check_address(self._monitor, pieces)
        for number, piece in enumerate(pieces, 1):
            how = self._insist(piece.name, functools.partial(self._put, piece))
            self.written += piece.length
            self._say(f"{number} of {len(pieces)}, {piece.name}: {how}")
        self._state = "the image is written whole, what makes it start is not"

    def expect_table(self, image: Path) -> None:
        """Raise CygnetError unless the board's disk is divided as the image is: else no data is there to be kept."""
        first = Piece("partition table", image, 0, SECTOR, 0)
        table = first.content()[BOOT_CODE:]
        at = self._monitor.load_address

        def compare(prompt: Prompt, _: bool) -> str:
            return self._crc(prompt, at + BOOT_CODE, table) if self._read(prompt, first, at) else ""

        if self._insist(first.name, compare) != crc(table):
            raise CygnetError(
                f"--keep-data: the disk of the board at {self._line.url} is not divided as {image} is, and has no data "
                "of a Cygnet box; nothing was written"
            )

    def environment(self, commands: list[str]) -> None:
        """What U-Boot has to remember: given to it line by line."""

        def give(prompt: Prompt, _: bool) -> str:
            for command in commands:
                prompt.run(command)
            return f"{len(commands)} commands given"

        if commands:
            self._say(f"environment: {self._insist('environment', give)}")

    def boot(self) -> None:
        """Start what was written; returns at once."""

        def go(prompt: Prompt, _: bool) -> str:
            prompt.start(self._monitor.boot)
            return ""

        self._insist("boot", go)

    def _insist(self, name: str, action: Callable[[Prompt, bool], str]) -> str:
        """Do it whatever the line does meanwhile; the action is told whether it is the first time."""
        for attempt in range(1, TRIES + 1):
            try:
                if self._prompt is None:
                    self._prompt = self.reach()
                return action(self._prompt, attempt == 1)
            except (LineDropped, Silent) as lost:
                self._prompt = None
                if attempt == TRIES:
                    raise self._told(f"{_lost(lost)}, {TRIES} times") from None
                self._say(f"{_lost(lost)}; going on as soon as the board is back")
                self._reopen()
            except (Differs, Failed, Garbled) as reason:
                if attempt == TRIES:
                    raise self._told(str(reason)) from None
                self._say(f"{name}: {reason}; once more")
            except Refused as refused:
                raise self._told(f"it refused `{refused.command}`: {refused.last_words}") from None
        raise AssertionError

    def _reopen(self) -> None:
        try:
            self._line.reopen(self._patience.line)
        except LineDropped as reason:
            raise self._told(f"the line has gone: {reason}") from None

    def _told(self, what: str) -> CygnetError:
        state = self._state or f"{self.written // MIB} MiB of the image are written, the board does not start it yet"
        return CygnetError(
            f"{self._board.name} at {self._line.url}: {what}. {state[0].upper()}{state[1:]}; "
            "the same command goes on from there"
        )

    def _put(self, piece: Piece, prompt: Prompt, first: bool) -> str:
        content, at = piece.content(), self._monitor.load_address
        there = first and self._read(prompt, piece, at)
        if there and self._crc(prompt, at, content) == crc(content):
            return "is there already"
        loaded = self._load_missing(prompt, piece.name, at, content)
        if self._crc(prompt, at, content) != crc(content):
            raise Failed("it has other bytes in its RAM than were sent")
        for template in filter(None, (self._monitor.erase, self._monitor.write)):
            prompt.run(piece.command(template, at, self._board), self._patience.write)
        if not self._read(prompt, piece, self._check) or self._crc(prompt, self._check, content) != crc(content):
            raise Differs("what was written reads back otherwise; its disk or flash may be worn out, or too small")
        return f"written and read back, {loaded // 1024:,} of {len(content) // 1024:,} KiB sent"

    def _read(self, prompt: Prompt, piece: Piece, at: int) -> bool:
        """Read what the medium holds; False if it cannot be, as on a flash that was never written."""
        try:
            prompt.run(piece.command(self._monitor.read, at, self._board), self._patience.write)
        except Refused:
            return False
        return True

    def _crc(self, prompt: Prompt, at: int, content: bytes) -> str:
        """The checksum of the board's RAM."""
        found = CRC.search(prompt.run(f"crc32 {at:#x} {len(content):#x}"))
        return found[1].lower() if found else ""

    def _missing(self, prompt: Prompt, at: int, content: bytes) -> Iterator[tuple[int, bytes]]:
        """What of ``content`` is not in the board's RAM, from where on: neighbours joined to what goes at once."""
        begin, size = 0, self._transfer.part
        joined = b""
        for start in range(0, len(content), size):
            part = content[start : start + size]
            if self._crc(prompt, at + start, part) == crc(part):
                yield from _some(begin, joined)
                joined = b""
            elif joined and len(joined) + len(part) <= self._transfer.most:
                joined += part
            else:
                yield from _some(begin, joined)
                begin, joined = start, part
        yield from _some(begin, joined)

    def _load_missing(self, prompt: Prompt, name: str, at: int, content: bytes) -> int:
        """Bring what is missing into RAM; how many bytes were sent. A slow line is told, with how far it is."""
        loaded, began = 0, time.monotonic()
        word = began
        for start, part in self._missing(prompt, at, content):
            loaded += self._load(prompt, at + start, part)
            now = time.monotonic()
            if now - word > self._patience.word:
                word, rate = now, loaded / 1024 / (now - began)
                place = f"{(start + len(part)) // 1024:,} of {len(content) // 1024:,} KiB"
                self._say(f"{name}: {place}, {rate:.1f} KiB a second")
        return loaded

    def _load(self, prompt: Prompt, at: int, content: bytes) -> int:
        """Bring it into RAM; how many bytes were sent: none of a part that is one byte over and over."""
        if content.count(content[0]) == len(content):
            prompt.run(f"mw.b {at:#x} {content[0]:#x} {len(content):#x}")
            return 0
        self._transfer.load(prompt, at, content)
        return len(content)


def _some(start: int, content: bytes) -> Iterator[tuple[int, bytes]]:
    if content:
        yield start, content


def _lost(reason: Exception) -> str:
    if isinstance(reason, LineDropped):
        return f"the line dropped ({reason})"
    return f"the board has said nothing more since `{reason}`"
