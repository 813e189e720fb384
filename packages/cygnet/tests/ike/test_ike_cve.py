"""One test or more for each class of vulnerabilities that IKE daemons have had and IKEv1 can have.

A run is good if no bug was hit, an established tunnel goes on, and an honest retransmission still gets through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest
from conftest import Papers
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cygnet.connection.connection import AuthBy, Setup
from cygnet.connection.identity import IdType
from cygnet.connection.secret import PresharedKey, Secrets
from cygnet.crypto import exchange as key_exchange
from cygnet.crypto import mac
from cygnet.crypto.exchange import modp_prime
from cygnet.crypto.rsa import PrivateKey
from cygnet.crypto.transforms import GROUPS
from cygnet.ike import half_open
from cygnet.ike.fields import build
from cygnet.ike.message import HEADER_SIZE, MOST_BYTES, Header, read_header
from cygnet.ike.numbers import FLAG_ENCRYPTED, Exchange, Notify, PayloadType, Protocol
from cygnet.ike.payloads import (
    Delete,
    HashData,
    Identification,
    KeyExchangeData,
    Nonce,
    Notification,
    Proposal,
    SecurityAssociation,
    Transform,
)  # fmt: skip
from cygnet.ike.v1 import authentication, phase_one
from cygnet.ike.v1.main_mode import MainMode
from forgery import Raw, as_peer, chain_of, nth, packet_of, payloads_of, phase_2, raw, rewritten, sealed
from hypothesis import given, settings
from hypothesis import strategies as st
from simulation import (
    EAST,
    NAME,
    PSK,
    SECRET,
    WEST,
    Box,
    Network,
    connection,
    established,
    pair,
    path_of,
    works,
)  # fmt: skip
from test_ike_negotiation import certified, rsa

CLEAR = range(1, 5)
QUICK_SA = SecurityAssociation((Proposal(0, 3, b"\x12\x34\x56\x78", (Transform(1, 20, ((4, 1), (6, 128), (3, 31))),)),))
QUICK_NONCE = Nonce(bytes(32))
QUICK_KE = KeyExchangeData(bytes(range(32)))
FROM_WEST = (Identification(4, bytes.fromhex("0a010000ffffff00")), Identification(4, bytes.fromhex("0a020000ffffff00")))


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


def up_although(change: Callable[[bytes], bytes], number: int) -> None:
    """The tunnel comes up though a packet was changed: by retransmission, or by the next attempt."""
    network, west, east = pair(keying_tries=0)
    network.tamper = nth(number, change)
    west.up()
    network.run(120)
    check(network, west, east)
    assert len(west.kernel.sas) == len(east.kernel.sas) == 2


# 1: payloads that are missing, doubled or strange (CVE-2013-6467, 2015-3204, 2016-5391)


@pytest.mark.parametrize("number", CLEAR)
@pytest.mark.parametrize("index", range(4))
def test_cve_01_missing_payload(number: int, index: int) -> None:
    up_although(lambda packet: rewritten(packet, lambda payloads: payloads[:index] + payloads[index + 1 :]), number)


@pytest.mark.parametrize("number", CLEAR)
@pytest.mark.parametrize("kind", [*range(0, 20), 21, 33, 46, 128, 132, 255])
def test_cve_01_unexpected_payload(number: int, kind: int) -> None:
    up_although(lambda packet: rewritten(packet, lambda payloads: [*payloads, Raw(kind, bytes(8))]), number)
    up_although(lambda packet: rewritten(packet, lambda payloads: [Raw(kind, b""), *payloads]), number)


@pytest.mark.parametrize("number", CLEAR)
@pytest.mark.parametrize("index", range(3))
def test_cve_01_payload_twice(number: int, index: int) -> None:
    up_although(lambda packet: rewritten(packet, lambda payloads: [*payloads, payloads[index % len(payloads)]]), number)


QUICK = raw(QUICK_SA, QUICK_NONCE, QUICK_KE, *FROM_WEST)


@pytest.mark.parametrize("missing", range(len(QUICK)))
def test_cve_01_quick_mode_without_a_payload(missing: int) -> None:
    network, west, east = established()
    sa = west.isakmp_sas[0]
    as_peer(network, west, phase_2(sa, Exchange.QUICK, 0x1111, QUICK[:missing] + QUICK[missing + 1 :]))
    unharmed(network, west, east, 130)
    assert east.sizes()["quick modes"] == 0


def test_cve_01_quick_mode_that_is_malformed_takes_no_place_for_ever() -> None:
    network, west, east = established()
    sa = west.isakmp_sas[0]
    for number in range(400):
        as_peer(network, west, phase_2(sa, Exchange.QUICK, 0x2000 + number, raw(QUICK_SA, Nonce(b"short"), *FROM_WEST)))
    assert east.sizes()["quick modes"] <= 2
    west.up()
    network.run(10)
    assert west.statuses == [0, 0]
    check(network, west, east)


# 2: lengths and counts (CVE-2013-4564, 2014-9221)


@pytest.mark.parametrize("number", range(1, 10))
def test_cve_02_truncated_at_every_byte(number: int) -> None:
    reference, _, _ = established()
    size = len(reference.wire[number - 1].packet)
    for cut in range(0, size, 1 if size < 150 else 7):
        network, west, east = pair(keying_tries=0)
        for fixed in (False, True):
            network.tamper = nth(number, lambda packet, cut=cut, fixed=fixed: cut_off(packet, cut, fixed))  # type: ignore[misc]
        west.up()
        network.run(60)
        check(network, west, east)


def cut_off(packet: bytes, size: int, fixed: bool) -> bytes:
    """The packet's beginning; with a header that says so if ``fixed``."""
    if not fixed or size < HEADER_SIZE:
        return packet[:size]
    return packet[:24] + size.to_bytes(4, "big") + packet[28:size]


