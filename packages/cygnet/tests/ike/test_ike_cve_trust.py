"""Classes 8, 10 to 13, 15 and 17 of vulnerabilities that IKE daemons have had: peers that are not who or what they say.

A run is good if no bug was hit, an established tunnel goes on, and an honest retransmission still gets through.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from conftest import Papers
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cygnet.connection.connection import AuthBy
from cygnet.connection.identity import IdType
from cygnet.connection.secret import PresharedKey, Secrets
from cygnet.crypto import mac
from cygnet.crypto.rsa import PrivateKey
from cygnet.ike.fields import build
from cygnet.ike.message import Header
from cygnet.ike.numbers import FLAG_ENCRYPTED, Exchange, PayloadType
from cygnet.ike.payloads import (
    HashData,
    Identification,
    KeyExchangeData,
    Nonce,
    SecurityAssociation,
)  # fmt: skip
from cygnet.ike.v1 import authentication, phase_one
from cygnet.ike.v1.main_mode import MainMode
from forgery import (
    QUICK,
    as_peer,
    packet_of,
    payloads_of,
    phase_2,
    raw,
    sealed,
    unharmed,
)
from simulation import (
    EAST,
    NAME,
    SECRET,
    WEST,
    Network,
    connection,
    established,
    pair,
    path_of,
)  # fmt: skip
from test_ike_negotiation import certified, rsa

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


def test_cve_11_a_forged_proof_does_not_spoil_the_real_one_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    network, west, east = pair(keying_tries=1)
    original = MainMode.seal

    def seal(main: MainMode, *payloads: Any) -> bytes:
        if main.sa.initiator:
            forged = raw(payloads[0], HashData(bytes(32)))
            network.inject(main.sa.path, sealed(main.sa, main.sa.header(Exchange.MAIN), forged, main.iv)[0])
        return original(main, *payloads)

    monkeypatch.setattr(MainMode, "seal", seal)
    network.tamper = lambda _path, packet: None if packet[18] == Exchange.INFORMATIONAL else packet
    west.up()
    network.run(0.21)
    assert east.said("does not have the same secret as this box")
    network.run(20)
    assert east.isakmp() == 1


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
