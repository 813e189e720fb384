"""Whether a peer's certificate is to be believed: the chain to a CA of this box, validity, revocation (RFC 5280).

The library's own verifier (x509.verification) is made for TLS: it wants subjectAltNames and extensions that the
certificates of FreeS/WAN's time lack, takes no CRL, and gives no reason that a user can act on. So the path is
built here; parsing and signatures are the library's. Every file in the CA folder is an anchor, root or not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cygnet.crypto.certificates import CertificateError, extension, from_stranger, key_of, load, may, read, shown, title
from cygnet.crypto.names import same_name
from cygnet.crypto.rsa import PublicKey

if TYPE_CHECKING:
    from datetime import datetime
    from typing import TypeVar

    from cryptography.x509 import Certificate, CertificateRevocationList

    Loaded = TypeVar("Loaded")

MAX_FILE = 1 << 20
MAX_EXTRA = 8  # certificates that a peer sends beside its own
MAX_CHAIN = 6
MAX_TRIED = 16  # issuers that are tried for one chain, however the peer's certificates are entangled
WEAK_HASHES = ("md5", "sha1")
# basicConstraints, keyUsage, extKeyUsage, subjectAltName are acted on; certificatePolicies: any is good here.
UNDERSTOOD = {"2.5.29.19", "2.5.29.15", "2.5.29.37", "2.5.29.17", "2.5.29.32"}
# Of extKeyUsage: any, TLS server and client, ipsecEndSystem, ipsecTunnel, ipsecUser, ipsecIKE, iKEIntermediate.
IKE_USES = {"2.5.29.37.0", "1.3.6.1.5.5.8.2.2", *(f"1.3.6.1.5.5.7.3.{use}" for use in (1, 2, 5, 6, 7, 17))}


@dataclass(frozen=True)
class Trust:
    """The CAs and CRLs of this box. ``problems``: one sentence for each file that was left out."""

    authorities: Sequence[Certificate] = ()
    crls: Sequence[CertificateRevocationList] = ()
    strict_crl: bool = False
    problems: Sequence[str] = ()

    @classmethod
    def load(cls, cacerts: Path, crls: Path, strict_crl: bool = False) -> Trust:
        """From folders such as /etc/ipsec.d/cacerts and /etc/ipsec.d/crls; one that is missing is empty."""
        problems: list[str] = []
        authorities = _folder(cacerts, _authorities, problems)
        return cls(authorities, _folder(crls, _crls, problems), strict_crl, problems)

    def names(self) -> list[bytes]:
        """The subjects of the CAs, for certificate requests."""
        return [authority.subject.public_bytes() for authority in self.authorities]

    def verify_chain(self, cert_der: bytes, extra_der: Sequence[bytes], now: datetime, ca: bytes = b"") -> PublicKey:
        """The key of a certificate that a CA vouches for; ``ca``: subject of one that must be in the chain."""
        if len(extra_der) > MAX_EXTRA:
            raise CertificateError(f"the peer sent {len(extra_der)} further certificates; at most {MAX_EXTRA} are read")
        certificate = read(cert_der)
        with from_stranger():
            _check_end(certificate, now)
            chain = _Search(self, [read(der) for der in extra_der], now).chain(certificate, 0)
            if ca and not any(same_name(link.subject.public_bytes(), ca) for link in chain):
                raise CertificateError(f"{title(certificate)} is not from the CA that the connection asks for")
            return key_of(certificate)


class _Search:
    """The search for one chain."""

    def __init__(self, trust: Trust, extra: Sequence[Certificate], now: datetime) -> None:
        self._trust, self._extra, self._now = trust, extra, now
        self._tried = 0

    def chain(self, certificate: Certificate, below: int) -> list[Certificate]:
        """The issuers up to a trusted one, or the first reason why not; ``below``: CAs that stand under the issuer."""
        reason = None
        for trusted, issuer in self._candidates(certificate):
            try:
                self._check_issued(certificate, issuer, below)
                return [issuer] if trusted else [issuer, *self.chain(issuer, below + 1)]
            except CertificateError as error:
                reason = reason or error
        unknown = shown(certificate.issuer)
        raise reason or CertificateError(f"{title(certificate)} was issued by a CA that is not known here: {unknown}")

    def _candidates(self, certificate: Certificate) -> list[tuple[bool, Certificate]]:
        known = [(True, authority) for authority in self._trust.authorities]
        sent = [(False, other) for other in self._extra if other != certificate]
        return [(trusted, other) for trusted, other in known + sent if other.subject == certificate.issuer]

    def _check_issued(self, certificate: Certificate, issuer: Certificate, below: int) -> None:
        self._tried += 1
        if self._tried > MAX_TRIED:
            raise CertificateError("the peer's certificates are too entangled to find a chain")
        if below + 2 > MAX_CHAIN:
            raise CertificateError(f"the chain of certificates is longer than {MAX_CHAIN}")
        _check_authority(issuer, below, self._now)
        self._check_signature(certificate, issuer)
        self._check_revocation(certificate, issuer)

    def _check_signature(self, certificate: Certificate, issuer: Certificate) -> None:
        from cryptography.exceptions import InvalidSignature

        hash = certificate.signature_hash_algorithm
        if hash is not None and hash.name in WEAK_HASHES:
            raise CertificateError(
                f"the certificate of {title(certificate)} is signed with {hash.name}, which is broken"
            )
        try:
            certificate.verify_directly_issued_by(issuer)
        except InvalidSignature:
            raise CertificateError(f"the signature of {title(issuer)} under {title(certificate)} is wrong") from None

    def _check_revocation(self, certificate: Certificate, issuer: Certificate) -> None:
        current = False
        for crl in self._trust.crls:
            if crl.issuer != issuer.subject or not may(issuer, "crl_sign"):
                continue
            if not crl.is_signature_valid(issuer.public_key()):  # type: ignore[arg-type]
                continue
            if crl.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None:
                raise CertificateError(f"the certificate of {title(certificate)} was revoked by {title(issuer)}")
            current = current or crl.next_update_utc is None or self._now < crl.next_update_utc
        if self._trust.strict_crl and not current:
            raise CertificateError(f"there is no current CRL of {title(issuer)}, and strictcrlpolicy=yes asks for one")


def _check_end(certificate: Certificate, now: datetime) -> None:
    """That the peer's own certificate is valid and made for this use."""
    from cryptography.x509 import ExtendedKeyUsage

    _check_valid(certificate, now)
    if not may(certificate, "digital_signature", "content_commitment"):
        raise CertificateError(f"the key usage of {title(certificate)} does not allow signatures")
    uses = extension(certificate, ExtendedKeyUsage)
    if uses is not None and not IKE_USES.intersection(use.dotted_string for use in uses):
        raise CertificateError(f"the extended key usage of {title(certificate)} does not allow IKE")