@pytest.mark.parametrize("number", range(1, 10))
@pytest.mark.parametrize("place", range(16, 48))
def test_cve_02_any_byte_of_the_beginning_changed(number: int, place: int) -> None:
    for value in (0, 1, 0x7F, 0xFF):
        network, west, east = pair(keying_tries=0)
        network.tamper = nth(number, lambda packet, value=value: packet[:place] + bytes((value,)) + packet[place + 1 :])  # type: ignore[misc]
        west.up()
        network.run(200)
        assert network.bugs() == []
        assert works(west, east)


@pytest.mark.parametrize("padding", [0, 1, 15, 16, 255, 4096])
def test_cve_02_padding_of_any_length(padding: int) -> None:
    network, west, east = established()
    sa = west.isakmp_sas[0]
    keys = sa.need_keys()
    body = raw(Notification(Notify.CONNECTED))
    chain = chain_of([Raw(HashData.TYPE, sa.hash_1(7, chain_of(body))), *body]) + bytes(padding)
    chain += bytes(-len(chain) % keys.cipher.block)
    header = replace(sa.header(Exchange.INFORMATIONAL, 7, FLAG_ENCRYPTED), first=PayloadType.HASH)
    as_peer(network, west, header.pack(HEADER_SIZE + len(chain)) + keys.cipher.encrypt(sa.first_iv(7), chain))
    assert east.said("peer notifies CONNECTED")
    unharmed(network, west, east)


@pytest.mark.parametrize("size", [0, 27, 28, MOST_BYTES, MOST_BYTES + 1, 65507])
def test_cve_02_packets_of_any_size(size: int) -> None:
    network, west, east = established()
    for start in (
        b"",
        network.wire[0].packet[:24] + size.to_bytes(4, "big"),
        network.wire[-1].packet[:24] + size.to_bytes(4, "big"),
    ):
        network.inject(path_of(WEST, EAST), (start + bytes(size))[:size])
    unharmed(network, west, east)


# 3: Diffie-Hellman values that give the secret away (CVE-2015-3240, 2023-41913)


def bad_values(group: int) -> Iterator[bytes]:
    """Values of the right and of the wrong length that must not be used."""
    size = GROUPS[group].size
    yield from (b"", bytes(1), bytes(size), bytes(size - 1), bytes(size + 1), b"\xff" * size)
    if group in key_exchange.MODP:
        prime = modp_prime(group)
        yield from (number.to_bytes(size, "big") for number in (1, prime - 1, prime, prime + 1))
    elif group == 31:
        yield (1).to_bytes(32, "little")
    else:
        yield bytes(size - 1) + b"\1"


@pytest.mark.parametrize("group", [2, 14, 19, 21, 31])
@pytest.mark.parametrize("number", [3, 4])
def test_cve_03_bad_public_value_in_main_mode(group: int, number: int) -> None:
    ike = (replace(connection(WEST, EAST).ike[0], group=group),)
    for value in bad_values(group):
        if group == 31 and value == b"\xff" * 32:
            continue  # Curve25519 takes it (RFC 7748, section 5).
        network, west, east = pair(keying_tries=1, ike=ike, pfs=False)
        network.tamper = nth(number, lambda packet, value=value: swap(packet, PayloadType.KE, value), 9)  # type: ignore[misc]
        west.up()
        network.run(200)
        assert (west.statuses, west.pairs(), east.pairs(), east.isakmp(), network.bugs()) == ([31], 0, 0, 0, [])
        assert west.said("public value") or east.said("public value"), west.log + east.log


def swap(packet: bytes, kind: int, body: bytes) -> bytes:
    """The packet with another body in its payload of that kind, if it is in clear and has one."""
    if packet[19] & FLAG_ENCRYPTED:
        return packet
    return rewritten(packet, lambda found: [Raw(kind, body) if one.type == kind else one for one in found])


@pytest.mark.parametrize("value", [b"", bytes(32), bytes(31), bytes(33), (1).to_bytes(32, "little")])
def test_cve_03_bad_public_value_in_quick_mode(value: bytes) -> None:
    network, west, east = established()
    payloads = raw(QUICK_SA, QUICK_NONCE, KeyExchangeData(value), *FROM_WEST)
    as_peer(network, west, phase_2(west.isakmp_sas[0], Exchange.QUICK, 0x1111, payloads))
    unharmed(network, west, east, 100)
    assert len(east.kernel.sas) == 2


# 4: fragments (CVE-2013-6076, 2016-10396)


def fragment(header: Header, name: int, number: int, flags: int, data: bytes) -> bytes:
    """A piece of a message."""
    return packet_of(header, [Raw(PayloadType.FRAGMENT, name.to_bytes(2, "big") + bytes((number, flags)) + data)])


