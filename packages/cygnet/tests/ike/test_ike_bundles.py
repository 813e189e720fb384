"""``auth=ah``: ESP within AH, one choice of quick mode, two pairs of SAs that live and die together."""

from __future__ import annotations

from typing import Any

import pytest
from cygnet.connection.connection import Setup, Type
from cygnet.connection.proposal import ChildProposal
from cygnet.crypto import derive
from cygnet.ike.numbers import Mode, Protocol
from cygnet.ike.payloads import Delete, Proposal, SecurityAssociation, Transform
from cygnet.ike.v1 import informational, phase_one, phase_two
from hypothesis import given
from hypothesis import strategies as st
from simulation import (
    EAST,
    NAME,
    SHORT,
    WEST,
    Box,
    Network,
    carried,
    connection,
    established,
    pair,
    watch,
    works,
)  # fmt: skip

# What FreeS/WAN offers for auth=ah: AH by either hash, and 3DES that has none of its own.
TUNNEL, TRANSPORT = ((4, 1), (1, 1), (2, 28800)), ((4, 2), (1, 1), (2, 28800))
SPI, OTHER, CPI = b"\x12\x34\x56\x78", b"\x12\x34\x56\x79", b"\x12\x34"
MD5, SHA1 = Transform(0, 2, (*TUNNEL, (5, 1))), Transform(1, 3, (*TUNNEL, (5, 2)))
BARE_3DES, DEFLATE = Transform(0, 3, TUNNEL), Transform(0, 2, TUNNEL)
AH, ESP = Proposal(0, Protocol.AH, OTHER, (MD5, SHA1)), Proposal(0, Protocol.ESP, SPI, (BARE_3DES,))
COMP = Proposal(0, Protocol.IPCOMP, CPI, (DEFLATE,))
OLD = ChildProposal("3des", 192, "md5", ah="md5")
BUNDLES = {
    "CBC": ChildProposal("aes", 128, "sha2_256", ah="sha2_512"), "GCM": ChildProposal("aes_gcm", 256, "", ah="sha1"),
    "3DES": OLD, "one without integrity of its own": ChildProposal("aes_ctr", 128, "", ah="sha2_256"),
}  # fmt: skip
ESP_AND_AH = {"child": (BUNDLES["CBC"],)}


def names(box: Box) -> list[tuple[str, str]]:
    """Protocol and mode of every SA in its kernel."""
    return sorted((sa.key.protocol, sa.mode) for sa in box.kernel.sas.values())


def both_or_nothing(west: Box, east: Box) -> bool:
    """Every pair is whole: as many SAs as its children have legs, at both ends."""
    boxes = all(len(box.kernel.sas) == 4 * len([c for live in box.engine.roster.everyone() for c in live.children])
                for box in (west, east))  # fmt: skip
    return boxes and len(west.kernel.sas) == len(east.kernel.sas)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("kind", [Type.TUNNEL, Type.TRANSPORT])
@pytest.mark.parametrize("what", BUNDLES)
def test_both_ends_agree_on_a_bundle_and_it_carries(what: str, kind: Type, compress: bool) -> None:
    nets = {} if kind is Type.TUNNEL else {"nets": None}
    network, west, east = established(type=kind, compress=compress, child=(BUNDLES[what],), **nets)
    assert works(west, east) if kind is Type.TUNNEL else works(west, east, WEST, EAST)
    modes = ["transport"] * (2 + compress)
    modes[0] = kind.value
    bundle = zip(["comp", "esp", "ah"][not compress :], modes, strict=True)
    assert names(west) == names(east) == sorted([*bundle] * 2)
    assert network.bugs() == []
    [child] = west.children
    assert west.was_told(f"{{AH=>0x{child.sa.legs[-1].spi_out:08x} <0x{child.sa.legs[-1].spi_in:08x} ")
    assert west.was_told(f" ESP=>0x{child.sa.legs[-2].spi_out:08x} <0x{child.sa.legs[-2].spi_in:08x} ")
    assert any(f" esp.{child.sa.legs[-2].spi_in:x}@{WEST} " in line for line in west.engine.status())


