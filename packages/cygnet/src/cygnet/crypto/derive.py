"""IKEv1's keys and authenticating hashes: RFC 2409, section 5, 5.5 and appendix B.

The argument names are the RFC's; ``hash`` is a name of transforms.INTEGRITIES, its HMAC is the prf.
``ni`` and ``nr`` are nonce bodies, ``cky_i`` and ``cky_r`` cookies, ``message_id`` its four bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cygnet.crypto.mac import digest, hmac


@dataclass(frozen=True)
class PhaseOneKeys:
    """SKEYID and what comes of it. ``cipher``: the key of the phase 1 cipher."""

    skeyid: bytes = field(repr=False)
    d: bytes = field(repr=False)
    a: bytes = field(repr=False)
    e: bytes = field(repr=False)
    cipher: bytes = field(repr=False)


def skeyid_psk(hash: str, psk: bytes, ni: bytes, nr: bytes) -> bytes:
    """SKEYID where a pre-shared key authenticates."""
    return hmac(hash, psk, ni, nr)


def skeyid_signature(hash: str, ni: bytes, nr: bytes, g_xy: bytes) -> bytes:
    """SKEYID where signatures authenticate."""
    return hmac(hash, ni + nr, g_xy)


def derive(hash: str, skeyid: bytes, g_xy: bytes, cky_i: bytes, cky_r: bytes, key_len: int) -> PhaseOneKeys:
    """The keys of phase 1; ``key_len``: bytes of the cipher's key."""
    common = g_xy + cky_i + cky_r
    d = hmac(hash, skeyid, common, b"\0")
    a = hmac(hash, skeyid, d, common, b"\1")
    e = hmac(hash, skeyid, a, common, b"\2")
    return PhaseOneKeys(skeyid, d, a, e, _lengthened(hash, e, key_len))


def _lengthened(hash: str, e: bytes, key_len: int) -> bytes:
    """SKEYID_e's first bytes, or where it is too short, the chain of appendix B."""
    if key_len <= len(e):
        return e[:key_len]
    link = key = hmac(hash, e, b"\0")
    while len(key) < key_len:
        link = hmac(hash, e, link)
        key += link
    return key[:key_len]


def first_iv(hash: str, g_xi: bytes, g_xr: bytes, block: int) -> bytes:
    """IV of the first encrypted message of phase 1."""
    return digest(hash, g_xi, g_xr)[:block]


def exchange_iv(hash: str, last_block: bytes, message_id: bytes, block: int) -> bytes:
    """IV of the first message of a later exchange; ``last_block``: the last ciphertext block of phase 1."""
    return digest(hash, last_block, message_id)[:block]


def keymat(
    hash: str, skeyid_d: bytes, protocol: int, spi: bytes, ni: bytes, nr: bytes, g_xy: bytes, length: int
) -> bytes:
    """Key material of the SA with that SPI (section 5.5); ``g_xy``: of quick mode's own exchange, b"" without PFS."""
    seed = g_xy + bytes((protocol,)) + spi + ni + nr
    link = key = hmac(hash, skeyid_d, seed)
    while len(key) < length:
        link = hmac(hash, skeyid_d, link, seed)
        key += link
    return key[:length]


def hash_i(
    hash: str, skeyid: bytes, g_xi: bytes, g_xr: bytes, cky_i: bytes, cky_r: bytes, sai: bytes, idii: bytes
) -> bytes:
    """HASH_I, by which the initiator proves itself; ``sai`` and ``idii`` are payload bodies."""
    return hmac(hash, skeyid, g_xi, g_xr, cky_i, cky_r, sai, idii)


def hash_r(
    hash: str, skeyid: bytes, g_xi: bytes, g_xr: bytes, cky_i: bytes, cky_r: bytes, sai: bytes, idir: bytes
) -> bytes:
    """HASH_R, by which the responder proves itself."""
    return hmac(hash, skeyid, g_xr, g_xi, cky_r, cky_i, sai, idir)


def hash_1(hash: str, skeyid_a: bytes, message_id: bytes, rest: bytes) -> bytes:
    """HASH(1) of quick mode's first message, and of informational messages (section 5.7); ``rest`` follows the hash."""
    return hmac(hash, skeyid_a, message_id, rest)


def hash_2(hash: str, skeyid_a: bytes, message_id: bytes, ni: bytes, rest: bytes) -> bytes:
    """HASH(2) of quick mode's second message."""
    return hmac(hash, skeyid_a, message_id, ni, rest)


def hash_3(hash: str, skeyid_a: bytes, message_id: bytes, ni: bytes, nr: bytes) -> bytes:
    """HASH(3) of quick mode's third message."""
    return hmac(hash, skeyid_a, b"\0", message_id, ni, nr)
