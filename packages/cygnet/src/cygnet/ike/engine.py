"""Where packets, timers and requests come in: the only door to IKE, and nothing gets out of it by an exception.

Sans-I/O: bytes and a clock in; bytes out by ``send``, SAs to `Tunnels`, words to ``log`` and to whoever waits.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from cygnet.connection.connection import Address, Connection, Setup
from cygnet.connection.local import Local, away
from cygnet.connection.secret import Secrets
from cygnet.crypto.transforms import WEAK
from cygnet.errors import CygnetError
from cygnet.ike import dispatch, fragments, relocation
from cygnet.ike.certificates import Certificates
from cygnet.ike.child_sas import ChildSas
from cygnet.ike.dead_peers import DeadPeers
from cygnet.ike.directory import Directory
from cygnet.ike.half_open import HalfOpen
from cygnet.ike.initiation import Initiation
from cygnet.ike.isakmp_sas import IsakmpSas
from cygnet.ike.lifetimes import Lifetimes
from cygnet.ike.live import Attempt, Done, Live, Report
from cygnet.ike.noise import Noise
from cygnet.ike.path import NAT_PORT, Path
from cygnet.ike.progress import LOG
from cygnet.ike.roster import Roster
from cygnet.ike.status import status, why
from cygnet.ike.strangers import Strangers
from cygnet.ike.timers import Timers
from cygnet.ike.v1.sa import IsakmpSa
from cygnet.kernel.interface import Acquire, Expire, Mapping

if TYPE_CHECKING:
    from cygnet.dns.resolver import Resolver
    from cygnet.tunnel.tunnels import Tunnels


class Engine:
    """One keying daemon's worth of IKE. Times are seconds of a clock that only goes forward."""

    def __init__(
        self,
        setup: Setup,
        secrets: Secrets,
        tunnels: Tunnels,
        send: Callable[[Path, bytes], None],
        log: Callable[[str], None],
        random: Callable[[int], bytes] = os.urandom,
        nat_port: int = NAT_PORT,
        certificates: Certificates | None = None,
        resolver: Resolver | None = None,
    ) -> None:
        self.setup, self.secrets, self.tunnels = setup, secrets, tunnels
        self.log, self.random, self.nat_port = log, random, nat_port
        self.certificates = certificates or Certificates(setup.strict_crl)
        self._send = send
        self.now = 0.0
        self.timers = Timers()
        self.roster = Roster()
        self.half_open = HalfOpen(random)
        self.initiation = Initiation(self)
        self.lifetimes = Lifetimes(self)
        self.dead_peers = DeadPeers(self)
        self.isakmp = IsakmpSas(self)
        self.children = ChildSas(self)
        self.directory = Directory(self, resolver)
        self.strangers = Strangers(self, resolver)
        self.arrived: Path | None = None
        self._noise = Noise(log)
        self.bugs = 0
        self._serial = 0

    # Requests

    @property
    def connections(self) -> dict[str, Connection]:
        """What has been added."""
        return {name: live.connection for name, live in self.roster.lives.items()}

    def add(self, connection: Connection, now: float) -> None:
        """Make a connection known. Raises CygnetError if there is one of that name."""
        self.now = max(now, self.now)
        if connection.name in self.roster.lives:
            raise CygnetError(f'there is a connection named "{connection.name}" already: use ipsec auto --replace')
        named = self.certificates.name(connection)
        self.tunnels.add(named)
        self.roster.add(named)
        if reason := away(named):
            self.log(f'"{named.name}" ({named.where}) waits: {reason}')

    def delete(self, name: str, now: float) -> None:
        """Take a connection down and forget it. Raises CygnetError if there is none."""
        self.now = max(now, self.now)
        connection = self.roster.get(name).connection
        self.take_down(name, "deleted")
        self.roster.remove(name)
        self.tunnels.forget(connection)

    def initiate(self, name: str, now: float, report: Report | None = None, done: Done | None = None) -> None:
        """Bring a connection up; ``done`` is told how it ended. Raises CygnetError if it cannot be."""
        self.now = max(now, self.now)
        live = self.roster.get(name)
        attempt = Attempt(report or _unheard, done or _done) if report or done else None
        self.initiation.start(live, attempt)

    def terminate(self, name: str, now: float) -> None:
        """Take a connection down, and tell the peer. Raises CygnetError if there is none."""
        self.now = max(now, self.now)
        self.take_down(name, "taken down by ipsec auto --down")

    def take_down(self, name: str, reason: str, tell_peer: bool = True) -> None:
        """The same for whatever reason. An ISAKMP SA that another connection can use goes over to it."""
        self.strangers.forget(name)
        for live in self.roster.family(name):
            self.initiation.cancel(live, reason)
            for quick in [one for one in self.children.under_way(live) if one.live is live]:
                if quick.child is None:
                    self.children.forget(quick)
                elif quick.state == "STATE_QUICK_R1":
                    quick.given_up(reason)
            for child in list(live.children):
                self.children.remove(live, child, reason, tell_peer)
            for sa in self.isakmp.sas.at(live):
                heirs = (one for one in self.isakmp.users(sa) if one is not live and (one.children or one.wanted))
                if (sa.established or sa.initiator) and (heir := next(heirs, None)):
                    sa.live = heir
                    self.isakmp.sas.add(sa)
                else:
                    self.isakmp.drop(sa, reason, tell_peer)
            self.roster.forget_idle(live, self.isakmp.sas)

    def shutdown(self, now: float) -> None:
        """Take everything down."""
        self.now = max(now, self.now)
        for name in list(self.roster.lives):
            self.take_down(name, "the daemon ends")
        for sa in list(self.isakmp.sas):
            self.isakmp.drop(sa, "the daemon ends", tell_peer=True)

    def status(self) -> list[str]:
        """Lines for ipsec auto --status."""
        return status(self)

    def why(self, name: str, now: float) -> list[str]:
        """Lines "fact value" for ipsec why: of a connection and its instances, or of all if ``name`` is ""."""
        self.now = max(now, self.now)
        lives = self.roster.family(name) if name else self.roster.everyone()
        return [f"{fact} {value}" for live in lives for fact, value in why(self, live).items()]

    # What happens by itself

    def receive(self, packet: bytes, path: Path, now: float) -> None:
        """Take a packet from anybody. Never raises."""
        self.now = max(now, self.now)
        self.roster.contacts.packet(path.remote, "received", packet, self.now)
        try:
            dispatch.receive(self, packet, path)
        except Exception as error:  # what one packet does must not end the tunnels of others
            self._bug(f"a packet from {path}", error)

    def lost(self, remote: Address, reason: str, now: float) -> None:
        """A packet was not taken; remembered and never acted upon, for anybody can forge the ICMP that says so."""
        self.now = max(now, self.now)
        self.roster.contacts.note(remote, "lost", reason, self.now)

    def acquired(self, event: Acquire, now: float) -> None:
        """Traffic asks for a tunnel."""
        self.now = max(now, self.now)
        name = self.tunnels.owner(event.reqid)
        live = self.roster.lives.get(name) if name else None
        if live and live.connection.there.strangers:
            self.strangers.acquired(live, event)
            return
        if live is None or live in self.initiation.pending or live.retry is not None or self.children.answering(live):
            return
        if live.wanted and away(live.connection):
            return
        self.log(f"{live.label}: traffic from {event.source} to {event.destination} asks for the tunnel")
        try:
            self.initiation.start(live, None)
        except CygnetError as error:
            live.why = str(error)
            self.log(str(error))

    def moved(self, local: Local, now: float) -> None:
        """This box has what ``local`` says now; a link may have been away meanwhile."""
        self.now = max(now, self.now)
        relocation.moved(self, local)

    def expired(self, event: Expire, now: float) -> None:
        """The kernel's own clock ended an SA, which is only the safety net under ours."""
        self.now = max(now, self.now)
        found = self.children.spis.get(event.key.spi)
        if found and event.hard:
            self.children.remove(*found, "expired in the kernel", tell_peer=True)

    def mapped(self, event: Mapping, now: float) -> None:
        """A peer behind NAT sends ESP from elsewhere."""
        self.now = max(now, self.now)
        found = self.children.spis.get(event.key.spi)
        if found is None:
            return
        _, child = found
        sa = self.isakmp.by_cookies.get(child.cookies)
        if sa is not None and sa.peer.behind_nat:
            self.isakmp.move(sa, sa.path._replace(remote=event.source, remote_port=event.source_port))
        else:
            self.guard(partial(self.children.rehome, child, Path(child.sa.local, 0, event.source, event.source_port)))

    def next_deadline(self) -> float | None:
        """When `run_timers` has something to do."""
        return self.timers.next()

    def run_timers(self, now: float) -> None:
        """Do what is due. Never raises."""
        self.now = max(now, self.now)
        try:
            self.timers.run(self.now)
        except Exception as error:  # nor what one timer does
            self._bug("a timer", error)

    def _bug(self, what: str, error: Exception) -> None:
        """Something that should have been handled; the daemon goes on, and says where without saying with what."""
        self.bugs += 1
        trace = error.__traceback__
        while trace and trace.tb_next:
            trace = trace.tb_next
        where = f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}" if trace else "?"
        self.log(f"internal error with {what}: {type(error).__name__} at {where}; please report it")

    # Services for the exchanges

    def tell(self, live: Live, code: int, text: str) -> None:
        """A line for the log, and for whoever waits for ``live``."""
        self.log(text)
        if live.attempt:
            live.attempt.report(code, text)

    def warn_weak(self, live: Live, label: str, names: Iterable[str]) -> None:
        """What is weak among the transforms that were agreed on: only a connection that names it gets it."""
        if weak := ", ".join(name for name in names if name in WEAK):
            self.tell(live, LOG, f"{label}: WARNING: weak, and used because the connection names it: {weak}")

    def send(self, sa: IsakmpSa, packet: bytes) -> None:
        """A packet to the peer, in pieces if it is long and the peer takes pieces."""
        if len(packet) > fragments.LONGEST_UNSPLIT and sa.peer.fragmentation:
            for piece in fragments.split(packet):
                self.send_to(sa.path, piece)
        else:
            self.send_to(sa.path, packet)

    def send_to(self, path: Path, packet: bytes) -> None:
        """A packet as it is."""
        self.roster.contacts.packet(path.remote, "sent", packet, self.now)
        self._send(path, packet)

    def guard(self, action: Callable[[], object]) -> bool:
        """Do something with the kernel that has nobody to complain to but the log."""
        try:
            action()
        except CygnetError as error:
            self.log(str(error))
            return False
        return True

    def next_serial(self) -> int:
        """A number for a negotiation: the #n of messages."""
        self._serial += 1
        return self._serial

    def new_message_id(self) -> int:
        """A message id that is hardly ever one in use."""
        return int.from_bytes(self.random(4), "big") or 1

    def noise(self, path: Path, text: str) -> None:
        """A line about what a stranger sent."""
        self._noise.say(path, text, self.now)

    def probe_answered(self, sa: IsakmpSa, sequence: bytes) -> None:
        """The peer lives."""
        if not self.dead_peers.answered(sa, sequence):
            self.log(f"{sa.label}: DPD: an answer to no probe of ours")


def _unheard(_code: int, _text: str) -> None:
    pass


def _done(_status: int) -> None:
    pass
