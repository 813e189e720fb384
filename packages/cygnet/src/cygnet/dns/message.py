"""Questions to a name server, and what it answers (RFC 1035, section 4; EDNS of RFC 6891).

An answer is taken apart as far as a stub resolver needs it: the records that answer, and how long a "no" holds.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from cygnet.dns.names import Name, read, to_wire
from cygnet.errors import CygnetError

TXT, KEY, IPSECKEY = 16, 25, 45
TYPES = {TXT: "TXT", KEY: "KEY", IPSECKEY: "IPSECKEY"}
NO_ERROR, NO_SUCH_NAME = 0, 3
RCODES = {1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}
# A size that passes everywhere in one piece; what is larger comes by TCP.
UDP_SIZE = 1232
MOST_ANSWERS = 64
_CNAME, _SOA, _OPT, _INTERNET = 5, 6, 41, 1
_HEADER = struct.Struct(">6H")
_RECORD = struct.Struct(">HHIH")
_RESPONSE, _TRUNCATED, _RECURSE, _AUTHENTIC = 0x8000, 0x0200, 0x0100, 0x0020
_OPCODE, _RCODE = 0x7800, 0x000F
_MOST_ALIASES = 8
_LONGEST = 0x7FFFFFFF


class BadReply(CygnetError):
    """A packet that answers nothing; says what is wrong with it."""


@dataclass(frozen=True)
class Question:
    """What is asked: records of a ``type`` at a ``name``."""

    name: Name
    type: int


@dataclass(frozen=True)
class Reply:
    """``data``: of each record of the type asked for, aliases followed. ``ttl`` in seconds, of a "no" as well.

    ``authentic``: the server says that it has checked the signatures (RFC 4035, section 3.2.3).
    """

    rcode: int
    truncated: bool
    authentic: bool
    data: tuple[bytes, ...]
    ttl: int


@dataclass(frozen=True)
class _Record:
    name: Name
    type: int
    ttl: int
    at: int
    end: int


def query(number: int, question: Question) -> bytes:
    """A question; AD in it asks for AD in the answer (RFC 6840, section 5.7)."""
    header = _HEADER.pack(number, _RECURSE | _AUTHENTIC, 1, 0, 0, 1)
    asked = to_wire(question.name) + struct.pack(">HH", question.type, _INTERNET)
    return header + asked + b"\0" + _RECORD.pack(_OPT, UDP_SIZE, 0, 0)


def parse(packet: bytes, number: int, question: Question) -> Reply:
    """The answer to this question. Raises BadReply, or BadName, for whatever else it is."""
    if len(packet) < _HEADER.size:
        raise BadReply("a DNS message is cut short")
    found, flags, asked, answers, authority, _ = _HEADER.unpack_from(packet)
    if found != number or not flags & _RESPONSE or flags & _OPCODE or asked != 1:
        raise BadReply("a DNS message answers nothing that was asked")
    name, place = read(packet, _HEADER.size)
    if name != question.name or packet[place : place + 4] != struct.pack(">HH", question.type, _INTERNET):
        raise BadReply("a DNS message answers another question")
    truncated = bool(flags & _TRUNCATED)
    if truncated:
        return Reply(flags & _RCODE, truncated, False, (), 0)
    if answers > MOST_ANSWERS or authority > MOST_ANSWERS:
        raise BadReply(f"there are more than {MOST_ANSWERS} records in the answer")
    records, place = _records(packet, place + 4, answers)
    denials, _ = _records(packet, place, authority)
    data, ttl = _answer(packet, question, records)
    if not data:
        ttl = min([ttl, *(_negative_ttl(packet, one) for one in denials if one.type == _SOA)])
    return Reply(flags & _RCODE, False, bool(flags & _AUTHENTIC), data, 0 if ttl == _LONGEST else ttl)


def _records(packet: bytes, place: int, count: int) -> tuple[list[_Record], int]:
    found = []
    for _ in range(count):
        name, place = read(packet, place)
        if place + _RECORD.size > len(packet):
            raise BadReply("a DNS record is cut short")
        kind, sort, ttl, size = _RECORD.unpack_from(packet, place)
        at, place = place + _RECORD.size, place + _RECORD.size + size
        if place > len(packet):
            raise BadReply("a DNS record is cut short")
        if sort == _INTERNET:
            found.append(_Record(name, kind, ttl if ttl <= _LONGEST else 0, at, place))
    return found, place


def _answer(packet: bytes, question: Question, records: list[_Record]) -> tuple[tuple[bytes, ...], int]:
    """The data of what was asked for, and the shortest time of all that leads there."""
    name, ttl = question.name, _LONGEST
    for _ in range(_MOST_ALIASES):
        here = [one for one in records if one.name == name]
        data = [one for one in here if one.type == question.type]
        if data:
            return tuple(packet[one.at : one.end] for one in data), min([ttl, *(one.ttl for one in data)])
        alias = next((one for one in here if one.type == _CNAME), None)
        if alias is None:
            break
        name, ttl = read(packet, alias.at)[0], min(ttl, alias.ttl)
    return (), ttl


def _negative_ttl(packet: bytes, soa: _Record) -> int:
    """How long a "no" holds (RFC 2308, section 5): the SOA's own time, or its last number."""
    if soa.end - soa.at < 20:
        raise BadReply("a DNS record is cut short")
    return min(soa.ttl, int.from_bytes(packet[soa.end - 4 : soa.end], "big"))
