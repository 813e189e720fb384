"""Certificates: which chains are believed, and the reason in words for every one that is not."""

import datetime
import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from cygnet.connection.identity import Identity, IdType
from cygnet.crypto import certificates, trust
from cygnet.crypto.certificates import CertificateError
from cygnet.crypto.names import name_to_der, name_to_text
from cygnet.crypto.trust import Trust
from cygnet.errors import CygnetError
from hypothesis import given, settings
from hypothesis import strategies as st

NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
YEAR = datetime.timedelta(days=365)
KEYS = [rsa.generate_private_key(65537, 2048) for _ in range(4)]
CURVE = ec.generate_private_key(ec.SECP256R1())
SHA256_RSA, SHA1_RSA, MD5_RSA = (bytes.fromhex("06092a864886f70d0101") + bytes([last]) for last in (11, 5, 4))


def name(common: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(x509.NameOID.COUNTRY_NAME, "CH"), x509.NameAttribute(x509.NameOID.COMMON_NAME, common)]
    )


def usage(**allowed: bool) -> x509.KeyUsage:
    words = "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign encipher_only decipher_only"
    return x509.KeyUsage(**{word: allowed.get(word, False) for word in words.split()})


class Authority:
    """A CA of a test, and what it signs."""

    def __init__(
        self,
        common: str,
        key: Any,
        issuer: "Authority | None" = None,
        ca: bool = True,
        path: int | None = None,
        **more: Any,
    ) -> None:
        self.common, self.key = common, key
        basic = x509.BasicConstraints(ca, path if ca else None)
        self.certificate = (issuer or self).sign(
            common, key, extensions=[(basic, True), *more.pop("extensions", [])], **more
        )
        self.der = self.certificate.public_bytes(Encoding.DER)

    def sign(
        self, common: str, key: Any, extensions: Any = (), start: datetime.datetime = NOW - YEAR, end: datetime.datetime = NOW + YEAR,
        hash: hashes.HashAlgorithm | None = None, serial: int | None = None,
    ) -> x509.Certificate:  # fmt: skip
        builder = x509.CertificateBuilder(
            name(self.common), name(common), key.public_key(), serial or x509.random_serial_number(), start, end
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self.key, hash or hashes.SHA256())

    def host(self, common: str = "moon", key: Any = None, **more: Any) -> bytes:
        return self.sign(common, key or KEYS[3], **more).public_bytes(Encoding.DER)

    def crl(
        self,
        *serials: int,
        start: datetime.datetime = NOW - YEAR,
        end: datetime.datetime = NOW + YEAR,
        extensions: Any = (),
    ) -> x509.CertificateRevocationList:
        builder = x509.CertificateRevocationListBuilder(name(self.common), start, end)
        for serial in serials:
            entry = x509.RevokedCertificateBuilder(serial, start).build()
            builder = builder.add_revoked_certificate(entry)
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self.key, hashes.SHA256())


ROOT = Authority("root", KEYS[0])
MIDDLE = Authority("middle", KEYS[1], ROOT)
STRANGER = Authority("stranger", KEYS[2])


def trusting(*authorities: Authority, crls: Any = (), strict: bool = False) -> Trust:
    return Trust([authority.certificate for authority in authorities], crls, strict)


def refused(words: str, box: Trust, der: bytes, *extra: bytes, now: datetime.datetime = NOW, **more: Any) -> None:
    with pytest.raises(CertificateError, match=words):
        box.verify_chain(der, list(extra), now, **more)


# Believed


def test_a_host_of_a_trusted_ca_gives_its_key() -> None:
    found = trusting(ROOT).verify_chain(ROOT.host(), [], NOW)
    assert found.n == KEYS[3].public_key().public_numbers().n


def test_the_peer_may_send_what_lies_between() -> None:
    found = trusting(ROOT).verify_chain(MIDDLE.host(), [STRANGER.der, MIDDLE.der], NOW)
    assert found.bits == 2048


