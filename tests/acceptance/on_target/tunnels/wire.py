"""The wire between west and east: what is on it is read, and a stranger's frames are put on it (packet(7))."""

import contextlib
import socket
import struct
from collections.abc import Iterable

from capture import Frame
from namespace import Namespace

EVERYTHING = 3
# Neighbours look for each other whenever they like.
NOISE = {"arp", "ipv6"}
IPV4_DATA = 14 + 20
NAT_PORT = 4500
# In UDP on that port: ports, length, checksum, then an SPI, or four bytes of 0 and IKE (RFC 3948, section 2).
UDP_HEADER = struct.Struct("!HHHHI")


class Wire:
    """At west's end of it."""

    def __init__(self, west: Namespace) -> None:
        with west.inside():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self._socket.bind(("eth0", EVERYTHING))
        self._socket.setblocking(False)

    def frames(self) -> list[Frame]:
        """What was on it since last time, in order, but noise."""
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(Frame(self._socket.recv(65535)))
        return [frame for frame in found if frame.kind not in NOISE]

    def inject(self, frames: Iterable[Frame]) -> None:
        """Send frames to east."""
        for frame in frames:
            self._socket.send(frame.data)


def changed(frame: Frame, offset: int) -> Frame:
    """The same frame with one bit of what IPv4 carries flipped: the lowest of the byte at ``offset``."""
    data = bytearray(frame.data)
    data[IPV4_DATA + offset] ^= 1
    return Frame(bytes(data))


def spi_of(frame: Frame) -> tuple[str, int] | None:
    """By which protocol it is protected, and by which SA; None if it is not."""
    if frame.kind in ("esp", "ah"):
        return frame.kind, frame.spi
    if frame.kind in ("udp", "ike"):
        source, destination, _, _, spi = UDP_HEADER.unpack_from(frame.data, IPV4_DATA)
        return ("esp in udp", spi) if spi and NAT_PORT in (source, destination) else None
    return None