def test_each_protocol_has_an_spi_and_keys_of_its_own_as_rfc_2409_derives_them() -> None:
    _, west, east = established(child=(OLD,), ike=connection(WEST, EAST).ike, pfs=False)
    [mine], [its] = west.children, east.children
    quick = next(iter(east.engine.children.quicks[east.isakmp_sas[0]].values()))
    keys = east.isakmp_sas[0].need_keys()
    for leg, other, protocol, size in zip(
        mine.sa.legs, its.sa.legs, (Protocol.ESP, Protocol.AH), (40, 16), strict=True
    ):
        assert (leg.spi_in, leg.spi_out, leg.key_in, leg.key_out) == (
            other.spi_out, other.spi_in, other.key_out, other.key_in
        )  # fmt: skip
        for spi, key in ((leg.spi_in, leg.key_in), (leg.spi_out, leg.key_out)):
            spi_bytes, nonces = spi.to_bytes(4, "big"), (quick.peer_nonce, quick.nonce)
            assert key == derive.keymat(keys.hash, keys.d, protocol, spi_bytes, *nonces, b"", size)
    spis = [spi for leg in mine.sa.legs for spi in (leg.spi_in, leg.spi_out)]
    assert len(set(spis)) == 4


def test_ah_is_offered_around_each_esp_of_the_list_outermost_first_and_what_shares_an_ah_shares_a_number() -> None:
    suites = [
        ChildProposal(*one, ah=ah) for ah in ("md5", "sha1") for one in (("3des", 192, "md5"), ("aes", 128, "sha1"))
    ]
    ours = connection(WEST, EAST, child=tuple(suites), compress=True)
    spis = {Protocol.ESP: 0x1111, Protocol.AH: 0x2222, Protocol.IPCOMP: 0x3333}
    offered = phase_two.offer_payload(ours, phase_two.Terms(Mode.TUNNEL, 0), spis)
    assert [(p.number, p.protocol, int.from_bytes(p.spi, "big"), len(p.transforms)) for p in offered.proposals] == [
        (0, 2, 0x2222, 1), (0, 3, 0x1111, 2), (0, 4, 0x3333, 1), (1, 2, 0x2222, 1), (1, 3, 0x1111, 2), (1, 4, 0x3333, 1),
        (2, 2, 0x2222, 1), (2, 3, 0x1111, 2), (3, 2, 0x2222, 1), (3, 3, 0x1111, 2),
    ]  # fmt: skip


def taken(*proposals: Proposal, suites: tuple[ChildProposal, ...] = (OLD,)) -> ChildProposal | None:
    """What a responder makes of an offer; None if nothing."""
    accepted = phase_two.acceptable(suites)
    try:
        chosen = phase_two.choose(SecurityAssociation(proposals), accepted, (Mode.TUNNEL,), (0,))
    except phase_one.NoProposal:
        return None
    answer = chosen.answer({Protocol.ESP: 0x1111, Protocol.AH: 0x2222, Protocol.IPCOMP: 0x3333})
    bundles = [[p.protocol for p in bundle] for bundle in phase_two.bundles(SecurityAssociation(proposals))]
    assert [p.protocol for p in answer.proposals] in bundles
    assert [len(p.transforms) for p in answer.proposals] == [1] * len(answer.proposals)
    return chosen.suite