def test_cve_04_fragments_are_bounded_in_memory_and_in_work() -> None:
    network, west, east = established()
    header = read_header(network.wire[4].packet)
    for count in range(5000):
        east.engine.receive(
            fragment(header, count // 40, 1 + count % 40, 0, bytes(1000)), path_of(EAST, WEST), network.now
        )
    [assembly] = east.engine.isakmp.assemblies.values()
    assert assembly.size <= MOST_BYTES
    assert len(assembly.pieces) <= 32
    unharmed(network, west, east)


@pytest.mark.parametrize("flags", [0, 1, 255])
@pytest.mark.parametrize("body", [b"", b"\0", b"\0\0\1", b"\0\0\0\1data"])
def test_cve_04_fragments_cut_short(flags: int, body: bytes) -> None:
    network, west, east = established()
    header = replace(read_header(network.wire[4].packet), flags=flags & 1)
    network.inject(path_of(WEST, EAST), packet_of(header, [Raw(PayloadType.FRAGMENT, body)]))
    network.inject(path_of(WEST, EAST), replace(header, first=PayloadType.FRAGMENT).pack(HEADER_SIZE))
    unharmed(network, west, east)


def test_cve_04_fragments_within_fragments_and_of_other_sas() -> None:
    network, west, east = established()
    header = read_header(network.wire[4].packet)
    inner = fragment(header, 1, 1, 1, b"x" * 40)
    foreign = replace(header, icookie=b"anything").pack(HEADER_SIZE)
    for content in (inner, foreign, b"short", bytes(HEADER_SIZE), network.wire[0].packet):
        network.inject(path_of(WEST, EAST), fragment(header, 9, 1, 1, content))
        network.run(1)
    unharmed(network, west, east)


# 5: informational messages without their hash, double deletes (CVE-2019-10155, 2023-38712)


def deletes(box: Box) -> list[Delete]:
    """The peer's view of what it may delete."""
    sa = box.isakmp_sas[0]
    spi = box.children[0].sa.legs[0].spi_in.to_bytes(4, "big")
    return [Delete(Protocol.ESP, (spi,)), Delete(Protocol.ISAKMP, (sa.icookie + sa.rcookie,))]


def test_cve_05_informational_without_or_with_a_wrong_hash() -> None:
    network, west, east = established()
    sa = west.isakmp_sas[0]
    for number, delete in enumerate(deletes(west)):
        rest = raw(delete)
        wrong = Raw(HashData.TYPE, sa.hash_1(4, chain_of(rest)))
        for mid, payloads in enumerate(
            ([*rest], [wrong, *rest], [*rest, wrong], [Raw(8, b""), *rest], [wrong]), 100 * number + 10
        ):
            as_peer(network, west, phase_2(sa, Exchange.INFORMATIONAL, mid, payloads, genuine=False))
        network.inject(sa.path, sa.clear(Exchange.INFORMATIONAL, (delete,), 99))
    unharmed(network, west, east)


def test_cve_05_double_delete() -> None:
    network, west, east = established()
    sa = west.isakmp_sas[0]
    esp, isakmp = deletes(west)
    both = Delete(Protocol.ESP, esp.spis * 2)
    twice = phase_2(sa, Exchange.INFORMATIONAL, 5, raw(both, both, esp))
    for packet in (
        twice,
        twice,
        phase_2(sa, Exchange.INFORMATIONAL, 6, raw(esp)),
        phase_2(sa, Exchange.INFORMATIONAL, 7, raw(isakmp, isakmp, esp)),
    ):
        network.inject(sa.path, packet)
        network.inject(sa.path, packet)
    network.run(60)
    assert network.bugs() == []
    assert len(west.kernel.sas) == len(east.kernel.sas)
    west.up()
    network.run(100)
    check(network, west, east)


# 6: messages without a state (CVE-2009-0790, 2019-12312, 2020-1763, 2022-23094)


@pytest.mark.parametrize("exchange", [0, 1, 2, 3, 4, 5, 6, 31, 32, 33, 34, 35, 36, 37, 240, 255])
@pytest.mark.parametrize("flags", [0, 1, 3])
def test_cve_06_a_message_for_no_sa(exchange: int, flags: int) -> None:
    network, west, east = established()
    for payload in (
        Notification(Notify.R_U_THERE, bytes(4), bytes(16)),
        Delete(1, (bytes(16),)),
        HashData(bytes(32)),
        Nonce(bytes(32)),
    ):
        for rcookie in (bytes(8), b"nobody's"):
            header = Header(b"stranger", rcookie, 0, exchange, flags, 77)
            network.inject(path_of(WEST, EAST), packet_of(header, raw(payload)))
            network.inject(path_of("203.0.113.9", EAST), packet_of(header, raw(payload)))
    unharmed(network, west, east)


@pytest.mark.parametrize("packets", range(1, 7))
def test_cve_06_informational_in_the_middle_of_main_mode(packets: int) -> None:
    network, west, east = pair(keying_tries=0)
    network.tamper = lambda _path, packet: packet if len(network.wire) <= packets else None
    west.up()
    network.run(1)
    for box, peer in ((east, west), (west, east)):
        for sa in box.engine.isakmp.sas:
            for flags in (0, FLAG_ENCRYPTED):
                for payload in (
                    Notification(Notify.R_U_THERE, bytes(4), sa.icookie + sa.rcookie),
                    Notification(Notify.INITIAL_CONTACT),
                    Delete(1, (sa.icookie + sa.rcookie,)),
                    Notification(Notify.CONNECTED),
                ):
                    header = replace(sa.header(Exchange.INFORMATIONAL, 9), flags=flags)
                    network.inject(path_of(peer.address, box.address), packet_of(header, raw(payload)))
    network.tamper = lambda _path, packet: packet
    network.run(200)
    check(network, west, east)


# 7: payload numbers of IKEv2 (CVE-2015-3991), and IKEv2 itself


@pytest.mark.parametrize("kind", range(33, 49))
def test_cve_07_payloads_of_ikev2_are_not_read(kind: int) -> None:
    network, west, east = established()
    as_peer(network, west, phase_2(west.isakmp_sas[0], Exchange.INFORMATIONAL, kind, [Raw(kind, bytes(20))]))
    as_peer(network, west, phase_2(west.isakmp_sas[0], Exchange.QUICK, kind + 100, [*QUICK, Raw(kind, bytes(20))]))
    unharmed(network, west, east, 100)


@pytest.mark.parametrize("version", [0x00, 0x20, 0x21, 0x30, 0xF0])
def test_cve_07_other_versions_are_refused(version: int) -> None:
    network, west, east = established()
    sent = len(network.wire)
    packet = network.wire[0].packet
    network.inject(path_of(WEST, EAST), packet[:17] + bytes((version,)) + packet[18:])
    unharmed(network, west, east)
    assert east.said("only IKEv1 is spoken here")
    assert len(network.wire) == sent


# 8: identities and names (CVE-2013-2052 to 2054, 2013-6075)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (IdType.DER_ASN1_DN, b""), (IdType.DER_ASN1_DN, b"\x30\x84\xff\xff\xff\xff"), (IdType.DER_ASN1_DN, b"\x30" * 900),
        (IdType.DER_ASN1_DN, bytes.fromhex("300d310b30090603550403130200ff")), (IdType.DER_ASN1_DN, b"\x30\x80\0\0"),
        (IdType.FQDN, b"\0" * 255), (IdType.FQDN, b"\x1b]0;x\x07"), (IdType.KEY_ID, b"\xff" * 1024), (IdType.KEY_ID, b"x" * 1025),
        (IdType.IPV4_ADDR, b""), (IdType.IPV4_ADDR, bytes(16)), (IdType.IPV6_ADDR, bytes(4)), (0, b"x"), (255, bytes(4)),
    ],
)  # fmt: skip
def test_cve_08_identities_that_are_none(monkeypatch: pytest.MonkeyPatch, kind: int, data: bytes) -> None:
    monkeypatch.setattr(authentication, "identification", lambda _connection: Identification(kind, data))
    for auth_any in (False, True):
        network, west, east = pair(keying_tries=1)
        if auth_any:
            east.engine.delete(NAME, network.now)
            east.add(connection(EAST, "%any", None))
        west.up()
        network.run(100)
        assert network.bugs() == []
        assert west.pairs() == east.pairs() == 0
        assert all(line.isprintable() for line in west.log + east.log)


