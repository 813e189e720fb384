"""Where packets, timers and requests come in: the only door to IKE, and nothing gets out of it by an exception.

Sans-I/O: bytes and a clock in; bytes out by ``send``, SAs to `Tunnels`, words to ``log`` and to whoever waits.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from cygnet.connection.connection import Address, Connection, Setup
from cygnet.connection.secret import Secrets
from cygnet.connection.selector import Selector
from cygnet.errors import CygnetError
from cygnet.ike import dispatch, fragments
from cygnet.ike.certificates import Certificates
from cygnet.ike.dead_peers import DeadPeers
from cygnet.ike.half_open import HalfOpen
from cygnet.ike.initiation import Initiation, serves
from cygnet.ike.lifetimes import Lifetimes
from cygnet.ike.live import Attempt, Child, Done, Live, Report
from cygnet.ike.noise import Noise
from cygnet.ike.numbers import Notify, Protocol
from cygnet.ike.path import NAT_PORT, Path
from cygnet.ike.payloads import Notification
from cygnet.ike.progress import LOG
from cygnet.ike.roster import Roster
from cygnet.ike.status import status
from cygnet.ike.timers import Timers
from cygnet.ike.v1 import informational
from cygnet.ike.v1.initiator import Initiator
from cygnet.ike.v1.main_mode import MainMode
from cygnet.ike.v1.quick_mode import QuickMode
from cygnet.ike.v1.sa import IsakmpSa
from cygnet.kernel.interface import Acquire, Expire, KernelError, Mapping
from cygnet.tunnel.child import ChildSa

if TYPE_CHECKING:
    from cygnet.tunnel.tunnels import Tunnels

# A finished quick mode answers copies of the peer's last message for this long.
REMEMBERED = 120.0
MOST_REFUSALS = 3
FIRST_SPI = 0x1000
FIRST_CPI, LAST_CPI = 0x100, 0xEFFF
PROTOCOL_NUMBERS = {"ah": Protocol.AH, "esp": Protocol.ESP, "comp": Protocol.IPCOMP}


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
        self.sas: list[IsakmpSa] = []
        self.by_cookies: dict[tuple[bytes, bytes], IsakmpSa] = {}
        self.mains: dict[IsakmpSa, MainMode] = {}
        self.quicks: dict[IsakmpSa, dict[int, QuickMode]] = {}
        self.spis: dict[int, tuple[Live, Child]] = {}
        self.first_messages: dict[tuple[bytes, Address], IsakmpSa] = {}
        self.assemblies: dict[IsakmpSa, fragments.Assembly] = {}
        self.arrived: Path | None = None
        self._noise = Noise(log)
        self._refusals: dict[IsakmpSa, int] = {}
        self.bugs = 0
        self._serial = 0

    # Requests

    @property
    def connections(self) -> dict[str, Connection]:
        """What has been added."""
        return {name: live.connection for name, live in self.roster.lives.items()}

    def add(self, connection: Connection, now: float) -> None:
        """Make a connection known. Raises CygnetError if there is one of that name."""
        self.now = now
        if connection.name in self.roster.lives:
            raise CygnetError(f'there is a connection named "{connection.name}" already: use ipsec auto --replace')
        self.tunnels.add(connection)
        self.roster.add(connection)

    def delete(self, name: str, now: float) -> None:
        """Take a connection down and forget it. Raises CygnetError if there is none."""
        connection = self.roster.get(name).connection
        self.terminate(name, now)
        self.roster.remove(name)
        self.tunnels.forget(connection)

    def initiate(self, name: str, now: float, report: Report | None = None, done: Done | None = None) -> None:
        """Bring a connection up; ``done`` is told how it ended. Raises CygnetError if it cannot be."""
        self.now = now
        live = self.roster.get(name)
        attempt = Attempt(report or _unheard, done or _done) if report or done else None
        self.initiation.start(live, attempt)

    def terminate(self, name: str, now: float) -> None:
        """Take a connection down, and tell the peer. Raises CygnetError if there is none."""
        self.now = now
        for live in self.roster.family(name):
            self.initiation.cancel(live, "taken down by ipsec auto --down")
            for quick in [
                q for found in self.quicks.values() for q in found.values() if q.live is live and not q.child
            ]:
                self.forget_quick(quick)
            for child in list(live.children):
                self.remove_child(live, child, "taken down", tell_peer=True)
            for sa in [sa for sa in self.sas if sa.live is live]:
                heir = next(
                    (one for one in self.roster.everyone() if one is not live and one.children and serves(sa, one)),
                    None,
                )
                if heir is not None and sa.established:
                    sa.live = heir
                else:
                    self.drop_isakmp(sa, "taken down", tell_peer=True)
            self.roster.forget_idle(live)

    def shutdown(self, now: float) -> None:
        """Take everything down."""
        for name in list(self.roster.lives):
            self.terminate(name, now)
        for sa in list(self.sas):
            self.drop_isakmp(sa, "the daemon ends", tell_peer=True)

    def status(self) -> list[str]:
        """Lines for ipsec auto --status."""
        return status(self)

    # What happens by itself

    def receive(self, packet: bytes, path: Path, now: float) -> None:
        """Take a packet from anybody. Never raises."""
        self.now = now
        try:
            dispatch.receive(self, packet, path)
        except (
            CygnetError,
            ArithmeticError,
            LookupError,
            TypeError,
            ValueError,
            AttributeError,
            RecursionError,
        ) as error:
            self._bug(f"a packet from {path}", error)

    def acquired(self, event: Acquire, now: float) -> None:
        """Traffic asks for a tunnel."""
        self.now = now
        name = self.tunnels.owner(event.reqid)
        live = self.roster.lives.get(name) if name else None
        if live is None or live in self.initiation.pending or live.retry is not None:
            return
        self.log(f"{live.label}: traffic from {event.source} to {event.destination} asks for the tunnel")
        try:
            self.initiation.start(live, None)
        except CygnetError as error:
            live.why = str(error)
            self.log(str(error))

    def expired(self, event: Expire, now: float) -> None:
        """The kernel's own clock ended an SA, which is only the safety net under ours."""
        self.now = now
        found = self.spis.get(event.key.spi)
        if found and event.hard:
            self.remove_child(*found, "expired in the kernel", tell_peer=True)

    def mapped(self, event: Mapping, now: float) -> None:
        """A peer behind NAT sends ESP from elsewhere."""
        self.now = now
        found = self.spis.get(event.key.spi)
        if found is None:
            return
        live, child = found
        sa = self.by_cookies.get(child.cookies)
        if sa is not None and sa.peer.behind_nat:
            self._move(sa, sa.path._replace(remote=event.source, remote_port=event.source_port))
        else:
            self.guard(partial(self._rehome, child, Path(child.sa.local, 0, event.source, event.source_port)))

    def next_deadline(self) -> float | None:
        """When `run_timers` has something to do."""
        return self.timers.next()

    def run_timers(self, now: float) -> None:
        """Do what is due. Never raises."""
        self.now = max(now, self.now)
        try:
            self.timers.run(self.now)
        except (CygnetError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
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

    def send(self, sa: IsakmpSa, packet: bytes) -> None:
        """A packet to the peer, in pieces if it is long and the peer takes pieces."""
        if len(packet) > fragments.LONGEST_UNSPLIT and sa.peer.fragmentation:
            for piece in fragments.split(packet):
                self._send(sa.path, piece)
        else:
            self._send(sa.path, packet)

    def send_to(self, path: Path, packet: bytes) -> None:
        """A packet that belongs to no SA."""
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

    def new_spi(self) -> int:
        """An SPI that no SA of ours has."""
        while True:
            spi = int.from_bytes(self.random(4), "big")
            if spi >= FIRST_SPI and spi not in self.spis:
                return spi

    def new_cpi(self) -> int:
        """A number for IPComp (RFC 3173, section 3.3)."""
        return FIRST_CPI + int.from_bytes(self.random(2), "big") % (LAST_CPI - FIRST_CPI)

    def new_message_id(self) -> int:
        """A message id that is hardly ever one in use."""
        return int.from_bytes(self.random(4), "big") or 1

    def main_mode(self, sa: IsakmpSa) -> MainMode | None:
        """The negotiation that made, or makes, an SA."""
        return self.mains.get(sa)

    def quick_modes(self, sa: IsakmpSa) -> list[QuickMode]:
        """The quick modes over an SA that are not forgotten yet."""
        return list(self.quicks.get(sa, {}).values())

    # Phase 1

    def start_main_mode(self, live: Live, path: Path) -> None:
        """Begin phase 1 as the initiator."""
        sa = IsakmpSa(self.next_serial(), live, True, path, self.random(8), born=self.now, last_heard=self.now)
        main = Initiator(self, sa)
        self.add_sa(sa, main)
        self.tell(live, LOG, f"{sa.label}: initiating Main Mode")
        main.start()

    def add_sa(self, sa: IsakmpSa, main: MainMode) -> None:
        """Keep a new ISAKMP SA."""
        self.sas.append(sa)
        self.by_cookies[sa.cookies] = sa
        self.mains[sa] = main

    def responding(self, sa: IsakmpSa, main: MainMode) -> None:
        """Keep a half-open SA; the bounds may cost another one its place."""
        self.add_sa(sa, main)
        self.first_messages[sa.icookie, sa.path.remote] = sa
        victim = self.half_open.add(sa)
        if victim is not None:
            self._remove_sa(victim)

    def half_open_expired(self, sa: IsakmpSa) -> None:
        """The initiator has not come to the end in time."""
        if not sa.established:
            self.noise(sa.path, f"{sa.label}: main mode was not finished in time ({sa.state})")
            self._remove_sa(sa)

    def noise(self, path: Path, text: str) -> None:
        """A line about what a stranger sent."""
        self._noise.say(path, text, self.now)

    def refuse_within_bounds(self, sa: IsakmpSa, notify: int, text: str) -> None:
        """Tell a peer in phase 1 why not, a few times at the most."""
        count = self._refusals[sa] = self._refusals.get(sa, 0) + 1
        if count <= MOST_REFUSALS and sa in self.sas:
            informational.refuse(self, sa, notify, text)

    def rename(self, sa: IsakmpSa, rcookie: bytes) -> None:
        """The responder's cookie is known now."""
        self.by_cookies.pop(sa.cookies, None)
        sa.rcookie = rcookie
        self.by_cookies[sa.cookies] = sa

    def personalize(self, sa: IsakmpSa) -> None:
        """The peer of a %any connection has a name now: from here on it has a life of its own."""
        if sa.live.connection.there.host is None:
            sa.live = self.roster.instance(sa.live, sa.path.remote, sa.peer.id)

    def isakmp_for(self, live: Live) -> IsakmpSa | None:
        """The newest established ISAKMP SA that serves a connection."""
        fitting = [sa for sa in self.sas if sa.established and not sa.superseded and serves(sa, live)]
        return fitting[-1] if fitting else None

    def is_first_contact(self, sa: IsakmpSa) -> bool:
        """Whether we know of no other SA with the peer."""
        return not any(one is not sa and one.established and serves(one, sa.live) for one in self.sas)

    def established(self, sa: IsakmpSa, notifications: list[Notification]) -> None:
        """Phase 1 stands."""
        sa.established = True
        sa.established_at = sa.last_heard = self.now
        self.half_open.discard(sa)
        sa.forget_timers()
        self.lifetimes.of_isakmp(sa)
        if any(one.type == Notify.INITIAL_CONTACT for one in notifications):
            self.first_contact(sa)
        elif self.setup.unique_ids:
            self._only_one(sa)
        self.lifetimes.supersede_isakmp(sa)
        self.dead_peers.watch(sa)
        if sa.behind_nat and self.setup.keep_alive > 0:
            self._keep_alive(sa)
        self.initiation.phase_one_stands(sa)

    def _only_one(self, new: IsakmpSa) -> None:
        """uniqueids: the same name from another address means that the peer has moved."""
        for sa in [one for one in self.sas if one.established and one.peer.id == new.peer.id]:
            same_name = sa.live.connection.here.identity == new.live.connection.here.identity
            if sa is not new and same_name and sa.path.remote != new.path.remote:
                self._forget_peer(sa, f"its peer is at {new.path.remote} now")

    def first_contact(self, new: IsakmpSa) -> None:
        """The peer has forgotten all that it had with us before this negotiation began: so do we.

        What was made while the negotiation was under way stays: the message may have been a long time on its way.
        """
        for sa in [one for one in self.sas if one is not new and one.established and one.established_at < new.born]:
            if sa.peer.id == new.peer.id and sa.live.connection.here.identity == new.live.connection.here.identity:
                self._forget_peer(sa, "the peer has started anew")
        for live in [one for one in self.roster.everyone() if one is new.live or serves(new, one)]:
            for child in [one for one in live.children if one.born < new.born]:
                self.remove_child(live, child, "the peer has started anew", tell_peer=False)

    def _forget_peer(self, sa: IsakmpSa, reason: str) -> None:
        for live, child in self.children_of(sa):
            self.remove_child(live, child, reason, tell_peer=False)
        self.drop_isakmp(sa, reason, tell_peer=False)

    def _keep_alive(self, sa: IsakmpSa) -> None:
        """One byte now and then, so that the NAT remembers us (RFC 3948, section 4)."""
        if sa in self.sas and not sa.superseded:
            self._send(sa.path, b"\xff")
            self.timers.at(self.now + self.setup.keep_alive, lambda: self._keep_alive(sa))

    def phase_one_failed(self, sa: IsakmpSa, reason: str) -> None:
        """A negotiation of phase 1 ends without an SA."""
        code = LOG
        self.tell(sa.live, code, f"{sa.label}: {reason}")
        self._remove_sa(sa)
        self.initiation.phase_one_failed(sa, reason)

    def drop_isakmp(self, sa: IsakmpSa, reason: str, tell_peer: bool) -> None:
        """An ISAKMP SA ends; the SAs that it negotiated go on without it."""
        if sa not in self.sas:
            return
        if sa.established:
            self.log(f"{sa.label}: ISAKMP SA deleted: {reason}")
            if tell_peer:
                informational.send_delete(self, sa, Protocol.ISAKMP, sa.icookie + sa.rcookie)
        self._remove_sa(sa)

    def _remove_sa(self, sa: IsakmpSa) -> None:
        sa.forget_timers()
        for quick in self.quick_modes(sa):
            if quick.state in ("STATE_QUICK_I1", "STATE_QUICK_R1"):
                quick.given_up("its ISAKMP SA has ended")
            quick.quiet()
        main = self.mains.pop(sa, None)
        if main:
            main.quiet()
        self.half_open.discard(sa)
        self.dead_peers.forget(sa)
        for table in (self.quicks, self.assemblies, self._refusals):
            table.pop(sa, None)
        self.by_cookies.pop(sa.cookies, None)
        self.first_messages.pop((sa.icookie, sa.path.remote), None)
        if sa in self.sas:
            self.sas.remove(sa)
        self.roster.forget_idle(sa.live)

    def heard(self, sa: IsakmpSa) -> None:
        """A message of the peer's was genuine; if it came from elsewhere than the last one, the peer has moved."""
        sa.last_heard = self.now
        path = self.arrived
        if path is not None and path != sa.path and sa.established and (sa.peer.behind_nat or sa.behind_nat):
            self._move(sa, path)

    def _move(self, sa: IsakmpSa, path: Path) -> None:
        if path.remote == sa.path.remote and path.remote_port == sa.path.remote_port:
            return
        self.log(f"{sa.label}: the peer is at {path} now")
        sa.path = sa.path._replace(remote=path.remote, remote_port=path.remote_port)
        for _, child in self.children_of(sa):
            self.guard(partial(self._rehome, child, path))

    def _rehome(self, child: Child, path: Path) -> None:
        child.sa = self.tunnels.rehome(child.sa, path.remote, path.remote_port)

    def probe_answered(self, sa: IsakmpSa, sequence: bytes) -> None:
        """The peer lives."""
        if not self.dead_peers.answered(sa, sequence):
            self.log(f"{sa.label}: DPD: an answer to no probe of ours")

    def peer_deleted_isakmp(self, sa: IsakmpSa, cookies: bytes) -> None:
        """The peer ends an ISAKMP SA: only one of its own."""
        other = self.by_cookies.get((cookies[:8], cookies[8:]))
        if other is None or other.peer.id != sa.peer.id or other.path.remote != sa.path.remote:
            self.log(f"{sa.label}: the peer deletes an ISAKMP SA that it does not have with us")
            return
        self.drop_isakmp(other, "the peer has deleted it", tell_peer=False)

    # Phase 2

    def add_quick(self, quick: QuickMode) -> None:
        """Keep a quick mode under its message id."""
        self.quicks.setdefault(quick.sa, {})[quick.message_id] = quick

    def forget_quick(self, quick: QuickMode) -> None:
        """Answer its copies no more."""
        quick.quiet()
        self.quicks.get(quick.sa, {}).pop(quick.message_id, None)

    def live_for(self, sa: IsakmpSa, ours: Selector, theirs: Selector) -> Live:
        """The connection that serves this traffic. Raises Refused."""
        return self.roster.for_traffic(sa, ours, theirs, self.setup.virtual_private)

    def install(self, child: Child, inbound: bool, outbound: bool) -> None:
        """Give SAs to the kernel. Raises KernelError; then nothing of the pair is left."""
        try:
            if inbound:
                self.tunnels.inbound(child.sa)
            if outbound:
                self.tunnels.outbound(child.sa)
        except CygnetError:
            self.guard(lambda: self.tunnels.remove(child.sa))
            raise
        child.outbound = outbound

    def child_established(self, quick: QuickMode, _notifications: list[Notification]) -> None:
        """A pair of SAs stands."""
        live, child = quick.live, quick.child
        if child is None:
            raise KernelError("a quick mode ended without SAs")
        child.born = self.now
        live.children.append(child)
        for leg in child.sa.legs:
            self.spis[leg.spi_in] = (live, child)
        self.heard(quick.sa)
        self.lifetimes.of_child(live, child)
        self.lifetimes.supersede_children(live, child)
        self.timers.at(self.now + REMEMBERED, lambda: self.forget_quick(quick))
        self.initiation.stands(live)

    def phase_two_failed(self, quick: QuickMode, reason: str) -> None:
        """A quick mode ends without SAs."""
        self.tell(quick.live, LOG, f"{quick.label}: {reason}")
        if quick.child is not None and quick.state == "STATE_QUICK_R1":
            self.guard(partial(self.tunnels.remove, quick.child.sa))
        self.forget_quick(quick)
        if quick.INITIATOR:
            self.initiation.failed(quick.live, reason)

    def children_of(self, sa: IsakmpSa) -> list[tuple[Live, Child]]:
        """All pairs of SAs with the peer of ``sa``."""
        return [
            (live, child)
            for live in self.roster.everyone()
            for child in live.children
            if child.cookies == sa.cookies
            or (child.sa.remote == sa.path.remote and (live is sa.live or serves(sa, live)))
        ]

    def packets_in(self, child: Child) -> int:
        """Packets that a pair has received."""
        counters = None
        try:
            counters = self.tunnels.counters(child.sa)
        except CygnetError as error:
            self.log(str(error))
        return counters.packets if counters else 0

    def remove_child(self, live: Live, child: Child, reason: str, tell_peer: bool) -> None:
        """A pair of SAs ends."""
        if child not in live.children:
            return
        live.children.remove(child)
        child.forget_timers()
        for leg in child.sa.legs:
            self.spis.pop(leg.spi_in, None)
        self.log(f"{live.label} #{child.sa.serial}: IPsec SA deleted: {reason}")
        self.guard(lambda: self.tunnels.remove(child.sa))
        if tell_peer:
            self._tell_deleted(live, child.sa)
        self.roster.forget_idle(live)

    def _tell_deleted(self, live: Live, child: ChildSa) -> None:
        sa = self.isakmp_for(live)
        leg = child.legs[-1]
        if sa is not None:
            informational.send_delete(self, sa, PROTOCOL_NUMBERS[leg.protocol], leg.spi_in.to_bytes(4, "big"))

    def peer_deleted_child(self, sa: IsakmpSa, protocol: int, spi: int) -> None:
        """The peer will receive no more under ``spi``: only if that SA is with this very peer."""
        for live, child in self.children_of(sa):
            leg = child.sa.legs[-1]
            if leg.spi_out == spi and PROTOCOL_NUMBERS[leg.protocol] == protocol:
                self.remove_child(live, child, "the peer has deleted it", tell_peer=True)
                if live.newest is None:
                    self._gone(live)
                return

    def _gone(self, live: Live) -> None:
        """The peer has taken the last pair away: a connection that is to be up is brought up again."""
        live.why = "the peer has taken it down"
        if live.wanted and live.connection.rekey and live.connection.there.host is not None and not live.instance:
            self.initiation.failed(live, live.why)


def _unheard(_code: int, _text: str) -> None:
    pass


def _done(_status: int) -> None:
    pass
