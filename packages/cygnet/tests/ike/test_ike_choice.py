"""Several connections with one peer: the responder takes the first that fits what the peer offers, asks for and proves."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from conftest import TODAY, Papers
from cygnet.connection.connection import AuthBy, Connection, HostKind, Type
from cygnet.connection.identity import Identity, IdType
from cygnet.connection.proposal import ChildProposal, IkeProposal
from cygnet.connection.secret import PresharedKey, RsaSecret, Secrets
from cygnet.crypto.rsa import PrivateKey
from simulation import EAST, FAST_CHILD, PSK, SECRET, WEST, Box, Changes, Network, carried, connection, works

AES, OLD = FAST_CHILD[1], ChildProposal("3des", 192, "sha1")
AES_IKE, OLD_IKE = IkeProposal("aes", 128, "sha2_256", 31), IkeProposal("3des", 192, "sha1", 31)
HOSTS = {"nets": None}


def boxes(secrets: tuple[Secrets, Secrets] = (SECRET, SECRET), **own: Any) -> tuple[Network, Box, Box]:
    """West and east without connections; each has its secrets."""
    network = Network()
    return network, network.box(WEST, secrets=secrets[0], **own), network.box(EAST, secrets=secrets[1], **own)


def named(name: str, here: str, there: str, nets: Any = ("10.1.0.0/24", "10.2.0.0/24"), **changes: Any) -> Connection:
    """A connection under a name."""
    return replace(connection(here, there, nets, **{"keying_tries": 1, **changes}), name=name)


def offered(west_has: Changes, *east_has: Changes) -> tuple[Network, Box, Box]:
    """West brings its one connection up; east has "first", "second" ..., all for the same traffic."""
    network, west, east = boxes()
    west.add(named("mine", WEST, EAST, **west_has))
    for name, changes in zip(("first", "second", "third"), east_has, strict=False):
        east.add(named(name, EAST, WEST, **changes))
    west.up("mine")
    network.run(30)
    assert network.bugs() == []
    return network, west, east


def up_at(box: Box) -> list[str]:
    """Names of the connections that have a pair of SAs."""
    return [live.connection.name for live in box.engine.roster.everyone() if live.children]


# What west asks for in phase 2, what east has, which connection serves it.
PHASE_2 = [
    ("the suites of the first", {"child": (AES,)}, ({"child": (AES,)}, {"child": (OLD,)}), "first"),
    ("the suites of the second", {"child": (OLD,)}, ({"child": (AES,)}, {"child": (OLD,)}), "second"),
    ("suites that both have", {"child": (OLD, AES)}, ({"child": (AES,)}, {"child": (OLD,)}), "first"),
    ("a bundle of the second", {"child": (replace(AES, ah="sha1"),)}, ({}, {"child": (replace(AES, ah="sha1"),)}), "second"),
    ("AH alone of the third", {"child": (ChildProposal("", 0, "sha1"),)},
     ({}, {"child": (OLD,)}, {"child": (ChildProposal("", 0, "sha1"),)}), "third"),
    ("no PFS, as only the second allows", {"pfs": False}, ({}, {"pfs": False}), "second"),
    ("a PFS group of the second", {"pfs_groups": (2,)}, ({}, {"pfs_groups": (2,)}), "second"),
    ("transport mode, as only the second has it", {"type": Type.TRANSPORT, **HOSTS},
     (HOSTS, {"type": Type.TRANSPORT, **HOSTS}), "second"),
    ("tunnel mode, as only the second has it", HOSTS, ({"type": Type.TRANSPORT, **HOSTS}, HOSTS), "second"),
    ("traffic that only the second is for", {"child": (OLD,)},
     ({"child": (OLD,), "nets": ("10.1.0.0/24", "10.9.0.0/24")}, {"child": (OLD,)}), "second"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "mine", "theirs", "served"), PHASE_2, ids=[row[0] for row in PHASE_2])
def test_in_quick_mode_the_first_connection_whose_terms_fit_serves(
    what: str, mine: Changes, theirs: tuple[Changes, ...], served: str
) -> None:
    network, west, east = offered(mine, *theirs)
    assert west.statuses == [0], east.log
    assert up_at(east) == [served]
    flow = (WEST, EAST) if "nets" in mine else ("10.1.0.5", "10.2.0.5")
    assert works(west, east, *flow), carried(west, east, *flow)
    west.down("mine")
    network.run(5)
    assert (west.kernel.sas, east.kernel.sas) == ({}, {})


def test_where_no_terms_fit_the_answer_is_what_the_first_one_takes() -> None:
    _, west, east = offered({"child": (OLD,)}, {"child": (AES,)}, {"child": (replace(OLD, ah="sha1"),)})
    assert west.statuses == [31]
    assert west.was_told("the peer refused: NO_PROPOSAL_CHOSEN (this end takes: aes_128-sha2_256 (tunnel, PFS))")
    assert east.said('"first" #2: no proposal in common. Ours: aes_128-sha2_256')
    assert east.kernel.sas == {}


def test_terms_do_not_open_the_traffic_of_a_connection_that_asks_for_another_proof() -> None:
    _, west, east = offered({"child": (OLD,)}, {"child": (AES,)}, {"child": (OLD,), "auth_by": AuthBy.RSASIG})
    assert west.statuses == [31]
    assert east.kernel.sas == {}


def test_a_road_warrior_gets_an_instance_of_the_connection_that_fits() -> None:
    network, west, east = boxes()
    west.add(named("mine", WEST, EAST, None, child=(OLD,)))
    for name, child in (("first", AES), ("second", OLD)):
        east.add(named(name, EAST, "%any", None, child=(child,)))
    west.up("mine")
    network.run(5)
    assert [live.label for live in east.engine.roster.everyone() if live.children] == [f'"second"[1] {WEST}']
    west.down("mine")
    network.run(5)
    assert list(east.engine.roster.instances) == []


def test_two_tunnels_for_the_same_traffic_each_find_their_own_connection() -> None:
    network, west, east = boxes()
    for name, child in (("first", AES), ("second", OLD)):
        west.add(named(name, WEST, EAST, child=(child,)))
        east.add(named(name, EAST, WEST, child=(child,)))
    for name in ("second", "first"):
        west.up(name)
        network.run(5)
    assert (sorted(up_at(west)), sorted(up_at(east))) == (["first", "second"], ["first", "second"])
    assert west.isakmp() == 1


# What west asks for in phase 1, what east has.
BY_SECRET, BY_RSA, BY_EITHER = {"auth_by": AuthBy.SECRET}, {"auth_by": AuthBy.RSASIG}, {"auth_by": AuthBy.EITHER}
PHASE_1 = [
    ("the cipher of the second", {"ike": (OLD_IKE,)}, ({"ike": (AES_IKE,)}, {"ike": (OLD_IKE,)}), "second"),
    ("ciphers of both", {"ike": (OLD_IKE, AES_IKE)}, ({"ike": (AES_IKE,)}, {"ike": (OLD_IKE,)}), "second"),
    ("a secret, the second has secrets", BY_SECRET, (BY_RSA, BY_SECRET), "second"),
    ("signatures, the second has them", BY_RSA, (BY_SECRET, BY_RSA), "second"),
    ("either, the second has signatures only", BY_EITHER, ({**BY_SECRET, "ike": (OLD_IKE,)}, BY_RSA), "second"),
    ("a secret, the first takes either", BY_SECRET, (BY_EITHER, BY_RSA), "first"),
    ("phase 1 of either, phase 2 of the one by secret", {**BY_SECRET, "child": (OLD,)},
     ({**BY_EITHER, "child": (AES,)}, {**BY_RSA, "child": (OLD,)}, {**BY_SECRET, "child": (OLD,)}), "third"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "mine", "theirs", "served"), PHASE_1, ids=[row[0] for row in PHASE_1])
def test_in_main_mode_the_first_connection_whose_proposals_fit_serves(
    what: str, mine: Changes, theirs: tuple[Changes, ...], served: str, rsa_keys: tuple[PrivateKey, PrivateKey]
) -> None:
    wests, easts = rsa_keys
    both = [Secrets((PresharedKey((), PSK),), (RsaSecret((), key),)) for key in rsa_keys]
    ends = {WEST: {"public_keys": (wests.public.blob,)}, EAST: {"public_keys": (easts.public.blob,)}}
    network, west, east = boxes((both[0], both[1]))
    west.add(named("mine", WEST, EAST, ends=ends, **mine))
    for name, changes in zip(("first", "second", "third"), theirs, strict=False):
        east.add(named(name, EAST, WEST, ends=ends, **changes))
    west.up("mine")
    network.run(5)
    assert west.statuses == [0], east.log
    assert up_at(east) == [served]
    assert works(west, east)


def test_tunnels_that_need_a_proof_each_do_not_take_each_other_down(rsa_keys: tuple[PrivateKey, PrivateKey]) -> None:
    """The second phase 1 with a peer is no sign that the peer has started anew."""
    both = [Secrets((PresharedKey((), PSK),), (RsaSecret((), key),)) for key in rsa_keys]
    ends = dict(zip((WEST, EAST), ({"public_keys": (key.public.blob,)} for key in rsa_keys), strict=True))
    network, west, east = boxes((both[0], both[1]))
    for name, how, number in (("by secret", BY_SECRET, 1), ("by signature", BY_RSA, 3)):
        nets = (f"10.{number}.0.0/24", f"10.{number + 1}.0.0/24")
        west.add(named(name, WEST, EAST, nets, ends=ends, **how))
        east.add(named(name, EAST, WEST, nets, ends=ends, **how))
        west.up(name)
        network.run(5)
    network.run(120)
    assert (sorted(up_at(west)), sorted(up_at(east))) == (["by secret", "by signature"],) * 2
    assert (west.isakmp(), east.isakmp()) == (2, 2)
    assert not east.said("the peer has started anew")


def test_main_mode_keeps_the_lifetime_of_the_connection_that_fits() -> None:
    _, _, east = offered({"ike": (OLD_IKE,)}, {"ike": (AES_IKE,), "ike_lifetime": 900.0}, {"ike": (OLD_IKE,)})
    assert east.isakmp_sas[0].lifetime == 3600.0


# By the identity that the peer proves: it is known in the third message only

NAMES = {who: Identity(IdType.FQDN, who.encode()) for who in ("a", "b")}


def two_names(secrets: Secrets, who: str, **changes: Any) -> tuple[Network, Box, Box]:
    """East knows two names at west's address, each with its network; west is ``who``, with the secret "one"."""
    network, west, east = boxes((Secrets((PresharedKey((), b"one"),)), secrets))
    nets = {"a": ("10.1.0.0/24", "10.2.0.0/24"), "b": ("10.3.0.0/24", "10.4.0.0/24")}
    west.add(named("mine", WEST, EAST, nets[who], ends={WEST: {"id": NAMES[who]}}, **changes))
    for other, network_ in nets.items():
        east.add(named(f"for {other}", EAST, WEST, network_, ends={WEST: {"id": NAMES[other]}}))
    west.up("mine")
    network.run(30)
    assert network.bugs() == []
    return network, west, east


