"""Phase 1 and 2 proposals: what is offered is chosen and accepted, and nothing else is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cygnet.connection.connection import AuthBy, Connection, Type
from cygnet.connection.proposal import ChildProposal, IkeProposal
from cygnet.crypto.transforms import CIPHERS, GROUPS, INTEGRITIES
from cygnet.ike.fields import build, parse
from cygnet.ike.numbers import Auth, Ike, Ipsec, Mode, Protocol
from cygnet.ike.payloads import Proposal, SecurityAssociation, Transform
from cygnet.ike.v1 import phase_one, phase_two
from hypothesis import given
from hypothesis import strategies as st
from simulation import EAST, NAME, WEST, connection, established

IKE = st.sampled_from([
    IkeProposal(cipher.name, bits, hashed, group)
    for cipher in CIPHERS.values() if cipher.ike for bits in cipher.key_bits for hashed in INTEGRITIES for group in GROUPS
])  # fmt: skip
SUITES = [
    ChildProposal(cipher.name, bits, integrity)
    for cipher in CIPHERS.values() for bits in cipher.key_bits for integrity in ([""] if cipher.aead else INTEGRITIES)
] + [ChildProposal("", 0, integrity) for integrity in INTEGRITIES]  # fmt: skip
SUITES += [replace(suite, ah=ah) for suite in SUITES if suite.encryption for ah in ("md5", "sha2_256")]
SPIS = {Protocol.ESP: 0x1234567, Protocol.AH: 0x2345678, Protocol.IPCOMP: 0x4321}
OTHER_SPIS = {Protocol.ESP: 0x7654321, Protocol.AH: 0x7654322, Protocol.IPCOMP: 0x1111}
IKE_TRANSFORM = ((1, 7), (14, 128), (2, 4), (4, 31), (3, 1), (11, 1), (12, 3600))
GOOD = connection(WEST, EAST)
ACCEPTED = [phase_one.Offer(IkeProposal("aes", 128, "sha2_256", 31), Auth.PRESHARED)]


def through_the_wire(payload: SecurityAssociation) -> SecurityAssociation:
    return parse(SecurityAssociation, build(payload))


def ike_payload(*attributes: tuple[int, int | bytes], protocol: int = Protocol.ISAKMP) -> SecurityAssociation:
    return SecurityAssociation((Proposal(0, protocol, b"", (Transform(0, 1, attributes),)),))


@given(st.lists(IKE, min_size=1, max_size=8, unique=True), st.sampled_from([AuthBy.SECRET, AuthBy.RSASIG]))
def test_phase_1_the_first_of_ours_is_chosen_and_the_answer_accepted(ike: list[IkeProposal], auth: AuthBy) -> None:
    ours = connection(WEST, EAST, ike=tuple(ike), auth_by=auth, ike_lifetime=7200.0)
    offered = through_the_wire(phase_one.offer_payload(ours))
    chosen = phase_one.choose(offered, phase_one.offers(ours))
    assert (chosen.offer.proposal, chosen.lifetime) == (ike[0], 7200)
    assert phase_one.accept(through_the_wire(chosen.answer), offered).offer == chosen.offer


@given(
    st.lists(st.sampled_from(SUITES), min_size=1, max_size=8, unique=True), st.booleans(), st.sampled_from([0, 14, 31])
)
def test_phase_2_the_first_of_ours_is_chosen_and_the_answer_accepted(
    suites: list[ChildProposal], compress: bool, group: int
) -> None:
    ours = connection(WEST, EAST, child=tuple(suites), compress=compress)
    terms = phase_two.Terms(Mode.TUNNEL, group)
    offered = through_the_wire(phase_two.offer_payload(ours, terms, SPIS))
    chosen = phase_two.choose(offered, suites, (Mode.TUNNEL,), (group,))
    protocols = [phase_two.PROTOCOLS[layer.protocol] for layer in suites[0].layers] + [Protocol.IPCOMP] * compress
    assert (chosen.suite, chosen.terms) == (suites[0], terms)
    assert chosen.spis == {protocol: SPIS[protocol] for protocol in protocols}
    answer = through_the_wire(chosen.answer(OTHER_SPIS))
    assert phase_two.choose(answer, suites, (Mode.TUNNEL,), (group,)).spis == {
        one: OTHER_SPIS[one] for one in protocols
    }


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("single DES", (1, 1)), ("an unknown cipher", (1, 99)), ("a key length that AES does not have", (14, 129)),
        ("an unknown hash", (2, 99)), ("group 1", (4, 1)), ("an unknown group", (4, 99)), ("group 0", (4, 0)),
        ("signatures, where it is a secret", (3, 3)), ("XAUTH", (3, 65001)), ("another hash than ours", (2, 2)),
    ],
)  # fmt: skip
def test_phase_1_refuses(what: str, change: tuple[int, int]) -> None:
    changed = tuple(change if pair[0] == change[0] else pair for pair in IKE_TRANSFORM)
    phase_one.choose(ike_payload(*IKE_TRANSFORM), ACCEPTED)
    with pytest.raises(phase_one.NoProposal) as refusal:
        phase_one.choose(ike_payload(*changed), ACCEPTED)
    assert refusal.value.ours == "aes_128-sha2_256-group31 by preshared secret"
    assert refusal.value.theirs


@pytest.mark.parametrize(
    ("what", "payload"),
    [
        ("an attribute twice", ike_payload(*IKE_TRANSFORM, (1, 7))),
        ("an attribute that nobody knows", ike_payload(*IKE_TRANSFORM, (99, 1))),
        ("no group", ike_payload(*(pair for pair in IKE_TRANSFORM if pair[0] != Ike.GROUP))),
        ("no key length", ike_payload(*(pair for pair in IKE_TRANSFORM if pair[0] != Ike.KEY_LENGTH))),
        ("the wrong protocol", ike_payload(*IKE_TRANSFORM, protocol=Protocol.ESP)),
        ("no proposal at all", SecurityAssociation(())),
        ("no transform at all", SecurityAssociation((Proposal(0, Protocol.ISAKMP, b"", ()),))),
    ],
)
def test_phase_1_refuses_what_could_mean_anything(what: str, payload: SecurityAssociation) -> None:
    with pytest.raises(phase_one.NoProposal):
        phase_one.choose(payload, ACCEPTED)


@pytest.mark.parametrize(
    ("what", "answer"),
    [
        ("another cipher", ike_payload(*((14, 256) if pair[0] == 14 else pair for pair in IKE_TRANSFORM))),
        ("two transforms", SecurityAssociation((Proposal(0, 1, b"", (Transform(0, 1, IKE_TRANSFORM),) * 2),))),
        ("two proposals", SecurityAssociation((Proposal(0, 1, b"", (Transform(0, 1, IKE_TRANSFORM),)),) * 2)),
        ("none", SecurityAssociation(())),
    ],
)
def test_phase_1_believes_only_an_answer_that_is_one_of_its_offers(what: str, answer: SecurityAssociation) -> None:
    offered = ike_payload(*IKE_TRANSFORM)
    phase_one.accept(ike_payload(*IKE_TRANSFORM), offered)
    with pytest.raises(phase_one.NoProposal):
        phase_one.accept(answer, offered)


@pytest.mark.parametrize(
    ("what", "attributes", "seconds"),
    [
        ("seconds", ((11, 1), (12, 3600)), 3600),
        ("a long number", ((11, 1), (12, b"\x00\x01\x51\x80")), 86400),
        ("more than anybody lives", ((11, 1), (12, b"\xff" * 16)), 0x7FFFFFFF),
        ("kilobytes", ((11, 2), (12, 3600)), 0),
        ("kilobytes, then seconds", ((11, 2), (12, 9), (11, 1), (12, 60)), 60),
        ("no type", ((12, 3600),), 0),
        ("nothing", (), 0),
    ],
)
def test_a_lifetime(what: str, attributes: tuple[tuple[int, int | bytes], ...], seconds: int) -> None:
    assert phase_one.lifetime(Transform(1, 1, attributes), Ike.LIFE_TYPE, Ike.LIFE) == seconds


def offer(*proposals: Proposal) -> SecurityAssociation:
    return SecurityAssociation(proposals)


GCM = (Transform(1, 20, ((4, 1), (6, 128))),)
AES = (Transform(1, 12, ((4, 1), (5, 5), (6, 128))),)
AH = (Transform(1, 5, ((4, 1), (5, 5))),)
DEFLATE = (Transform(1, 2, ((4, 1),)),)
SPI = b"\x12\x34\x56\x78"
ALL = tuple(SUITES)


@pytest.mark.parametrize(
    ("what", "payload"),
    [
        ("null encryption", offer(Proposal(1, 3, SPI, (Transform(1, 11, ((4, 1), (5, 5))),)))),
        ("single DES", offer(Proposal(1, 3, SPI, (Transform(1, 2, ((4, 1), (5, 5))),)))),
        ("encryption without integrity", offer(Proposal(1, 3, SPI, (Transform(1, 12, ((4, 1), (6, 128))),)))),
        ("a combined-mode cipher with integrity", offer(Proposal(1, 3, SPI, (Transform(1, 20, ((4, 1), (6, 128), (5, 5))),)))),
        ("AH whose transform and attribute differ", offer(Proposal(1, 2, SPI, (Transform(1, 3, ((4, 1), (5, 5))),)))),
        ("transport mode", offer(Proposal(1, 3, SPI, (Transform(1, 20, ((4, 2), (6, 128))),)))),
        ("no mode", offer(Proposal(1, 3, SPI, (Transform(1, 20, ((6, 128),)),)))),
        ("a PFS group that nobody knows", offer(Proposal(1, 3, SPI, (Transform(1, 20, ((4, 1), (6, 128), (3, 77))),)))),
        ("extended sequence numbers", offer(Proposal(1, 3, SPI, (Transform(1, 20, ((4, 1), (6, 128), (11, 1))),)))),
        ("an attribute twice", offer(Proposal(1, 3, SPI, (Transform(1, 20, ((4, 1), (6, 128), (6, 256))),)))),
        ("a reserved SPI", offer(Proposal(1, 3, b"\0\0\0\xff", GCM))),
        ("an SPI of eight bytes", offer(Proposal(1, 3, bytes(4) + SPI, GCM))),
        ("no SPI", offer(Proposal(1, 3, b"", GCM))),
        ("a reserved CPI", offer(Proposal(1, 3, SPI, GCM), Proposal(1, 4, b"\0\x10", DEFLATE))),
        ("IPComp with an unknown algorithm", offer(Proposal(1, 3, SPI, GCM), Proposal(1, 4, b"\x12\x34", (Transform(1, 3),)))),
        ("IPComp alone", offer(Proposal(1, 4, b"\x12\x34", DEFLATE))),
        ("ESP and AH at once, which no suite of ours is", offer(Proposal(1, 3, SPI, AES), Proposal(1, 2, SPI, (Transform(1, 3, ((4, 1), (5, 2))),)))),
        ("ESP twice", offer(Proposal(1, 3, SPI, AES), Proposal(1, 3, SPI, GCM))),
        ("IPComp twice", offer(Proposal(1, 3, SPI, AES), *(Proposal(1, 4, b"\x12\x34", DEFLATE),) * 2)),
        ("ISAKMP", offer(Proposal(1, 1, SPI, GCM))),
        ("nothing", offer()),
        ("no transform", offer(Proposal(1, 3, SPI, ()))),
    ],
)  # fmt: skip
def test_phase_2_refuses(what: str, payload: SecurityAssociation) -> None:
    phase_two.choose(offer(Proposal(1, 3, SPI, GCM), Proposal(1, 4, b"\x12\x34", DEFLATE)), ALL, (Mode.TUNNEL,), (0,))
    with pytest.raises(phase_one.NoProposal):
        phase_two.choose(through_the_wire(payload), ALL, (Mode.TUNNEL,), (0,))


def test_phase_2_without_pfs_is_refused_where_pfs_is_wanted() -> None:
    with pytest.raises(phase_one.NoProposal, match="PFS"):
        phase_two.choose(offer(Proposal(1, 3, SPI, GCM)), ALL, (Mode.TUNNEL,), (14, 31))


def test_a_later_proposal_is_taken_where_the_first_ones_do_not_fit() -> None:
    payload = offer(Proposal(1, 3, SPI, AES), Proposal(2, 2, SPI, AH), Proposal(3, 3, SPI, GCM))
    assert (
        phase_two.choose(
            payload, SUITES[9:10] + [ChildProposal("aes_gcm", 128, "")], (Mode.TUNNEL,), (0,)
        ).suite.encryption
        == "aes_gcm"
    )


@given(st.lists(st.builds(Proposal, st.integers(0, 3), st.integers(0, 5), st.binary(max_size=8), st.lists(
    st.builds(Transform, st.integers(0, 3), st.integers(0, 30), st.lists(
        st.tuples(st.integers(1, 16), st.integers(0, 40) | st.binary(max_size=9)), max_size=5).map(tuple)),
    max_size=3).map(tuple)), max_size=4).map(tuple))  # fmt: skip
def test_any_proposals_are_chosen_from_or_refused_in_words(proposals: tuple[Proposal, ...]) -> None:
    payload = SecurityAssociation(proposals)
    for choose, arguments in ((phase_one.choose, (ACCEPTED,)), (phase_two.choose, (ALL, tuple(Mode), (0, 31)))):
        try:
            chosen = choose(payload, *arguments)
        except phase_one.NoProposal as refusal:
            assert "Ours: " in str(refusal)
            assert len(str(refusal)) < 4000
        else:
            assert chosen


@pytest.mark.parametrize("ours", [GOOD, replace(GOOD, type=Type.TRANSPORT)], ids=["tunnel", "transport"])
def test_esn_is_never_offered(ours: Connection) -> None:
    payload = phase_two.offer_payload(ours, phase_two.Terms(Mode.TUNNEL, 31), SPIS)
    assert all(t.get(Ipsec.ESN) is None for proposal in payload.proposals for t in proposal.transforms)


def test_what_is_weak_is_logged_when_it_is_used_and_only_then() -> None:
    old = {"ike": (IkeProposal("3des", 192, "md5", 2),), "child": (ChildProposal("3des", 192, "sha1"),)}
    _, west, east = established(**old)
    for box in (west, east):
        assert [line for line in box.log if "weak" in line] == [
            f'"{NAME}" #1: WARNING: weak, and used because the connection names it: 3des, md5, modp1024',
            f'"{NAME}" #2: WARNING: weak, and used because the connection names it: 3des, sha1, modp1024',
        ]
    _, west, _ = established()
    assert not west.said("weak")
