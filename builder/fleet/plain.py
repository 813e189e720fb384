"""Secrets laid open: a box's ipsec.secrets(5), from what is sealed."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key

from builder.errors import CygnetError
from builder.fleet.keys import psk_file, public_half, rsa_file
from builder.fleet.sealed import CannotOpen, parse
from builder.fleet.table import Row, Table

SECRETS = "ipsec.secrets"


def secrets(table: Table, row: Row, keys: Path, operator: X25519PrivateKey) -> bytes:
    """What a box needs to know. CygnetError where a file does not open."""
    return "".join(_entries(table, row, keys, operator)).encode()


def _entries(table: Table, row: Row, keys: Path, operator: X25519PrivateKey) -> Iterator[str]:
    if table.has_key(row):
        yield _rsa(row, _opened(keys / rsa_file(row.name), operator))
    for spoke, hub in table.pairs():
        if spoke.auth == "psk" and row in (spoke, hub):
            secret = base64.b64encode(_opened(keys / psk_file(spoke.name, hub.name), operator)).decode()
            yield f"{spoke.address} {hub.address} : PSK 0s{secret}\n"


def _opened(file: Path, operator: X25519PrivateKey) -> bytes:
    try:
        sealed = parse(file.read_bytes())
        if sealed.fields.get("name") != file.name:
            raise CannotOpen(f"it is the key of {sealed.fields.get('name')}: put it back to its own name")
        return sealed.open(operator)
    except OSError as error:
        raise CygnetError(f"{file}: {error.strerror}") from None
    except CannotOpen as error:
        raise CygnetError(f"{file}: {error}") from None


def _rsa(row: Row, secret: bytes) -> str:
    """An entry as ipsec.secrets(5) has it, all numbers but the exponent secret."""
    key = load_der_private_key(secret, None)
    if not isinstance(key, RSAPrivateKey):
        raise CygnetError(f"the key of {row.name} is no RSA key")
    numbers = key.private_numbers()
    public = numbers.public_numbers
    table = {
        "Modulus": public.n, "PublicExponent": public.e, "PrivateExponent": numbers.d, "Prime1": numbers.p,
        "Prime2": numbers.q, "Exponent1": numbers.dmp1, "Exponent2": numbers.dmq1, "Coefficient": numbers.iqmp,
    }  # fmt: skip
    lines = "".join(f"\t{name}: 0x{_hex(number)}\n" for name, number in table.items())
    return f"{row.id} : RSA {{\n\t# RSA {key.key_size} bits   {row.name}\n\t#pubkey={public_half(key)}\n{lines}\t}}\n"


def _hex(number: int) -> str:
    return number.to_bytes((number.bit_length() + 7) // 8, "big").hex()
