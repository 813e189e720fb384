"""RSA as FreeS/WAN uses it: key blobs of RFC 2537/3110, signatures of RFC 2409 section 5.1.

IKEv1 signs the bare hash: PKCS #1 v1.5 type 1 without a DigestInfo. Such a signature counts only if what it
recovers to is the hash, the whole hash and nothing else (CVE-2018-16151 and its kin).
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from cygnet.crypto.mac import same
from cygnet.errors import CygnetError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateNumbers, RSAPublicKey

MIN_BITS, MAX_BITS = 1024, 8192
MAX_EXPONENT = 1 << 32
PADDING = 11  # 00 01, at least eight FF, 00
# What ipsec.secrets(5) calls the eight numbers, in its order.
NUMBER_NAMES = (
    "Modulus", "PublicExponent", "PrivateExponent", "Prime1", "Prime2", "Exponent1", "Exponent2", "Coefficient",
)  # fmt: skip


class BadKey(CygnetError, ValueError):
    """An RSA key that cannot be used, and why; shows none of its numbers."""


class PublicKey:
    """An RSA public key."""

    def __init__(self, n: int, e: int) -> None:
        self.bits = n.bit_length()
        if not MIN_BITS <= self.bits <= MAX_BITS:
            raise BadKey(f"an RSA key of {self.bits} bits is not used: at least {MIN_BITS}, at most {MAX_BITS}")
        if n % 2 == 0:
            raise BadKey("the RSA modulus is even")
        if not 3 <= e <= MAX_EXPONENT or e % 2 == 0:
            raise BadKey("the RSA public exponent is not an odd number from 3 to 2^32")
        self.n, self.e = n, e
        self._loaded: RSAPublicKey | None = None

    @classmethod
    def from_blob(cls, blob: bytes) -> PublicKey:
        """From the form of KEY records and of leftrsasigkey=."""
        start, length = (
            (3, int.from_bytes(blob[1:3], "big")) if blob[:1] == b"\0" else (1, int.from_bytes(blob[:1], "big"))
        )
        exponent, modulus = blob[start : start + length], blob[start + length :]
        if not exponent or not modulus or len(exponent) != length:
            raise BadKey("the RSA public key is cut short")
        if exponent[0] == 0 or modulus[0] == 0:
            raise BadKey("the RSA public key has numbers that begin with zeros")
        if len(modulus) > MAX_BITS // 8:
            raise BadKey(f"the RSA public key is longer than {MAX_BITS} bits")
        return cls(int.from_bytes(modulus, "big"), int.from_bytes(exponent, "big"))

    @property
    def blob(self) -> bytes:
        """The form of RFC 3110."""
        exponent = _bytes(self.e)
        return bytes((len(exponent),)) + exponent + _bytes(self.n)

    @property
    def key_id(self) -> str:
        """FreeS/WAN's name for a key: nine base64 digits of the blob."""
        return base64.b64encode(self.blob[:9])[:9].decode()

    def verify_hash(self, signature: bytes, hash: bytes) -> bool:
        """Whether it signs exactly this hash."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

        if not hash or len(signature) != (self.bits + 7) // 8:
            return False
        try:
            return same(self._key().recover_data_from_signature(signature, PKCS1v15(), None), hash)
        except (InvalidSignature, ValueError):
            return False

    def _key(self) -> RSAPublicKey:
        if self._loaded is None:
            from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

            self._loaded = RSAPublicNumbers(self.e, self.n).public_key()
        return self._loaded

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKey) and (self.n, self.e) == (other.n, other.e)

    def __hash__(self) -> int:
        return hash((self.n, self.e))

    def __repr__(self) -> str:
        return f"PublicKey({self.key_id}, {self.bits} bits)"


class PrivateKey:
    """An RSA private key, checked; its numbers show nowhere."""

    def __init__(self, numbers: tuple[int, int, int, int, int, int, int, int]) -> None:
        _check(*numbers)
        self._numbers = numbers
        self._sign: Callable[[bytes], bytes] | None = None
        self.public = PublicKey(numbers[0], numbers[1])

    @classmethod
    def from_numbers(cls, n: int, e: int, d: int, p: int, q: int, dp: int, dq: int, qinv: int) -> PrivateKey:
        """From the numbers of ipsec.secrets(5)."""
        return cls((n, e, d, p, q, dp, dq, qinv))

    @classmethod
    def from_pem(cls, data: bytes, passphrase: bytes | None = None) -> PrivateKey:
        """From a PEM file."""
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            key = load_pem_private_key(data, passphrase, unsafe_skip_rsa_key_validation=True)
        except TypeError:
            words = "is not encrypted, yet has a passphrase" if passphrase else "is encrypted and has no passphrase"
            raise BadKey(f"the private key {words}") from None
        except (ValueError, UnsupportedAlgorithm):
            raise BadKey("this is no PEM private key, or the passphrase is wrong") from None
        if not isinstance(key, RSAPrivateKey):
            raise BadKey("the private key is not an RSA key")
        return cls._from_library(key.private_numbers())

    @classmethod
    def generate(cls, bits: int) -> PrivateKey:
        """A new key."""
        from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

        if not MIN_BITS <= bits <= MAX_BITS:
            raise BadKey(f"an RSA key of {bits} bits is not made: at least {MIN_BITS}, at most {MAX_BITS}")
        return cls._from_library(generate_private_key(65537, bits).private_numbers())

    @classmethod
    def _from_library(cls, numbers: RSAPrivateNumbers) -> PrivateKey:
        public = numbers.public_numbers
        return cls((public.n, public.e, numbers.d, numbers.p, numbers.q, numbers.dmp1, numbers.dmq1, numbers.iqmp))

    def secret_numbers(self) -> dict[str, int]:
        """All eight numbers, secret as they are, under their names in ipsec.secrets(5): for writing that file."""
        return dict(zip(NUMBER_NAMES, self._numbers, strict=True))

    def sign_hash(self, hash: bytes) -> bytes:
        """The signature of a hash."""
        if not 0 < len(hash) <= (self.public.bits + 7) // 8 - PADDING:
            raise BadKey(f"a hash of {len(hash)} bytes cannot be signed by a key of {self.public.bits} bits")
        try:
            signature = self._signer()(hash)
        except ValueError:
            signature = b""
        # A wrong result would give the primes away: a fault, or numbers that are no primes.
        if not self.public.verify_hash(signature, hash):
            raise BadKey("the RSA private key makes wrong signatures; it was not used")
        return signature

    def _signer(self) -> Callable[[bytes], bytes]:
        if self._sign is None:
            from cygnet.crypto import rsa_private

            self._sign = rsa_private.signer(*self._numbers)
        return self._sign

    def __repr__(self) -> str:
        return f"PrivateKey({self.public.key_id}, {self.public.bits} bits)"


def _check(n: int, e: int, d: int, p: int, q: int, dp: int, dq: int, qinv: int) -> None:
    """That the numbers belong together. That the primes are primes is left to the check of each signature."""
    PublicKey(n, e)
    if min(d, p, q, dp, dq, qinv) < 1 or p == q or p % 2 == 0 or q % 2 == 0:
        raise BadKey("the RSA private key has a number that cannot be right")
    if min(p, q).bit_length() < MIN_BITS // 2:
        raise BadKey(f"the RSA private key has a prime of less than {MIN_BITS // 2} bits")
    checks = (
        (p * q == n, "its primes do not make its modulus"),
        (e * d % (p - 1) == 1 and e * d % (q - 1) == 1, "its exponents do not undo each other"),
        (dp == d % (p - 1) and dq == d % (q - 1), "its private exponents do not fit its primes"),
        (qinv < p and qinv * q % p == 1, "its coefficient does not fit its primes"),
    )
    for right, words in checks:
        if not right:
            raise BadKey(f"the numbers of the RSA private key do not belong together: {words}")


def _bytes(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")