@pytest.mark.parametrize(
    "der", [b"", b"\x30", b"\x30\x84\xff\xff\xff\xff", b"\x30\x80" * 500, bytes(5000), b"\xff" * 100]
)
def test_cve_08_certificates_that_are_none(papers: Papers, monkeypatch: pytest.MonkeyPatch, der: bytes) -> None:
    network, west, east = certified(papers, keying_tries=1)
    own = west.engine.certificates.own(papers.path("west"))
    monkeypatch.setattr(west.engine.certificates, "own", lambda _path: replace(own, der=der))
    west.up()
    network.run(100)
    assert (west.statuses, east.pairs(), network.bugs()) == ([31], 0, [])


# 9: identities and proposals of quick mode (CVE-2023-23009, 2023-38710, 2023-38711, 2024-3652)


ANYWHERE = Identification(4, bytes(8))
QUICK_BODIES = {
    "one identity": [QUICK_SA, QUICK_NONCE, QUICK_KE, FROM_WEST[0]],
    "three identities": [QUICK_SA, QUICK_NONCE, QUICK_KE, *FROM_WEST, FROM_WEST[0]],
    "identities the other way round": [QUICK_SA, QUICK_NONCE, QUICK_KE, *FROM_WEST[::-1]],
    "the whole internet": [QUICK_SA, QUICK_NONCE, QUICK_KE, ANYWHERE, ANYWHERE],
    "more than our network": [QUICK_SA, QUICK_NONCE, QUICK_KE, FROM_WEST[0], Identification(4, bytes.fromhex("0a000000ff000000"))],
    "a name": [QUICK_SA, QUICK_NONCE, QUICK_KE, Identification(2, b"west"), FROM_WEST[1]],
    "IPv6 of four bytes": [QUICK_SA, QUICK_NONCE, QUICK_KE, Identification(5, bytes(4)), Identification(6, bytes(8))],
    "an unknown type": [QUICK_SA, QUICK_NONCE, QUICK_KE, Identification(99, bytes(4)), FROM_WEST[1]],
    "a port without a protocol": [QUICK_SA, QUICK_NONCE, QUICK_KE, Identification(4, FROM_WEST[0].data, 0, 80), FROM_WEST[1]],
    "no proposals": [SecurityAssociation(()), QUICK_NONCE, QUICK_KE, *FROM_WEST],
    "a proposal without transforms": [SecurityAssociation((Proposal(0, 3, b"\x12\x34\x56\x78", ()),)), QUICK_NONCE, QUICK_KE, *FROM_WEST],
    "an SPI of 255 bytes": [SecurityAssociation((Proposal(0, 3, bytes(255), QUICK_SA.proposals[0].transforms),)), QUICK_NONCE, QUICK_KE, *FROM_WEST],
    "IPComp alone": [SecurityAssociation((Proposal(0, 4, b"\x12\x34", (Transform(1, 2),)),)), QUICK_NONCE, QUICK_KE, *FROM_WEST],
    "a nonce of 7 bytes": [QUICK_SA, Nonce(bytes(7)), QUICK_KE, *FROM_WEST],
    "a nonce of 257 bytes": [QUICK_SA, Nonce(bytes(257)), QUICK_KE, *FROM_WEST],
    "PFS without KE": [QUICK_SA, QUICK_NONCE, *FROM_WEST],
    "two SA payloads": [QUICK_SA, QUICK_SA, QUICK_NONCE, QUICK_KE, *FROM_WEST],
}  # fmt: skip


