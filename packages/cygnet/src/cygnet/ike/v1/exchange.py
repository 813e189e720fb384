"""What every exchange has: the last packet sent, when to send it again, what it answered (RFC 2408, section 5.1)."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from cygnet.errors import CygnetError
from cygnet.ike.progress import RETRANSMIT
from cygnet.ike.timers import Timer
from cygnet.ike.v1.sa import IsakmpSa

if TYPE_CHECKING:
    from cygnet.ike.engine import Engine

# Seconds to wait for an answer, then twice as long each time: 62 s in all.
FIRST_WAIT = 2.0
MOST_SENDS = 5
# A packet that comes again is answered from memory, but not for ever: that would amplify for a forger.
MOST_REPLIES = 8


class Refused(CygnetError):
    """The peer's message is understood and not accepted; ``notify`` is what it is told, with ``data`` as text."""

    def __init__(self, notify: int, reason: str, data: str = "") -> None:
        self.notify, self.data = notify, data
        super().__init__(reason)


class Exchange(ABC):
    """One exchange over an ISAKMP SA. Subclasses have the steps."""

    def __init__(self, engine: Engine, sa: IsakmpSa) -> None:
        self.engine, self.sa = engine, sa
        self.sent = b""
        self._answered = b""
        self._sends = self._replies = 0
        self._timer: Timer | None = None

    @property
    def label(self) -> str:
        """How its messages begin."""
        return self.sa.label

    @property
    def state(self) -> str:
        """FreeS/WAN's name for where it is."""
        return self.sa.state

    @property
    def copies(self) -> int:
        """How often its last packet went out, while an answer is awaited; 0 if none is."""
        return self._sends if self._timer else 0

    def transmit(self, packet: bytes, awaiting: bool) -> None:
        """Send a packet; if an answer is ``awaiting``, again and again until it comes."""
        self.sent, self._sends, self._replies = packet, 1, 0
        self.engine.send(self.sa, packet)
        self.quiet()
        if awaiting:
            self._timer = self.engine.timers.at(self.engine.now + FIRST_WAIT, self._again)

    def quiet(self) -> None:
        """Wait for nothing any more."""
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _again(self) -> None:
        if self._sends >= MOST_SENDS:
            self.silent(f"max number of retransmissions ({MOST_SENDS - 1}) reached {self.state}. {self.unanswered()}")
            return
        wait = FIRST_WAIT * 2**self._sends
        self._sends += 1
        self.engine.tell(
            self.sa.live, RETRANSMIT, f"{self.label}: {self.state}: retransmission; will wait {wait:.0f}s for response"
        )
        self.engine.send(self.sa, self.sent)
        self._timer = self.engine.timers.at(self.engine.now + wait, self._again)

    def answered(self, packet: bytes) -> None:
        """``packet`` moved the exchange on: remember it, so that a copy of it is known."""
        self._answered = hashlib.sha256(packet).digest()
        self.quiet()

    def is_copy(self, packet: bytes) -> bool:
        """Whether ``packet`` came before; then what it was answered with goes out again, a few times."""
        if hashlib.sha256(packet).digest() != self._answered:
            return False
        if self.sent and self._replies < MOST_REPLIES and not self._timer:
            self._replies += 1
            self.engine.send(self.sa, self.sent)
        return True

    def silent(self, reason: str) -> None:
        """No answer came to the last of many copies."""
        self.given_up(reason)

    @abstractmethod
    def given_up(self, reason: str) -> None:
        """No answer came, or one that ends it."""

    def unanswered(self) -> str:
        """What it means that no answer came, in words."""
        return "No response (or no acceptable response)"
