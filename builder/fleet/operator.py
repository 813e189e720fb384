"""The operator's key: its public half seals every box's keys, its private half opens them.

The file has both halves, the private one under a passphrase (scrypt, ChaCha20-Poly1305); with an empty passphrase the
file alone protects. The public half is asked for often and needs none.

    cygnet-operator-key 1
    public BASE64
    salt BASE64
    private BASE64
"""

from __future__ import annotations

import base64
import binascii
import getpass
import os
import sys
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from builder.errors import CygnetError

FORMAT = "cygnet-operator-key 1"
# 128 MB and half a second, once in a run.
COST, BLOCK, LANES = 1 << 17, 8, 1
SIZE = 32
# A key derived from a new salt encrypts one thing in its life.
NONCE = bytes(12)
Ask = Callable[[str], str]


def ask(question: str) -> str:
    """A passphrase from the terminal, unseen; where there is none a line of standard input."""
    if sys.stdin.isatty():
        return getpass.getpass(question)
    line = sys.stdin.readline()
    if not line:
        raise CygnetError("a passphrase is needed: run this on a terminal, or write it, a line, to standard input")
    return line.rstrip("\r\n")


def new_key(file: Path, ask: Ask) -> X25519PrivateKey:
    """Make the operator's key in ``file``, which must not be there."""
    if file.exists():
        raise CygnetError(f"{file}: it is there already: --key={file} uses it, another name makes another key")
    passphrase = ask(f"Passphrase for the new key {file} (empty: none): ")
    if ask("The same again: ") != passphrase:
        raise CygnetError(f"{file}: the two passphrases differ; no key was made")
    private = X25519PrivateKey.generate()
    public, salt = private.public_key().public_bytes_raw(), os.urandom(SIZE)
    head = _head(public, salt)
    secret = _cipher(passphrase, salt).encrypt(NONCE, private.private_bytes_raw(), head.encode())
    _write_new(file, f"{head}private {base64.b64encode(secret).decode()}\n")
    return private


def public_half(file: Path) -> bytes:
    """The public half of the key in ``file``."""
    return _read(file)[0]


def open_key(file: Path, ask: Ask) -> X25519PrivateKey:
    """The key in ``file``; asks for its passphrase."""
    public, salt, secret = _read(file)
    passphrase = ask(f"Passphrase of {file}: ")
    try:
        private = _cipher(passphrase, salt).decrypt(NONCE, secret, _head(public, salt).encode())
    except InvalidTag:
        raise CygnetError(f"{file}: the passphrase is wrong, or the file was changed") from None
    return X25519PrivateKey.from_private_bytes(private)


def shown(public: bytes) -> str:
    """A public half as text."""
    return base64.b64encode(public).decode()


def _head(public: bytes, salt: bytes) -> str:
    return f"{FORMAT}\npublic {shown(public)}\nsalt {shown(salt)}\n"


def _cipher(passphrase: str, salt: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(Scrypt(salt, SIZE, COST, BLOCK, LANES).derive(passphrase.encode()))


def _write_new(file: Path, text: str) -> None:
    """Whole or not at all: a name beside it becomes its own when all is on the disk."""
    new = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.link(new, file)
    except OSError as error:
        raise CygnetError(f"{file}: {error.strerror}; no key was made") from None
    finally:
        new.unlink(missing_ok=True)


def _read(file: Path) -> tuple[bytes, bytes, bytes]:
    """Public half, salt, encrypted private half."""
    try:
        first, *lines = file.read_text("ascii").splitlines()
        fields = dict(line.split(" ", 1) for line in lines)
        found = [binascii.a2b_base64(fields[name], strict_mode=True) for name in ("public", "salt", "private")]
    except OSError as error:
        raise CygnetError(f"{file}: {error.strerror}: --key names the operator's key, --new-key makes one") from None
    except (ValueError, KeyError):
        first, found = "", []
    if first != FORMAT or [len(one) for one in found[:2]] != [SIZE, SIZE]:
        raise CygnetError(f"{file}: this is no operator's key: its first line is to be {FORMAT}")
    return found[0], found[1], found[2]
