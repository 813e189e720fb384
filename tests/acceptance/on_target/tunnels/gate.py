"""A gateway: a place that has a kernel's IPsec and drives it as the daemon does."""

import re
import select
import time
from collections.abc import Callable

from cygnet.kernel import links
from cygnet.kernel.interface import Event
from cygnet.kernel.xfrm import Xfrm, statistics
from cygnet.tunnel.associations import sa_key
from cygnet.tunnel.child import ChildSa
from cygnet.tunnel.tunnels import Tunnels
from cygnet.updown.call import Occasion
from cygnet.updown.script import Script
from namespace import run
from place import PATIENCE, Place

INTERFACE, IF_ID = "ipsec0", 1
# What a tunnel can leave behind, in what ip(8) says; an SA without SPI waits for keys, and goes by itself (`sel` is its).
TRACES = re.compile(
    r"^\s+proto (?:esp|ah|comp) spi 0x(?!0{8}).*|^\s+dir .*|^(?!multicast|fe80|\s+sel |.*table local).*(?:dev ipsec0|table 51).*",
    re.MULTILINE,
)


class Sparing:
    """The box's updown script, but where it does nothing: a process is dear on a 486."""

    def __init__(self, script: Script) -> None:
        self._script = script

    def run(self, occasion: Occasion) -> None:
        """Routes are always set; what else is done is done for the firewall."""
        if occasion.verb in ("route", "unroute") or occasion.connection.here.firewall:
            self._script.run(occasion)


class Gate(Place):
    """``log``: what the script and the kernel's events said."""

    def prepare(self) -> None:
        """Begin, when the interfaces are there."""
        self.log: list[str] = []
        with self.namespace.inside():
            self.kernel = Xfrm(self.log.append)
        self.begin()
        updown = Sparing(Script(self.log.append))
        self._tunnels = Tunnels(self.kernel, updown, self.log.append, {"eth0": (INTERFACE, IF_ID)})

    def begin(self) -> None:
        """What the daemon does first: away with what an earlier one left, and new interfaces."""
        with self.namespace.inside():
            self.kernel.flush()
            links.create_interface(INTERFACE, IF_ID)

    def __getattr__(self, name: str) -> Callable[..., object]:
        """The calls of `Tunnels`, made inside the namespace."""
        call = getattr(self._tunnels, name)

        def inside(*arguments: object) -> object:
            with self.namespace.inside():
                return call(*arguments)

        return inside

    def errors(self) -> dict[str, int]:
        """Packets that came to grief, by the kernel's names."""
        with self.namespace.inside():
            return statistics()

    def carried(self, child: ChildSa) -> dict[str, list[int]]:
        """Bytes and packets of each of its SAs."""
        found = {}
        for leg in child.legs:
            for way, outbound in (("out", True), ("in", False)):
                counters = self.kernel.query_sa(sa_key(child, leg, outbound))
                found[f"{leg.protocol} {way}"] = [counters.bytes, counters.packets] if counters else []
        return found

    def judged(self, child: ChildSa) -> dict[str, int]:
        """What its SA has received, and what it has refused."""
        found = self.counters(child)
        refused = {"replay drops": found.replay_drops, "integrity failures": found.integrity_failures}
        return {"packets": found.packets} | refused

    def events(self, good: Callable[[Event], bool], count: int = 1) -> list[Event]:
        """The next events of a kind; those that do not come are not there."""
        found: list[Event] = []
        end = time.monotonic() + PATIENCE
        while len(found) < count and (left := end - time.monotonic()) > 0:
            select.select([self.kernel], [], [], left)
            found += filter(good, self.kernel.events())
        return found

    def sweep(self) -> list[str]:
        """What is left of tunnels, and what was said; then nothing is."""
        left = self.traces()
        if left:
            self.begin()
        left += self.log
        self.log.clear()
        self.kernel.events()
        return left

    def traces(self) -> list[str]:
        """What is in the kernel for tunnels."""
        with self.namespace.inside():
            said = run("sh", "-c", "ip xfrm state; ip xfrm policy list nosock; ip route show table all")
        return [found.strip() for found in TRACES.findall(said)]
