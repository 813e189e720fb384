"""labgrid's QEMU with a serial line that is always read.

QEMU drops what its serial port cannot hand on at once, and a Unix socket is full after some 270
writes of one byte: while labgrid looks at what it has, or talks to the other box, characters are
lost (measured: 40 of the 8,654 of a boot).  A thread takes them into a pipe, which packs them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import threading
from typing import IO

import attr
import pexpect
from labgrid.driver import QEMUDriver
from labgrid.factory import target_factory
from labgrid.util import PtxExpect

PIPE_BYTES = 1 << 20
CHUNK = 4096


@target_factory.reg_driver
@attr.s(eq=False)
class EagerQEMUDriver(QEMUDriver):  # type: ignore[misc]
    """QEMUDriver, but nothing that the box says is lost."""

    _heard = attr.ib(default=-1, init=False)

    def on(self) -> None:
        """Start QEMU, and listen from its first character."""
        if self.status:
            return
        # What is left of an earlier run must not be taken for an answer of this one.
        self._expect = PtxExpect(self)
        super().on()
        self.qmp.monitor_out = Answers(self.qmp.monitor_out)
        self._clientsocket.setblocking(True)
        if self._heard >= 0:
            os.close(self._heard)
        self._heard, keep = os.pipe()
        fcntl.fcntl(keep, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        threading.Thread(target=_keep, args=(self._clientsocket, keep), daemon=True).start()

    def _read(self, size: int = 1, timeout: float = 10, max_size: int | None = None) -> bytes:  # noqa: ARG002
        ready, _, _ = select.select([self._heard], [], [], timeout)
        if not ready:
            raise pexpect.TIMEOUT(f"nothing was heard for {timeout:.2f} seconds")
        heard = os.read(self._heard, min(max_size or CHUNK, CHUNK))
        if not heard:
            raise pexpect.EOF(f"QEMU of {self.target.name} has ended")
        return heard


@attr.s(auto_attribs=True)
class Answers:
    """QEMU's monitor without what some machines print there: versatilepb tells of registers that it lacks."""

    monitor: IO[bytes]

    def readline(self) -> bytes:
        """The next line that is an answer; nothing at the end."""
        while (line := self.monitor.readline()) and not line.startswith(b"{"):
            pass
        return line


def _keep(line: socket.socket, pipe: int) -> None:
    with contextlib.suppress(OSError):
        while heard := line.recv(CHUNK):
            os.write(pipe, heard)
    os.close(pipe)
