"""What went between this box and each peer's address, for whoever asks why a tunnel is down.

Kept for the peers of connections only: what a stranger sends finds no place to fill.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from cygnet.connection.connection import Address
from cygnet.ike.message import HEADER_SIZE
from cygnet.ike.numbers import FLAG_ENCRYPTED, Exchange, PayloadType

EXCHANGES: dict[int, str] = {
    Exchange.MAIN: "main mode",
    Exchange.QUICK: "quick mode",
    Exchange.INFORMATIONAL: "informational",
}
FIRST, EXCHANGE, FLAGS = 16, 18, 19  # where they stand in a packet (RFC 2408, section 3.1)


@dataclass(eq=False)
class Contact:
    """Event -> how often it was, when it was last, and what it was then. Times are the engine's.

    Events: sent, received; notified: the peer said no; lost: a packet of ours was not taken, by whose word.
    """

    events: dict[str, tuple[int, float, str]] = field(default_factory=dict)

    def note(self, event: str, what: str, now: float) -> None:
        """It happened again."""
        self.events[event] = (self.events.get(event, (0,))[0] + 1, now, what)


class Contacts:
    """One for each address, as long as a connection holds it."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[Address, Contact] = WeakValueDictionary()

    def of(self, remote: Address | None) -> Contact | None:
        """That of a peer's address, made if there is none; whoever asks has to keep it."""
        return self._known.setdefault(remote, Contact()) if remote else None

    def note(self, remote: Address, event: str, what: str, now: float) -> None:
        """Something happened with an address; if no connection is with it, that is of no interest."""
        if contact := self._known.get(remote):
            contact.note(event, what, now)

    def packet(self, remote: Address, event: str, packet: bytes, now: float) -> None:
        """A packet was sent or received; a keep-alive says nothing."""
        if len(packet) >= HEADER_SIZE:
            exchange = EXCHANGES.get(packet[EXCHANGE], "other exchange")
            piece = "a piece of " if packet[FIRST] == PayloadType.FRAGMENT else ""
            how = "encrypted" if packet[FLAGS] & FLAG_ENCRYPTED else "in clear"
            self.note(remote, event, f"{piece}{exchange}, {how}, {len(packet)} bytes", now)
