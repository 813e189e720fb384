"""Connections and children for the tests of tunnels: west has 10.1.0.0/24 behind it, east 10.2.0.0/24."""

from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network
from typing import TypeVar

from cygnet.connection.connection import Connection, End, HostKind, Type
from cygnet.connection.proposal import ChildProposal
from cygnet.connection.selector import Selector
from cygnet.kernel.fake import FakeKernel
from cygnet.tunnel.child import ChildSa, Leg
from cygnet.tunnel.tunnels import Tunnels
from cygnet.updown.fake import FakeUpdown

T = TypeVar("T")
FLOW = ("10.1.0.5/32", "10.2.0.7/32")
BACK = FLOW[::-1]
SUITES = {
    "cbc": ("esp", "aes", "sha2_256", 48, 16),
    "gcm": ("esp", "aes_gcm", "", 20, 20),
    "chacha": ("esp", "chacha20poly1305", "", 36, 36),
    "ah": ("ah", "", "sha1", 20, 0),
    "ctr": ("esp", "aes_ctr", "", 20, 20),
}


def end(side: str, host: str, net: str = "", **changes: object) -> End:
    network = ip_network(net) if net else None
    return replace(End(side, host=ip_address(host), subnet=network, interface="eth0"), **changes)  # type: ignore[arg-type]


def connection(
    west: str = "10.1.0.0/24", east: str = "10.2.0.0/24", name: str = "net", **changes: object
) -> Connection:
    made = Connection(
        name,
        end("left", "192.0.2.1", west),
        end("right", "192.0.2.2", east),
        child=(ChildProposal("aes", 128, "sha2_256"),),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def host_to_host(**changes: object) -> Connection:
    return connection("", "", **changes)


def seen_from_east(west: Connection) -> Connection:
    return replace(west, here=west.there, there=west.here)


def anyone(name: str = "road") -> Connection:
    made = connection(name=name)
    return replace(made, there=End("right", kind=HostKind.ANY, subnet=made.there.subnet))


def child(
    conn: Connection, serial: int, suite: str = "cbc", compress: bool = False, east: bool = False, **changes: object
) -> ChildSa:
    """The pair that a quick mode made: from west and from east they fit together. ``suite``: "cbc in ah" is both."""
    legs = [Leg("comp", *_turned(east, 0x200 + serial, 0x300 + serial))] if compress else []
    for place, one in enumerate(suite.split(" in ")):
        protocol, cipher, integrity, size, split = SUITES[one]
        spis = _turned(east, 0x1000 * serial + 16 * place, 0x1000 * serial + 16 * place + 1)
        keys = _turned(east, bytes([serial + place]) * size, bytes([serial + place + 100]) * size)
        legs.append(Leg(protocol, *spis, cipher, integrity, *keys, split))
    host = conn.there.host or ip_address("198.51.100.7")
    made = ChildSa(
        serial,
        conn,
        conn.here.host,  # type: ignore[arg-type]
        host,
        conn.type.value,
        tuple(legs),
        conn.here.selector,  # type: ignore[arg-type]
        conn.there.selector or Selector(ip_network(host)),
        3600.0,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def _turned(east: bool, ours: T, theirs: T) -> tuple[T, T]:
    return (theirs, ours) if east else (ours, theirs)


@dataclass
class Gate:
    """One gateway with its fake kernel and script."""

    kernel: FakeKernel = field(default_factory=FakeKernel)
    updown: FakeUpdown = field(default_factory=FakeUpdown)
    log: list[str] = field(default_factory=list)
    if_ids: dict[str, tuple[str, int]] = field(default_factory=lambda: {"eth0": ("ipsec0", 1)})

    def __post_init__(self) -> None:
        self.tunnels = Tunnels(self.kernel, self.updown, self.log.append, self.if_ids)

    def up(self, *children: ChildSa) -> None:
        for each in children:
            self.tunnels.inbound(each)
            self.tunnels.outbound(each)

    @property
    def verbs(self) -> list[str]:
        return [verb for verb, _ in self.updown.calls]

    @property
    def empty(self) -> bool:
        """Whether the kernel has nothing of ours, and no route stands."""
        return not (self.kernel.sas or self.kernel.policies or self.kernel.paths or self.updown.routes)


def shunted(type_: Type, **changes: object) -> Connection:
    return connection(type=type_, child=(), **changes)