BARE = ChildProposal("3des", 192, "", ah="md5")
WITH_MD5 = Proposal(0, Protocol.ESP, SPI, (Transform(0, 3, (*TUNNEL, (5, 1))),))
OFFERS = [
    ("FreeS/WAN's own", (AH, ESP), BARE),
    ("FreeS/WAN's own, compressed", (AH, ESP, COMP), BARE),
    ("ESP before AH", (ESP, AH), BARE),
    ("ESP with integrity of its own", (AH, WITH_MD5), OLD),
    ("only the other hash for AH", (Proposal(0, 2, OTHER, (SHA1,)), ESP), None),
    ("ESP alone without integrity", (ESP,), None),
    ("ESP alone with integrity", (WITH_MD5,), None),
    ("AH alone", (AH,), None),
    ("AH and IPComp", (AH, COMP), None),
    ("AH beside ESP, not around it", (AH, Proposal(1, 3, SPI, (BARE_3DES,))), None),
    ("two AH", (AH, ESP, Proposal(0, 2, SPI, (MD5,))), None),
    ("two modes", (AH, Proposal(0, 3, SPI, (Transform(0, 3, TRANSPORT),))), None),
    ("AH of another mode", (Proposal(0, 2, OTHER, (Transform(0, 2, (*TRANSPORT, (5, 1))),)), ESP), None),
    ("AH of another PFS group", (Proposal(0, 2, OTHER, (Transform(0, 2, (*TUNNEL, (5, 1), (3, 14))),)), ESP), None),
    ("two PFS groups", (AH, Proposal(0, 3, SPI, (Transform(0, 3, (*TUNNEL, (3, 14))),))), None),
    ("a reserved SPI of AH", (Proposal(0, 2, b"\0\0\0\xff", (MD5,)), ESP), None),
    ("no SPI of AH", (Proposal(0, 2, b"", (MD5,)), ESP), None),
    ("no transform of AH", (Proposal(0, 2, OTHER, ()), ESP), None),
    ("something that nobody knows beside it", (AH, ESP, Proposal(0, 9, SPI, (MD5,))), None),
    ("single DES within AH", (AH, Proposal(0, 3, SPI, (Transform(0, 2, TUNNEL),))), None),
    ("null encryption within AH", (AH, Proposal(0, 3, SPI, (Transform(0, 11, TUNNEL),))), None),
]


@pytest.mark.parametrize(("what", "offer", "suite"), OFFERS, ids=[row[0] for row in OFFERS])
def test_what_a_responder_takes_for_auth_ah(
    what: str, offer: tuple[Proposal, ...], suite: ChildProposal | None
) -> None:
    assert taken(*offer) == suite


def test_a_bundle_lives_as_long_as_the_first_of_its_protocols() -> None:
    short = Proposal(0, Protocol.AH, OTHER, (Transform(0, 2, ((4, 1), (1, 1), (2, 3600), (5, 1))),))
    for offer in ((short, ESP, COMP), (ESP, short)):
        assert phase_two.choose(SecurityAssociation(offer), (BARE,), (Mode.TUNNEL,), (0,)).lifetime == 3600


def test_a_bundle_is_not_taken_where_esp_alone_is_wanted_nor_the_other_way_round() -> None:
    esp, ah = ChildProposal("3des", 192, "md5"), ChildProposal("", 0, "md5")
    assert taken(AH, WITH_MD5, suites=(esp, ah)) is None
    assert taken(AH, ESP, Proposal(1, 3, SPI, WITH_MD5.transforms), suites=(esp, ah)) == esp


PARTS = st.sampled_from([
    AH, ESP, COMP, WITH_MD5, Proposal(0, 3, SPI, (BARE_3DES, Transform(1, 12, (*TUNNEL, (6, 128))))),
    Proposal(1, 3, SPI, (BARE_3DES,)), Proposal(1, 2, OTHER, (SHA1,)), Proposal(0, 3, SPI, (Transform(1, 13, (*TUNNEL, (6, 128))),)),
])  # fmt: skip


@given(
    st.lists(PARTS, max_size=5),
    st.lists(st.sampled_from([*BUNDLES.values(), ChildProposal("3des", 192, "md5")]), max_size=3),
)
def test_whatever_is_chosen_has_integrity(offer: list[Proposal], suites: list[ChildProposal]) -> None:
    suite = taken(*offer, suites=tuple(suites))
    assert suite is None or suite.integrity or suite.ah


def test_an_initiator_takes_no_answer_that_leaves_out_what_it_offered() -> None:
    ours = connection(WEST, EAST, child=(OLD,))
    with pytest.raises(phase_one.NoProposal):
        phase_two.choose(SecurityAssociation((AH, ESP)), ours.child, (Mode.TUNNEL,), (0,))


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("who", ["west", "east"])
def test_a_peer_that_deletes_one_of_the_two_has_deleted_both(who: str, index: int) -> None:
    network, west, east = established(**ESP_AND_AH, keying_tries=1)
    sender, other = (west, east) if who == "west" else (east, west)
    leg = sender.children[0].sa.legs[index]
    protocol = (Protocol.ESP, Protocol.AH)[index]
    informational.send(sender.engine, sender.isakmp_sas[0], Delete(5 - protocol, (leg.spi_in.to_bytes(4, "big"),)))
    network.run(1)
    assert other.pairs() == 1
    informational.send(sender.engine, sender.isakmp_sas[0], Delete(protocol, (leg.spi_in.to_bytes(4, "big"),)))
    network.run(1)
    assert other.said("the peer has deleted it")
    assert both_or_nothing(west, east)


