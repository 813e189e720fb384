"""What a quick mode negotiated, ready to be installed: SPIs, keys, traffic, addresses."""

from __future__ import annotations

from dataclasses import dataclass, field

from cygnet.connection.connection import Address, Connection
from cygnet.connection.selector import Selector


@dataclass(frozen=True)
class Leg:
    """One protocol of the bundle: esp, ah or comp. SPIs are the receiver's choice: ``spi_in`` is ours.

    ``encryption``: a name of crypto.transforms.CIPHERS, "" without; ``integrity``: of INTEGRITIES, "" without;
    of comp both are "". Keys hold cipher key (with salt) then integrity key, as the KEYMAT gave them.
    """

    protocol: str
    spi_in: int
    spi_out: int
    encryption: str = ""
    integrity: str = ""
    key_in: bytes = field(default=b"", repr=False)
    key_out: bytes = field(default=b"", repr=False)
    cipher_key_bytes: int = 0

    @property
    def suite(self) -> str:
        """Its transforms in one word."""
        return "-".join(word for word in (self.encryption, self.integrity) if word)


@dataclass(frozen=True)
class ChildSa:
    """A pair of SAs (or several, with IPComp or AH around ESP) between here and there.

    ``serial`` is the number that messages name it by (#2). ``instance``: of a %any connection, the peer it serves,
    "" otherwise. ``mode``: tunnel or transport. ``legs``: innermost protocol first.
    ``ports``: (ours, theirs) where UDP encapsulates, None otherwise. ``lifetime`` in seconds.
    """

    serial: int
    connection: Connection
    local: Address
    remote: Address
    mode: str
    legs: tuple[Leg, ...]
    ours: Selector
    theirs: Selector
    lifetime: float
    ports: tuple[int, int] | None = None
    instance: str = ""
    esn: bool = False
    peer_id: str = ""

    @property
    def protecting(self) -> tuple[Leg, ...]:
        """All but IPComp, outermost first."""
        return tuple(leg for leg in reversed(self.legs) if leg.protocol != "comp")