def secret_of(who: str, secret: bytes) -> PresharedKey:
    return PresharedKey((Identity.address(ip_address(EAST)), NAMES[who]), secret)


@pytest.mark.parametrize("who", ["a", "b"])
def test_the_connection_is_that_of_the_name_which_the_peer_says(who: str) -> None:
    _, west, east = two_names(Secrets((PresharedKey((), b"one"),)), who)
    assert west.statuses == [0]
    assert up_at(east) == [f"for {who}"]


def test_nobody_is_taken_for_a_name_by_the_secret_of_another() -> None:
    """In main mode a secret is chosen by address, before there is a name: it must be that of the name too."""
    secrets = Secrets((secret_of("a", b"one"), secret_of("b", b"two")))
    _, west, east = two_names(secrets, "b")
    assert west.statuses == [31]
    assert east.said("peer @b does not have the same secret as this box")
    assert (east.isakmp(), east.pairs(), east.kernel.sas) == (0, 0, {})
    assert two_names(secrets, "a")[1].statuses == [0]


def certified(papers: Papers, *east_has: Changes) -> tuple[Network, Box, Box]:
    """West comes with a certificate of "Test CA" to connections of east's that are for anybody."""
    secrets = tuple(Secrets(private=(RsaSecret((), papers.key(name)),)) for name in ("west", "east"))
    network, west, east = boxes((secrets[0], secrets[1]), certificates=papers.certificates_of(TODAY))
    ids = {WEST: Identity(IdType.FQDN, b"west.example.org"), EAST: Identity.address(ip_address(EAST))}
    certs = {WEST: papers.path("west"), EAST: papers.path("east")}
    own = {here: {"cert": certs[here], "id": ids[here]} for here in (WEST, EAST)}
    west.add(named("mine", WEST, EAST, None, ends={WEST: own[WEST], EAST: {"id": ids[EAST], "subnet": ip_network("10.2.0.0/24")}},
                   auth_by=AuthBy.RSASIG))  # fmt: skip
    for name, changes in zip(("first", "second"), east_has, strict=False):
        ends = {EAST: {**own[EAST], "subnet": ip_network("10.2.0.0/24")}, "%any": {"kind": HostKind.ANY, **changes}}
        east.add(named(name, EAST, "%any", None, ends=ends, auth_by=AuthBy.RSASIG))
    west.up("mine")
    network.run(30)
    assert network.bugs() == []
    return network, west, east


