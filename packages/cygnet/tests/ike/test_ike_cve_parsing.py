"""Classes 1 to 7 of vulnerabilities that IKE daemons have had: packets that are not what they say.

A run is good if no bug was hit, an established tunnel goes on, and an honest retransmission still gets through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from cygnet.crypto import exchange as key_exchange
from cygnet.crypto.exchange import modp_prime
from cygnet.crypto.transforms import GROUPS
from cygnet.ike.message import HEADER_SIZE, MOST_BYTES, Header, read_header
from cygnet.ike.numbers import FLAG_ENCRYPTED, Exchange, Notify, PayloadType, Protocol
from cygnet.ike.payloads import (
    Delete,
    HashData,
    KeyExchangeData,
    Nonce,
    Notification,
)  # fmt: skip
from forgery import (
    FROM_WEST,
    QUICK,
    QUICK_NONCE,
    QUICK_SA,
    Raw,
    as_peer,
    chain_of,
    check,
    nth,
    packet_of,
    phase_2,
    raw,
    rewritten,
    swap,
    unharmed,
)
from simulation import (
    EAST,
    WEST,
    Box,
    connection,
    established,
    pair,
    path_of,
    works,
)  # fmt: skip

CLEAR = range(1, 5)


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


@pytest.mark.parametrize("number", [3, 4])
@pytest.mark.parametrize("size", [0, 7, 257, 2000])
def test_cve_02_nonces_of_a_length_that_they_cannot_have(number: int, size: int) -> None:
    network, west, east = pair(keying_tries=1)
    network.tamper = nth(number, lambda packet: swap(packet, PayloadType.NONCE, bytes(size)), 99)
    west.up()
    network.run(200)
    assert (west.isakmp(), east.isakmp(), network.bugs()) == (0, 0, [])
    assert (east if number == 3 else west).said(f"a nonce of {size} bytes")


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