def test_an_intermediate_ca_may_be_the_anchor() -> None:
    trusting(MIDDLE).verify_chain(MIDDLE.host(), [], NOW)


def test_a_ca_with_an_elliptic_curve_key_may_sign_rsa_hosts() -> None:
    curve = Authority("curve", CURVE)
    trusting(curve).verify_chain(curve.host(), [], NOW)


def test_the_root_s_own_signature_does_not_matter_so_its_hash_may_be_old() -> None:
    """cryptography signs no MD5 or SHA-1 certificates any more, so the hash of the root's signature is altered."""
    old = bytes(ROOT.der).replace(SHA256_RSA, SHA1_RSA)
    box = Trust([x509.load_der_x509_certificate(old)])
    box.verify_chain(ROOT.host(), [], NOW)


def test_a_renewed_ca_beside_its_expired_certificate() -> None:
    expired = Authority("root", KEYS[0], start=NOW - 2 * YEAR, end=NOW - YEAR)
    trusting(expired, ROOT).verify_chain(ROOT.host(), [], NOW)
    refused("expired", trusting(expired), ROOT.host())


@pytest.mark.parametrize(
    "extension",
    [
        (usage(digital_signature=True), True),
        (usage(content_commitment=True), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING, x509.ObjectIdentifier("1.3.6.1.5.5.7.3.17")]), False),
        (x509.ObjectIdentifier("1.2.3.4"), False),
    ],
    ids=str,
)
def test_hosts_made_for_this_use_are_believed(extension: Any) -> None:
    value, critical = extension
    if isinstance(value, x509.ObjectIdentifier):
        value = x509.UnrecognizedExtension(value, b"\5\0")
    trusting(ROOT).verify_chain(ROOT.host(extensions=[(value, critical)]), [], NOW)


# Not believed


def test_an_unknown_ca_is_named() -> None:
    refused("moon was issued by a CA that is not known here: C=CH, CN=stranger", trusting(ROOT), STRANGER.host())
    refused("not known here", Trust(), ROOT.host(), ROOT.der)


def test_a_self_signed_host_proves_nothing() -> None:
    alone = Authority("moon", KEYS[3], ca=False)
    refused("not known here: C=CH, CN=moon", trusting(ROOT), alone.der, alone.der)


def test_a_ca_of_the_same_name_and_another_key_is_no_issuer() -> None:
    impostor = Authority("root", KEYS[2])
    refused("signature of .*root.* is wrong", trusting(ROOT), impostor.host(), impostor.der)


def test_one_changed_octet_is_found() -> None:
    der = ROOT.host()
    changed = der.replace(b"moon", b"m00n")
    refused("signature", trusting(ROOT), changed)
    refused("signature", trusting(ROOT), der[:-1] + bytes([der[-1] ^ 1]))


def test_validity_is_by_the_clock_and_says_which_way() -> None:
    box, der = trusting(ROOT), ROOT.host()
    refused(r"moon expired at 2027-06-01 00:00:00 UTC", box, der, now=NOW + 2 * YEAR)
    refused(r"moon is not valid before 2025-06-01 .*the clock here says 2024-06-01", box, der, now=NOW - 2 * YEAR)
    young = Authority("root", KEYS[0], start=NOW + YEAR / 2)
    refused("root is not valid before", trusting(young), der)


@pytest.mark.parametrize(("oid", "word"), [(SHA1_RSA, "sha1"), (MD5_RSA, "md5")])
def test_signatures_with_broken_hashes_are_refused_before_they_are_looked_at(oid: bytes, word: str) -> None:
    refused(f"signed with {word}", trusting(ROOT), ROOT.host().replace(SHA256_RSA, oid))
    refused(f"signed with {word}", trusting(ROOT), MIDDLE.host(), MIDDLE.der.replace(SHA256_RSA, oid))


