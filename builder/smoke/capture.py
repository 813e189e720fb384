"""What was on the wire: a capture file in the pcap format, link type Ethernet.

Only as much as the tests ask: which protocol a frame carries, and whether given bytes are in it.
Format: draft-ietf-opsawg-pcap; the file may still be growing.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

FILE_HEADER = struct.Struct("=IHHiIII")
RECORD_HEADER = struct.Struct("=IIII")
MAGIC = 0xA1B2C3D4
ETHERNET = 1
ETHERTYPES = {0x0800: "ipv4", 0x0806: "arp", 0x86DD: "ipv6"}
IP_PROTOCOLS = {1: "icmp", 4: "ip in ip", 6: "tcp", 17: "udp", 41: "ipv6 in ip", 50: "esp", 51: "ah", 108: "ipcomp"}
# Where the SPI stands: RFC 4303, section 2; RFC 4302, section 2.
SPI_AT = {"esp": 0, "ah": 4}
IKE_PORTS = {500, 4500}


@dataclass(frozen=True)
class Frame:
    """One Ethernet frame."""

    data: bytes

    @property
    def kind(self) -> str:
        """The protocol: arp, icmp, esp, ike ...; a number if it is none that the tests know.

        What neighbours say to each other by IPv6 is "ipv6".
        """
        ethertype = int.from_bytes(self.data[12:14], "big")
        kind = ETHERTYPES.get(ethertype, hex(ethertype))
        if kind == "ipv4":
            kind = IP_PROTOCOLS.get(self.data[23], f"ip protocol {self.data[23]}")
        elif kind == "ipv6":
            kind = IP_PROTOCOLS.get(self.data[20], kind)
        ports = {int.from_bytes(self._payload[at : at + 2], "big") for at in (0, 2)}
        return "ike" if kind == "udp" and ports <= IKE_PORTS else kind

    @property
    def spi(self) -> int:
        """The SPI of an ESP or AH packet."""
        at = SPI_AT[self.kind]
        return int.from_bytes(self._payload[at : at + 4], "big")

    @property
    def packet(self) -> bytes:
        """The IPv4 packet in it, without what fills up a short frame."""
        return self.data[14 : 14 + int.from_bytes(self.data[16:18], "big")]

    @property
    def ends(self) -> tuple[str, str]:
        """Source and destination of its IPv4 packet."""
        head = self.packet
        return str(ip_address(head[12:16])), str(ip_address(head[16:20]))

    @property
    def _payload(self) -> bytes:
        """What the IP packet carries."""
        version, words = divmod(self.data[14], 16)
        return self.data[14 + (4 * words if version == 4 else 40) :]


@dataclass(frozen=True)
class Capture:
    """A capture file that something else writes."""

    file: Path

    def frames(self) -> list[Frame]:
        """All frames so far; a record that is still being written is left out."""
        content = self.file.read_bytes()
        magic, *_, link = FILE_HEADER.unpack_from(content)
        assert (magic, link) == (MAGIC, ETHERNET), f"{self.file} is no Ethernet capture of this machine's byte order"
        found: list[Frame] = []
        place = FILE_HEADER.size
        while place + RECORD_HEADER.size <= len(content):
            length = RECORD_HEADER.unpack_from(content, place)[2]
            place += RECORD_HEADER.size + length
            if place <= len(content):
                found.append(Frame(content[place - length : place]))
        return found

    def mark(self) -> int:
        """The number of frames so far; later `since(mark)` gives what came after."""
        return len(self.frames())

    def since(self, mark: int) -> list[Frame]:
        """The frames after ``mark``."""
        return self.frames()[mark:]


def kinds(frames: Iterable[Frame]) -> Counter[str]:
    """How many frames of which protocol."""
    return Counter(frame.kind for frame in frames)


def holds(frames: Iterable[Frame], text: bytes) -> bool:
    """Whether ``text`` stands in any frame."""
    return any(text in frame.data for frame in frames)
