"""Keys and certificates, made anew for a test, in the files and lines that each daemon wants."""

from __future__ import annotations

import base64
import datetime
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

BITS = 2048
VALID = datetime.timedelta(days=2)
PEM = serialization.Encoding.PEM


@dataclass(frozen=True)
class Key:
    """An RSA key pair."""

    private: rsa.RSAPrivateKey

    @property
    def pem(self) -> bytes:
        """PKCS #1, as strongSwan and FreeS/WAN's X.509 patch read it."""
        return self.private.private_bytes(
            PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )

    @property
    def public_pem(self) -> bytes:
        """The public half."""
        return self.private.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    @property
    def rsasigkey(self) -> str:
        """The public half as ipsec.conf has it (RFC 3110)."""
        numbers = self.private.public_key().public_numbers()
        exponent = _bytes(numbers.e)
        return "0s" + base64.b64encode(bytes([len(exponent)]) + exponent + _bytes(numbers.n)).decode()

    @property
    def secrets(self) -> str:
        """The private half as FreeS/WAN's rsasigkey wrote it into ipsec.secrets."""
        numbers = self.private.private_numbers()
        fields = {
            "Modulus": numbers.public_numbers.n,
            "PublicExponent": numbers.public_numbers.e,
            "PrivateExponent": numbers.d,
            "Prime1": numbers.p,
            "Prime2": numbers.q,
            "Exponent1": numbers.dmp1,
            "Exponent2": numbers.dmq1,
            "Coefficient": numbers.iqmp,
        }
        lines = "".join(f"\t{name}: 0x{_bytes(number).hex()}\n" for name, number in fields.items())
        return f": RSA\t{{\n{lines}\t}}\n"


def make_key() -> Key:
    """A new key pair."""
    return Key(rsa.generate_private_key(65537, BITS))


class Authority:
    """A certification authority. ``padding``: bytes of comment in each certificate, to make it long."""

    def __init__(self, name: str = "Cygnet Test CA", padding: int = 0) -> None:
        self._key = make_key()
        self._name = _name(name)
        self._padding = padding
        builder = self._builder(self._name, self._key).add_extension(x509.BasicConstraints(True, None), True)
        self.pem = self._sign(builder)

    def certify(self, key: Key, host: str) -> bytes:
        """A certificate of ``host``'s, its name in subject and subjectAltName."""
        builder = self._builder(_name(host), key).add_extension(x509.BasicConstraints(False, None), True)
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), False)
        if self._padding:
            oid = x509.ObjectIdentifier("2.16.840.1.113730.1.13")
            builder = builder.add_extension(x509.UnrecognizedExtension(oid, _comment(self._padding)), False)
        return self._sign(builder)

    def _builder(self, subject: x509.Name, key: Key) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.private.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - VALID)
            .not_valid_after(now + VALID)
        )

    def _sign(self, builder: x509.CertificateBuilder) -> bytes:
        return builder.sign(self._key.private, hashes.SHA256()).public_bytes(PEM)


def subject(host: str) -> str:
    """The subject of a certificate as text."""
    return f"O=Cygnet, CN={host}"


def _name(common: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Cygnet"), x509.NameAttribute(NameOID.COMMON_NAME, common)]
    )


def _comment(size: int) -> bytes:
    """An IA5String in DER."""
    return b"\x16\x82" + size.to_bytes(2, "big") + b"c" * size


def _bytes(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