@pytest.mark.parametrize("what", QUICK_BODIES)
def test_cve_09_quick_mode_of_a_peer_gone_bad(what: str) -> None:
    network, west, east = established()
    as_peer(network, west, phase_2(west.isakmp_sas[0], Exchange.QUICK, 0x1111, raw(*QUICK_BODIES[what])))
    unharmed(network, west, east, 130)
    assert len(east.kernel.sas) == 2
    assert east.sizes()["quick modes"] == 0


def test_cve_09_a_good_quick_mode_by_hand_is_taken_so_that_the_others_prove_something() -> None:
    network, west, east = established()
    as_peer(
        network,
        west,
        phase_2(west.isakmp_sas[0], Exchange.QUICK, 0x1111, raw(QUICK_SA, QUICK_NONCE, QUICK_KE, *FROM_WEST)),
    )
    assert len(east.kernel.sas) == 3
    unharmed(network, west, east, 100)
    assert len(east.kernel.sas) == 2


def test_cve_09_a_quick_mode_answer_with_other_terms_is_refused() -> None:
    for change in (lambda t: replace(t, id=12), lambda t: replace(t, attributes=((4, 2), (6, 128), (3, 31))), lambda t: replace(t, attributes=((4, 1), (6, 256), (3, 31)))):  # fmt: skip
        network, west, east = pair(keying_tries=1)
        east.engine.children.live_for = spoil(east, change)  # type: ignore[method-assign]
        west.up()
        network.run(100)
        assert west.pairs() == 0
        assert network.bugs() == []


def spoil(box: Box, change: Callable[[Transform], Transform]) -> Callable[..., Any]:
    """Make the responder's answer name another transform than was offered."""
    from cygnet.ike.v1 import phase_two

    original = box.engine.children.__class__.live_for

    def live_for(*arguments: Any) -> Any:
        for quick in box.engine.children.quick_modes(arguments[0]):
            seal = quick.seal

            def spoiled(before: bytes, payloads: tuple[Any, ...], seal: Any = seal) -> bytes:
                first = payloads[0].proposals[0]
                made = replace(first, transforms=(change(first.transforms[0]),))
                return seal(before, (SecurityAssociation((made,)), *payloads[1:]))  # type: ignore[no-any-return]

            quick.seal = spoiled  # type: ignore[method-assign]
        assert phase_two
        return original(box.engine.children, *arguments)

    return live_for


# 10: lax RSA verification (CVE-2018-16151 and 16152, 2017-9022, 2018-17540)


class Forger:
    """A private key that signs in its own way."""

    def __init__(self, key: PrivateKey, sign: Callable[[PrivateKey, bytes], bytes]) -> None:
        self.public, self._key, self._sign = key.public, key, sign

    def sign_hash(self, hash: bytes) -> bytes:
        return self._sign(self._key, hash)


def library_key(key: PrivateKey) -> Any:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateNumbers, RSAPublicNumbers

    n = key.secret_numbers()
    public = RSAPublicNumbers(n["PublicExponent"], n["Modulus"])
    names = ("Prime1", "Prime2", "PrivateExponent", "Exponent1", "Exponent2", "Coefficient")
    return RSAPrivateNumbers(*(n[name] for name in names), public).private_key()


SIGNERS: dict[str, Callable[[PrivateKey, bytes], bytes]] = {
    "with a DigestInfo": lambda key, hashed: library_key(key).sign(hashed, PKCS1v15(), hashes.SHA256()),
    "of another hash": lambda key, hashed: key.sign_hash(hashed[::-1]),
    "of more than the hash": lambda key, hashed: key.sign_hash(hashed + b"\0"),
    "of the beginning of the hash": lambda key, hashed: key.sign_hash(hashed[:16]),
    "with a zero in front": lambda key, hashed: b"\0" + key.sign_hash(hashed),
    "cut short": lambda key, hashed: key.sign_hash(hashed)[:-1],
    "that is 0": lambda key, _: bytes(256),
    "that is 1": lambda key, _: bytes(255) + b"\1",
    "that is empty": lambda key, _: b"",
    "of 10,000 bytes": lambda key, _: b"\xaa" * 10_000,
    "beyond the modulus": lambda key, _: b"\xff" * 256,
}


@pytest.mark.parametrize("what", SIGNERS)
def test_cve_10_signature(what: str, rsa_keys: tuple[PrivateKey, PrivateKey]) -> None:
    network, west, east = rsa(rsa_keys, keying_tries=1)
    forger: Any = Forger(rsa_keys[0], SIGNERS[what])
    west.engine.secrets = replace(west.engine.secrets, private=(replace(west.engine.secrets.private[0], key=forger),))
    west.up()
    network.run(100)
    assert (west.statuses, east.isakmp(), east.pairs(), network.bugs()) == ([31], 0, 0, [])


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"\0",
        b"\1\3",
        b"\3\1\0\1" + b"\xff" * 1025,
        b"\1\1" + b"\xff" * 128,
        b"\3\1\0\1" + b"\xff" * 64,
        b"\0\xff\xff\1",
    ],
)
def test_cve_10_a_bad_public_key_is_no_key(blob: bytes, rsa_keys: tuple[PrivateKey, PrivateKey]) -> None:
    network, west, east = rsa(rsa_keys, keying_tries=1)
    east.engine.delete(NAME, network.now)
    ends = {WEST: {"public_keys": (blob,)}, EAST: {"public_keys": (rsa_keys[1].public.blob,)}}
    east.add(connection(EAST, WEST, ends=ends, auth_by=AuthBy.RSASIG))
    west.up()
    network.run(100)
    assert (west.statuses, east.isakmp(), network.bugs()) == ([31], 0, [])


