"""The pairs of SAs of a daemon: negotiated, installed, replaced, deleted."""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial
from typing import TYPE_CHECKING

from cygnet.connection.connection import host_network
from cygnet.connection.selector import Selector
from cygnet.errors import CygnetError
from cygnet.ike.initiation import serves
from cygnet.ike.live import Child, Live
from cygnet.ike.path import Path
from cygnet.ike.progress import SERIOUS
from cygnet.ike.v1 import informational
from cygnet.ike.v1.phase_two import PROTOCOLS
from cygnet.ike.v1.quick_mode import QuickMode
from cygnet.ike.v1.sa import IsakmpSa
from cygnet.index import Index
from cygnet.tunnel.child import ChildSa

if TYPE_CHECKING:
    from cygnet.ike.engine import Engine

# A finished quick mode answers copies of the peer's last message for this long.
REMEMBERED = 120.0
# So many of one peer are remembered; a gateway of many strangers has more in that time.
MOST_REMEMBERED = 100
# A peer that has started anew, or elsewhere, has this long to bring its tunnel up again.
HANDED_OVER = 60.0
FINISHED = ("STATE_QUICK_I2", "STATE_QUICK_R2")
FIRST_SPI = 0x1000
FIRST_CPI, LAST_CPI = 0x100, 0xEFFF


