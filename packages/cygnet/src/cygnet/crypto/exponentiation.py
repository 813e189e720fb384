"""x**secret mod a prime, by OpenSSL and in constant time, for Diffie-Hellman and for RSA's private operation.

The library offers no plain exponentiation, but a Diffie-Hellman exchange is one. Keys go in as PKCS #8 and
SubjectPublicKeyInfo (RFC 5280) because that way OpenSSL does not first prove the prime safe, which takes
many times as long as the exponentiation.
"""

from __future__ import annotations

import warnings
from typing import Any

from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key
from cryptography.utils import CryptographyDeprecationWarning

from cygnet.crypto.der import BIT_STRING, OCTET_STRING, SEQUENCE, integer, tlv

DH_KEY_AGREEMENT = bytes.fromhex("06092a864886f70d010301")  # 1.2.840.113549.1.3.1


class Exponent:
    """A secret exponent for one prime. ``generator`` only decides whether OpenSSL knows the group by name."""

    def __init__(self, prime: int, generator: int, secret: int) -> None:
        self._algorithm = tlv(SEQUENCE, DH_KEY_AGREEMENT + tlv(SEQUENCE, integer(prime) + integer(generator)))
        key = integer(0) + self._algorithm + tlv(OCTET_STRING, integer(secret))
        # Any: merely naming the library's DH classes warns of their deprecation.
        with _no_deprecation():
            self._key: Any = load_der_private_key(tlv(SEQUENCE, key), None)

    def public(self) -> int:
        """generator**secret."""
        return int(self._key.public_key().public_numbers().y)

    def power(self, base: int) -> bytes:
        """base**secret, as long as the prime; ValueError for a base or a result that OpenSSL finds degenerate."""
        base_key = tlv(SEQUENCE, self._algorithm + tlv(BIT_STRING, b"\0" + integer(base)))
        with _no_deprecation():
            return bytes(self._key.exchange(load_der_public_key(base_key)))


def _no_deprecation() -> warnings.catch_warnings[None]:
    """cryptography 50 warns at every finite-field Diffie-Hellman key; RFC 2409's peers have nothing newer."""
    return warnings.catch_warnings(action="ignore", category=CryptographyDeprecationWarning)