# 11: authentication bypassed by a confusion of states (CVE-2014-2338, 2015-8023, 2021-45079)


def test_cve_11_main_mode_again_over_an_established_sa() -> None:
    network, west, east = established()
    first = network.wire[:6]
    for sent in first * 2:
        network.inject(sent.path, sent.packet)
        network.run(1)
    sa = west.isakmp_sas[0]
    fresh = packet_of(sa.header(Exchange.MAIN), raw(KeyExchangeData(bytes(32)), Nonce(bytes(32))))
    network.inject(sa.path, fresh)
    network.inject(sa.path, packet_of(sa.header(Exchange.MAIN), payloads_of(first[0].packet)))
    as_peer(
        network,
        west,
        sealed(sa, sa.header(Exchange.MAIN), raw(Identification(1, bytes(4)), HashData(bytes(32))), bytes(16))[0],
    )
    unharmed(network, west, east, 60)


@pytest.mark.parametrize("packets", range(5))
def test_cve_11_quick_mode_before_phase_1_is_done(packets: int) -> None:
    network, west, east = pair(keying_tries=1)
    network.tamper = lambda _path, packet: packet if len(network.wire) <= packets else None
    west.up()
    network.run(1)
    for sa in [*east.engine.isakmp.sas, *west.engine.isakmp.sas]:
        if sa.keys:
            packet = phase_2(sa, Exchange.QUICK, 5, QUICK)
        else:
            packet = packet_of(replace(sa.header(Exchange.QUICK, 5), flags=FLAG_ENCRYPTED), QUICK)
        for there, here in ((WEST, EAST), (EAST, WEST)):
            network.inject(path_of(there, here), packet)
    network.run(200)
    assert (east.kernel.sas, west.kernel.sas, east.pairs(), network.bugs()) == ({}, {}, 0, [])


Proof = Callable[[MainMode, tuple[Any, ...]], tuple[Any, ...]]
PROOFS: dict[str, Proof] = {
    "no proof at all": lambda main, found: found[:1],
    "an empty hash": lambda main, found: (found[0], HashData(b"")),
    "a wrong hash": lambda main, found: (found[0], HashData(bytes(32))),
    "two hashes": lambda main, found: (*found, HashData(bytes(32))),
    "a hash of the other role": lambda main, found: (
        found[0],
        HashData(main.hash_of(not main.sa.initiator, build(found[0]))),
    ),
    "a signature instead": lambda main, found: (found[0], authentication.SignatureData(bytes(256))),
    "a certificate instead": lambda main, found: (found[0], authentication.Certificate(4, bytes(99))),
    "two identities": lambda main, found: (found[0], *found),
    "another identity after the proof": lambda main, found: (*found, Identification(2, b"root")),
    "no identity": lambda main, found: found[1:],
}


@pytest.mark.parametrize("what", PROOFS)
@pytest.mark.parametrize("liar", [WEST, EAST])
def test_cve_11_a_proof_that_is_none(monkeypatch: pytest.MonkeyPatch, what: str, liar: str) -> None:
    original = MainMode.identity_payloads

    def lie(main: MainMode, first_contact: bool) -> tuple[Any, ...]:
        found = original(main, first_contact=False)
        return PROOFS[what](main, found) if str(main.sa.path.local) == liar else found

    monkeypatch.setattr(MainMode, "identity_payloads", lie)
    network, west, east = pair(keying_tries=1)
    west.up()
    network.run(100)
    believer = east if liar == WEST else west
    assert (believer.isakmp(), believer.pairs(), believer.kernel.sas, network.bugs()) == (0, 0, {}, [])


def test_cve_11_every_proof_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mac, "same", lambda _a, _b: False)
    network, west, east = pair(keying_tries=1)
    west.up()
    network.run(100)
    assert (west.isakmp(), east.isakmp()) == (0, 0)
    monkeypatch.undo()
    network, west, east = established()
    monkeypatch.setattr(mac, "same", lambda _a, _b: False)
    west.rekey(2)
    west.down()
    network.run(1)
    assert (east.pairs(), east.isakmp(), len(east.kernel.sas)) == (1, 1, 2)


# 12: offline guessing, aggressive mode, encryption oracles (CVE-2023-30570, 2018-5389)


def test_cve_12_the_responder_shows_no_hash_to_who_has_not_proved_itself() -> None:
    network, west, east = pair(keying_tries=1, secrets=(Secrets((PresharedKey((), b"a guess"),)), SECRET))
    west.up()
    network.run(100)
    assert not any(sent.header.encrypted for sent in network.from_box(east))
    assert not any(
        one.type in (PayloadType.HASH, PayloadType.SIGNATURE)
        for sent in network.from_box(east)
        for one in payloads_of(sent.packet)
    )


@pytest.mark.parametrize("exchange", [Exchange.AGGRESSIVE, 1, 3, Exchange.TRANSACTION, Exchange.NEW_GROUP])
def test_cve_12_only_main_mode_begins_anything(exchange: int) -> None:
    network, west, east = established()
    first = network.wire[0].packet
    network.inject(path_of("203.0.113.9", EAST), first[:18] + bytes((exchange,)) + first[19:])
    network.inject(path_of(WEST, EAST), b"newcooki" + first[8:18] + bytes((exchange,)) + first[19:])
    unharmed(network, west, east)
    assert east.sizes()["ISAKMP SAs"] == 1


