"""What a connection offers and accepts: transforms by their names in crypto/transforms.py.

``ike=aes256-sha2_256-modp2048`` and ``esp=aes_gcm128-null;modp3072`` become these.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class IkeProposal:
    """One transform of phase 1: encryption, its key length in bits, hash, Diffie-Hellman group number."""

    encryption: str
    key_bits: int
    hash: str
    group: int

    def __str__(self) -> str:
        return f"{self.encryption}_{self.key_bits}-{self.hash}-group{self.group}"


@dataclass(frozen=True)
class ChildProposal:
    """One suite of phase 2.

    ``encryption`` "" is AH (integrity only). ``integrity`` "" goes with a combined-mode cipher.
    ``key_bits`` is the cipher's key without salt; 0 for AH. ``ah``: the integrity of an AH around ESP, "" without.
    """

    encryption: str
    key_bits: int
    integrity: str
    ah: str = ""

    @property
    def protocol(self) -> str:
        """esp or ah."""
        return "esp" if self.encryption else "ah"

    @property
    def layers(self) -> tuple[ChildProposal, ...]:
        """Its protocols one by one, the innermost first."""
        around = (ChildProposal("", 0, self.ah),) if self.ah else ()
        return (replace(self, ah=""), *around)

    def __str__(self) -> str:
        words = [f"{self.encryption}_{self.key_bits}"] if self.encryption else []
        around = f" with AH {self.ah}" if self.ah else ""
        return "-".join([*words, *([self.integrity] if self.integrity else [])]) + around
