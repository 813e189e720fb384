"""A box with cables, in network namespaces: what is put on one cable, and where it comes out.

Every packet carries a number in its data, and in its source port where it has one.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import select
import socket
import struct
import subprocess
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

from cygnet.firewall.policy import Address
from cygnet.firewall.verdict import Packet

ICMP, TCP, UDP, ESP, AH, ICMP6 = 1, 6, 17, 50, 51, 58
ALL_FRAMES, OUTGOING = 3, 4
BOX_MAC, HOST_MAC = "02:00:00:00:00:01", "02:00:00:00:00:09"
KINDS = {4: 0x0800, 6: 0x86DD}
# Type and code of "administratively prohibited".
PROHIBITED = {ICMP: b"\x03\x0d", ICMP6: b"\x01\x01"}
ANSWERS = {ICMP: (0, 3), ICMP6: (1, 129)}
FIRST_PORT = 20000
HERE, THERE, FROM_BOX, ROUTER = 19, 20, 21, 254
QUIET = 0.1
# So many at once, as a kernel sends only so many errors at once.
HANDFUL = 40


class Cable(NamedTuple):
    """An interface of the box, and the networks on it but for the last byte: the box is .1 and ::1."""

    interface: str
    four: str
    six: str

    def host(self, version: int, number: int) -> str:
        return f"{self.four}.{number}" if version == 4 else f"{self.six}::{number:x}"


class Fate(NamedTuple):
    """Where a packet came out (a cable, or ``box``), with which addresses; nowhere if it was dropped."""

    out: str = ""
    source: str = ""
    destination: str = ""
    refused: bool = False


class Wires:
    """The box is the namespace in which this is made. ``cables``: by the name of what is at the other end."""

    def __init__(self, cables: dict[str, Cable]) -> None:
        self.cables = cables
        self._ends: dict[str, socket.socket] = {}
        self._led: dict[Address, str] = {}
        for name, cable in cables.items():
            self._lay(name, cable)
        for path, value in (
            ("ipv4/ip_forward", 1),
            ("ipv6/conf/all/forwarding", 1),
            ("ipv4/icmp_ratelimit", 0),
            ("ipv6/icmp/ratelimit", 0),
            *((f"ipv4/conf/{name}/rp_filter", 0) for name in ("all", *(cable.interface for cable in cables.values()))),
        ):
            Path(f"/proc/sys/net/{path}").write_text(f"{value}")
        both = {socket.AF_INET: (ICMP, TCP, UDP, ESP, AH), socket.AF_INET6: (ICMP6, TCP, UDP, ESP)}
        self._inside = {
            socket.socket(family, socket.SOCK_RAW, one): one for family, protocols in both.items() for one in protocols
        }
        self._begins = {
            version: socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
            for version, family in ((4, socket.AF_INET), (6, socket.AF_INET6))
        }

    def close(self) -> None:
        """The other ends go with their sockets."""
        for one in (*self._ends.values(), *self._inside, *self._begins.values()):
            one.close()

    def _lay(self, name: str, cable: Cable) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        box = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        assert libc.unshare(0x40000000) == 0
        ip(f"link add far address {HOST_MAC} type veth peer name {cable.interface} netns /proc/{os.getpid()}/fd/{box}")
        Path("/proc/sys/net/ipv6/conf/far/disable_ipv6").write_text("1")
        ip("link set far up")
        self._ends[name] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_FRAMES))
        self._ends[name].bind(("far", ALL_FRAMES))
        assert libc.setns(box, 0) == 0
        os.close(box)
        ip(f"link set {cable.interface} address {BOX_MAC} up")
        ip(f"address add {cable.host(4, 1)}/24 dev {cable.interface}")
        ip(f"address add {cable.host(6, 1)}/64 dev {cable.interface} nodad")
        for version, number in product(KINDS, (HERE, THERE, FROM_BOX, ROUTER)):
            ip(f"neigh replace {cable.host(version, number)} lladdr {HOST_MAC} dev {cable.interface} nud permanent")

    def lead(self, name: str, address: Address) -> bool:
        """Have this address behind that cable; whether it was elsewhere."""
        cable = self.cables[name]
        was = self._led.get(address)
        if was != name:
            ip(f"route replace {address} via {cable.host(address.version, ROUTER)} dev {cable.interface} onlink")
            self._led[address] = name
        return was not in (None, name)

    def send(self, packets: Sequence[Packet], from_port: int = 0) -> list[Fate]:
        """What becomes of each; all from one port, if that is given."""
        fates = [Fate()] * len(packets)
        for number, packet in enumerate(packets):
            moved = packet.target != "box" and self.lead(packet.target, packet.destination)
            if moved or number % HANDFUL == 0:
                self._collect(fates, packets)
            self._send(packet, number, from_port)
        self._collect(fates, packets)
        return fates

    def _send(self, packet: Packet, number: int, from_port: int) -> None:
        data = build(packet, number, from_port)
        version = packet.source.version
        if packet.origin != "box":
            macs = bytes.fromhex((BOX_MAC + HOST_MAC).replace(":", ""))
            self._ends[packet.origin].send(macs + struct.pack("!H", KINDS[version]) + data)
            return
        with contextlib.suppress(PermissionError):  # so a program hears that its packet was dropped
            self._begins[version].sendto(data, (str(packet.destination), 0))

    def _collect(self, fates: list[Fate], packets: Sequence[Packet]) -> None:
        ends = {one: name for name, one in self._ends.items()}
        while ready := select.select([*ends, *self._inside], [], [], QUIET)[0]:
            for one in ready:
                data, sender = one.recvfrom(4096)
                if one in ends and sender[1] in KINDS.values() and sender[2] != OUTGOING:
                    _came_out(fates, packets, ends[one], data[14:])
                elif one in self._inside:
                    _came_in(fates, self._inside[one], data)


def _came_out(fates: list[Fate], packets: Sequence[Packet], name: str, data: bytes) -> None:
    """Out of a cable: passed on, or an answer of the box."""
    protocol, payload, source, destination = opened(data)
    number = number_in(data)
    if protocol == TCP and number is None:
        number = struct.unpack_from("!H", payload, 2)[0] - FIRST_PORT  # a reset has no data
    if number is None or not 0 <= number < len(packets) or fates[number].out:
        return
    reset = protocol == TCP and payload[13] & 4
    if reset or payload[:2] == PROHIBITED.get(protocol):
        fates[number] = fates[number]._replace(refused=name == packets[number].origin)
    elif not (protocol in ANSWERS and payload[0] in ANSWERS[protocol]):
        fates[number] = Fate(name, source, destination)


def _came_in(fates: list[Fate], protocol: int, data: bytes) -> None:
    """To a program of the box. IPv4 shows its header to it, IPv6 does not."""
    payload = opened(data)[1] if data[0] >> 4 == 4 and protocol != ICMP6 else data
    number = number_in(data)
    if number is not None and not (protocol in ANSWERS and payload[0] in ANSWERS[protocol]):
        fates[number] = Fate("box")


def number_in(data: bytes) -> int | None:
    """The number that a packet carries, or one that an error cites."""
    found = re.search(rb"#(\d{5})#", data)
    return int(found[1]) if found else None


def opened(data: bytes) -> tuple[int, bytes, str, str]:
    """Protocol, what it carries, from whom, to whom."""
    if data[0] >> 4 == 4:
        ends = (socket.inet_ntop(socket.AF_INET, data[at : at + 4]) for at in (12, 16))
        return data[9], data[4 * (data[0] & 15) :], *ends
    ends = (socket.inet_ntop(socket.AF_INET6, data[at : at + 16]) for at in (8, 24))
    return data[6], data[40:], *ends


def build(packet: Packet, number: int, from_port: int) -> bytes:
    """The packet, with right checksums."""
    source, destination = packet.source.packed, packet.destination.packed
    body = _body(packet, number, from_port or FIRST_PORT + number)
    if packet.source.version == 6:
        return struct.pack("!IHBB", 6 << 28, len(body), packet.protocol, 64) + source + destination + body
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), number, 0, 64, packet.protocol, 0) + source + destination
    return header[:10] + checksum(header) + header[12:] + body


def _body(packet: Packet, number: int, from_port: int) -> bytes:
    data = f"#{number:05}#".encode() * 2
    ports = struct.pack("!HH", from_port, packet.port)
    pseudo = packet.source.packed + packet.destination.packed
    match packet.protocol:
        case 6:
            body, at = ports + struct.pack("!IIBBHHH", 1, 0, 0x50, 2, 1000, 0, 0) + data, 16
        case 17:
            body, at = ports + struct.pack("!HH", 8 + len(data), 0) + data, 6
        case 1 | 58:
            body, at = struct.pack("!BBHHH", packet.port, 0, 0, number, 1) + data, 2
            pseudo = pseudo if packet.protocol == ICMP6 else b""
        case _:
            return struct.pack("!II", 0x10000 + number, 1) + data
    pseudo += struct.pack("!II", len(body), packet.protocol) if pseudo else b""
    return body[:at] + checksum(pseudo + body) + body[at + 2 :]


def checksum(data: bytes) -> bytes:
    """RFC 1071."""
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)


def ip(words: str) -> None:
    """ip(8)."""
    subprocess.run(["ip", *words.split()], check=True, capture_output=True)
