"""A packet for each promise: built with its number in it, and known again by that wherever it, or an answer, comes out.

Numbers stand in source ports and the sequence number (TCP), the identifier (ICMP), the SPI (ESP, AH).
"""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

ICMP, TCP, UDP, ESP, AH, ICMP6 = 1, 6, 17, 50, 51, 58
ECHO_REQUESTS = {ICMP: 8, ICMP6: 128}
UNREACHABLE = {ICMP: 3, ICMP6: 1}
FIRST_PORT, SPIS = 20000, 0x5A000000
SYN, RST = 2, 4
MARK = b"which zone lets me in"


class Sight(NamedTuple):
    """``refused``: not the packet itself, but an answer that says no. ``port``: to which it came."""

    number: int
    refused: bool = False
    port: int = 0


def build(number: int, source: str, destination: str, protocol: int, port: int) -> bytes:
    """The whole packet, from its IP header on. ``port``: of ICMP the type."""
    family = socket.AF_INET6 if ":" in destination else socket.AF_INET
    ends = socket.inet_pton(family, source) + socket.inet_pton(family, destination)
    body = _body(number, protocol, port, ends)
    if family == socket.AF_INET6:
        return struct.pack("!IHBB", 6 << 28, len(body), protocol, 64) + ends + body
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), number, 0, 64, protocol, 0) + ends
    return head[:10] + _checksum(head) + head[12:] + body


def read(packet: bytes) -> Sight | None:
    """What a packet of IP is; None if it is none of ours."""
    if packet[0] >> 4 == 6:
        return read_body(packet[6], packet[40:])
    return read_body(packet[9], packet[4 * (packet[0] & 15) :])


def read_body(protocol: int, body: bytes) -> Sight | None:
    """The same of what IP carries."""
    if protocol in UNREACHABLE and body[0] == UNREACHABLE[protocol]:
        quoted = read(body[8:])
        return quoted and Sight(quoted.number, True)
    if protocol in ECHO_REQUESTS and body[0] == ECHO_REQUESTS[protocol] and MARK in body:
        return Sight(int.from_bytes(body[4:6], "big"))
    if protocol == TCP:
        return _read_tcp(*struct.unpack_from("!HHIIBB", body))
    if protocol == UDP and MARK in body:
        source, destination = struct.unpack_from("!HH", body)
        return Sight(source - FIRST_PORT, port=destination)
    if protocol in (ESP, AH):
        spi = int.from_bytes(body[:4] if protocol == ESP else body[4:8], "big")
        return Sight(spi & 0xFFFF) if spi & ~0xFFFF == SPIS else None
    return None


def _read_tcp(
    source: int, destination: int, sequence: int, _acknowledged: int, _length: int, flags: int
) -> Sight | None:
    if flags == SYN and source == FIRST_PORT + sequence:
        return Sight(sequence, port=destination)
    return Sight(destination - FIRST_PORT, True) if flags & RST and destination >= FIRST_PORT else None


def _body(number: int, protocol: int, port: int, ends: bytes) -> bytes:
    own = FIRST_PORT + number
    if protocol == TCP:
        body, at = struct.pack("!HHIIBBHHH", own, port, number, 0, 5 << 4, SYN, 1024, 0, 0), 16
    elif protocol == UDP:
        body, at = struct.pack("!HHHH", own, port, 8 + len(MARK), 0) + MARK, 6
    elif protocol in ECHO_REQUESTS:
        body, at = struct.pack("!BBHHH", port, 0, 0, number, 1) + MARK, 2
    else:
        # AH is around ESP: the kernel refuses no packet whose end it does not know.
        head = struct.pack("!BBHII12x", ESP, 4, 0, SPIS | number, 1) if protocol == AH else b""
        return head + struct.pack("!II", SPIS | number, 1) + MARK
    before = b"" if protocol == ICMP else ends + struct.pack("!II", len(body), protocol)
    return body[:at] + _checksum(before + body) + body[at + 2 :]


def _checksum(data: bytes) -> bytes:
    """RFC 1071."""
    words = struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2))
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)
