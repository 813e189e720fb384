"""One X.509 certificate: whom it names, whose key it holds, what it may be used for (RFC 5280, RFC 4945).

Whether it is to be believed is trust.py's question. What the library raises for malformed ones never gets out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cygnet.connection.identity import Identity, IdType
from cygnet.crypto.names import name_to_text, same_name
from cygnet.crypto.rsa import BadKey, PublicKey
from cygnet.errors import CygnetError

if TYPE_CHECKING:
    from datetime import datetime
    from typing import TypeVar

    from cryptography.x509 import Certificate, ExtensionType, GeneralName, Name

    Wanted = TypeVar("Wanted", bound=ExtensionType)

MAX_BYTES = 16384
MAX_SHOWN = 200  # characters of a name in a message


class CertificateError(CygnetError):
    """A certificate that proves nothing here, and why."""


def read(der: bytes) -> Certificate:
    """The certificate, parsed."""
    from cryptography.x509 import load_der_x509_certificate

    if len(der) > MAX_BYTES:
        raise CertificateError(f"a certificate of {len(der)} bytes is not read; at most {MAX_BYTES}")
    with from_stranger():
        return load_der_x509_certificate(der)


def load(data: bytes) -> list[bytes]:
    """The certificates of a file, PEM or DER, as DER."""
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509 import load_pem_x509_certificates

    if b"-----BEGIN" not in data:
        read(data)
        return [data]
    with from_stranger():
        return [certificate.public_bytes(Encoding.DER) for certificate in load_pem_x509_certificates(data)]


def public_key(der: bytes) -> PublicKey:
    """The RSA key, not yet to be believed."""
    return key_of(read(der))


def identities(der: bytes) -> list[Identity]:
    """Who the certificate is for: the subject, then the subjectAltNames."""
    from cryptography.x509 import SubjectAlternativeName

    certificate = read(der)
    names = extension(certificate, SubjectAlternativeName) or ()
    with from_stranger():
        found = [Identity(IdType.DER_ASN1_DN, certificate.subject.public_bytes()), *map(_identity, names)]
    return [identity for identity in found if identity is not None]


def validity(der: bytes) -> tuple[datetime, datetime]:
    """From when until when, UTC."""
    certificate = read(der)
    return certificate.not_valid_before_utc, certificate.not_valid_after_utc


def claims(der: bytes, claimed: Identity) -> bool:
    """Whether the certificate is for that identity."""
    return any(claimed.type == own.type and _same(claimed, own) for own in identities(der))


def _same(a: Identity, b: Identity) -> bool:
    if a.type == IdType.DER_ASN1_DN:
        return same_name(a.data, b.data)
    if a.type in (IdType.FQDN, IdType.USER_FQDN):
        return a.data.lower() == b.data.lower()
    return a.data == b.data


def _identity(name: GeneralName) -> Identity | None:
    from ipaddress import IPv4Address, IPv6Address

    from cryptography import x509

    match name:
        case x509.DNSName():
            return Identity(IdType.FQDN, name.value.encode())
        case x509.RFC822Name():
            return Identity(IdType.USER_FQDN, name.value.encode())
        case x509.IPAddress(value=IPv4Address() | IPv6Address() as address):
            return Identity.address(address)
        case x509.DirectoryName():
            return Identity(IdType.DER_ASN1_DN, name.value.public_bytes())
    return None


def title(certificate: Certificate) -> str:
    """What messages call it: its subject."""
    with from_stranger():
        return shown(certificate.subject) or f"serial {certificate.serial_number:x}"


def shown(name: Name) -> str:
    """A stranger's name, fit to print."""
    return name_to_text(name.public_bytes())[:MAX_SHOWN]


def key_of(certificate: Certificate) -> PublicKey:
    """Its RSA key."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    with from_stranger():
        key = certificate.public_key()
    if not isinstance(key, RSAPublicKey):
        raise CertificateError(f"the certificate of {title(certificate)} has no RSA key")
    numbers = key.public_numbers()
    try:
        return PublicKey(numbers.n, numbers.e)
    except BadKey as error:
        raise CertificateError(f"the certificate of {title(certificate)}: {error}") from None


def extension(certificate: Certificate, wanted: type[Wanted]) -> Wanted | None:
    """The extension of that class, None without."""
    from cryptography.x509 import ExtensionNotFound

    with from_stranger():
        try:
            return certificate.extensions.get_extension_for_class(wanted).value
        except ExtensionNotFound:
            return None


def may(certificate: Certificate, *uses: str) -> bool:
    """Whether its keyUsage allows one of these; one without keyUsage may do all."""
    from cryptography.x509 import KeyUsage

    usage = extension(certificate, KeyUsage)
    return usage is None or any(getattr(usage, use) for use in uses)


@contextmanager
def from_stranger() -> Iterator[None]:
    """The library raises many things for what is malformed, some of them late: all of it is one error here."""
    try:
        yield
    except CygnetError:
        raise
    except Exception:
        raise CertificateError("the certificate or CRL cannot be read: it is malformed or of an unknown kind") from None
