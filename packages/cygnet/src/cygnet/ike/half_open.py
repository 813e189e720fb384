"""Bounds on strangers: how many negotiations may be half open, and how many a source may begin.

IKEv1's responder cannot be stateless: the first message's SA payload is hashed into the last. So the state is
small, short-lived and bounded; when it is full, a newcomer takes the place of one that has not yet shown that its
address is real.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address

from cygnet.connection.connection import Address
from cygnet.ike.v1.sa import IsakmpSa

MOST = 500
MOST_SOURCES = 4096
# First messages that a source may send at once, and how many a second after that.
BURST = 40.0
RATE = 5.0
LIFETIME = 40.0


class HalfOpen:
    """The half-open negotiations in which we respond."""

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._open: list[IsakmpSa] = []
        self._sources: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def allows(self, source: Address, now: float) -> bool:
        """Whether ``source`` may begin another negotiation: a token bucket each, the idlest one forgotten first."""
        key = source.packed[:8] if isinstance(source, IPv6Address) else source.packed
        tokens, since = self._sources.pop(key, (BURST, now))
        tokens = min(BURST, tokens + (now - since) * RATE)
        allowed = tokens >= 1
        self._sources[key] = (tokens - 1 if allowed else tokens, now)
        if len(self._sources) > MOST_SOURCES:
            self._sources.popitem(last=False)
        return allowed

    def add(self, sa: IsakmpSa) -> IsakmpSa | None:
        """Keep a new one; the one that has to make room for it, if any."""
        victim = self._victim() if len(self._open) >= MOST else None
        self._open.append(sa)
        return victim

    def _victim(self) -> IsakmpSa:
        """By chance among those at their first message: who answers quickly is hardly ever hit."""
        unproved = [sa for sa in self._open if sa.state == "STATE_MAIN_R1"] or self._open
        return unproved[int.from_bytes(self._random(4), "big") % len(unproved)]

    def discard(self, sa: IsakmpSa) -> None:
        """It is established or has gone."""
        if sa in self._open:
            self._open.remove(sa)
