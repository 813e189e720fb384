"""Y-modem, the sending side: blocks with a checksum over a serial line, each acknowledged.

As Chuck Forsberg described it in 1988: block 0 holds name and size, blocks of 1,024 bytes with a CRC follow, an empty
block 0 ends it.
"""

from __future__ import annotations

import binascii
import time

from builder.flash.console.line import Line

SOH, STX, EOT, ACK, NAK, CAN, CRC = b"\x01", b"\x02", b"\x04", b"\x06", b"\x15", b"\x18", b"C"
SIZES = {SOH: 128, STX: 1024}
FILL = b"\x1a"
TRIES = 12
START_SECONDS = 30.0
# Longer than a receiver takes to find a block incomplete and to ask for it again.
ANSWER_SECONDS = 10.0


class TransferFailed(Exception):
    """The receiver does not answer, or gave up; the text says which."""


def checksum(content: bytes) -> bytes:
    """What follows a block: CRC-16 with polynomial 1021, from 0."""
    return binascii.crc_hqx(content, 0).to_bytes(2, "big")


def block(number: int, content: bytes, fill: bytes = FILL) -> bytes:
    """A block on the wire; its number counts modulo 256."""
    mark = SOH if len(content) <= SIZES[SOH] else STX
    content = content.ljust(SIZES[mark], fill)
    number &= 0xFF
    return mark + bytes([number, 0xFF - number]) + content + checksum(content)


class Sender:
    """Sends over ``line``; ``patience``: a factor for the times that are waited."""

    def __init__(self, line: Line, patience: float = 1) -> None:
        self._line, self._patience = line, patience

    def ymodem(self, name: str, content: bytes) -> None:
        """Send one file; raises TransferFailed, or what the line raises."""
        self._wait()
        self._put(block(0, f"{name}\0{len(content)} ".encode(), fill=b"\0"))
        self._wait()
        size = SIZES[STX]
        for number, start in enumerate(range(0, len(content), size), 1):
            self._put(block(number, content[start : start + size]))
        self._end()
        self._wait()
        # Nobody asks for this one again: a receiver that has heard the end is content.
        self._line.write(block(0, b"", fill=b"\0"))
        self._answer(1)

    def _put(self, packet: bytes) -> None:
        """Send until it is acknowledged."""
        for _ in range(TRIES):
            # An acknowledgement that comes twice must not be taken for the next block's.
            self._line.read(0)
            self._line.write(packet)
            if self._answer(ANSWER_SECONDS) == ACK:
                return
        self._give_up("a block was not acknowledged")

    def _end(self) -> None:
        """Some acknowledge the first mark, some ask for a second one."""
        for _ in range(TRIES):
            self._line.write(EOT)
            if self._answer(ANSWER_SECONDS) == ACK:
                return
        self._give_up("the end was not acknowledged")

    def _wait(self) -> None:
        """Wait until the receiver asks for a file."""
        end = time.monotonic() + START_SECONDS * self._patience
        while time.monotonic() < end:
            if self._line.read(0.5, most=1) == CRC:
                return
        self._give_up("the receiver does not ask for anything")

    def _answer(self, seconds: float) -> bytes:
        """ACK, or NAK for everything else that makes the block to be sent again; CAN twice ends the transfer."""
        end = time.monotonic() + seconds * self._patience
        cancelled = 0
        while time.monotonic() < end:
            mark = self._line.read(0.5, most=1)
            cancelled = cancelled + 1 if mark == CAN else 0
            if cancelled == 2:
                raise TransferFailed("the receiver gave up")
            if mark in (ACK, NAK, CRC):
                return ACK if mark == ACK else NAK
        return NAK

    def _give_up(self, why: str) -> None:
        self._line.write(CAN * 3)
        raise TransferFailed(why)
