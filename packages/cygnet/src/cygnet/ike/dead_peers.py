"""Is the peer alive? Asked only when nothing was heard of it (RFC 3706)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cygnet.connection.connection import DpdAction
from cygnet.ike.live import Live
from cygnet.ike.numbers import Notify
from cygnet.ike.payloads import Notification
from cygnet.ike.progress import SERIOUS
from cygnet.ike.timers import Timer
from cygnet.ike.v1 import informational
from cygnet.ike.v1.sa import IsakmpSa

if TYPE_CHECKING:
    from cygnet.ike.engine import Engine


@dataclass
class Watch:
    """What is known of a peer's life. ``packets``: that its SAs had received at the last look."""

    sequence: int
    packets: int = 0
    asked: bool = False
    timer: Timer | None = None


class DeadPeers:
    """Probes for the ISAKMP SAs whose connection has dpddelay=."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._watches: dict[IsakmpSa, Watch] = {}

    def watch(self, sa: IsakmpSa) -> None:
        """Look after the peer of an established SA, if the connection asks for it and the peer can answer."""
        if sa.live.connection.dpd_delay > 0 and sa.peer.dead_peer_detection:
            self._watches[sa] = Watch(int.from_bytes(self.engine.random(4), "big") >> 1)
            self._later(sa)

    def forget(self, sa: IsakmpSa) -> None:
        """The SA has gone."""
        watch = self._watches.pop(sa, None)
        if watch and watch.timer:
            watch.timer.cancel()

    def _later(self, sa: IsakmpSa) -> None:
        connection = sa.live.connection
        # While a probe is out, more often: three of them fit into the time-out.
        wait = (
            min(connection.dpd_delay, connection.dpd_timeout / 3) if self._watches[sa].asked else connection.dpd_delay
        )
        self._watches[sa].timer = self.engine.timers.at(self.engine.now + wait, lambda: self._look(sa))

    def _look(self, sa: IsakmpSa) -> None:
        watch = self._watches.get(sa)
        if watch is None or sa.superseded:
            return
        packets = sum(self.engine.children.packets_in(child) for _, child in self.engine.children.with_peer_of(sa))
        if packets != watch.packets:
            watch.packets, sa.last_heard = packets, self.engine.now
        silent = self.engine.now - sa.last_heard
        if silent >= sa.live.connection.dpd_timeout:
            self._dead(sa, silent)
            return
        watch.asked = silent >= sa.live.connection.dpd_delay * 0.99
        if watch.asked:
            watch.sequence = (watch.sequence + 1) & 0xFFFFFFFF
            probe = Notification(Notify.R_U_THERE, watch.sequence.to_bytes(4, "big"), sa.icookie + sa.rcookie)
            informational.send(self.engine, sa, probe)
        self._later(sa)

    def answered(self, sa: IsakmpSa, sequence: bytes) -> bool:
        """Whether an answer belongs to the last probe."""
        watch = self._watches.get(sa)
        return watch is not None and sequence == watch.sequence.to_bytes(4, "big")

    def _dead(self, sa: IsakmpSa, silent: float) -> None:
        """Drop all that was shared with the peer, then do what dpdaction= says."""
        lives: list[Live] = list(dict.fromkeys([sa.live, *(live for live, _ in self.engine.children.with_peer_of(sa))]))
        self.engine.tell(
            sa.live, SERIOUS, f"{sa.label}: DPD: nothing heard of the peer for {silent:.0f} s: it is declared dead"
        )
        for live, child in self.engine.children.with_peer_of(sa):
            self.engine.children.remove(live, child, "the peer is dead", tell_peer=False)
        self.engine.isakmp.drop(sa, "the peer is dead", tell_peer=False)
        for live in lives:
            live.why = f"the peer was declared dead after {silent:.0f} s of silence (dpdtimeout)"
            self._act(live)

    def _act(self, live: Live) -> None:
        match live.connection.dpd_action:
            case DpdAction.RESTART if live.connection.there.host is not None and not live.instance:
                self.engine.initiation.negotiate(live)
            case DpdAction.CLEAR:
                live.wanted = False
                self.engine.guard(lambda: self.engine.tunnels.unroute(live.connection))
            case _:
                # hold: the trap that is left behind asks for the tunnel when there is traffic for it
                live.wanted = False
