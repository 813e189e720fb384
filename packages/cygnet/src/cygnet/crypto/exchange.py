"""Diffie-Hellman: MODP groups (RFC 2409, RFC 3526), ECP groups (RFC 5903), Curve25519 (RFC 8031).

One `KeyExchange` is one ephemeral secret. What the peer sends is checked before it is used; public values
and results have the fixed length that RFC 2409 and RFC 5903 ask for.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

from cygnet.crypto.transforms import GROUPS
from cygnet.errors import CygnetError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurve

    from cygnet.crypto.exponentiation import Exponent

# k of the prime 2^n - 2^(n-64) - 1 + 2^64 * (floor(2^(n-130) pi) + k), and the bits of a secret exponent:
# twice the strength that RFC 3526 section 8 gives the group, and some.
MODP = {
    2: (129093, 192),
    5: (741804, 224),
    14: (124476, 256),
    15: (1690314, 320),
    16: (240904, 352),
    17: (929484, 400),
    18: (4743158, 448),
}
ECP = {19: "SECP256R1", 20: "SECP384R1", 21: "SECP521R1"}


class BadPublicValue(CygnetError):
    """The peer's public value would give a shared secret that others can know."""


class KeyExchange:
    """Our half of one exchange in the group of that number (transforms.GROUPS)."""

    def __init__(self, group: int) -> None:
        self.group = GROUPS[group]
        self._secret = _Modp(group) if group in MODP else _Ecp(group) if group in ECP else _Curve25519()
        self.public = self._secret.public()

    def shared(self, peer: bytes) -> bytes:
        """The shared secret g^xy."""
        group = self.group
        if len(peer) != group.size:
            raise BadPublicValue(f"the peer's {group.name} public value has {len(peer)} bytes, not {group.size}")
        try:
            return self._secret.shared(peer)
        except ValueError:
            raise BadPublicValue(f"the peer's {group.name} public value is not one of the group") from None

    def __repr__(self) -> str:
        return f"KeyExchange({self.group.name})"


class _Modp:
    def __init__(self, group: int) -> None:
        self._prime = modp_prime(group)
        self._size = GROUPS[group].size
        bits = MODP[group][1]
        self._exponent = int.from_bytes(os.urandom(bits // 8), "big") | 1 << (bits - 1)
        self._key = self._load(2)

    def _load(self, generator: int) -> Exponent:
        from cygnet.crypto.exponentiation import Exponent

        return Exponent(self._prime, generator, self._exponent)

    def public(self) -> bytes:
        return self._key.public().to_bytes(self._size, "big")

    def shared(self, peer: bytes) -> bytes:
        value = int.from_bytes(peer, "big")
        if not 1 < value < self._prime - 1:
            raise ValueError
        # Where OpenSSL knows the group by name, it may spend a full-length exponentiation on showing the value to be a
        # square: of no use with a safe prime and an ephemeral secret. With another generator it has no name.
        return (self._load(3) if _loads_any_group() else self._key).power(value)


class _Ecp:
    def __init__(self, group: int) -> None:
        from cryptography.hazmat.primitives.asymmetric import ec

        self._curve: EllipticCurve = getattr(ec, ECP[group])()
        self._half = GROUPS[group].size // 2
        self._key = ec.generate_private_key(self._curve)

    def public(self) -> bytes:
        numbers = self._key.public_key().public_numbers()
        return numbers.x.to_bytes(self._half, "big") + numbers.y.to_bytes(self._half, "big")

    def shared(self, peer: bytes) -> bytes:
        from cryptography.hazmat.primitives.asymmetric import ec

        # The library refuses a point that is not on the curve; infinity has no such encoding.
        return self._key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(self._curve, b"\x04" + peer))


class _Curve25519:
    def __init__(self) -> None:
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

        self._key = X25519PrivateKey.generate()

    def public(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    def shared(self, peer: bytes) -> bytes:
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

        # The library refuses a result of zeros, which a point of small order gives.
        return self._key.exchange(X25519PublicKey.from_public_bytes(peer))


@functools.cache
def modp_prime(group: int) -> int:
    """The group's prime, by the formula of its RFC."""
    bits = GROUPS[group].size * 8
    pi = _pi(bits - 130)
    return (1 << bits) - (1 << (bits - 64)) - 1 + ((pi + MODP[group][0]) << 64)


def _pi(bits: int) -> int:
    """floor(2^bits * pi), by Machin's formula with 64 bits to spare."""
    one = 1 << (bits + 64)
    return 4 * (4 * _arctan_inverse(5, one) - _arctan_inverse(239, one)) >> 64


def _arctan_inverse(x: int, one: int) -> int:
    term = total = one // x
    divisor = 1
    while term:
        term //= -x * x
        divisor += 2
        total += term // divisor
    return total


@functools.cache
def _loads_any_group() -> bool:
    """Whether the library loads a group without proving its prime safe: surely before `NoDigestInfo` came."""
    from cryptography.hazmat.primitives.asymmetric import utils

    return not hasattr(utils, "NoDigestInfo")
