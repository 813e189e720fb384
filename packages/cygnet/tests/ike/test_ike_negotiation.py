"""Two boxes negotiate and packets pass: by every proof of identity, group, cipher, suite and mode that there is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from conftest import TODAY, Papers
from cryptography.x509 import Name, NameAttribute, NameOID
from cygnet.connection.connection import AuthBy, Setup, Type
from cygnet.connection.identity import Identity, IdType
from cygnet.connection.proposal import ChildProposal, IkeProposal
from cygnet.connection.secret import PresharedKey, RsaSecret, Secrets
from cygnet.connection.selector import Selector
from cygnet.crypto.rsa import PrivateKey
from cygnet.crypto.transforms import CIPHERS, GROUPS, INTEGRITIES
from cygnet.ike.numbers import Exchange
from simulation import EAST, NAME, WEST, Box, Network, carried, connection, established, pair, works

SUITES = [
    ChildProposal(cipher.name, bits, integrity)
    for cipher in CIPHERS.values() for bits in cipher.key_bits for integrity in ([""] if cipher.aead else ["sha2_256"])
]  # fmt: skip
MACS = [ChildProposal("aes", 128, name) for name in INTEGRITIES] + [ChildProposal("", 0, name) for name in INTEGRITIES]
FROM_FQDN = Identity(IdType.FQDN, b"west.example.org")


def check(network: Network, west: Box, east: Box, source: str = "10.1.0.5", destination: str = "10.2.0.5") -> None:
    """One pair over one ISAKMP SA, packets pass both ways and nothing went wrong."""
    assert (west.pairs(), east.pairs(), west.isakmp(), east.isakmp()) == (1, 1, 1, 1)
    assert works(west, east, source, destination), carried(west, east, source, destination)
    assert network.bugs() == []


def rsa(keys: tuple[PrivateKey, PrivateKey], **changes: Any) -> tuple[Network, Box, Box]:
    """Two boxes with raw RSA keys."""
    west, east = keys
    ends = {WEST: {"public_keys": (west.public.blob,)}, EAST: {"public_keys": (east.public.blob,)}}
    secrets = (Secrets(private=(RsaSecret((), west),)), Secrets(private=(RsaSecret((), east),)))
    return pair(secrets=secrets, ends=ends, auth_by=AuthBy.RSASIG, **changes)


def certified(
    papers: Papers, west_id: Identity | None = FROM_FQDN, east_trusts: bool = True, now: Any = TODAY, **changes: Any
) -> tuple[Network, Box, Box]:
    """Two boxes with certificates; west is known by its name, east by its address."""
    secrets = tuple(Secrets(private=(RsaSecret((), papers.key(name)),)) for name in ("west", "east"))
    own = [
        {"cert": papers.path("west"), "id": west_id},
        {"cert": papers.path("east"), "id": Identity.address(ip_address(EAST))},
    ]
    network = Network()
    for index, (here, there) in enumerate(((WEST, EAST), (EAST, WEST))):
        box = network.box(
            here, secrets=secrets[index], certificates=papers.certificates_of(now, east_trusts or here == WEST)
        )
        ends = {here: own[index], there: {"id": own[1 - index]["id"]}}
        box.add(connection(here, there, ends=ends, auth_by=AuthBy.RSASIG, **changes))
    return network, network.boxes[WEST], network.boxes[EAST]


def test_a_preshared_key_brings_a_tunnel_up_and_up_prints_each_step() -> None:
    network, west, east = established()
    check(network, west, east)
    assert [code for code, _ in west.heard] == [2, 104, 106, 108, 4, 112, 4]
    assert west.heard[1] == (104, '"west-east" #1: STATE_MAIN_I1: initiate')
    assert [sent.header.exchange for sent in network.wire] == [Exchange.MAIN] * 6 + [Exchange.QUICK] * 3
    assert [sent.header.encrypted for sent in network.wire] == [False] * 4 + [True] * 5


def test_raw_rsa_keys_bring_a_tunnel_up(rsa_keys: tuple[PrivateKey, PrivateKey]) -> None:
    network, west, east = rsa(rsa_keys)
    west.up()
    network.run(5)
    check(network, west, east)


def test_a_signature_by_another_key_is_refused_in_words(rsa_keys: tuple[PrivateKey, PrivateKey]) -> None:
    network, west, east = rsa(rsa_keys, keying_tries=1)
    east_key = replace(east.secrets, private=(RsaSecret((), rsa_keys[0]),))
    east.engine.delete(NAME, network.now)
    ends = {WEST: {"public_keys": (rsa_keys[0].public.blob,)}, EAST: {"public_keys": (rsa_keys[0].public.blob,)}}
    east.engine.secrets = east_key
    east.add(connection(EAST, WEST, ends=ends, auth_by=AuthBy.RSASIG))
    west.up()
    network.run(200)
    assert west.statuses == [31]
    assert west.was_told("was not made by the private key that belongs to the public key we have for it")
    assert (west.pairs(), east.pairs(), network.bugs()) == (0, 0, [])


def test_certificates_bring_a_tunnel_up_though_they_need_fragments(papers: Papers) -> None:
    network, west, east = certified(papers)
    west.up()
    network.run(10)
    check(network, west, east)
    assert any(sent.header.first == 132 for sent in network.wire)


def test_certificates_bring_a_tunnel_up_from_the_other_side(papers: Papers) -> None:
    network, west, east = certified(papers)
    east.up()
    network.run(10)
    check(network, west, east)


def test_a_certificate_may_prove_its_own_subject(papers: Papers) -> None:
    subject = Identity(IdType.DER_ASN1_DN, Name([NameAttribute(NameOID.COMMON_NAME, "west")]).public_bytes())
    network, west, east = certified(papers, west_id=subject)
    west.up()
    network.run(10)
    check(network, west, east)
    assert east.said("peer is CN=west")


@pytest.mark.parametrize(
    ("what", "changes", "words"),
    [
        ("from a CA that east does not trust", {"east_trusts": False}, "east_trusts"),
        ("for another name", {"west_id": Identity(IdType.FQDN, b"north.example.org")}, "is not for @north.example.org"),
        ("after its time", {"now": TODAY + timedelta(days=400)}, "expired"),
        ("before its time", {"now": TODAY - timedelta(days=40)}, "not valid"),
    ],
)
def test_a_certificate_is_refused(papers: Papers, what: str, changes: dict[str, Any], words: str) -> None:
    network, west, east = certified(papers, keying_tries=1, **changes)
    west.up()
    network.run(200)
    assert west.statuses == [31]
    assert (west.pairs(), east.pairs(), network.bugs()) == (0, 0, [])
    assert words == "east_trusts" or east.said(words) or west.said(words), east.log + west.log


def test_a_revoked_certificate_is_refused(papers: Papers) -> None:
    papers.revoke("west")
    network, west, east = certified(papers, keying_tries=1)
    west.up()
    network.run(200)
    assert (west.statuses, east.pairs(), network.bugs()) == ([31], 0, [])
    assert east.said("revoked")


@pytest.mark.parametrize("group", GROUPS)
def test_every_group_makes_phase_1_and_pfs(group: int) -> None:
    network, west, east = established(seconds=2, ike=(IkeProposal("aes", 128, "sha2_256", group),))
    check(network, west, east)
    assert west.isakmp_sas[0].offer is not None
    assert west.isakmp_sas[0].offer.proposal.group == group


@pytest.mark.parametrize("cipher", [(row.name, bits) for row in CIPHERS.values() if row.ike for bits in row.key_bits])
@pytest.mark.parametrize("hashed", INTEGRITIES)
def test_every_cipher_and_hash_makes_phase_1(cipher: tuple[str, int], hashed: str) -> None:
    check(*established(ike=(IkeProposal(*cipher, hashed, 31),)))


@pytest.mark.parametrize("suite", SUITES + MACS, ids=str)
def test_every_suite_makes_phase_2(suite: ChildProposal) -> None:
    network, west, east = established(child=(suite,))
    check(network, west, east)
    assert {sa.key.protocol for sa in west.kernel.sas.values()} == {suite.protocol}


@pytest.mark.parametrize(
    ("what", "changes", "west_group"),
    [
        ("PFS off on both sides", {"pfs": False}, 0),
        ("PFS with phase 1's group", {}, 31),
        ("PFS with a group of its own", {"pfs_groups": (19,)}, 19),
        ("east takes PFS though it does not ask for it", {"east": {"pfs": False}}, 31),
        ("east takes any strong group", {"west": {"pfs_groups": (20,)}}, 20),
        ("east has the group among others", {"west": {"pfs_groups": (21, 14)}, "east": {"pfs_groups": (14, 21)}}, 21),
    ],
)
def test_perfect_forward_secrecy(what: str, changes: dict[str, Any], west_group: int) -> None:
    network, west, east = established(**changes)
    check(network, west, east)
    keyed = [sent for sent in network.wire if sent.header.exchange == Exchange.QUICK]
    assert len(keyed) == 3
    assert sum(len(sent.packet) for sent in keyed[:2]) > {0: 0, 31: 400, 19: 450, 20: 500, 21: 600}[west_group]


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("west has no PFS, east wants it", {"west": {"pfs": False}}),
        ("east wants another group", {"west": {"pfs_groups": (19,)}, "east": {"pfs_groups": (20,)}}),
        ("west names a weak group that east does not", {"west": {"pfs_groups": (2,)}}),
        ("east compares modes", {"west": {"type": Type.TRANSPORT}, "nets": None}),
        ("west has AH, east ESP", {"west": {"child": (ChildProposal("", 0, "sha1"),)}}),
    ],
)
def test_terms_that_do_not_fit_are_refused_with_ours_beside_theirs(what: str, changes: dict[str, Any]) -> None:
    network, west, east = pair(**{"keying_tries": 1, **changes})
    west.up()
    network.run(30)
    assert west.statuses == [31]
    assert west.was_told("the peer refused: NO_PROPOSAL_CHOSEN (this end takes: ")
    assert west.was_told("Our proposals were: ")
    assert east.said("no proposal in common. Ours: ")
    assert east.said("Theirs: ")
    assert (west.pairs(), east.pairs(), east.kernel.sas, network.bugs()) == (0, 0, {}, [])


def test_compression_is_negotiated_where_both_have_it() -> None:
    network, west, east = established(compress=True)
    check(network, west, east)
    assert {sa.key.protocol for sa in west.kernel.sas.values()} == {"esp", "comp"}


@pytest.mark.parametrize("who", ["west", "east"])
def test_compression_that_only_one_end_wants_does_no_harm(who: str) -> None:
    network, west, east = established(**{who: {"compress": True}})
    check(network, west, east)


def test_transport_mode_between_two_hosts() -> None:
    network, west, east = established(nets=None, type=Type.TRANSPORT)
    check(network, west, east, WEST, EAST)
    assert {sa.mode for sa in west.kernel.sas.values()} == {"transport"}


def test_transport_mode_for_one_protocol_and_port() -> None:
    ends = {WEST: {"protocol": 17, "port": 1701}, EAST: {"protocol": 17, "port": 1701}}
    network, west, east = established(nets=None, type=Type.TRANSPORT, ends=ends)
    hosts = [Selector(west.engine.connections[NAME].here.selector.network, 17, 1701) for _ in range(1)]  # type: ignore[union-attr]
    others = Selector(east.engine.connections[NAME].here.selector.network, 17, 1701)  # type: ignore[union-attr]
    assert west.kernel.deliver(east.kernel, hosts[0], others) == "delivered"
    assert west.kernel.deliver(east.kernel, WEST, EAST) == "clear"


def test_ipv6_within_ipv6() -> None:
    network = Network()
    west_address, east_address = "2001:db8::1", "2001:db8::2"
    nets = ("2001:db8:1::/64", "2001:db8:2::/64")
    for here, there, mine in ((west_address, east_address, nets), (east_address, west_address, nets[::-1])):
        network.box(here).add(connection(here, there, mine[::-1]))
    west, east = network.boxes.values()
    west.up()
    network.run(5)
    check(network, west, east, "2001:db8:1::5", "2001:db8:2::5")


IDENTITIES = [
    Identity(IdType.FQDN, b"west.example.org"),
    Identity(IdType.USER_FQDN, b"west@example.org"),
    Identity(IdType.KEY_ID, b"west"),
    Identity(IdType.KEY_ID, bytes(range(200, 256))),
    Identity(IdType.IPV4_ADDR, bytes((10, 9, 8, 7))),
    Identity(IdType.IPV6_ADDR, ip_address("2001:db8::77").packed),
    Identity(IdType.DER_ASN1_DN, Name([NameAttribute(NameOID.COMMON_NAME, "west")]).public_bytes()),
]


@pytest.mark.parametrize("identity", IDENTITIES, ids=str)
def test_identities_of_every_type(identity: Identity) -> None:
    network, west, east = established(ends={WEST: {"id": identity}})
    check(network, west, east)
    assert east.said(f"peer is {identity}")


def test_the_secret_is_found_by_both_identities() -> None:
    ids = [Identity(IdType.FQDN, name) for name in (b"west", b"east")]
    right, wrong = PresharedKey((ids[0], ids[1]), b"the right one"), PresharedKey((), b"the wrong one")
    secrets = (Secrets((wrong, right)), Secrets((right, wrong)))
    check(*established(secrets=secrets, ends={WEST: {"id": ids[0]}, EAST: {"id": ids[1]}}))


def test_several_tunnels_go_over_one_isakmp_sa() -> None:
    network, west, east = established()
    nets = ("10.3.0.0/24", "10.4.0.0/24")
    for box, here, there in ((west, WEST, EAST), (east, EAST, WEST)):
        box.add(replace(connection(here, there, nets), name="second"))
    west.up("second")
    network.run(5)
    assert west.statuses == [0, 0]
    assert (west.isakmp(), east.isakmp(), west.pairs(), east.pairs()) == (1, 1, 2, 2)
    assert works(west, east)
    assert works(west, east, "10.3.0.9", "10.4.0.9")


def test_two_tunnels_that_start_at_once_share_their_phase_1() -> None:
    network, west, east = pair()
    for box, here, there in ((west, WEST, EAST), (east, EAST, WEST)):
        box.add(replace(connection(here, there, ("10.3.0.0/24", "10.4.0.0/24")), name="second"))
    west.up()
    west.up("second")
    network.run(5)
    assert west.statuses == [0, 0]
    assert (west.isakmp(), east.isakmp(), west.pairs(), east.pairs()) == (1, 1, 2, 2)


def test_a_tunnel_that_waits_for_phase_1_comes_up_though_the_one_that_began_it_is_taken_down() -> None:
    network, west, east = pair()
    for box, here, there in ((west, WEST, EAST), (east, EAST, WEST)):
        box.add(replace(connection(here, there, ("10.3.0.0/24", "10.4.0.0/24")), name="second"))
    west.up()
    west.up("second")
    network.run(0.07)
    west.down()
    network.run(90)
    assert west.statuses == [31, 0]
    assert works(west, east, "10.3.0.9", "10.4.0.9")
    assert not works(west, east)


def test_a_bare_host_needs_no_subnet_and_no_identities_in_quick_mode() -> None:
    network, west, east = established(nets=None)
    check(network, west, east, WEST, EAST)


def test_the_commit_bit_is_tolerated() -> None:
    network, west, east = pair()
    network.tamper = lambda _path, packet: packet[:19] + bytes((packet[19] | 2,)) + packet[20:]
    west.up()
    network.run(5)
    check(network, west, east)


def test_without_nat_traversal_on_one_side_all_goes_on() -> None:
    network = Network()
    for here, there, setup in ((WEST, EAST, Setup(nat_traversal=False)), (EAST, WEST, Setup())):
        network.box(here, setup).add(connection(here, there))
    west, east = network.boxes.values()
    west.up()
    network.run(5)
    check(network, west, east)
