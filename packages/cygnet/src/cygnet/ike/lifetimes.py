"""When SAs are replaced and when they end: make before break, and one pair left after a collision."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from cygnet.connection.connection import Connection
from cygnet.ike.live import Child, Live
from cygnet.ike.progress import LOG
from cygnet.ike.v1.sa import IsakmpSa

if TYPE_CHECKING:
    from cygnet.ike.engine import Engine

# A replaced pair stays this long for packets that are under way, and for a peer that has not switched yet.
GRACE = 10.0
# Then it is used for sending no more; this much later, when the peer has heard of it, not for receiving either.
LINGER = 5.0
# An ISAKMP SA stays longer: until the last retransmission of an exchange that is under way over it.
ISAKMP_GRACE = 70.0
# Both ends began one replacement if the second exchange began before the first was over, or so soon after that the
# last message of one or the first of the other was on its way.
IN_FLIGHT = 30.0


class Lifetimes:
    """Timers of ISAKMP SAs and of pairs of SAs."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def margin(self, connection: Connection, lifetime: float, initiator: bool) -> float:
        """How long before its end an SA is replaced; a responder waits longer, so that not both begin."""
        fuzz = connection.rekey_fuzz * int.from_bytes(self.engine.random(2), "big") / 0xFFFF
        margin = connection.rekey_margin * (1 + fuzz) if initiator else connection.rekey_margin / 2
        return min(margin, lifetime / 2)

    def of_isakmp(self, sa: IsakmpSa) -> None:
        """Set the timers of an established ISAKMP SA."""
        connection, at = sa.live.connection, self.engine.timers.at
        margin = self.margin(connection, sa.lifetime, sa.initiator)
        if connection.rekey:
            sa.timers.append(at(self.engine.now + sa.lifetime - margin, lambda: self._replace_isakmp(sa)))
        sa.timers.append(
            at(self.engine.now + sa.lifetime, lambda: self.engine.isakmp.drop(sa, "expired", tell_peer=True))
        )

    def _replace_isakmp(self, sa: IsakmpSa) -> None:
        """Negotiate phase 1 anew if it is still the one in use and somebody needs it."""
        users = list(self.engine.isakmp.users(sa))
        if sa.superseded or not any(live.wanted or live.children for live in users):
            return
        live = next((one for one in users if one.connection.there.host and not one.instance), None)
        if live is not None:
            self.engine.tell(live, LOG, f"{sa.label}: replacing the ISAKMP SA before it expires")
            self.engine.initiation.phase_one(live)

    def supersede_isakmp(self, new: IsakmpSa) -> None:
        """An older ISAKMP SA with the same peer is used no more; whoever began the newer one ends it, after a grace."""
        for old in self.engine.isakmp.good_for(new.live):
            if old is new or not old.established or old.superseded:
                continue
            loser = self._loser(old, new)
            loser.superseded = True
            winner = new if loser is old else old
            when = self._end_of_grace(ISAKMP_GRACE, winner.initiator, loser.icookie < winner.icookie)
            loser.timers.append(self.engine.timers.at(when, partial(self._end_isakmp, loser)))

    def _loser(self, old: IsakmpSa, new: IsakmpSa) -> IsakmpSa:
        """The older one; of two begun at the same moment from both ends, the one with the lower cookie."""
        if old.initiator != new.initiator and new.born < old.established_at + IN_FLIGHT:
            return min(old, new, key=lambda sa: sa.icookie)
        return old

    def _end_of_grace(self, grace: float, ours: bool, lower: bool) -> float:
        """When a loser goes; if it is the peer's to end it, later, for the word of it may be lost on its way.

        Should both ends not agree which one has lost, the ``lower`` one goes first, and the other stays.
        """
        return self.engine.now + grace * (1 if ours else 2) * (1 if lower else 1.5)

    def _end_isakmp(self, sa: IsakmpSa) -> None:
        if self.engine.isakmp.serving(sa.live):
            self.engine.isakmp.drop(sa, "superseded", tell_peer=True)
        else:
            sa.superseded = False

    def of_child(self, live: Live, child: Child) -> None:
        """Set the timers of an established pair."""
        lifetime, at = child.sa.lifetime, self.engine.timers.at
        margin = self.margin(live.connection, lifetime, child.initiator)
        if live.connection.rekey and live.connection.there.host is not None and not live.instance:
            child.timers.append(at(self.engine.now + lifetime - margin, lambda: self._replace_child(live, child)))
        child.timers.append(at(self.engine.now + lifetime, lambda: self._child_expired(live, child)))

    def _replace_child(self, live: Live, child: Child) -> None:
        if child is live.newest and not child.replaced:
            self.engine.tell(live, LOG, f"{live.label} #{child.sa.serial}: replacing the IPsec SA before it expires")
            self.engine.initiation.negotiate(live)

    def _child_expired(self, live: Live, child: Child) -> None:
        self.engine.children.remove(live, child, "expired", tell_peer=True)
        if live.newest is None and live.wanted and live.connection.rekey:
            self.engine.initiation.negotiate(live)

    def supersede_children(self, live: Live, new: Child) -> None:
        """Older pairs for the same traffic go; whoever began the winner's exchange deletes them, after a grace."""
        for old in list(live.children):
            if old is new or not _same_traffic(old, new) or old.replaced:
                continue
            loser = self._losing_child(old, new)
            winner = new if loser is old else old
            loser.replaced = True
            when = self._end_of_grace(GRACE, winner.initiator, loser.nonce < winner.nonce)
            loser.timers.append(self.engine.timers.at(when, partial(self._end, live, loser)))

    def _losing_child(self, old: Child, new: Child) -> Child:
        if old.initiator != new.initiator and new.began < old.born + IN_FLIGHT:
            return min(old, new, key=lambda child: child.nonce)
        return old

    def _end(self, live: Live, child: Child) -> None:
        if not any(one.outbound and not one.replaced and _same_traffic(one, child) for one in live.children):
            # The winner has gone meanwhile: the peer has not come to know it.
            child.replaced = False
            return
        self.engine.children.retire(live, child)
        end = partial(self.engine.children.remove, live, child, "replaced by a newer one", True)
        child.timers.append(self.engine.timers.at(self.engine.now + LINGER, end))


def _same_traffic(one: Child, other: Child) -> bool:
    return (one.sa.ours, one.sa.theirs) == (other.sa.ours, other.sa.theirs)
