"""The scene of all cases: two gateways with a host behind each, and the wire between the gateways.

    host 10.1.0.5 -- 10.1.0.1 west 192.0.2.1 ==== wire ==== 192.0.2.2 east 10.2.0.1 -- host 10.2.0.7

A plain route leads from each host to the other: whatever is not held back goes in clear.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable

from capture import Frame, holds
from connections import Pair, pair, turned
from cygnet.connection.connection import Connection
from gate import Gate
from namespace import Namespace
from place import COUNT, PATTERN, QUIET, SIZE, Place, call, talk
from wire import Wire, spi_of

Seen = dict[str, object]
# No waiting for addresses that nobody else can have, nor any filter but what a case sets.
QUICK = {"ipv6__conf__default__accept_dad": 0, "ipv6__conf__all__forwarding": 1, "ipv4__ip_forward": 1}
OPEN = {"ipv4__conf__all__rp_filter": 0, "ipv4__conf__default__rp_filter": 0}


class Scene:
    """``west`` and ``east`` are gateways, ``here`` and ``there`` the hosts behind them."""

    def __init__(self) -> None:
        self.west, self.east = Gate("192.0.2.1", "2001:db8::1"), Gate("192.0.2.2", "2001:db8::2")
        self.here, self.there = Place("10.1.0.5", "2001:db8:1::5"), Place("10.2.0.7", "2001:db8:2::7")
        for place in (self.west, self.east, self.here, self.there):
            place.namespace.set(**QUICK, **OPEN)
        self.west.namespace.ip(cable("eth0", self.east.namespace), cable("eth1", self.here.namespace))
        self.east.namespace.ip(cable("eth1", self.there.namespace))
        for gate, peer, number in ((self.west, self.east, 1), (self.east, self.west, 2)):
            addresses = [f"10.{number}.0.1/24 dev eth1", f"2001:db8:{number}::1/64 dev eth1"]
            settle(gate, ("eth0", "eth1"), addresses, peer.addresses)
            gate.prepare()
        for place, number in ((self.here, 1), (self.there, 2)):
            settle(place, ("eth0",), [], {4: f"10.{number}.0.1", 6: f"2001:db8:{number}::1"})
        self.wire = Wire(self.west.namespace)
        # The frames of the last talk.
        self.last: list[Frame] = []
        self._names: dict[int, str] = {}
        self._loaded: dict[str, Connection] = {}

    # What is done

    def route(self, connection: Connection) -> None:
        """`ipsec auto --route` at west."""
        self._loaded[connection.name] = connection
        self.west.route(connection)

    def up(self, connection: Connection, **more: object) -> Pair:
        """A pair of SAs for both ends, installed in the order of a quick mode; ``more``: see `pair`."""
        made = pair(connection, **more)
        self.install(made)
        return made

    def install(self, made: Pair) -> None:
        """Both ends of a pair."""
        self.know(made)
        self.east.inbound(made.east)
        self.west.inbound(made.west)
        self.west.outbound(made.west)
        self.east.outbound(made.east)

    def know(self, made: Pair, generation: str = "") -> None:
        """Recognise its packets, and forget its connection in the end."""
        self._names |= {spi: f"{generation}{name}" for spi, name in made.names.items()}
        self._loaded[made.west.connection.name] = made.west.connection

    def forget(self, connection: Connection) -> None:
        """`ipsec auto --delete` at both ends."""
        self.west.forget(connection)
        self.east.forget(turned(connection))
        self._loaded.pop(connection.name, None)

    def sweep(self) -> dict[str, list[str]]:
        """Forget all; what is in the kernels for tunnels nevertheless, and what was said meanwhile."""
        for connection in list(self._loaded.values()):
            self.forget(connection)
        left = {name: gate.sweep() for name, gate in self._gates()}
        return {name: found for name, found in left.items() if found}

    # What is seen

    def talk(
        self, here: Place | None = None, there: Place | None = None, family: int = 4, size: int = SIZE,
        count: int = COUNT,
    ) -> Seen:  # fmt: skip
        """Datagrams there and back, the hosts' unless said otherwise; how they fared, and what was on the wire."""
        return self._seen(lambda: talk(here or self.here, there or self.there, family, size, count))

    def call(self, here: Place | None = None, there: Place | None = None) -> Seen:
        """The same where nothing is to arrive."""
        return self._seen(lambda: call(here or self.here, there or self.there, 4))

    def name(self, frame: Frame) -> str:
        """Its protocol, and by which SA it goes."""
        found = spi_of(frame)
        return f"{found[0]} {self._names.get(found[1], 'of nobody')}" if found else frame.kind

    def carried(self, made: Pair) -> dict[str, dict[str, list[int]]]:
        """What the SAs of a pair have counted, gate by gate."""
        return {"west": self.west.carried(made.west), "east": self.east.carried(made.east)}

    def inject(self, frames: Iterable[Frame]) -> dict[str, object]:
        """A stranger's frames on the wire; what the kernels said to it."""
        before = self._errors()
        self.wire.inject(frames)
        time.sleep(QUIET)
        return self._errors_since(before)

    def _errors_since(self, before: dict[str, Counter[str]]) -> dict[str, dict[str, int]]:
        """Gate by gate, only what there is."""
        found = {name: dict(count - before[name]) for name, count in self._errors().items()}
        return {name: errors for name, errors in found.items() if errors}

    def _seen(self, exchange: Callable[[], tuple[int, int]]) -> Seen:
        """What arrived, what was on the wire, whether data could be read there, which errors the kernels counted."""
        before = self._errors()
        self.wire.frames()
        arrived, answered = exchange()
        self.last = self.wire.frames()
        return {
            "arrived": arrived,
            "answered": answered,
            "wire": dict(Counter(map(self.name, self.last))),
            "readable": holds(self.last, PATTERN),
            "errors": self._errors_since(before),
        }

    def _errors(self) -> dict[str, Counter[str]]:
        return {name: Counter(gate.errors()) for name, gate in self._gates()}

    def _gates(self) -> tuple[tuple[str, Gate], ...]:
        return ("west", self.west), ("east", self.east)


def cable(name: str, other: Namespace) -> str:
    """A cable from this namespace's ``name`` to eth0 of another."""
    return f"link add {name} type veth peer name eth0 netns {other.path}"


def settle(place: Place, links: Iterable[str], addresses: Iterable[str], gateways: dict[int, str]) -> None:
    """Links up, addresses, and everything else behind the gateways."""
    own = [f"{place.addresses[4]}/24 dev eth0", f"{place.addresses[6]}/64 dev eth0"]
    place.namespace.ip(
        *(f"link set {link} up" for link in ("lo", *links)),
        *(f"address add {address}" for address in (*own, *addresses)),
        *(f"route add default via {gateway}" for gateway in gateways.values()),
    )
