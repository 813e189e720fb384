"""The serial line to a board: bytes out, bytes in, everything that came in a log, and a word when it has gone.

What pyserial's serial_for_url takes: a device, ``socket://host:port``, ``rfc2217://host:port``.
"""

from __future__ import annotations

import contextlib
import re
import time
from pathlib import Path

import serial

from builder.errors import CygnetError

WRITE_SECONDS = 10
# Between two attempts to open a line that has gone.
AGAIN_SECONDS = 0.5
# How long nothing more comes when a line is quiet.
QUIET_SECONDS = 0.05
# What is noisy for longer is not waited for.
DRAIN_SECONDS = 3


# pyserial says the same several times over; the system's own words are the last.
SYSTEM_WORDS = re.compile(r"\[Errno \d+\] ([A-Z][^:'\"\]]*)")
MEANING = {
    "Resource temporarily unavailable": "another program has it open",
    "Permission denied": "Permission denied; on Debian it is for the group dialout",
}


class LineDropped(Exception):
    """The line has gone: an adapter pulled out, a server that hung up."""

    def __init__(self, reason: OSError) -> None:
        found = SYSTEM_WORDS.findall(str(reason))
        super().__init__(MEANING.get(found[-1], found[-1]) if found else str(reason))


class Line:
    """A line that can be opened again."""

    def __init__(self, url: str, speed: int, log: Path) -> None:
        self.url, self.speed, self._log_file = url, speed, log

    def __enter__(self) -> Line:
        try:
            self._log_file.parent.mkdir(parents=True, exist_ok=True)
            self._log = self._log_file.open("wb", buffering=0)
        except OSError as reason:
            raise CygnetError(f"{self._log_file}: cannot be written: {reason.strerror}") from None
        try:
            self._port = self._open()
        except ValueError as reason:
            raise CygnetError(f"--to={self.url}: {reason}") from None
        except LineDropped as reason:
            raise CygnetError(f"--to={self.url} cannot be opened: {reason}") from None
        return self

    def __exit__(self, *_: object) -> None:
        self._port.close()
        self._log.close()

    def reopen(self, seconds: float) -> None:
        """Open it again as soon as that can be; raises LineDropped if it cannot be for so long."""
        self._port.close()
        end = time.monotonic() + seconds
        while True:
            try:
                self._port = self._open()
                return
            except LineDropped:
                if time.monotonic() > end:
                    raise
                time.sleep(AGAIN_SECONDS)

    def change_speed(self, speed: int) -> None:
        """Go on at another speed; a line behind a socket has none of its own."""
        self.speed = speed
        try:
            self._port.baudrate = speed
        except OSError as reason:
            raise LineDropped(reason) from None

    def read(self, seconds: float, most: int = 65536) -> bytes:
        """What has come, at least a byte; nothing if the line is silent for so long."""
        try:
            self._port.timeout = seconds
            got = bytes(self._port.read(1))
            while got and len(got) < most and (waiting := self._port.in_waiting):
                got += self._port.read(min(waiting, most - len(got)))
        except OSError as reason:
            raise LineDropped(reason) from None
        # A full disk is no reason to leave a board half written.
        with contextlib.suppress(OSError):
            self._log.write(got)
        return got

    def drain(self) -> bytes:
        """What comes until the line is quiet."""
        came, end = b"", time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < end and (got := self.read(QUIET_SECONDS)):
            came += got
        return came

    def write(self, data: bytes) -> None:
        """Send all of it."""
        try:
            self._port.write(data)
        except OSError as reason:
            raise LineDropped(reason) from None

    def _open(self) -> serial.SerialBase:
        """Raises ValueError for what is no URL of pyserial's."""
        # Whoever opens a device after us would take half of what the board says.
        own = {} if "://" in self.url else {"exclusive": True}
        try:
            return serial.serial_for_url(self.url, baudrate=self.speed, write_timeout=WRITE_SECONDS, **own)
        except OSError as reason:
            raise LineDropped(reason) from None
