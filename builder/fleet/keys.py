"""What is secret about a fleet: an RSA key for each box, a secret for each pair. Made once, sealed at once.

``make`` runs anywhere, also where nothing of Cygnet is: what it is given and what it gives back is no secret.
"""

from __future__ import annotations

import base64
import os
import time
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from builder.fleet.sealed import seal

BITS = 2048
EXPONENT = 65537
SECRET_BYTES = 32


class Order(NamedTuple):
    """A key to be made: the name of its file, and the operator's public half."""

    file: str
    operator: bytes


class Made(NamedTuple):
    """A key that was made: what is to be in its file, and the seconds that it took."""

    file: str
    data: bytes
    seconds: float = 0.0


def rsa_file(box: str) -> str:
    """The file of a box's key."""
    return f"{box}.rsa"


def psk_file(spoke: str, hub: str) -> str:
    """The file of a pair's secret; box names have no dots."""
    return f"{spoke}.{hub}.psk"


def make(order: Order) -> Made:
    """A new key, sealed. An RSA key's public half is readable (RFC 3110, as leftrsasigkey= has it)."""
    began = time.monotonic()
    if order.file.endswith(".rsa"):
        made = seal_rsa(order, rsa.generate_private_key(EXPONENT, BITS))
        return made._replace(seconds=time.monotonic() - began)
    return Made(order.file, seal(os.urandom(SECRET_BYTES), order.operator, {"name": order.file}))


def seal_rsa(order: Order, key: rsa.RSAPrivateKey) -> Made:
    """A key that was made before, sealed."""
    secret = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return Made(order.file, seal(secret, order.operator, {"name": order.file, "public": public_half(key)}))


def public_half(key: rsa.RSAPrivateKey) -> str:
    """The public key as leftrsasigkey= has it."""
    numbers = key.public_key().public_numbers()
    exponent, modulus = (value.to_bytes((value.bit_length() + 7) // 8, "big") for value in (numbers.e, numbers.n))
    return "0s" + base64.b64encode(bytes((len(exponent),)) + exponent + modulus).decode()
