"""Every transform by name: its numbers on the wire, its sizes, its name in the kernel.

A new transform is a new row here.  Numbers: RFC 2409 appendix A and the registries it began (hash, encryption,
group), RFC 2407 section 4.4 and 4.5 (ESP, AH, authentication).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cipher:
    """A cipher. ``ike``: phase 1 number, 0 if phase 1 has none. ``esp``: ESP transform id.

    ``key_bits``: allowed lengths, the first is the default; ``fixed``: the length is not sent.
    ``salt``: bytes of key material after the key. ``icv_bits``: of a combined-mode cipher, else 0.
    """

    name: str
    ike: int
    esp: int
    key_bits: tuple[int, ...]
    block: int
    kernel: str
    fixed: bool = False
    salt: int = 0
    icv_bits: int = 0
    weak: bool = False

    @property
    def aead(self) -> bool:
        """Whether it brings its own integrity."""
        return self.icv_bits > 0


@dataclass(frozen=True)
class Integrity:
    """A hash and its HMAC. ``ike``: number in phase 1. ``auth``: SA attribute of phase 2. ``ah``: AH transform."""

    name: str
    ike: int
    auth: int
    ah: int
    size: int
    icv_bits: int
    kernel: str
    weak: bool = False


@dataclass(frozen=True)
class Group:
    """A Diffie-Hellman group. ``size``: bytes of a public value on the wire."""

    number: int
    name: str
    size: int
    weak: bool = False


CIPHERS = {
    row.name: row
    for row in (
        Cipher("aes", 7, 12, (128, 192, 256), 16, "cbc(aes)"),
        Cipher("3des", 5, 3, (192,), 8, "cbc(des3_ede)", fixed=True, weak=True),
        Cipher("aes_ctr", 0, 13, (128, 192, 256), 1, "rfc3686(ctr(aes))", salt=4),
        Cipher("aes_gcm8", 0, 18, (128, 192, 256), 1, "rfc4106(gcm(aes))", salt=4, icv_bits=64),
        Cipher("aes_gcm12", 0, 19, (128, 192, 256), 1, "rfc4106(gcm(aes))", salt=4, icv_bits=96),
        Cipher("aes_gcm", 0, 20, (128, 192, 256), 1, "rfc4106(gcm(aes))", salt=4, icv_bits=128),
        Cipher("chacha20poly1305", 0, 28, (256,), 1, "rfc7539esp(chacha20,poly1305)", fixed=True, salt=4, icv_bits=128),
    )
}
INTEGRITIES = {
    row.name: row
    for row in (
        Integrity("md5", 1, 1, 2, 16, 96, "hmac(md5)", weak=True),
        Integrity("sha1", 2, 2, 3, 20, 96, "hmac(sha1)", weak=True),
        Integrity("sha2_256", 4, 5, 5, 32, 128, "hmac(sha256)"),
        Integrity("sha2_384", 5, 6, 6, 48, 192, "hmac(sha384)"),
        Integrity("sha2_512", 6, 7, 7, 64, 256, "hmac(sha512)"),
    )
}
GROUPS = {
    row.number: row
    for row in (
        Group(2, "modp1024", 128, weak=True),
        Group(5, "modp1536", 192, weak=True),
        Group(14, "modp2048", 256),
        Group(15, "modp3072", 384),
        Group(16, "modp4096", 512),
        Group(17, "modp6144", 768),
        Group(18, "modp8192", 1024),
        Group(19, "ecp256", 64),
        Group(20, "ecp384", 96),
        Group(21, "ecp521", 132),
        Group(31, "curve25519", 32),
    )
}
# Never negotiated, whatever a file says, each with the reason that the user is told.
REFUSED = {
    "des": "single DES is broken",
    "null": "null encryption protects nothing",
    "modp768": "group 1 (modp768) is broken",
}
CIPHER_BY_IKE = {row.ike: row for row in CIPHERS.values() if row.ike}
CIPHER_BY_ESP = {row.esp: row for row in CIPHERS.values()}
HASH_BY_IKE = {row.ike: row for row in INTEGRITIES.values()}
INTEGRITY_BY_AUTH = {row.auth: row for row in INTEGRITIES.values()}
WEAK = frozenset(row.name for rows in (CIPHERS, INTEGRITIES, GROUPS) for row in rows.values() if row.weak)
