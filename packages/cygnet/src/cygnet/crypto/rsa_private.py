"""RSA's private operation on a bare hash: by the library where it has it, else by its parts.

The caller checks the result with the public key before it leaves (fault attacks on CRT).
"""

from __future__ import annotations

import os
from collections.abc import Callable

from cygnet.crypto.exponentiation import Exponent


def signer(n: int, e: int, d: int, p: int, q: int, dp: int, dq: int, qinv: int) -> Callable[[bytes], bytes]:
    """What signs a hash with these numbers, made ready."""
    from cryptography.hazmat.primitives.asymmetric import utils

    if hasattr(utils, "NoDigestInfo"):
        return _by_library(n, e, d, p, q, dp, dq, qinv)
    return by_parts(n, e, p, q, dp, dq, qinv)


def _by_library(n: int, e: int, d: int, p: int, q: int, dp: int, dq: int, qinv: int) -> Callable[[bytes], bytes]:
    from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils

    numbers = rsa.RSAPrivateNumbers(p, q, d, dp, dq, qinv, rsa.RSAPublicNumbers(e, n))
    key = numbers.private_key(unsafe_skip_rsa_key_validation=True)  # rsa.py checked, and checks each result
    return lambda hash: key.sign(hash, padding.PKCS1v15(), utils.NoDigestInfo())


def by_parts(n: int, e: int, p: int, q: int, dp: int, dq: int, qinv: int) -> Callable[[bytes], bytes]:
    """For cryptography before 47, which signs nothing without a DigestInfo and has no raw private operation.

    The two secret exponentiations are OpenSSL's, in constant time; what Python computes is blinded.
    """
    size = (n.bit_length() + 7) // 8
    exponent_p, exponent_q = Exponent(p, 2, dp), Exponent(q, 2, dq)

    def sign(hash: bytes) -> bytes:
        message = int.from_bytes(b"\0\1".ljust(size - len(hash) - 1, b"\xff") + b"\0" + hash, "big")
        blind = int.from_bytes(os.urandom(size + 8), "big") % (n - 2) + 2
        blinded = message * pow(blind, e, n) % n
        root_p = int.from_bytes(exponent_p.power(blinded % p), "big")
        root_q = int.from_bytes(exponent_q.power(blinded % q), "big")
        root = root_q + q * (qinv * (root_p - root_q) % p)
        return (root * pow(blind, -1, n) % n).to_bytes(size, "big")

    return sign
