"""Two or more keying daemons on a simulated network: their clock, their packets and their kernels are the test's.

A packet may be lost, doubled, delayed or changed on its way; everything follows from a seed.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from typing import Any

from cygnet.connection.connection import AuthBy, Connection, End, HostKind, Setup
from cygnet.connection.proposal import ChildProposal, IkeProposal
from cygnet.connection.secret import PresharedKey, Secrets
from cygnet.dns.resolver import Resolver
from cygnet.ike.certificates import Certificates
from cygnet.ike.engine import Engine
from cygnet.ike.live import Child, Live
from cygnet.ike.message import Header, read_header
from cygnet.ike.path import Path
from cygnet.ike.v1.sa import IsakmpSa
from cygnet.kernel.fake import FakeKernel
from cygnet.kernel.interface import Acquire, Expire
from cygnet.kernel.interface import Mapping as Moved
from cygnet.tunnel.tunnels import Tunnels
from cygnet.updown.fake import FakeUpdown
from name_server import NameServer, Wire

FAST_IKE = (IkeProposal("aes", 128, "sha2_256", 31),)
FAST_CHILD = (ChildProposal("aes_gcm", 128, ""), ChildProposal("aes", 128, "sha2_256"))
WEST, EAST = "192.0.2.1", "192.0.2.2"
WEST_NET, EAST_NET = "10.1.0.0/24", "10.2.0.0/24"
WEST_HOST, EAST_HOST = "10.1.0.5", "10.2.0.5"
NAME = "west-east"
PSK = b"correct horse battery staple"
SECRET = Secrets((PresharedKey((), PSK),))
Changes = Mapping[str, Any]
Tamper = Callable[[Path, bytes], "bytes | None"]


def connection(
    here: str,
    there: str,
    nets: tuple[str, str] | None = (WEST_NET, EAST_NET),
    ends: Mapping[str, Changes] | None = None,
    **changes: Any,
) -> Connection:
    """A PSK connection named "west-east", seen from ``here``; ``nets``: west's and east's.

    ``ends``: what differs at the end of an address; for %any the key is "%any".
    """  # fmt: skip
    mine, its = (nets if here == WEST else (nets[1], nets[0])) if nets else (None, None)
    left = End("left", host=ip_address(here), subnet=_network(mine), interface="eth0")
    right = End("right", kind=HostKind.ANY) if there == "%any" else End("right", host=ip_address(there))
    right = replace(right, subnet=_network(its))
    changed = [replace(end, **(ends or {}).get(address, {})) for end, address in ((left, here), (right, there))]
    made = Connection(
        NAME, changed[0], changed[1], auth_by=AuthBy.SECRET, ike=FAST_IKE, child=FAST_CHILD, keying_tries=3
    )
    return replace(made, **changes)


def _network(text: str | None) -> Any:
    return ip_network(text) if text else None


class Box:
    """One daemon with its fake kernel. ``heard``: what `ipsec auto --up` would print; ``statuses``: how it ended."""

    def __init__(
        self, network: Network, address: str, setup: Setup, secrets: Secrets, certificates: Certificates | None
    ) -> None:
        self.network, self.address = network, address
        self.setup, self.secrets, self.certificates = setup, secrets, certificates
        # By which interface what it sends leaves.
        self.exit = "ipsec0"
        self.log: list[str] = []
        self.heard: list[tuple[int, str]] = []
        self.statuses: list[int] = []
        self._begin()

    def _begin(self) -> None:
        self.kernel, self.updown = FakeKernel(), FakeUpdown()
        self.tunnels = Tunnels(self.kernel, self.updown, self.log.append, {"eth0": ("ipsec0", 1)})
        self.engine = Engine(
            self.setup, self.secrets, self.tunnels, self.network.send, self.log.append,
            random=self.network.random.randbytes, certificates=self.certificates, resolver=self._resolver(),
        )  # fmt: skip

    def _resolver(self) -> Resolver | None:
        """Of a box whose network has a name server."""
        self.resolver = None
        if self.network.names:
            wire = Wire(self.network.names, self._later, lambda: self.network.now)
            self.resolver = wire.resolver()
        return self.resolver

    def _later(self, seconds: float, action: Callable[[], object]) -> None:
        self.engine.timers.at(self.network.now + seconds, lambda: (action(), None)[1])

    def reboot(self) -> None:
        """Come back with nothing but the configuration, as after a power cut."""
        known = list(self.engine.connections.values())
        self._begin()
        for one in known:
            self.add(one)

    # What `ipsec auto` does

    def add(self, *connections: Connection) -> None:
        """`--add`."""
        for one in connections:
            self.engine.add(one, self.network.now)

    def up(self, name: str = NAME) -> None:
        """`--up`."""
        report = self.heard.append
        self.engine.initiate(name, self.network.now, lambda code, text: report((code, text)), self.statuses.append)

    def down(self, name: str = NAME) -> None:
        """`--down`."""
        self.engine.terminate(name, self.network.now)

    def rekey(self, phase: int) -> None:
        """What a timer does when an SA is to be replaced."""
        self.engine.run_timers(self.network.now)
        (self.engine.initiation.phase_one if phase == 1 else self.engine.initiation.negotiate)(self.live)

    def route(self, name: str = NAME) -> None:
        """`--route`."""
        self.tunnels.route(self.engine.connections[name])

    def traffic(self, source: str, destination: str) -> object:
        """What the kernel does with a packet, acquires included."""
        outcome = self.kernel.traffic(source, destination, self.exit)
        self.kernel_events()
        return outcome

    def kernel_events(self) -> None:
        """Hand over what the kernel has to say."""
        for event in self.kernel.events():
            match event:
                case Acquire():
                    self.engine.acquired(event, self.network.now)
                case Expire():
                    self.engine.expired(event, self.network.now)
                case Moved():
                    self.engine.mapped(event, self.network.now)

    # What there is to see

    def said(self, words: str) -> bool:
        """Whether the log has a line with these words."""
        return any(words in line for line in self.log)

    def said_in_status(self, words: str) -> bool:
        """Whether `ipsec auto --status` has a line that begins so."""
        return any(line.startswith(words) for line in self.engine.status())

    def was_told(self, words: str) -> bool:
        """Whether whoever waits for `--up` heard these words."""
        return any(words in text for _, text in self.heard)

    @property
    def live(self) -> Live:
        """The life of the connection "west-east"."""
        return self.engine.roster.get(NAME)

    @property
    def isakmp_sas(self) -> list[IsakmpSa]:
        """Established ISAKMP SAs, those left out that another has taken the place of."""
        return [sa for sa in self.engine.isakmp.sas if sa.established and not sa.superseded]

    @property
    def children(self) -> list[Child]:
        """Established pairs of SAs."""
        return [child for live in self.engine.roster.everyone() for child in live.children if child.outbound]

    def isakmp(self) -> int:
        """How many ISAKMP SAs are established."""
        return len(self.isakmp_sas)

    def pairs(self) -> int:
        """How many pairs of SAs are established."""
        return len(self.children)

    def sizes(self) -> dict[str, int]:
        """How much each table of the engine holds, timers included."""
        engine, isakmp, children = self.engine, self.engine.isakmp, self.engine.children
        return {
            "ISAKMP SAs": len(isakmp.sas), "by cookies": len(isakmp.by_cookies), "main modes": len(isakmp.mains),
            "first messages": len(isakmp.first_messages), "fragments": len(isakmp.assemblies),
            "quick modes": sum(map(len, children.quicks.values())), "SPIs": len(children.spis),
            "half open": len(engine.half_open), "instances": len(engine.roster.instances),
            "timers": len(engine.timers), "kernel SAs": len(self.kernel.sas),
        }  # fmt: skip


@dataclass
class Weather:
    """What the network does to packets: chances, and seconds of delay; jitter is what reorders them."""

    loss: float = 0.0
    doubled: float = 0.0
    delay: float = 0.05
    jitter: float = 0.0


STORM = Weather(loss=0.2, doubled=0.2, delay=0.05, jitter=0.5)


@dataclass(frozen=True)
class Sent:
    """A packet on the wire: when, between whom (as its sender has it), and what."""

    when: float
    path: Path
    packet: bytes

    @property
    def header(self) -> Header:
        """Its ISAKMP header."""
        return read_header(self.packet)


class Network:
    """Boxes and the wire between them. ``wire``: every packet that was sent."""

    def __init__(self, seed: int = 1, weather: Weather | None = None) -> None:
        self.random = random.Random(seed)
        self.weather = weather or Weather()
        self.now = 1000.0
        self.boxes: dict[str, Box] = {}
        self.wire: list[Sent] = []
        self.tamper: Tamper = lambda _path, packet: packet
        self.names: NameServer | None = None
        self.each_step: Callable[[], object] = lambda: None
        # Inside address and port -> what the other side of an address translator sees.
        self.nat: dict[tuple[str, int], tuple[str, int]] = {}
        self._queue: list[tuple[float, int, Path, bytes]] = []
        self._count = 0

    def box(
        self, address: str, setup: Setup | None = None, secrets: Secrets = SECRET, certificates: Certificates | None = None
    ) -> Box:  # fmt: skip
        """A box at an address."""
        box = self.boxes[address] = Box(self, address, setup or Setup(), secrets, certificates)
        return box

    def send(self, path: Path, packet: bytes) -> None:
        """Put a packet on the wire."""
        self.wire.append(Sent(self.now, path, packet))
        changed = self.tamper(path, packet)
        if changed is None or self.random.random() < self.weather.loss:
            return
        for _ in range(2 if self.random.random() < self.weather.doubled else 1):
            self.inject(path, changed, self.weather.delay + self.random.random() * self.weather.jitter)

    def inject(self, path: Path, packet: bytes, after: float = 0.0) -> None:
        """Deliver a packet as if it had been sent on ``path``; an address translator has its say."""
        source = self.nat.get((str(path.local), path.local_port), (str(path.local), path.local_port))
        target = (str(path.remote), path.remote_port)
        inside = next((inside for inside, outside in self.nat.items() if outside == target), target)
        arrival = Path(ip_address(inside[0]), inside[1], ip_address(source[0]), source[1])
        self._count += 1
        heapq.heappush(self._queue, (self.now + after, self._count, arrival, packet))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while (due := self._next()) is not None and due <= end:
            self.now = max(self.now, due)
            self._step()
        self.now = end

    def leap(self, seconds: float) -> None:
        """Let the clock jump ahead with nothing done meanwhile, as when a box was suspended."""
        self.now += seconds
        self._step()

    def _next(self) -> float | None:
        clocks = [one for box in self.boxes.values() for one in (box.engine, box.resolver) if one]
        deadlines = [deadline for one in clocks if (deadline := one.next_deadline()) is not None]
        if self._queue:
            deadlines.append(self._queue[0][0])
        return min(deadlines, default=None)

    def _step(self) -> None:
        while self._queue and self._queue[0][0] <= self.now:
            _, _, path, packet = heapq.heappop(self._queue)
            box = self.boxes.get(str(path.local))
            # A keep-alive ends at the socket.
            if box is not None and packet != b"\xff":
                box.engine.receive(packet, path, self.now)
                box.kernel_events()
            self.each_step()
        for box in self.boxes.values():
            box.engine.run_timers(self.now)
            if box.resolver:
                box.resolver.run_timers(self.now)
            self.each_step()

    def bugs(self) -> list[str]:
        """What should never have happened, in the words of the logs."""
        return [line for box in self.boxes.values() for line in box.log if "internal error" in line]

    def from_box(self, box: Box) -> Iterator[Sent]:
        """What a box has sent."""
        return (sent for sent in self.wire if str(sent.path.local) == box.address)


def pair(
    seed: int = 1,
    weather: Weather | None = None,
    setup: Setup | None = None,
    secrets: tuple[Secrets, Secrets] | None = None,
    certificates: tuple[Certificates, Certificates] | None = None,
    nets: tuple[str, str] | None = (WEST_NET, EAST_NET),
    west: Changes | None = None,
    east: Changes | None = None,
    ends: Mapping[str, Changes] | None = None,
    names: NameServer | None = None,
    **changes: Any,
) -> tuple[Network, Box, Box]:
    """Two boxes that know each other, nothing negotiated yet. ``west``, ``east``: what only one of them has."""  # fmt: skip
    network = Network(seed, weather)
    network.names = names
    for index, (here, there, own) in enumerate(((WEST, EAST, west), (EAST, WEST, east))):
        box = network.box(
            here, setup, secrets[index] if secrets else SECRET, certificates[index] if certificates else None
        )
        box.add(replace(connection(here, there, nets, ends, **changes), **(own or {})))
    return network, network.boxes[WEST], network.boxes[EAST]


def established(seed: int = 1, seconds: float = 5.0, **changes: Any) -> tuple[Network, Box, Box]:
    """Two boxes whose tunnel stands, begun by west."""
    network, west, east = pair(seed, **changes)
    west.up()
    network.run(seconds)
    assert west.statuses == [0], west.log + east.log
    return network, west, east


def carried(west: Box, east: Box, source: str = WEST_HOST, destination: str = EAST_HOST) -> tuple[str, str]:
    """What becomes of a packet each way."""
    there, back = (
        west.kernel.deliver(east.kernel, source, destination),
        east.kernel.deliver(west.kernel, destination, source),
    )
    return there, back


def works(west: Box, east: Box, source: str = WEST_HOST, destination: str = EAST_HOST) -> bool:
    """Whether packets pass both ways, protected."""
    return carried(west, east, source, destination) == ("delivered", "delivered")


def path_of(local: str, remote: str, local_port: int = 500, remote_port: int = 500) -> Path:
    """A path in one line."""
    return Path(ip_address(local), local_port, ip_address(remote), remote_port)


# A few minutes a pair, or a day.
SHORT = {"ike_lifetime": 900.0, "key_life": 400.0, "rekey_margin": 60.0, "rekey_fuzz": 0.5}
LONG_LIVED = {"ike_lifetime": 86400.0, "key_life": 86400.0}
Told = list[tuple[float, str]]


def watch(network: Network, west: Box, east: Box) -> Told:
    """Try a packet each way after whatever happens; what was not delivered is noted."""
    lost: Told = []

    def look() -> None:
        for outcome in carried(west, east):
            if outcome != "delivered":
                lost.append((network.now, outcome))

    network.each_step = look
    return lost


def deaf(box: Box) -> Tamper:
    """A tamper that cuts a box off in both directions."""
    return lambda path, packet: None if box.address in (str(path.local), str(path.remote)) else packet


def one_each(west: Box, east: Box) -> bool:
    """One pair and one ISAKMP SA on both sides, and nothing else in the kernels."""
    counts = (west.pairs(), east.pairs(), west.isakmp(), east.isakmp())
    return counts == (1, 1, 1, 1) and len(west.kernel.sas) == len(east.kernel.sas) == 2


__all__ = [
    "EAST",
    "EAST_HOST",
    "EAST_NET",
    "FAST_CHILD",
    "FAST_IKE",
    "LONG_LIVED",
    "NAME",
    "PSK",
    "SECRET",
    "SHORT",
    "STORM",
    "WEST",
    "WEST_HOST",
    "WEST_NET",
    "Box",
    "Network",
    "Sent",
    "Told",
    "Weather",
    "carried",
    "connection",
    "deaf",
    "established",
    "one_each",
    "pair",
    "path_of",
    "watch",
    "works",
]  # fmt: skip
