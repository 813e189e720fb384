"""RSA keys that were made before, as PEM files in a folder: each is taken once, and leaves it when it is sealed.

openssl genrsa -out pool/1.pem 2048
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from builder.errors import CygnetError
from builder.fleet.keys import Made, Order, public_half, seal_rsa

BITS = range(2048, 8193)
LARGEST = 64 << 10


def take(folder: Path, orders: Iterable[Order], used: set[str], keep: Callable[[Made], None]) -> list[Order]:
    """Give each order a key, as far as there are any; those that got none. ``keep`` has it on the disk when it returns.

    ``used``: public halves of keys that boxes have: what a killed run had sealed and not taken away yet.
    """
    if not folder.is_dir():
        raise CygnetError(f"--pool={folder}: there is no such folder: it is one of PEM files, an RSA key each")
    left = list(orders)
    for file, key in _keys(folder):
        if public_half(key) not in used:
            if not left:
                break
            keep(seal_rsa(left.pop(0), key))
        file.unlink()
    return left


def _keys(folder: Path) -> Iterator[tuple[Path, RSAPrivateKey]]:
    for file in sorted(folder.glob("*.pem")):
        try:
            # To look whether its primes are primes would take longer than to make a new key.
            key = load_pem_private_key(file.read_bytes()[:LARGEST], None, unsafe_skip_rsa_key_validation=True)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise CygnetError(
                f"{file}: this is no RSA key in PEM without a passphrase: take it out of the pool"
            ) from None
        if not isinstance(key, RSAPrivateKey) or key.key_size not in BITS:
            raise CygnetError(f"{file}: this is no RSA key of at least {BITS.start} bits: take it out of the pool")
        if not _works(key):
            raise CygnetError(f"{file}: its signatures are wrong: take it out of the pool")
        yield file, key


def _works(key: RSAPrivateKey) -> bool:
    data, padding, hash = b"any", PKCS1v15(), SHA256()
    try:
        key.public_key().verify(key.sign(data, padding, hash), data, padding, hash)
    except (InvalidSignature, ValueError):
        return False
    return True
