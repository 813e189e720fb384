"""What an attacker, or a peer gone bad, makes of real packets: rewritten chains, and messages under a session's own keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from cygnet.ike.fields import HEADER, Wire, build
from cygnet.ike.message import HEADER_SIZE, Header, read_header, split
from cygnet.ike.numbers import FLAG_ENCRYPTED, Exchange
from cygnet.ike.path import Path
from cygnet.ike.payloads import (
    HashData,
    Identification,
    KeyExchangeData,
    Nonce,
    Proposal,
    SecurityAssociation,
    Transform,
)
from cygnet.ike.v1.sa import IsakmpSa
from simulation import Box, Network, works


@dataclass(frozen=True)
class Raw:
    """A payload as it stands on the wire: type and body, well formed or not."""

    type: int
    body: bytes


Change = Callable[[list[Raw]], list[Raw]]


def chain_of(payloads: Sequence[Raw]) -> bytes:
    """Payloads as a chain, whatever they are."""
    following = [*(one.type for one in payloads), 0][1:]
    return b"".join(
        HEADER.pack(kind, HEADER.size + len(one.body)) + one.body for kind, one in zip(following, payloads, strict=True)
    )


def raw(*payloads: Wire) -> list[Raw]:
    """Payloads of ours as raw ones."""
    return [Raw(one.TYPE, build(one)) for one in payloads]


def payloads_of(packet: bytes) -> list[Raw]:
    """What a packet in clear holds."""
    return [Raw(got.type, got.body) for got in split(read_header(packet).first, packet[HEADER_SIZE:])]


def packet_of(header: Header, payloads: Sequence[Raw]) -> bytes:
    """A packet in clear, its header's first payload and length made to fit."""
    chain = chain_of(payloads)
    header = replace(header, first=payloads[0].type if payloads else 0)
    return header.pack(HEADER_SIZE + len(chain)) + chain


def rewritten(packet: bytes, change: Change) -> bytes:
    """A packet in clear with other payloads."""
    return packet_of(read_header(packet), change(payloads_of(packet)))


def sealed(sa: IsakmpSa, header: Header, payloads: Sequence[Raw], iv: bytes) -> tuple[bytes, bytes]:
    """A packet under the keys of a session, and the next IV."""
    keys = sa.need_keys()
    chain = chain_of(payloads)
    chain += bytes(-len(chain) % keys.cipher.block)
    body = keys.cipher.encrypt(iv, chain)
    header = replace(header, first=payloads[0].type if payloads else 0, flags=header.flags | FLAG_ENCRYPTED)
    return header.pack(HEADER_SIZE + len(body)) + body, body[-keys.cipher.block :]


def hashed(sa: IsakmpSa, message_id: int, payloads: Sequence[Raw]) -> list[Raw]:
    """Payloads with a right HASH(1) in front."""
    return [Raw(HashData.TYPE, sa.hash_1(message_id, chain_of(payloads))), *payloads]


def phase_2(sa: IsakmpSa, exchange: Exchange, message_id: int, payloads: Sequence[Raw], genuine: bool = True) -> bytes:
    """A first message of phase 2, or an informational one; one that is not ``genuine`` has no hash in front."""
    whole = hashed(sa, message_id, payloads) if genuine else payloads
    return sealed(sa, sa.header(exchange, message_id), whole, sa.first_iv(message_id))[0]


def as_peer(network: Network, sender: Box, packet: bytes) -> None:
    """Deliver a packet as if a box had sent it, over the path of its SA."""
    network.inject(sender.isakmp_sas[0].path, packet)
    network.run(1)


def nth(number: int, change: Callable[[bytes], bytes], count: int = 1) -> Callable[[Path, bytes], bytes]:
    """A tamper that changes packet ``number`` of the wire, and those after it up to ``count``."""
    seen = 0

    def tamper(_path: Path, packet: bytes) -> bytes:
        nonlocal seen
        seen += 1
        return change(packet) if number <= seen < number + count else packet

    return tamper


# A quick mode of west's that is good, whole and payload by payload.
QUICK_SA = SecurityAssociation((Proposal(0, 3, b"\x12\x34\x56\x78", (Transform(1, 20, ((4, 1), (6, 128), (3, 31))),)),))
QUICK_NONCE = Nonce(bytes(32))
QUICK_KE = KeyExchangeData(bytes(range(32)))
FROM_WEST = (Identification(4, bytes.fromhex("0a010000ffffff00")), Identification(4, bytes.fromhex("0a020000ffffff00")))
QUICK = raw(QUICK_SA, QUICK_NONCE, QUICK_KE, *FROM_WEST)


def check(network: Network, west: Box, east: Box) -> None:
    """The tunnel stands and nothing broke."""
    assert network.bugs() == []
    assert west.engine.bugs == east.engine.bugs == 0
    assert works(west, east), west.log[-6:] + east.log[-6:]


def unharmed(network: Network, west: Box, east: Box, seconds: float = 1.0) -> None:
    """The tunnel of before still stands, and nothing was added to it."""
    network.run(seconds)
    check(network, west, east)
    assert (west.pairs(), east.pairs(), west.isakmp(), east.isakmp()) == (1, 1, 1, 1)


def swap(packet: bytes, kind: int, body: bytes) -> bytes:
    """The packet with another body in its payload of that kind, if it is in clear and has one."""
    if packet[19] & FLAG_ENCRYPTED:
        return packet
    return rewritten(packet, lambda found: [Raw(kind, body) if one.type == kind else one for one in found])