@pytest.mark.parametrize("method", [2, 4, 5, 65001, 65005])
def test_cve_12_no_method_but_secrets_and_signatures(method: int) -> None:
    network, _, east = pair()
    offered = phase_one.offer_payload(connection(WEST, EAST))
    transform = offered.proposals[0].transforms[0]
    attributes = tuple((kind, method if kind == 3 else value) for kind, value in transform.attributes)
    payload = SecurityAssociation(
        (replace(offered.proposals[0], transforms=(replace(transform, attributes=attributes),)),)
    )
    network.inject(path_of(WEST, EAST), packet_of(Header(b"stranger", bytes(8), 0, Exchange.MAIN), raw(payload)))
    network.run(1)
    assert east.sizes()["ISAKMP SAs"] == 0
    assert east.said("no proposal in common")


# 13: secrets or configuration that are missing (CVE-2024-2357)


@pytest.mark.parametrize("packets", range(10))
def test_cve_13_secrets_that_go_in_the_middle(packets: int) -> None:
    for who in (WEST, EAST):
        network, west, east = pair(keying_tries=1)
        network.each_step = lambda who=who, network=network: (
            setattr(network.boxes[who].engine, "secrets", Secrets()) if len(network.wire) >= packets else None
        )  # type: ignore[misc]
        west.up()
        network.run(200)
        assert network.bugs() == []
        assert len(west.kernel.sas) == len(east.kernel.sas)


@pytest.mark.parametrize(
    "odd",
    [
        {"ike": ()}, {"child": ()}, {"auth_by": AuthBy.NEVER}, {"auth_by": AuthBy.RSASIG}, {"auth_by": AuthBy.EITHER},
        {"key_life": 0.0}, {"ike_lifetime": 0.0}, {"key_life": 1.0, "rekey_margin": 500.0},
    ],
)  # fmt: skip
def test_cve_13_an_odd_configuration_at_either_end(odd: dict[str, Any]) -> None:
    for who in ("west", "east"):
        network, west, east = pair(keying_tries=1, **{who: odd})
        for box in (west, east):
            try:
                box.up()
            except Exception as error:
                assert "there is nothing to negotiate" in str(error) or "no RSA private key" in str(error)
        network.run(60)
        assert network.bugs() == []


# 14: amplification and exhaustion (CVE-2016-5361)


def first_message(number: int) -> bytes:
    """A good first message under a cookie of its own."""
    payload = phase_one.offer_payload(connection(WEST, EAST))
    return packet_of(Header(number.to_bytes(8, "big"), bytes(8), 0, Exchange.MAIN), raw(payload))


