"""What is dear to make, once a session: RSA keys, a CA and certificates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cygnet.crypto.rsa import PrivateKey
from cygnet.ike.certificates import Certificates

TODAY = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="session")
def rsa_keys() -> tuple[PrivateKey, PrivateKey]:
    """West's and east's key."""
    return PrivateKey.generate(2048), PrivateKey.generate(2048)


@dataclass(frozen=True)
class Papers:
    """A folder with a CA and what it issued."""

    folder: Path
    keys: dict[str, RSAPrivateKey]
    certificates: dict[str, x509.Certificate]

    def certificates_of(self, clock: datetime = TODAY, trusted: bool = True) -> Certificates:
        """What a box knows of certificates; one that is not ``trusted`` has no CA."""
        return Certificates(
            folders=(self.folder / ("cacerts" if trusted else "none"), self.folder / "crls"), clock=lambda: clock
        )

    def path(self, name: str) -> Path:
        """The file of a certificate."""
        return self.folder / f"{name}.pem"

    def key(self, name: str) -> PrivateKey:
        """The private key that belongs to it."""
        return PrivateKey.from_pem(self.keys[name].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    def issue(self, name: str, alternative: x509.GeneralName, serial: int, padding: int = 0) -> None:
        """A certificate, signed by the CA; ``padding``: bytes that make it longer."""
        self.keys[name] = generate_private_key(65537, 2048)
        builder = (
            _builder(name, self.keys[name], serial)
            .issuer_name(self.certificates["ca"].subject)
            .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        )
        if padding:
            oid = x509.ObjectIdentifier("1.3.6.1.4.1.99999.1")
            builder = builder.add_extension(x509.UnrecognizedExtension(oid, bytes(padding)), critical=False)
        self.certificates[name] = builder.sign(self.keys["ca"], hashes.SHA256())
        self.path(name).write_bytes(self.certificates[name].public_bytes(Encoding.PEM))

    def revoke(self, name: str) -> None:
        """Put a certificate on the CA's list."""
        entry = x509.RevokedCertificateBuilder().serial_number(self.certificates[name].serial_number)
        made = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificates["ca"].subject)
            .last_update(TODAY - timedelta(days=1))
            .next_update(TODAY + timedelta(days=30))
            .add_revoked_certificate(entry.revocation_date(TODAY - timedelta(days=1)).build())
            .sign(self.keys["ca"], hashes.SHA256())
        )
        (self.folder / "crls/ca.pem").write_bytes(made.public_bytes(Encoding.PEM))


def _builder(name: str, key: RSAPrivateKey, serial: int) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(TODAY - timedelta(days=10))
        .not_valid_after(TODAY + timedelta(days=300))
    )


@pytest.fixture(scope="session")
def _papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    folder = tmp_path_factory.mktemp("papers")
    key = generate_private_key(65537, 2048)
    ca = (
        _builder("Test CA", key, 1)
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Test CA")]))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cacerts").mkdir()
    (folder / "crls").mkdir()
    (folder / "cacerts/ca.pem").write_bytes(ca.public_bytes(Encoding.PEM))
    papers = Papers(folder, {"ca": key}, {"ca": ca})
    papers.issue("west", x509.DNSName("west.example.org"), 2)
    papers.issue("east", x509.IPAddress(ip_address("192.0.2.2")), 3, padding=3000)
    return papers


@pytest.fixture
def papers(_papers: Papers) -> Papers:
    """The same for every test, with no certificate revoked."""
    (_papers.folder / "crls/ca.pem").unlink(missing_ok=True)
    return _papers
