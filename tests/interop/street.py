"""One wire with a guest for each daemon, and a place for a Cygnet box.

    strongSwan 192.0.2.2 --+-- 192.0.2.3 libreswan
            Cygnet 192.0.2.4 --+-- 192.0.2.1 the box

QEMU of the first is the hub, and records what goes over it.  The network behind each is 10.N.0.0/24.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from gateways import CygnetGuest, Gateway, LibreswanGateway, StrongSwanGateway
from guest import Guest, Hub
from network import Node
from swanctl_config import End

from builder.qemu import Card, wire_end
from builder.smoke.capture import Capture

MAC = "52:54:00:c9:0c:0"
BOX = "box-a"
ENDS = {
    name: End(f"192.0.2.{number}", f"10.{number}.0.0/24")
    for number, name in enumerate((BOX, "strongswan", "libreswan", "cygnet"), 1)
}
DAEMONS: dict[str, Callable[[Guest, End], Gateway]] = {
    "strongswan": StrongSwanGateway,
    "libreswan": LibreswanGateway,
    "cygnet": CygnetGuest,
}
HUB = "strongswan"


class Street:
    """``gateways``: by name; ``wire``: what is on it."""

    def __init__(self, host: Node, folder: Path, sockets: Path) -> None:
        self._sockets = sockets
        self.wire = Capture(folder / "wire.pcap")
        self.gateways: dict[str, Gateway] = {
            name: daemon(Guest(name, host, [self.card(name)], folder), ENDS[name]) for name, daemon in DAEMONS.items()
        }

    def settle(self) -> None:
        """Wait until the guests run, and start their daemons."""
        for name, gateway in self.gateways.items():
            gateway.machine.wait()
            self.join(name, gateway)

    def join(self, name: str, gateway: Gateway) -> None:
        """Give one that runs its addresses, and start its daemon."""
        gateway.set_addresses(*(end for other, end in ENDS.items() if other != name))
        gateway.start()
        self.gateways[name] = gateway

    @contextlib.contextmanager
    def cleared(self) -> Iterator[None]:
        """Afterwards nothing is up."""
        yield
        used = [gateway for gateway in self.gateways.values() if gateway.used]
        for gateway in used:
            gateway.down()
        for gateway in used:
            gateway.used = False
            gateway.machine.wait_for("ip xfrm state", lambda said: "proto" not in said)

    def card(self, name: str) -> Card | Hub:
        """The card of one on the wire."""
        ends = {other: (self._socket(HUB, other), self._socket(other, HUB)) for other in ENDS if other != HUB}
        mac = f"{MAC}{list(ENDS).index(name) + 1}"
        if name == HUB:
            return Hub(mac, ends, self.wire.file)
        there, here = ends[name]
        return wire_end("wan", mac, here, there)

    def _socket(self, here: str, there: str) -> Path:
        return self._sockets / f"{here}-{there}"