class ChildSas:
    """``spis``: inbound SPI -> whose it is; ``quicks``: ISAKMP SA -> message id -> the negotiation."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.quicks: dict[IsakmpSa, dict[int, QuickMode]] = {}
        self.spis: dict[int, tuple[Live, Child]] = {}
        self._standing: Index[tuple[Live, Child]] = Index(_keys)

    def new_spi(self) -> int:
        """An SPI that no SA of ours has."""
        while True:
            spi = int.from_bytes(self.engine.random(4), "big")
            if spi >= FIRST_SPI and spi not in self.spis:
                return spi

    def new_cpi(self) -> int:
        """A number for IPComp (RFC 3173, section 3.3)."""
        return FIRST_CPI + int.from_bytes(self.engine.random(2), "big") % (LAST_CPI - FIRST_CPI)

    def add(self, quick: QuickMode) -> None:
        """Keep a quick mode under its message id."""
        self.quicks.setdefault(quick.sa, {})[quick.message_id] = quick

    def forget(self, quick: QuickMode) -> None:
        """Answer its copies no more."""
        quick.quiet()
        self.quicks.get(quick.sa, {}).pop(quick.message_id, None)

    def quick_modes(self, sa: IsakmpSa) -> list[QuickMode]:
        """The quick modes over an SA that are not forgotten yet."""
        return list(self.quicks.get(sa, {}).values())

    def under_way(self, live: Live) -> list[QuickMode]:
        """The quick modes with the peer of a connection that are not forgotten yet."""
        sas = self.engine.isakmp.sas.at(live, live.connection.there.host)
        return [quick for sa in sas for quick in self.quick_modes(sa)]

    def answering(self, live: Live) -> bool:
        """Whether the peer is about to bring up a connection, or an instance of it."""
        name, under_way = live.connection.name, self.under_way(live)
        return any(quick.state == "STATE_QUICK_R1" and quick.live.connection.name == name for quick in under_way)

    def busy(self, live: Live) -> bool:
        """Whether a life has SAs, or is about to."""
        quicks = self.under_way(live)
        return bool(live.children) or any(quick.live is live and quick.state not in FINISHED for quick in quicks)

    def lives_for(self, sa: IsakmpSa, ours: Selector, theirs: Selector) -> list[Live]:
        """The connections that are for this traffic. Raises Refused."""
        return self.engine.roster.for_traffic(sa, ours, theirs, self.engine.setup.virtual_private)

    def install(self, child: Child, inbound: bool, outbound: bool) -> None:
        """Give SAs to the kernel. Raises KernelError; then nothing of the pair is left."""
        try:
            if inbound:
                self.engine.tunnels.inbound(child.sa)
            if outbound:
                self.engine.tunnels.outbound(child.sa)
        except CygnetError:
            self.engine.guard(lambda: self.engine.tunnels.remove(child.sa))
            raise
        child.outbound = outbound

    def established(self, quick: QuickMode) -> None:
        """A pair of SAs stands."""
        live, child = quick.live, quick.child
        if child is None:
            return
        child.born = self.engine.now
        live.children.append(child)
        for leg in child.sa.legs:
            self.spis[leg.spi_in] = (live, child)
        self._standing.add((live, child))
        used = [name for leg in child.sa.legs for name in (leg.encryption, leg.integrity)]
        group = quick.key_exchange.group.name if quick.key_exchange else ""
        self.engine.warn_weak(live, quick.label, (*used, group))
        self.engine.isakmp.heard(quick.sa)
        self.engine.lifetimes.of_child(live, child)
        self.engine.lifetimes.supersede_children(live, child)
        for one, old in self._standing.at((live.connection.name, child.sa.theirs)):
            self.remove(one, old, old.lost, tell_peer=False)
        self.engine.timers.at(self.engine.now + REMEMBERED, lambda: self.forget(quick))
        finished = [one for one in self.quick_modes(quick.sa) if one.state in FINISHED]
        if len(finished) > MOST_REMEMBERED:
            self.forget(finished[0])
        self.engine.initiation.stands(live)

    def failed(self, quick: QuickMode, reason: str) -> None:
        """A quick mode ends without SAs."""
        self.engine.tell(quick.live, SERIOUS, f"{quick.label}: {reason}")
        if quick.child is not None and quick.state == "STATE_QUICK_R1":
            self.engine.guard(partial(self.engine.tunnels.remove, quick.child.sa))
        self.forget(quick)
        self.engine.roster.forget_idle(quick.live, self.engine.isakmp.sas)
        if quick.INITIATOR:
            self.engine.initiation.failed(quick.live, reason)
        elif quick.live.newest is None:
            quick.live.why = reason

    def with_peer_of(self, sa: IsakmpSa, *keys: Hashable) -> list[tuple[Live, Child]]:
        """The pairs of SAs with the peer of ``sa``: those that have one of these keys, or all."""
        return [
            (live, child)
            for live, child in self._standing.at(*(keys or (sa.cookies, sa.path.remote)))
            if child.cookies == sa.cookies
            or (child.sa.remote == sa.path.remote and (live is sa.live or serves(sa, live)))
        ]

    def packets_in(self, child: Child) -> int:
        """Packets that a pair has received."""
        counters = None
        try:
            counters = self.engine.tunnels.counters(child.sa)
        except CygnetError as error:
            self.engine.log(str(error))
        return counters.packets if counters else 0

    def remove(self, live: Live, child: Child, reason: str, tell_peer: bool) -> None:
        """A pair of SAs ends."""
        if child not in live.children:
            return
        live.children.remove(child)
        child.forget_timers()
        for leg in child.sa.legs:
            self.spis.pop(leg.spi_in, None)
        self._standing.discard((live, child))
        self.engine.log(f"{live.label} #{child.sa.serial}: IPsec SA deleted: {reason}")
        self.engine.guard(lambda: self.engine.tunnels.remove(child.sa))
        if live.newest is None:
            live.why = live.why or f"its IPsec SA was deleted: {reason}"
        if tell_peer:
            self.tell_deleted(live, child.sa)
        self.engine.roster.forget_idle(live, self.engine.isakmp.sas)
        if not live.children and live.connection.there.strangers:
            self.engine.strangers.gone(live)

    def lose(self, live: Live, child: Child, reason: str) -> None:
        """The peer has a pair no more, and will make another.

        Of an instance nothing would stay, so it keeps the pair until then: what is sent meanwhile is lost, not clear.
        """
        if not live.instance or child.sa.theirs.network == host_network(child.sa.remote):
            self.remove(live, child, reason, tell_peer=False)
        elif not child.lost:
            child.lost = reason
            self._standing.add((live, child))
            end = partial(self.remove, live, child, reason, tell_peer=False)
            child.timers.append(self.engine.timers.at(self.engine.now + HANDED_OVER, end))

    def retire(self, live: Live, child: Child) -> None:
        """A replaced pair is used for sending no more, and the peer is told; what it has sent is still taken."""
        child.outbound = False
        self.engine.tunnels.hush(child.sa)
        self.tell_deleted(live, child.sa)

    def tell_deleted(self, live: Live, child: ChildSa) -> None:
        """Tell the peer that we receive by this pair no more, if there is an ISAKMP SA to say it by."""
        sa = self.engine.isakmp.serving(live)
        if sa is not None:
            named = [(PROTOCOLS[leg.protocol], leg.spi_in.to_bytes(4, "big")) for leg in child.protecting]
            informational.send_delete(self.engine, sa, *named)

    def deleted_by_peer(self, sa: IsakmpSa, protocol: int, spi: int) -> None:
        """The peer will receive no more under ``spi``: only if that SA is with this very peer."""
        for live, child in self.with_peer_of(sa, (protocol, spi)):
            self.remove(live, child, "the peer has deleted it", tell_peer=True)
            if live.newest is None:
                self._gone(live)

    def _gone(self, live: Live) -> None:
        """The peer has taken the last pair away: a connection that is to be up is brought up again."""
        live.why = "the peer has taken it down"
        if live.wanted and live.connection.rekey and live.connection.there.host is not None and not live.instance:
            self.engine.initiation.failed(live, live.why)

    def rehome(self, child: Child, path: Path) -> None:
        """The peer receives at another address or port now."""
        child.sa = self.engine.tunnels.rehome(child.sa, path.remote, path.remote_port)
        self._standing.add(self.spis[child.sa.protecting[0].spi_in])


def _keys(one: tuple[Live, Child]) -> tuple[Hashable, ...]:
    """The ISAKMP SA, the peer, what the peer calls it, and once it is lost whose traffic it is."""
    live, child = one
    spis = ((PROTOCOLS[leg.protocol], leg.spi_out) for leg in child.sa.protecting)
    return child.cookies, child.sa.remote, child.lost and (live.connection.name, child.sa.theirs), *spis
