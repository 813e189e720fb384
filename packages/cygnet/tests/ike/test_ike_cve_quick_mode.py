"""Class 9 of vulnerabilities that IKE daemons have had: what a peer that is known asks for in quick mode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cygnet.connection.identity import IdType
from cygnet.ike.numbers import Exchange, PayloadType
from cygnet.ike.payloads import (
    Identification,
    Nonce,
    Proposal,
    SecurityAssociation,
    Transform,
)  # fmt: skip
from cygnet.ike.v1 import authentication
from forgery import (
    FROM_WEST,
    QUICK_KE,
    QUICK_NONCE,
    QUICK_SA,
    Raw,
    as_peer,
    check,
    phase_2,
    raw,
    sealed,
    unharmed,
)
from simulation import (
    EAST,
    WEST,
    Network,
    connection,
    established,
    pair,
)  # fmt: skip

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


def test_cve_09_a_peer_gets_no_traffic_of_a_connection_for_another_identity() -> None:
    network = Network()
    names = [authentication.Identity(IdType.FQDN, name) for name in (b"west", b"north")]
    nets = [("10.1.0.0/24", "10.2.0.0/24"), ("10.3.0.0/24", "10.4.0.0/24")]
    west, east = network.box(WEST), network.box(EAST)
    for number in (0, 1):
        east.add(
            replace(
                connection(EAST, WEST, nets[number], ends={WEST: {"id": names[number]}}), name=f"for {names[number]}"
            )
        )
        made = connection(WEST, EAST, nets[number], ends={WEST: {"id": names[0]}}, keying_tries=1)
        west.add(replace(made, name=f"number {number}"))
        west.up(f"number {number}")
        network.run(10)
    assert west.statuses == [0, 31]
    assert east.said("no connection is for traffic between 10.4.0.0/24 here and 10.3.0.0/24 at @west")
    assert (east.pairs(), network.bugs()) == (1, [])


Payloads = tuple[Any, ...]
TRANSFORMS: dict[str, Callable[[Transform], Transform]] = {
    "another cipher": lambda transform: replace(transform, id=12),
    "another mode": lambda transform: replace(transform, attributes=((4, 2), (6, 128), (3, 31))),
    "a longer key": lambda transform: replace(transform, attributes=((4, 1), (6, 256), (3, 31))),
    "no PFS": lambda transform: replace(transform, attributes=((4, 1), (6, 128))),
}


@pytest.mark.parametrize("count", [0, 2])
def test_cve_09_an_answer_of_quick_mode_that_leaves_a_choice_is_refused(count: int) -> None:
    def change(payloads: Payloads) -> Payloads:
        first = payloads[0].proposals[0]
        return (SecurityAssociation((replace(first, transforms=first.transforms * count),)), *payloads[1:])

    answer_spoiled(change)


@pytest.mark.parametrize("what", TRANSFORMS)
def test_cve_09_an_answer_of_quick_mode_with_other_terms_is_refused(what: str) -> None:
    def change(payloads: Payloads) -> Payloads:
        first = payloads[0].proposals[0]
        made = replace(first, transforms=(TRANSFORMS[what](first.transforms[0]),))
        return (SecurityAssociation((made,)), *payloads[1:])

    answer_spoiled(change)


@pytest.mark.parametrize(
    "identities", [(ANYWHERE, ANYWHERE), FROM_WEST[::-1], (FROM_WEST[0],), (FROM_WEST[0], ANYWHERE)]
)
def test_cve_09_an_answer_of_quick_mode_for_other_traffic_is_refused(identities: Payloads) -> None:
    answer_spoiled(lambda payloads: (*payloads[:3], *identities))


def answer_spoiled(change: Callable[[Payloads], Payloads]) -> None:
    """The responder's answer is other than what was offered: the initiator takes none of it."""
    network, west, east = pair(keying_tries=1)
    choose = east.engine.children.lives_for

    def lives_for(*arguments: Any) -> Any:
        for quick in east.engine.children.quick_modes(arguments[0]):
            seal = quick.seal
            quick.seal = lambda before, payloads, seal=seal: seal(before, change(payloads))  # type: ignore[misc, method-assign]
        return choose(*arguments)

    east.engine.children.lives_for = lives_for
    west.up()
    network.run(200)
    assert (west.pairs(), west.kernel.sas, east.kernel.sas, network.bugs()) == (0, {}, {}, [])


def test_cve_09_a_confirmation_with_a_wrong_hash_confirms_nothing() -> None:
    network, west, east = pair(keying_tries=1)
    network.tamper = lambda _path, packet: packet if len(network.wire) < 9 else None
    west.up()
    network.run(1)
    [quick], [sa] = east.engine.children.quicks[east.isakmp_sas[0]].values(), west.isakmp_sas
    for proof in (b"", bytes(32), b"\xff" * 32):
        packet, _ = sealed(sa, sa.header(Exchange.QUICK, quick.message_id), [Raw(PayloadType.HASH, proof)], quick.iv)
        network.inject(sa.path, packet)
    network.run(1)
    assert east.pairs() == 0
    network.tamper = lambda _path, packet: packet
    network.run(30)
    check(network, west, east)