@pytest.mark.parametrize("source", [WEST, "203.0.113.9"])
@pytest.mark.parametrize("exchange", [Exchange.MAIN, Exchange.AGGRESSIVE, Exchange.QUICK, Exchange.INFORMATIONAL])
def test_cve_14_little_is_sent_to_who_has_not_shown_its_address(source: str, exchange: int) -> None:
    for copies in (1, 50):
        network, _, east = pair()
        before = len(network.wire)
        sent = 0
        for number in range(1, 1001):
            packet = first_message(1 + number // copies)
            packet = packet[:18] + bytes((exchange,)) + packet[19:]
            sent += len(packet)
            network.inject(path_of(source, EAST), packet)
        network.run(120)
        answered = sum(len(one.packet) for one in network.wire[before:])
        assert answered <= 2.0 * sent
        assert answered <= 100 * 400
        assert network.bugs() == []
        assert len(east.engine.isakmp.sas) == 0


def test_cve_14_a_packet_is_answered_from_memory_a_few_times_only() -> None:
    network, west, east = established()
    for sent in list(network.wire):
        before = len(network.wire)
        for _ in range(100):
            network.inject(sent.path, sent.packet)
        network.run(20)
        assert len(network.wire) - before <= 8
    unharmed(network, west, east)


def test_cve_14_a_flood_of_first_messages_stops_neither_tunnels_nor_newcomers(monkeypatch: pytest.MonkeyPatch) -> None:
    network, west, east = established(key_life=120.0, rekey_margin=20.0, ike_lifetime=200.0)
    east.add(replace(connection(EAST, "%any", None, ends={EAST: {"subnet": ip_network("10.9.0.0/24")}}), name="road"))
    made = counted(monkeypatch)
    for number in range(10_000):
        network.inject(
            path_of(f"100.{64 + number % 64}.{number // 256 % 256}.{number % 256}", EAST),
            first_message(number + 1),
            number * 0.006,
        )
    honest = network.box("203.0.113.77")
    honest.add(
        connection("203.0.113.77", EAST, None, keying_tries=0, ends={EAST: {"subnet": ip_network("10.9.0.0/24")}})
    )
    largest = 0
    for second in range(60):
        if second == 20:
            honest.up()
        network.run(1)
        largest = max(largest, east.sizes()["half open"], east.sizes()["first messages"])
        assert works(west, east)
    assert honest.statuses == [0]
    assert largest <= half_open.MOST + 2
    assert len(east.log) < 300
    network.run(180)
    assert works(west, east)
    assert east.sizes()["half open"] == 0
    assert len(made) < 100
    assert network.bugs() == []


def test_cve_14_one_source_cannot_fill_the_table() -> None:
    network, _, east = pair()
    for number in range(1, 2000):
        network.inject(path_of(WEST, EAST), first_message(number))
    network.run(1)
    assert east.sizes()["half open"] <= half_open.BURST + half_open.RATE


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The groups of all key exchanges that are made from now on."""
    made: list[int] = []
    original = key_exchange.KeyExchange.__init__

    def count(self: Any, group: int) -> None:
        made.append(group)
        original(self, group)

    monkeypatch.setattr(key_exchange.KeyExchange, "__init__", count)
    return made


def test_cve_14_a_strangers_first_packet_costs_no_key_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    made = counted(monkeypatch)
    network, _, east = pair()
    shared: list[bytes] = []
    monkeypatch.setattr(key_exchange.KeyExchange, "shared", lambda _self, peer: shared.append(peer) or b"")
    for number in range(1, 300):
        for packet in (first_message(number), *strange_firsts(number)):
            network.inject(path_of(WEST, EAST), packet)
            network.inject(path_of("203.0.113.9", EAST), packet)
    network.run(100)
    assert (made, shared, network.bugs()) == ([], [], [])


def strange_firsts(number: int) -> Iterator[bytes]:
    cookie = (1 << 32 | number).to_bytes(8, "big")
    for exchange in (Exchange.MAIN, Exchange.AGGRESSIVE, Exchange.QUICK, Exchange.INFORMATIONAL):
        for flags in (0, 1):
            header = Header(cookie, bytes(8), 0, exchange, flags, number)
            yield packet_of(header, raw(KeyExchangeData(bytes(32)), Nonce(bytes(32))))
            yield packet_of(replace(header, rcookie=b"whatever"), raw(KeyExchangeData(bytes(32)), Nonce(bytes(32))))


def test_cve_14_each_negotiation_costs_two_key_exchanges_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    made = counted(monkeypatch)
    network, west, east = pair()
    west.up()
    network.run(5)
    for sent in list(network.wire) * 10:
        network.inject(sent.path, sent.packet)
    network.run(100)
    assert len(made) == 4
    check(network, west, east)


# 15: chains of certificates (CVE-2017-9023)


def test_cve_15_more_certificates_than_anybody_needs(papers: Papers, monkeypatch: pytest.MonkeyPatch) -> None:
    network, west, east = certified(papers, keying_tries=1)
    original = authentication.proof

    def many(main: MainMode, identification: Identification, ours: bytes) -> tuple[Any, ...]:
        found = original(main, identification, ours)
        return found if str(main.sa.path.local) == EAST else (found[0], *[found[1]] * 20, found[2])

    monkeypatch.setattr(authentication, "proof", many)
    west.up()
    network.run(100)
    assert (west.statuses, east.isakmp(), network.bugs()) == ([31], 0, [])


# 17: what a peer says reaches the script's environment


@pytest.mark.parametrize(
    "name", [b"$(reboot)", b"`reboot`", b"a'; reboot; '", b'"; reboot', b"a\nb", b"a\0b", b"\\", "\u2028".encode()]
)
def test_cve_17_strings_of_the_peer_in_the_environment_of_updown(name: bytes) -> None:
    network = Network()
    east = network.box(EAST)
    east.add(connection(EAST, "%any", None))
    west = network.box(WEST)
    west.add(connection(WEST, EAST, None, ends={WEST: {"id": authentication.Identity(IdType.FQDN, name)}}))
    west.up()
    network.run(5)
    assert west.statuses == [0]
    given = [occasion.peer_id for occasion in east.updown.occasions if occasion.peer_id]
    assert given
    assert not any(set(text) & set("$`'\"\n\0\u2028;") - {";"} or not text.isprintable() for text in given)


# Any exception that leaves the dispatcher


@given(st.binary(max_size=200), st.sampled_from([WEST, "203.0.113.9"]))
def test_any_bytes_at_all(packet: bytes, source: str) -> None:
    network, west, east = STANDING
    east.engine.receive(packet, path_of(EAST, source), network.now)
    assert east.engine.bugs == 0


@settings(max_examples=300)
@given(st.data())
def test_any_payloads_under_the_sessions_own_keys(data: st.DataObject) -> None:
    network, west, east = STANDING
    sa = west.isakmp_sas[0]
    payloads = data.draw(st.lists(st.builds(Raw, st.integers(0, 22), st.binary(max_size=40)), min_size=1, max_size=4))
    exchange = data.draw(st.sampled_from([Exchange.INFORMATIONAL, Exchange.QUICK]))
    packet = phase_2(sa, exchange, data.draw(st.integers(1, 0xFFFFFFFF)), payloads)
    east.engine.receive(packet, path_of(EAST, WEST), network.now)
    assert (east.engine.bugs, network.bugs()) == (0, [])


STANDING = established()


def test_a_bug_does_not_get_out_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    network, west, east = established()
    from cygnet.ike import dispatch

    for error in (
        KeyError("k"),
        StopIteration(),
        RuntimeError("r"),
        OSError("o"),
        MemoryError(),
        RecursionError(),
        AssertionError(PSK.decode()),
    ):

        def broken(*_: Any, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(dispatch, "receive", broken)
        east.engine.receive(b"x", path_of(EAST, WEST), network.now)
        east.engine.timers.at(network.now, broken)
        east.engine.run_timers(network.now)
    assert east.engine.bugs == 14
    assert east.said("internal error with a packet from 192.0.2.1:500: KeyError at test_ike_cve.py:")
    assert PSK.decode() not in "\n".join(east.log)
    monkeypatch.undo()
    assert works(west, east)


def test_the_engine_has_no_port_but_the_ones_it_is_told() -> None:
    network = Network()
    for here, there in ((WEST, EAST), (EAST, WEST)):
        network.box(here, Setup(port=5000)).add(connection(here, there))
    west, east = network.boxes.values()
    west.up()
    network.run(5)
    check(network, west, east)
    assert {sent.path.remote_port for sent in network.wire} == {5000}