def test_a_host_certificate_vouches_for_nobody() -> None:
    evil = Authority("evil", KEYS[2], ROOT, ca=False)
    for certificate in (evil.der, ROOT.host("evil", KEYS[2])):
        refused("evil has no CA flag", trusting(ROOT), evil.host(), certificate)


def test_a_path_length_is_kept() -> None:
    short = Authority("root", KEYS[0], path=0)
    trusting(short).verify_chain(short.host(), [], NOW)
    refused("path length", trusting(short), MIDDLE.host(), MIDDLE.der)


def test_key_usage_is_kept() -> None:
    refused("does not allow signatures", trusting(ROOT), ROOT.host(extensions=[(usage(key_encipherment=True), True)]))
    wrong = Authority("root", KEYS[0], extensions=[(usage(crl_sign=True), True)])
    refused("does not allow it to sign certificates", trusting(wrong), wrong.host())
    code = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])
    refused("does not allow IKE", trusting(ROOT), ROOT.host(extensions=[(code, False)]))


@pytest.mark.parametrize("critical", [True, False])
def test_a_ca_with_name_constraints_is_refused_rather_than_obeyed_by_half(critical: bool) -> None:
    """CVE-2017-9023's class."""
    limits = x509.NameConstraints([x509.DNSName("example.org")], None)
    narrow = Authority("root", KEYS[0], extensions=[(limits, critical)])
    refused("name constraints", trusting(narrow), narrow.host())


def test_unknown_critical_extensions_are_refused() -> None:
    strange = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0"), True)
    refused(r"critical extension, 1\.2\.3\.4", trusting(ROOT), ROOT.host(extensions=[strange]))
    odd = Authority("root", KEYS[0], extensions=[strange])
    refused(r"critical extension, 1\.2\.3\.4", trusting(odd), odd.host())


def test_other_and_weak_keys_are_refused() -> None:
    refused("no RSA key", trusting(ROOT), ROOT.host(key=CURVE))
    modulus = KEYS[3].public_key().public_numbers().n.to_bytes(256, "big")
    with pytest.raises(CertificateError):
        certificates.public_key(ROOT.host().replace(modulus, modulus[:-1] + b"\0"))


def test_a_long_chain_is_refused() -> None:
    links = [ROOT]
    for depth in range(6):
        links.append(Authority(f"ca{depth}", KEYS[1], links[-1]))
    box = trusting(ROOT)
    four_between = [link.der for link in links[1:5]]
    box.verify_chain(links[4].host(), four_between, NOW)
    refused("longer than 6", box, links[5].host(), *four_between, links[5].der)


