"""The ISAKMP SAs of a daemon: begun, established, moved, superseded, ended."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from cygnet.connection.connection import Address
from cygnet.connection.identity import Identity
from cygnet.crypto.transforms import GROUPS
from cygnet.ike.fragments import Assembly
from cygnet.ike.initiation import serves
from cygnet.ike.live import Live
from cygnet.ike.numbers import Notify, Protocol
from cygnet.ike.path import Path
from cygnet.ike.payloads import Notification
from cygnet.ike.progress import LOG, SERIOUS
from cygnet.ike.v1 import informational
from cygnet.ike.v1.initiator import Initiator
from cygnet.ike.v1.main_mode import MainMode
from cygnet.ike.v1.sa import IsakmpSa
from cygnet.index import Index

if TYPE_CHECKING:
    from cygnet.ike.engine import Engine

MOST_REFUSALS = 3


class IsakmpSas:
    """``by_cookies``: how packets find theirs; ``mains``: the negotiation of each."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.sas: Index[IsakmpSa] = Index(_keys)
        self.by_cookies: dict[tuple[bytes, bytes], IsakmpSa] = {}
        self.mains: dict[IsakmpSa, MainMode] = {}
        self.first_messages: dict[tuple[bytes, Address], IsakmpSa] = {}
        self.assemblies: dict[IsakmpSa, Assembly] = {}
        self._refusals: dict[IsakmpSa, int] = {}

    def start(self, live: Live, path: Path) -> None:
        """Begin phase 1 as the initiator."""
        now, cookie = self.engine.now, self.engine.random(8)
        sa = IsakmpSa(self.engine.next_serial(), live, True, path, cookie, born=now, last_heard=now)
        main = Initiator(self.engine, sa)
        self.add(sa, main)
        self.engine.tell(live, LOG, f"{sa.label}: initiating Main Mode")
        main.start()

    def add(self, sa: IsakmpSa, main: MainMode) -> None:
        """Keep a new ISAKMP SA."""
        self.sas.add(sa)
        self.by_cookies[sa.cookies] = sa
        self.mains[sa] = main

    def responding(self, sa: IsakmpSa, main: MainMode) -> None:
        """Keep a half-open SA; the bounds may cost another one its place."""
        self.add(sa, main)
        self.first_messages[sa.icookie, sa.path.remote] = sa
        victim = self.engine.half_open.add(sa)
        if victim is not None:
            self.remove(victim)

    def half_open_expired(self, sa: IsakmpSa) -> None:
        """The initiator has not come to the end in time."""
        if not sa.established:
            self.engine.noise(sa.path, f"{sa.label}: main mode was not finished in time ({sa.state})")
            self.remove(sa)

    def refuse(self, sa: IsakmpSa, notify: int, text: str) -> None:
        """Tell a peer in phase 1 why not, a few times at the most."""
        count = self._refusals[sa] = self._refusals.get(sa, 0) + 1
        if count <= MOST_REFUSALS and sa in self.sas:
            informational.refuse(self.engine, sa, notify, text)

    def rename(self, sa: IsakmpSa, rcookie: bytes) -> None:
        """The responder's cookie is known now."""
        self.by_cookies.pop(sa.cookies, None)
        sa.rcookie = rcookie
        self.by_cookies[sa.cookies] = sa

    def personalize(self, sa: IsakmpSa) -> None:
        """The peer of a %any connection has a name now: from here on it has a life of its own."""
        sa.live = self.engine.roster.personal(sa.live, sa)

    def good_for(self, live: Live) -> list[IsakmpSa]:
        """The ISAKMP SAs that serve, or will serve, a connection."""
        return [sa for sa in self.sas.at(live.connection.there.host) if serves(sa, live)]

    def users(self, sa: IsakmpSa) -> Iterator[Live]:
        """The connection that an ISAKMP SA was made for, and those that it serves, too."""
        lives = self.engine.roster.of_peers(sa.path.remote, sa.live.connection.there.host)
        return (live for live in lives if live is sa.live or serves(sa, live))

    def serving(self, live: Live) -> IsakmpSa | None:
        """The newest established ISAKMP SA that serves a connection."""
        fitting = [sa for sa in self.good_for(live) if sa.established and not sa.superseded]
        return max(fitting, key=lambda sa: sa.serial, default=None)

    def is_first_contact(self, sa: IsakmpSa) -> bool:
        """Whether we know of no other SA with the peer, of whatever connection."""
        return not self._known(sa, sa.live.connection.there.identity)

    def _known(self, sa: IsakmpSa, peer: Identity | None) -> list[IsakmpSa]:
        """The other established ISAKMP SAs between the same name of ours and a name of the peer's."""
        others, here = (one for one in self.sas.at(peer) if one is not sa), sa.live.connection.here.identity
        return [one for one in others if one.established and one.live.connection.here.identity == here]

    def established(self, sa: IsakmpSa, notifications: list[Notification]) -> None:
        """Phase 1 stands."""
        sa.established = True
        sa.established_at = sa.last_heard = self.engine.now
        self.sas.add(sa)
        self.engine.half_open.discard(sa)
        sa.forget_timers()
        if sa.offer:
            used = sa.offer.proposal
            self.engine.warn_weak(sa.live, sa.label, (used.encryption, used.hash, GROUPS[used.group].name))
        self.engine.lifetimes.of_isakmp(sa)
        if any(one.type == Notify.INITIAL_CONTACT for one in notifications):
            self.first_contact(sa)
        elif self.engine.setup.unique_ids:
            self._only_one(sa)
        self.engine.lifetimes.supersede_isakmp(sa)
        self.engine.dead_peers.watch(sa)
        if sa.behind_nat and self.engine.setup.keep_alive > 0:
            self._keep_alive(sa)
        self.engine.initiation.phase_one_stands(sa)

    def _only_one(self, new: IsakmpSa) -> None:
        """uniqueids: the same name from another address means that the peer has moved."""
        for sa in self._known(new, new.peer.id):
            if sa.path.remote != new.path.remote:
                self._forget_peer(sa, f"its peer is at {new.path.remote} now")

    def first_contact(self, new: IsakmpSa) -> None:
        """The peer has forgotten all that it had with us before this negotiation began: so do we.

        What was made while the negotiation was under way stays: the message may have been a long time on its way.
        """
        for sa in self._known(new, new.peer.id):
            if sa.established_at < new.born:
                self._forget_peer(sa, "the peer has started anew")
        for live in list(self.users(new)):
            for child in [one for one in live.children if one.born < new.born]:
                self.engine.children.lose(live, child, "the peer has started anew")

    def _forget_peer(self, sa: IsakmpSa, reason: str) -> None:
        for live, child in self.engine.children.with_peer_of(sa):
            self.engine.children.lose(live, child, reason)
        self.drop(sa, reason, tell_peer=False)

    def _keep_alive(self, sa: IsakmpSa) -> None:
        """One byte now and then, so that the NAT remembers us (RFC 3948, section 4)."""
        if sa in self.sas and not sa.superseded:
            self.engine.send_to(sa.path, b"\xff")
            self.engine.timers.at(self.engine.now + self.engine.setup.keep_alive, lambda: self._keep_alive(sa))

    def failed(self, sa: IsakmpSa, reason: str) -> None:
        """A negotiation of phase 1 ends without an SA."""
        self.engine.tell(sa.live, SERIOUS, f"{sa.label}: {reason}")
        self.remove(sa)
        self.engine.initiation.phase_one_failed(sa, reason)

    def drop(self, sa: IsakmpSa, reason: str, tell_peer: bool) -> None:
        """An ISAKMP SA ends; the SAs that it negotiated go on without it."""
        if sa not in self.sas:
            return
        if sa.established:
            self.engine.log(f"{sa.label}: ISAKMP SA deleted: {reason}")
            if tell_peer:
                informational.send_delete(self.engine, sa, (Protocol.ISAKMP, sa.icookie + sa.rcookie))
        self.remove(sa)

    def remove(self, sa: IsakmpSa) -> None:
        sa.forget_timers()
        for quick in self.engine.children.quick_modes(sa):
            if quick.state in ("STATE_QUICK_I1", "STATE_QUICK_R1"):
                quick.given_up("its ISAKMP SA has ended")
            quick.quiet()
        main = self.mains.pop(sa, None)
        if main:
            main.quiet()
        self.engine.half_open.discard(sa)
        self.engine.dead_peers.forget(sa)
        self.engine.directory.forget(sa)
        for table in (self.engine.children.quicks, self.assemblies, self._refusals):
            table.pop(sa, None)
        self.by_cookies.pop(sa.cookies, None)
        self.first_messages.pop((sa.icookie, sa.path.remote), None)
        self.sas.discard(sa)
        self.engine.roster.forget_idle(sa.live, self.sas)

    def heard(self, sa: IsakmpSa) -> None:
        """A message of the peer's was genuine; if it came from elsewhere than the last one, the peer has moved."""
        sa.last_heard = self.engine.now
        path = self.engine.arrived
        if path is not None and path != sa.path and sa.established and (sa.peer.behind_nat or sa.behind_nat):
            self.move(sa, path)

    def move(self, sa: IsakmpSa, path: Path) -> None:
        if path.remote == sa.path.remote and path.remote_port == sa.path.remote_port:
            return
        self.engine.log(f"{sa.label}: the peer is at {path} now")
        sa.path = sa.path._replace(remote=path.remote, remote_port=path.remote_port)
        self.sas.add(sa)
        for _, child in self.engine.children.with_peer_of(sa):
            self.engine.guard(partial(self.engine.children.rehome, child, path))

    def deleted_by_peer(self, sa: IsakmpSa, cookies: bytes) -> None:
        """The peer ends an ISAKMP SA: only one of its own."""
        other = self.by_cookies.get((cookies[:8], cookies[8:]))
        if other is None or other.peer.id != sa.peer.id or other.path.remote != sa.path.remote:
            self.engine.log(f"{sa.label}: the peer deletes an ISAKMP SA that it does not have with us")
            return
        self.drop(other, "the peer has deleted it", tell_peer=False)

    def main_mode(self, sa: IsakmpSa) -> MainMode | None:
        """The negotiation that made, or makes, an SA."""
        return self.mains.get(sa)


def _keys(sa: IsakmpSa) -> tuple[Hashable, ...]:
    """Whose it is, the peer's addresses as the connection has them and as it calls from, and its name."""
    return sa.live, sa.live.connection.there.host, sa.path.remote, sa.peer.id