def test_the_connection_is_one_whose_ca_vouches_for_the_peer(papers: Papers) -> None:
    _, west, east = certified(papers, {"ca": "CN=Other CA"}, {"ca": "CN=Test CA"})
    assert west.statuses == [0], east.log
    assert up_at(east) == ["second"]


def test_a_certificate_is_asked_for_if_any_of_them_needs_one(
    papers: Papers, rsa_keys: tuple[PrivateKey, PrivateKey]
) -> None:
    _, west, east = certified(papers, {"id": NAMES["a"], "public_keys": (rsa_keys[0].public.blob,)}, {})
    assert west.statuses == [0], east.log
    assert up_at(east) == ["second"]


def test_the_certificate_of_one_ca_opens_no_connection_of_another(papers: Papers) -> None:
    """Not in quick mode either, though identity and traffic would fit."""
    network, west, east = certified(papers, {"ca": "CN=Test CA"}, {"ca": "CN=Other CA"})
    assert up_at(east) == ["first"]
    other = replace(east.engine.connections["first"], name="third")
    other = replace(
        other, here=replace(other.here, subnet=ip_network("10.8.0.0/24")), there=replace(other.there, ca="CN=Other CA")
    )
    east.add(other)
    mine = west.engine.connections["mine"]
    west.add(replace(mine, name="more", there=replace(mine.there, subnet=ip_network("10.8.0.0/24"))))
    west.up("more")
    network.run(30)
    assert west.statuses == [0, 31]
    assert east.said("no connection is for traffic between 10.8.0.0/24 here")
    assert up_at(east) == ["first"]


def test_where_no_ca_vouches_the_first_one_says_why(papers: Papers) -> None:
    _, west, east = certified(papers, {"ca": "CN=Other CA"}, {"ca": "CN=Third CA"})
    assert west.statuses == [31]
    assert east.said("is not from the CA that the connection asks for")
    assert east.isakmp() == 0
