"""Bringing connections up: phase 1 if there is none with the peer, then phase 2, and what follows when either fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cygnet.connection.connection import AuthBy, Connection
from cygnet.connection.local import away
from cygnet.errors import CygnetError
from cygnet.ike.live import Attempt, Live, is_negotiated
from cygnet.ike.numbers import Auth
from cygnet.ike.path import Path
from cygnet.ike.progress import COMMENT, LOG, NO_ANSWER
from cygnet.ike.v1 import authentication
from cygnet.ike.v1.exchange import Refused
from cygnet.ike.v1.phase_one import METHODS
from cygnet.ike.v1.quick_initiator import QuickInitiator
from cygnet.ike.v1.sa import IsakmpSa
from cygnet.index import Index

if TYPE_CHECKING:
    from cygnet.ike.engine import Engine

# Seconds before a refused negotiation is tried again, then twice as long each time.
FIRST_RETRY = 5.0
LONGEST_RETRY = 300.0


class CannotInitiate(CygnetError):
    """A connection that cannot be brought up from this end; says why."""


class Initiation:
    """What is being brought up. ``pending``: lives that wait for phase 1."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.pending: Index[Live] = Index(lambda live: (live.connection.there.host,))

    def start(self, live: Live, attempt: Attempt | None) -> None:
        """Bring a connection up, or anew if it is up; as soon as it can be. Raises CannotInitiate."""
        try:
            self._check(live.connection)
        except CannotInitiate as error:
            live.why = str(error)
            raise
        live.wanted = True
        if reason := away(live.connection):
            if attempt is None:
                return
            raise CannotInitiate(f'"{live.connection.name}" ({live.connection.where}) waits: {reason}')
        if attempt:
            if live.attempt:
                live.attempt.finish(NO_ANSWER)
            live.attempt = attempt
        self.negotiate(live)

    def _check(self, connection: Connection) -> None:
        where = f'"{connection.name}" ({connection.where})'
        if not is_negotiated(connection) or connection.auth_by is AuthBy.NEVER:
            raise CannotInitiate(f"{where} is a plain policy: there is nothing to negotiate, use ipsec auto --route")
        if connection.there.host is None:
            raise CannotInitiate(
                f"{where} is for a peer at any address: it cannot be initiated from here, the peer has to"
            )
        lacking = [reason for method in METHODS[connection.auth_by] if (reason := self._lacks(method, connection))]
        if len(lacking) == len(METHODS[connection.auth_by]):
            raise CannotInitiate(f"{where}: {lacking[0]}")

    def _lacks(self, method: Auth, connection: Connection) -> str:
        """Why we could not prove who we are by this method; "" if we can."""
        needed = authentication.preshared_key if method is Auth.PRESHARED else authentication.private_key
        try:
            needed(self.engine, connection)
        except CygnetError as error:
            return str(error)
        return ""

    def negotiate(self, live: Live) -> None:
        """Start phase 2 at once if phase 1 stands, else phase 1, unless either is under way."""
        if live.retry:
            live.retry.cancel()
            live.retry = None
        sa = self.engine.isakmp.serving(live)
        if sa is not None:
            self._quick(sa, live)
            return
        self.pending.add(live)
        if not any(not one.established and one.initiator for one in self.engine.isakmp.good_for(live)):
            self.phase_one(live)

    def phase_one(self, live: Live) -> None:
        """Start main mode for a connection."""
        here, there = live.connection.here.host, live.connection.there.host
        if here is None or there is None:
            return
        port = self.engine.setup.port
        self.engine.isakmp.start(live, Path(here, port, there, port))

    def _quick(self, sa: IsakmpSa, live: Live) -> None:
        busy = any(
            quick.live is live and quick.state == "STATE_QUICK_I1" for quick in self.engine.children.quick_modes(sa)
        )
        if busy:
            return
        quick = QuickInitiator(self.engine, sa, live, self.engine.new_message_id())
        self.engine.children.add(quick)
        try:
            quick.start()
        except Refused as error:
            quick.given_up(str(error))

    def phase_one_stands(self, sa: IsakmpSa) -> None:
        """Whoever waited for this phase 1 goes on; who got its SAs from the peer meanwhile need not."""
        for live in self._waiting(sa):
            newest = live.newest
            if newest is not None and newest.born >= sa.born and not newest.initiator:
                self.stands(live)
            else:
                self._quick(sa, live)

    def phase_one_failed(self, sa: IsakmpSa, reason: str) -> None:
        """Whoever waited for it has failed, if it was ours."""
        if not sa.initiator:
            return
        for live in self._waiting(sa):
            self.failed(live, reason)

    def _waiting(self, sa: IsakmpSa) -> list[Live]:
        """Who has waited for this phase 1, and waits no more."""
        found = self.pending.at(sa.path.remote, sa.live.connection.there.host)
        waiting = [live for live in found if serves(sa, live)]
        for live in waiting:
            self.pending.discard(live)
        return waiting

    def stands(self, live: Live) -> None:
        """It is up."""
        live.tries, live.why = 0, ""
        if live.connection.there.strangers:
            self.engine.strangers.stands(live)
        if live.retry:
            live.retry.cancel()
            live.retry = None
        if live.attempt:
            attempt, live.attempt = live.attempt, None
            attempt.finish(0)

    def failed(self, live: Live, reason: str) -> None:
        """An attempt has failed: tell who waits, and try again later if the connection says so."""
        live.why = reason
        live.tries += 1
        most = live.connection.keying_tries
        again = live.wanted and (most == 0 or live.tries < most)
        if again:
            wait = min(FIRST_RETRY * 2 ** min(live.tries - 1, 10), LONGEST_RETRY)
            number = f"{live.tries + 1} of {most or 'an unlimited number'}"
            self.engine.tell(
                live, COMMENT, f"{live.label}: starting keying attempt {number} in {wait:.0f} s, but releasing whack"
            )
            live.retry = self.engine.timers.at(self.engine.now + wait, lambda: self.negotiate(live))
        else:
            live.wanted = False
            if live.connection.there.strangers:
                self.engine.strangers.failed(live)
            elif live.newest is None:
                self.engine.guard(lambda: self.engine.tunnels.failed(live.connection))
        if live.attempt:
            attempt, live.attempt = live.attempt, None
            attempt.finish(NO_ANSWER)

    def cancel(self, live: Live, reason: str) -> None:
        """It is not wanted any more."""
        live.wanted, live.why, live.tries = False, reason, 0
        self.pending.discard(live)
        if live.retry:
            live.retry.cancel()
            live.retry = None
        if live.attempt:
            attempt, live.attempt = live.attempt, None
            attempt.report(LOG, f"{live.label}: {reason}")
            attempt.finish(NO_ANSWER)


def serves(sa: IsakmpSa, live: Live) -> bool:
    """Whether phase 1 of ``sa`` is, or will be, good for a connection: same hosts, names and way to prove them."""
    mine, its = live.connection, sa.live.connection
    if not sa.fits(mine) or mine.there.host not in (its.there.host, sa.path.remote):
        return False
    proved = sa.peer.id if sa.established else its.there.identity
    return mine.there.identity == proved
