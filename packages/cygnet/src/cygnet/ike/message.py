"""Whole ISAKMP messages: header, chain of payloads, and which bytes a hash goes over (RFC 2408, section 3.1)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TypeVar

from cygnet.ike.fields import HEADER as GENERIC
from cygnet.ike.fields import Malformed, Wire, build
from cygnet.ike.numbers import FLAG_ENCRYPTED, VERSION, PayloadType
from cygnet.ike.payloads import decode

LAYOUT = struct.Struct(">8s8sBBBBII")
HEADER_SIZE = LAYOUT.size
# A certificate chain needs a few thousand bytes; more than this nobody sends.
MOST_BYTES = 20_000
MOST_PAYLOADS = 32
W = TypeVar("W", bound=Wire)


@dataclass(frozen=True)
class Header:
    """The ISAKMP header."""

    icookie: bytes
    rcookie: bytes
    first: int
    exchange: int
    flags: int = 0
    message_id: int = 0
    version: int = VERSION
    length: int = 0

    @property
    def encrypted(self) -> bool:
        """Whether what follows is ciphertext."""
        return bool(self.flags & FLAG_ENCRYPTED)

    def pack(self, length: int) -> bytes:
        """The bytes of the header of a message of ``length`` bytes in all."""
        return LAYOUT.pack(
            self.icookie, self.rcookie, self.first, self.version, self.exchange, self.flags, self.message_id, length
        )


def read_header(packet: bytes) -> Header:
    """The header of a packet, its length checked against the packet's. Raises Malformed."""
    if not HEADER_SIZE <= len(packet) <= MOST_BYTES:
        raise Malformed(f"a packet of {len(packet)} bytes is no ISAKMP message")
    icookie, rcookie, first, version, exchange, flags, message_id, length = LAYOUT.unpack_from(packet)
    if length != len(packet):
        raise Malformed(f"the header says {length} bytes, {len(packet)} came")
    return Header(icookie, rcookie, first, exchange, flags, message_id, version, length)


@dataclass(frozen=True)
class Received:
    """A payload as it came: its type, its body, and where in the chain it ends."""

    type: int
    body: bytes
    end: int


@dataclass(frozen=True)
class Message:
    """A message whose payloads are in clear. ``chain``: all their bytes; ``packet``: as it came."""

    header: Header
    chain: bytes
    received: tuple[Received, ...]
    packet: bytes = b""

    def all(self, kind: type[W]) -> list[W]:
        """Every payload of a kind, parsed. Raises Malformed."""
        return [
            item
            for got in self.received
            if got.type == kind.TYPE and isinstance(item := decode(got.type, got.body), kind)
        ]

    def one(self, kind: type[W]) -> W:
        """The only payload of a kind; Malformed if there is none or more than one."""
        found = self.all(kind)
        if len(found) != 1:
            raise Malformed(f"{len(found)} payloads of kind {kind.__name__}, expected one")
        return found[0]

    def maybe(self, kind: type[W]) -> W | None:
        """The payload of a kind, or None; Malformed if there are several."""
        found = self.all(kind)
        if len(found) > 1:
            raise Malformed(f"{len(found)} payloads of kind {kind.__name__}, expected one at most")
        return found[0] if found else None

    def body(self, kind: type[Wire]) -> bytes:
        """The body of the first payload of a kind, exactly as it came: what hashes go over."""
        return next(got.body for got in self.received if got.type == kind.TYPE)

    @property
    def after_first(self) -> bytes:
        """The payloads after the first one, headers and all, without padding: what HASH(1) goes over."""
        return self.chain[self.received[0].end : self.received[-1].end]

    def expect(self, needed: tuple[type[Wire], ...], allowed: tuple[type[Wire], ...]) -> None:
        """Malformed unless every needed kind is there and no kind that is neither needed nor allowed."""
        types = {got.type for got in self.received}
        for kind in needed:
            if kind.TYPE not in types:
                raise Malformed(f"no payload of kind {kind.__name__}")
        strange = types - {kind.TYPE for kind in (*needed, *allowed)}
        if strange:
            raise Malformed(f"payload type {min(strange)} has no place in this message")


def split(first: int, chain: bytes) -> tuple[Received, ...]:
    """The payloads of a chain; what is left after the last one is padding. Raises Malformed."""
    found: list[Received] = []
    place = 0
    while first != PayloadType.NONE:
        if len(found) == MOST_PAYLOADS:
            raise Malformed(f"more than {MOST_PAYLOADS} payloads")
        if len(chain) - place < GENERIC.size:
            raise Malformed("the chain of payloads is cut short")
        following, length = GENERIC.unpack_from(chain, place)
        if length < GENERIC.size or place + length > len(chain):
            raise Malformed(f"a payload of type {first} says it has {length} bytes")
        found.append(Received(first, chain[place + GENERIC.size : place + length], place + length))
        first, place = following, place + length
    if not found:
        raise Malformed("no payload at all")
    return tuple(found)


def join(payloads: tuple[Wire, ...]) -> bytes:
    """Payloads as a chain."""
    out = []
    for index, payload in enumerate(payloads):
        following = payloads[index + 1].TYPE if index + 1 < len(payloads) else PayloadType.NONE
        body = build(payload)
        out.append(GENERIC.pack(following, GENERIC.size + len(body)) + body)
    return b"".join(out)


def read_clear(header: Header, packet: bytes) -> Message:
    """A message that is not encrypted; nothing may follow its last payload. Raises Malformed."""
    chain = packet[HEADER_SIZE:]
    received = split(header.first, chain)
    if received[-1].end != len(chain):
        raise Malformed(f"{len(chain) - received[-1].end} bytes after the last payload")
    return Message(header, chain, received, packet)