def test_entangled_certificates_cost_a_bounded_number_of_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight CAs of one name and key each sign each other: thousands of paths, none of which ends."""
    knot = [Authority("stranger", KEYS[2]) for _ in range(8)]
    counted: list[int] = []
    check = trust._check_authority
    monkeypatch.setattr(trust, "_check_authority", lambda *arguments: (counted.append(1), check(*arguments)))
    refused("longer than 6|entangled", trusting(ROOT), STRANGER.host(), *(link.der for link in knot))
    assert len(counted) <= trust.MAX_TRIED


def test_too_many_and_too_large_certificates_are_not_read() -> None:
    refused("at most 8", trusting(ROOT), ROOT.host(), *[MIDDLE.der] * 9)
    refused("at most 16384", trusting(ROOT), bytes(16385))
    refused("at most 16384", trusting(ROOT), ROOT.host(), bytes(16385))


def test_a_connection_may_ask_for_its_own_ca() -> None:
    box, der = trusting(ROOT, STRANGER), MIDDLE.host()
    for ca in ("C=ch, CN=Root", "C=CH, CN=middle"):
        box.verify_chain(der, [MIDDLE.der], NOW, name_to_der(ca))
    refused("not from the CA that the connection asks for", box, der, MIDDLE.der, ca=name_to_der("C=CH, CN=stranger"))


# Revocation


def test_a_revoked_certificate_is_refused_even_by_an_old_list() -> None:
    der = ROOT.host(serial=4711)
    for crl in (ROOT.crl(1, 4711), ROOT.crl(4711, end=NOW - YEAR / 2)):
        refused("moon was revoked by C=CH, CN=root", trusting(ROOT, crls=[crl]), der)
    trusting(ROOT, crls=[ROOT.crl(1, 2)]).verify_chain(der, [], NOW)


def test_a_revoked_ca_takes_its_hosts_along() -> None:
    crl = ROOT.crl(MIDDLE.certificate.serial_number)
    refused("middle was revoked", trusting(ROOT, crls=[crl]), MIDDLE.host(), MIDDLE.der)


def test_a_list_that_another_signed_does_not_count() -> None:
    impostor = Authority("root", KEYS[2])
    der = ROOT.host(serial=4711)
    for crl in (impostor.crl(4711), STRANGER.crl(4711)):
        trusting(ROOT, crls=[crl]).verify_chain(der, [], NOW)
        refused("no current CRL", trusting(ROOT, crls=[crl], strict=True), der)


def test_the_strict_policy_wants_a_current_list_of_every_ca() -> None:
    host, direct = MIDDLE.host(), ROOT.host()
    refused("no current CRL of C=CH, CN=root, and strictcrlpolicy", trusting(ROOT, strict=True), direct)
    stale = ROOT.crl(end=NOW - YEAR / 2)
    refused("no current CRL", trusting(ROOT, crls=[stale], strict=True), direct)
    box = trusting(ROOT, crls=[ROOT.crl()], strict=True)
    box.verify_chain(direct, [], NOW)
    refused("no current CRL of C=CH, CN=middle", box, host, MIDDLE.der)
    trusting(ROOT, crls=[ROOT.crl(), MIDDLE.crl()], strict=True).verify_chain(host, [MIDDLE.der], NOW)


# Folders


def test_folders_are_read_and_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    cacerts, crls = tmp_path / "cacerts", tmp_path / "crls"
    cacerts.mkdir()
    crls.mkdir()
    (cacerts / "root.pem").write_bytes(b"text before\n" + ROOT.certificate.public_bytes(Encoding.PEM))
    (cacerts / "other.der").write_bytes(STRANGER.der)
    (cacerts / "broken.pem").write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    (cacerts / "host.der").write_bytes(ROOT.host())
    (cacerts / "empty").write_bytes(b"")
    (cacerts / "folder").mkdir()
    (cacerts / "large.pem").write_bytes(bytes(trust.MAX_FILE + 1))
    (crls / "root.der").write_bytes(ROOT.crl(4711).public_bytes(Encoding.DER))
    (crls / "root.pem").write_bytes(ROOT.crl(4712).public_bytes(Encoding.PEM))
    (crls / "delta.pem").write_bytes(
        ROOT.crl(extensions=[(x509.DeltaCRLIndicator(1), True)]).public_bytes(Encoding.PEM)
    )
    (crls / "broken").write_bytes(b"crl")
    box = Trust.load(cacerts, crls)
    assert {name_to_text(subject) for subject in box.names()} == {"C=CH, CN=root", "C=CH, CN=stranger"}
    box.verify_chain(ROOT.host(), [], NOW)
    for serial in (4711, 4712):
        refused("revoked", box, ROOT.host(serial=serial))
    said = "\n".join(box.problems)
    assert len(box.problems) == 7
    for words in (
        "broken.pem: left out",
        "folder: left out: Is a directory",
        "host.der: left out: .*no CA flag",
        "empty",
        "folder",
        "large.pem.*larger",
        "delta.pem.*delta",
        "broken: ",
    ):
        assert any(re.search(words, line) for line in box.problems), (words, said)


def test_folders_that_are_missing_are_empty(tmp_path: Path) -> None:
    assert Trust.load(tmp_path / "no", tmp_path / "none", strict_crl=True) == Trust([], [], True, [])


# Identities


def test_a_certificate_is_for_its_subject_and_its_alternative_names() -> None:
    names = x509.SubjectAlternativeName(
        [
            x509.DNSName("moon.example.org"),
            x509.RFC822Name("moon@example.org"),
            x509.IPAddress(ipaddress.ip_address("192.0.2.1")),
            x509.IPAddress(ipaddress.ip_address("2001:db8::1")),
            x509.DirectoryName(name("luna")),
            x509.UniformResourceIdentifier("http://example.org"),
        ]
    )
    der = ROOT.host(extensions=[(names, False)])
    found = certificates.identities(der)
    assert [str(identity) for identity in found] == [
        "C=CH, CN=moon", "@moon.example.org", "moon@example.org", "192.0.2.1", "2001:db8::1", "C=CH, CN=luna",
    ]  # fmt: skip
    claimed: list[tuple[Identity, bool]] = [
        (Identity(IdType.FQDN, b"MOON.example.org"), True),
        (Identity(IdType.FQDN, b"moon@example.org"), False),
        (Identity(IdType.FQDN, b"sun.example.org"), False),
        (Identity(IdType.USER_FQDN, b"moon@example.org"), True),
        (Identity(IdType.IPV4_ADDR, bytes([192, 0, 2, 1])), True),
        (Identity(IdType.IPV4_ADDR, bytes([192, 0, 2, 2])), False),
        (Identity(IdType.DER_ASN1_DN, name_to_der("CN=MOON, C=CH")), False),
        (Identity(IdType.DER_ASN1_DN, name_to_der("C=ch, CN=MOON")), True),
        (Identity(IdType.DER_ASN1_DN, name_to_der("C=CH, CN=*")), False),
        (Identity(IdType.KEY_ID, b"moon"), False),
    ]
    for identity, right in claimed:
        assert certificates.claims(der, identity) is right, identity


def test_files_hold_one_der_or_many_pem() -> None:
    pem = ROOT.certificate.public_bytes(Encoding.PEM) + MIDDLE.certificate.public_bytes(Encoding.PEM)
    assert certificates.load(pem) == [ROOT.der, MIDDLE.der]
    assert certificates.load(ROOT.der) == [ROOT.der]


# Strangers' bytes


def test_a_name_of_any_length_and_kind_makes_a_short_and_harmless_message() -> None:
    long = Authority("\x1b[2J" * 12, KEYS[2], ca=False)
    with pytest.raises(CertificateError) as caught:
        trusting(ROOT).verify_chain(long.der, [], NOW)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600


QUESTIONS: list[Callable[[bytes], object]] = [
    certificates.read,
    certificates.load,
    certificates.public_key,
    certificates.identities,
    lambda der: trusting(ROOT, crls=[ROOT.crl()]).verify_chain(der, [der], NOW),
    lambda der: trusting(ROOT).verify_chain(MIDDLE.host(), [der], NOW),
]
SAMPLE = ROOT.host(
    extensions=[
        (x509.SubjectAlternativeName([x509.DNSName("a"), x509.IPAddress(ipaddress.ip_address("192.0.2.1"))]), False)
    ]
)


def ask_all(der: bytes) -> None:
    for question in QUESTIONS:
        try:
            question(der)
        except CygnetError as error:
            assert str(error).isprintable()


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_bytes_that_are_no_certificate_give_the_one_error(data: bytes) -> None:
    ask_all(data)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(SAMPLE) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_certificate_with_changed_octets_gives_the_one_error(changes: list[tuple[int, int]]) -> None:
    """CVE-2026-35331's class."""
    data = bytearray(SAMPLE)
    for position, octet in changes:
        data[position] = octet
    ask_all(bytes(data))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, len(SAMPLE)))
def test_a_certificate_cut_short_gives_the_one_error(size: int) -> None:
    ask_all(SAMPLE[:size])
