"""Two or more keying daemons on a simulated network: their clock, their packets and their kernels are the test's.

A packet may be lost, doubled, delayed or changed on its way; everything follows from a seed.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network

from cygnet.connection.connection import AuthBy, Connection, DpdAction, End, HostKind, Setup
from cygnet.connection.proposal import ChildProposal, IkeProposal
from cygnet.connection.secret import PresharedKey, Secrets
from cygnet.ike.engine import Engine
from cygnet.ike.path import Path
from cygnet.kernel.fake import FakeKernel
from cygnet.tunnel.tunnels import Tunnels
from cygnet.updown.fake import FakeUpdown

FAST_IKE = (IkeProposal("aes", 128, "sha2_256", 31),)
FAST_CHILD = (ChildProposal("aes_gcm", 128, ""), ChildProposal("aes", 128, "sha2_256"))
WEST, EAST = "192.0.2.1", "192.0.2.2"
WEST_NET, EAST_NET = "10.1.0.0/24", "10.2.0.0/24"
WEST_HOST, EAST_HOST = "10.1.0.5", "10.2.0.5"
SECRET = Secrets((PresharedKey((), b"correct horse battery staple"),))


def connection(here: str, there: str, nets: tuple[str, str] | None = (WEST_NET, EAST_NET), **changes: object) -> Connection:
    """A PSK connection named "west-east" between two hosts, seen from ``here``."""
    nets = nets if nets is None or here == WEST else (nets[1], nets[0])
    ends = [End("left", host=ip_address(here), subnet=ip_network(nets[0]) if nets else None, interface="eth0")]
    if there == "%any":
        ends.append(End("right", kind=HostKind.ANY, subnet=ip_network(nets[1]) if nets else None))
    else:
        ends.append(End("right", host=ip_address(there), subnet=ip_network(nets[1]) if nets else None))
    made = Connection("west-east", ends[0], ends[1], auth_by=AuthBy.SECRET, ike=FAST_IKE, child=FAST_CHILD, keying_tries=3)
    return replace(made, **changes)  # type: ignore[arg-type]


@dataclass
class Box:
    """One daemon with its fake kernel. ``heard``: what `ipsec auto --up` would print; ``statuses``: how it ended."""

    address: str
    engine: Engine
    kernel: FakeKernel
    tunnels: Tunnels
    updown: FakeUpdown
    log: list[str]
    heard: list[tuple[int, str]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    def said(self, words: str) -> bool:
        """Whether the log has a line with these words."""
        return any(words in line for line in self.log)

    @property
    def live(self) -> object:
        """The life of the connection "west-east"."""
        return self.engine.roster.get("west-east")

    def pairs(self) -> int:
        """Established pairs of SAs."""
        return sum(len([c for c in live.children if c.outbound]) for live in self.engine.roster.everyone())

    def isakmp(self) -> int:
        """Established ISAKMP SAs."""
        return len([sa for sa in self.engine.isakmp.sas if sa.established])


@dataclass
class Weather:
    """What the network does to packets: chances, and seconds of delay."""

    loss: float = 0.0
    doubled: float = 0.0
    delay: float = 0.05
    jitter: float = 0.0


Tamper = Callable[[Path, bytes], "bytes | None"]


class Network:
    """Boxes and the wire between them. ``wire``: every packet that was sent, with the time and the path of its sender."""

    def __init__(self, seed: int = 1, weather: Weather | None = None) -> None:
        self.random = random.Random(seed)  # noqa: S311 - a simulation must be repeatable
        self.weather = weather or Weather()
        self.now = 1000.0
        self.boxes: dict[str, Box] = {}
        self.wire: list[tuple[float, Path, bytes]] = []
        self.tamper: Tamper = lambda _path, packet: packet
        self.nat: dict[tuple[str, int], tuple[str, int]] = {}
        self._queue: list[tuple[float, int, Path, bytes]] = []
        self._count = 0

    def box(self, address: str, setup: Setup | None = None, secrets: Secrets = SECRET) -> Box:
        """A box at an address."""
        log: list[str] = []
        kernel, updown = FakeKernel(), FakeUpdown()
        tunnels = Tunnels(kernel, updown, log.append, {"eth0": ("ipsec0", 1)})
        engine = Engine(
            setup or Setup(), secrets, tunnels, self.send, log.append, random=self.random.randbytes
        )
        box = Box(address, engine, kernel, tunnels, updown, log)
        self.boxes[address] = box
        return box

    def send(self, path: Path, packet: bytes) -> None:
        """Put a packet on the wire."""
        self.wire.append((self.now, path, packet))
        changed = self.tamper(path, packet)
        if changed is None or self.random.random() < self.weather.loss:
            return
        for _ in range(2 if self.random.random() < self.weather.doubled else 1):
            self.inject(path, changed, self.weather.delay + self.random.random() * self.weather.jitter)

    def inject(self, path: Path, packet: bytes, after: float = 0.0) -> None:
        """Deliver a packet as if it had been sent on ``path``; an address translator has its say."""
        source = self.nat.get((str(path.local), path.local_port), (str(path.local), path.local_port))
        target = next(
            (inside for inside, outside in self.nat.items() if outside == (str(path.remote), path.remote_port)),
            (str(path.remote), path.remote_port),
        )
        arrival = Path(ip_address(target[0]), target[1], ip_address(source[0]), source[1])
        self._count += 1
        heapq.heappush(self._queue, (self.now + after, self._count, arrival, packet))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while True:
            due = self._next()
            if due is None or due > end:
                break
            self.now = max(self.now, due)
            self._step()
        self.now = end

    def _next(self) -> float | None:
        deadlines = [d for box in self.boxes.values() if (d := box.engine.next_deadline()) is not None]
        if self._queue:
            deadlines.append(self._queue[0][0])
        return min(deadlines, default=None)

    def _step(self) -> None:
        while self._queue and self._queue[0][0] <= self.now:
            _, _, path, packet = heapq.heappop(self._queue)
            box = self.boxes.get(str(path.local))
            if box is not None:
                box.engine.receive(packet, path, self.now)
                self._kernel_events(box)
        for box in self.boxes.values():
            box.engine.run_timers(self.now)

    def _kernel_events(self, box: Box) -> None:
        for event in box.kernel.events():
            if type(event).__name__ == "Acquire":
                box.engine.acquired(event, self.now)

    def traffic(self, sender: Box, source: str, destination: str) -> object:
        """What the sender's kernel does with a packet, acquires included."""
        outcome = sender.kernel.traffic(source, destination)
        self._kernel_events(sender)
        return outcome

    def up(self, box: Box, name: str = "west-east") -> None:
        """`ipsec auto --up`."""
        box.engine.initiate(name, self.now, lambda code, text: box.heard.append((code, text)), box.statuses.append)


def pair(
    seed: int = 1, weather: Weather | None = None, setup: Setup | None = None, west_secrets: Secrets = SECRET,
    east_secrets: Secrets = SECRET, **changes: object,
) -> tuple[Network, Box, Box]:
    """Two boxes that know each other, nothing negotiated yet."""
    network = Network(seed, weather)
    west, east = network.box(WEST, setup, west_secrets), network.box(EAST, setup, east_secrets)
    west.engine.add(connection(WEST, EAST, **changes), network.now)
    east.engine.add(connection(EAST, WEST, **changes), network.now)
    return network, west, east


__all__ = ["Box", "DpdAction", "Network", "Weather", "connection", "pair"]
