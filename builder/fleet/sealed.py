"""Files that only the operator can open: HPKE (RFC 9180, base mode) to the operator's public key.

Making such a file needs no secret, so keys can be made and sealed anywhere. The lines above the ciphertext are
readable, and bound to it: a file under another name, or with another public half, does not open.

    cygnet-sealed 1
    name shop1.rsa
    public 0sAwEAAb...

    BASE64
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

FORMAT = "cygnet-sealed 1"
WIDTH = 76


class CannotOpen(ValueError):
    """What is wrong with a sealed file; shows nothing that is in it."""


@dataclass(frozen=True)
class Sealed:
    """A sealed file, read but not opened."""

    head: str
    ciphertext: bytes

    @property
    def fields(self) -> Mapping[str, str]:
        """Its readable lines, name and value."""
        return dict(line.split(" ", 1) for line in self.head.splitlines()[1:])

    def open(self, operator: X25519PrivateKey) -> bytes:
        """What was sealed."""
        try:
            return _suite().decrypt(self.ciphertext, operator, self.head.encode())
        except (InvalidTag, ValueError):
            raise CannotOpen("it does not open: it was sealed for another key, or changed since") from None


def seal(secret: bytes, operator: bytes, fields: Mapping[str, str]) -> bytes:
    """The file for ``secret``, for the holder of the X25519 public key ``operator``."""
    head = "".join(f"{line}\n" for line in (FORMAT, *(f"{name} {value}" for name, value in fields.items())))
    ciphertext = _suite().encrypt(secret, X25519PublicKey.from_public_bytes(operator), head.encode())
    text = base64.b64encode(ciphertext).decode()
    lines = [text[at : at + WIDTH] for at in range(0, len(text), WIDTH)]
    return "\n".join([head, *lines, ""]).encode()


def parse(data: bytes) -> Sealed:
    """A sealed file; CannotOpen if it is none."""
    try:
        head, blank, body = data.decode("ascii").partition("\n\n")
        first, *fields = head.split("\n")
        if first != FORMAT or not blank or not all(" " in line for line in fields):
            raise CannotOpen(f"it does not begin with {FORMAT}: it is no sealed file, or one of another version")
        return Sealed(head + "\n", binascii.a2b_base64("".join(body.split()), strict_mode=True))
    except (UnicodeDecodeError, binascii.Error):
        raise CannotOpen("it is damaged: take it from a backup") from None


def _suite() -> hpke.Suite:
    return hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)