def _check_authority(certificate: Certificate, below: int, now: datetime) -> None:
    """That it is a CA's, valid, and may stand above that many others."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.x509 import BasicConstraints, NameConstraints

    if extension(certificate, NameConstraints) is not None:
        raise CertificateError(f"the CA {title(certificate)} has name constraints, which are not supported")
    _check_valid(certificate, now)
    constraints = extension(certificate, BasicConstraints)
    if constraints is None or not constraints.ca:
        raise CertificateError(f"the certificate of {title(certificate)} has no CA flag, so it vouches for nobody")
    if constraints.path_length is not None and below > constraints.path_length:
        raise CertificateError(f"the path length of the CA {title(certificate)} allows no such chain")
    if not may(certificate, "key_cert_sign"):
        raise CertificateError(f"the key usage of the CA {title(certificate)} does not allow it to sign certificates")
    if isinstance(certificate.public_key(), RSAPublicKey):
        key_of(certificate)


def _check_valid(certificate: Certificate, now: datetime) -> None:
    if now < certificate.not_valid_before_utc:
        raise CertificateError(
            f"the certificate of {title(certificate)} is not valid before {certificate.not_valid_before_utc:%F %T} UTC;"
            f" the clock here says {now:%F %T}"
        )
    if now > certificate.not_valid_after_utc:
        raise CertificateError(
            f"the certificate of {title(certificate)} expired at {certificate.not_valid_after_utc:%F %T} UTC"
        )
    for row in certificate.extensions:
        if row.critical and row.oid.dotted_string not in UNDERSTOOD:
            raise CertificateError(
                f"the certificate of {title(certificate)} has an unknown critical extension, {row.oid.dotted_string}"
            )


def _folder(folder: Path, parse: Callable[[bytes], list[Loaded]], problems: list[str]) -> list[Loaded]:
    found: list[Loaded] = []
    for path in sorted(folder.glob("*")):
        try:
            if path.stat().st_size > MAX_FILE:
                raise CertificateError(f"the file is larger than {MAX_FILE} bytes")
            data = path.read_bytes()
            with from_stranger():
                found += parse(data)
        except OSError as error:
            problems.append(f"{path}: left out: {error.strerror}")
        except CertificateError as error:
            problems.append(f"{path}: left out: {error}")
    return found


def _authorities(data: bytes) -> list[Certificate]:
    from cryptography.x509 import BasicConstraints

    authorities = [read(der) for der in load(data)]
    for authority in authorities:
        constraints = extension(authority, BasicConstraints)
        if constraints is None or not constraints.ca:
            raise CertificateError(f"the certificate of {title(authority)} has no CA flag")
    return authorities


def _crls(data: bytes) -> list[CertificateRevocationList]:
    from cryptography.x509 import load_der_x509_crl, load_pem_x509_crl

    crl = (load_pem_x509_crl if b"-----BEGIN" in data else load_der_x509_crl)(data)
    if any(row.critical for row in crl.extensions):
        raise CertificateError("the CRL is a delta or a partial one, which is not supported")
    return [crl]
