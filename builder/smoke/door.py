"""The door between a wire and the provider's network: QEMU's takes whatever frame it sees, whoever it is for.

It would answer for the other box, or let its packets out of this machine.  So only frames for the provider's own
address, and those for all, go through.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

# The addresses that QEMU's network gives itself begin so; the other boxes' are 52:54.
PROVIDER = b"\x52\x55"
FRAME = 1 << 16


def is_for_provider(frame: bytes) -> bool:
    """Whether a frame of the wire is the provider's, or everybody's."""
    return frame[:2] == PROVIDER or bool(frame[:1] and frame[0] & 1)


@contextlib.contextmanager
def door(wire: tuple[Path, Path], provider: tuple[Path, Path]) -> Iterator[None]:
    """A door as long as this lasts; of each side our end and QEMU's, as paths of Unix sockets."""
    ends = {side: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for side in ("wire", "provider")}
    with ends["wire"] as outside, ends["provider"] as inside:
        outside.bind(str(wire[0]))
        inside.bind(str(provider[0]))
        stop_here, stop = socket.socketpair()
        with stop_here, stop:
            words = (outside, str(wire[1]), inside, str(provider[1]), stop_here)
            thread = threading.Thread(target=_serve, args=words, daemon=True)
            thread.start()
            try:
                yield
            finally:
                stop.send(b".")
                thread.join()


def _serve(outside: socket.socket, wire: str, inside: socket.socket, provider: str, stop: socket.socket) -> None:
    while True:
        ready, _, _ = select.select([outside, inside, stop], [], [])
        if stop in ready:
            return
        # A frame for a QEMU that is not there (yet) is lost, as on a cable.
        with contextlib.suppress(OSError):
            if outside in ready and is_for_provider(frame := outside.recv(FRAME)):
                inside.sendto(frame, provider)
        with contextlib.suppress(OSError):
            if inside in ready:
                outside.sendto(inside.recv(FRAME), wire)
