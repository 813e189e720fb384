"""Digests and HMACs by the names of transforms.INTEGRITIES, and the comparison that leaks nothing by its time.

HMAC of the negotiated hash is also the prf of phase 1 (RFC 2409, section 4).
"""

from __future__ import annotations

import hashlib
import hmac as _hmac

HASHLIB_NAMES = {"md5": "md5", "sha1": "sha1", "sha2_256": "sha256", "sha2_384": "sha384", "sha2_512": "sha512"}


def digest(hash: str, *parts: bytes) -> bytes:
    """The hash of all parts, one after the other."""
    return hashlib.new(HASHLIB_NAMES[hash], b"".join(parts), usedforsecurity=False).digest()


def hmac(hash: str, key: bytes, *parts: bytes) -> bytes:
    """The HMAC of all parts, one after the other."""
    return _hmac.digest(key, b"".join(parts), HASHLIB_NAMES[hash])


def same(a: bytes, b: bytes) -> bool:
    """Whether two MACs are equal, in a time that does not tell where they differ."""
    return _hmac.compare_digest(a, b)