def test_down_names_both_to_the_peer_and_leaves_neither() -> None:
    network, west, east = established(**ESP_AND_AH)
    sent: list[Delete] = []
    send = informational.send

    def note(engine: Any, sa: Any, *payloads: Any) -> None:
        sent.extend(one for one in payloads if isinstance(one, Delete))
        send(engine, sa, *payloads)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(informational, "send", note)
        spis = [leg.spi_in.to_bytes(4, "big") for leg in west.children[0].sa.legs]
        west.down()
    network.run(1)
    assert sent[:2] == [Delete(Protocol.AH, (spis[1],)), Delete(Protocol.ESP, (spis[0],))]
    assert (west.kernel.sas, east.kernel.sas, network.bugs()) == ({}, {}, [])


@pytest.mark.parametrize("protocol", ["esp", "ah"])
def test_one_that_expires_in_the_kernel_takes_the_other_with_it(protocol: str) -> None:
    network, west, east = established(**ESP_AND_AH)
    [inbound] = [key for key, sa in west.kernel.sas.items() if not sa.outbound and key.protocol == protocol]
    west.kernel.expire(inbound, hard=True)
    west.kernel_events()
    network.run(1)
    assert west.said("expired in the kernel")
    assert both_or_nothing(west, east)


def test_a_bundle_is_rekeyed_for_hours_and_loses_no_packet() -> None:
    network, west, east = established(**ESP_AND_AH, **SHORT)
    lost = watch(network, west, east)
    network.run(3 * 3600)
    assert lost == []
    assert (west.pairs(), east.pairs(), west.isakmp()) == (1, 1, 1)
    assert both_or_nothing(west, east)
    assert network.bugs() == []


@pytest.mark.parametrize("suite", [OLD, ChildProposal("", 0, "sha1")], ids=["auth=ah", "phase2=ah"])
@pytest.mark.parametrize("forced", ["west", "east"])
def test_ah_does_not_go_through_an_address_translator_and_both_ends_say_so(forced: str, suite: ChildProposal) -> None:
    network, west, east = pair(child=(suite,), keying_tries=1, **{forced: {"force_encaps": True}})
    west.up()
    network.run(30)
    assert west.statuses == [31]
    assert west.was_told("AH cannot pass the address translator between the two ends")
    # West may not know of a translator that only east believes in, and hears of it.
    assert (west.kernel.sas, east.kernel.sas, network.bugs()) == ({}, {}, [])


def test_a_responder_says_that_ah_cannot_pass_where_the_peer_offers_something_else() -> None:
    network = Network()
    west, east = network.box(WEST, Setup()), network.box(EAST)
    west.add(connection(WEST, EAST, force_encaps=True, keying_tries=1))
    east.add(connection(EAST, WEST, child=(OLD,)))
    west.up()
    network.run(10)
    assert east.said("AH cannot pass the address translator between the two ends")
    assert west.was_told("the peer refused: NO_PROPOSAL_CHOSEN (AH cannot pass the address translator")


def test_a_mismatch_of_bundles_is_shown_in_words_at_both_ends() -> None:
    network, west, east = pair(west={"child": (OLD,)}, keying_tries=1)
    west.up()
    network.run(10)
    assert east.said("Theirs: md5 (tunnel, PFS group31) with ESP, 3des_192-md5 (tunnel, PFS group31) with AH")
    assert west.was_told("Our proposals were: 3des_192-md5 with AH md5 (tunnel, PFS group31)")


def test_a_freeswan_peer_that_leaves_the_integrity_to_ah_gets_its_tunnel() -> None:
    network, west, east = pair(west={"child": (BARE,)}, east={"child": (OLD,)})
    west.up()
    network.run(5)
    assert carried(west, east) == ("delivered", "delivered")
    assert {leg.integrity for leg in east.children[0].sa.legs} == {"", "md5"}
    assert east.said(f'"{NAME}" #2: WARNING: weak, and used because the connection names it: 3des, md5')
