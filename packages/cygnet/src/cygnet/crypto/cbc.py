"""Phase 1's ciphers, in CBC mode (RFC 2409 appendix B, RFC 3602, RFC 2451); padding is the caller's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cygnet.crypto.transforms import CIPHERS
from cygnet.errors import CygnetError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm


class BadCiphertext(CygnetError):
    """An encrypted message that is no whole number of blocks."""


class Cbc:
    """A cipher of transforms.CIPHERS that phase 1 has, with its key."""

    def __init__(self, cipher: str, key: bytes) -> None:
        self.block = CIPHERS[cipher].block
        self._algorithm = _algorithm(cipher, key)

    def encrypt(self, iv: bytes, padded: bytes) -> bytes:
        """The ciphertext; its last block is the next message's IV."""
        from cryptography.hazmat.primitives.ciphers import Cipher, modes

        return Cipher(self._algorithm, modes.CBC(iv)).encryptor().update(padded)

    def decrypt(self, iv: bytes, ciphertext: bytes) -> bytes:
        """The padded plaintext."""
        from cryptography.hazmat.primitives.ciphers import Cipher, modes

        if not ciphertext or len(ciphertext) % self.block:
            raise BadCiphertext(f"{len(ciphertext)} encrypted bytes are no whole number of {self.block}-byte blocks")
        return Cipher(self._algorithm, modes.CBC(iv)).decryptor().update(ciphertext)


def _algorithm(cipher: str, key: bytes) -> BlockCipherAlgorithm:
    if cipher == "3des":
        from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES

        return TripleDES(key)
    from cryptography.hazmat.primitives.ciphers.algorithms import AES

    return AES(key)
