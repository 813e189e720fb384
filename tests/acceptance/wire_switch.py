"""A switch between two boxes, and a place for a third machine, which has its tap: `wire_switch.py TAP END END`.

The boxes send each frame to a socket of the other one's, by its path. Those sockets step aside (END.card), and the
switch is found in their places; what comes is handed to everybody else, as a hub does. At its end all is as it was.
It says a line when it works, and ends with its standard input.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

TUNSETIFF = 0x400454CA
TAP, WITHOUT_HEADER = 0x0002, 0x1000
LONGEST = 65_536
# Seconds that a box which takes nothing may keep the others waiting, once for each frame.
PATIENCE = 0.5


@contextlib.contextmanager
def aside(end: Path) -> Iterator[Path]:
    """A box's socket under another name; the switch has its own in the old place meanwhile."""
    card = end.with_name(f"{end.name}.card")
    end.rename(card)
    try:
        yield card
    finally:
        # In one step, so that no frame finds nobody.
        card.rename(end)


def tap(name: str) -> int:
    """A new network interface of this machine."""
    made = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(made, TUNSETIFF, struct.pack("16sH22x", name.encode(), TAP | WITHOUT_HEADER))
    return made


def hand(frame: bytes, place: socket.socket, card: Path) -> None:
    """To a box; one that is off or does not listen has lost it, as on any wire."""
    with contextlib.suppress(OSError):
        place.sendto(frame, str(card))


def main(name: str, *ends: str) -> None:
    """Until nobody reads from it any more."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    own = tap(name)
    with contextlib.ExitStack() as undo:
        # What a box sends comes by the socket of the other.
        cards = [undo.enter_context(aside(Path(end))) for end in ends]
        places = [undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) for _ in ends]
        for place, end in zip(places, ends, strict=True):
            place.bind(end)
            place.settimeout(PATIENCE)
        print("switched", flush=True)
        while True:
            ready, _, _ = select.select([own, *places, sys.stdin], [], [])
            if sys.stdin in ready:
                return
            for place, card in zip(places, cards, strict=True):
                if place in ready:
                    frame = place.recv(LONGEST)
                    hand(frame, place, card)
                    with contextlib.suppress(OSError):
                        os.write(own, frame)
            if own in ready:
                frame = os.read(own, LONGEST)
                for place, card in zip(places, cards, strict=True):
                    hand(frame, place, card)


if __name__ == "__main__":
    main(*sys.argv[1:])
