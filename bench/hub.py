"""How a hub grows with its configured connections: `.venv/bin/python bench/hub.py`.

A hub and as many spokes, all in this process on the simulated network of packages/cygnet/tests/ike, with fake kernels
and a clock that is set forward: what is measured is the CPU time of the code.

- loading: each connection added and routed, at one end.
- calls: each spoke calls, main mode and quick mode, both ends; then the hub has heard of all.
- rekeying: of each a quick mode more.
- deletions: each tunnel taken down by the spoke.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = [ROOT / "packages/cygnet/src", ROOT / "packages/cygnet/tests/ike"]
sys.path[:0] = map(str, SOURCES)

from cygnet.connection.connection import Connection  # noqa: E402
from growth import Measure, show  # noqa: E402
from simulation import LONG_LIVED, WEST, Box, Network, connection  # noqa: E402

SIZES = (250, 2500, 5000)
# Seconds between two calls.
APART = 0.02


def made(number: int) -> tuple[Connection, Connection]:
    """The connection of a spoke, as the hub has it and as the spoke does."""
    spoke = str(ip_address("198.18.0.1") + number)
    hub_net, net = ip_network("10.0.0.0/16"), ip_network((int(ip_address("11.0.0.0")) + 256 * number, 24))
    at_hub = connection(WEST, spoke, None, name=f"spoke{number}", **LONG_LIVED)
    here, there = replace(at_hub.here, subnet=hub_net), replace(at_hub.there, subnet=net)
    at_spoke = connection(spoke, WEST, None, name=f"spoke{number}", **LONG_LIVED)
    mine, its = replace(at_spoke.here, subnet=net), replace(at_spoke.there, subnet=hub_net)
    return replace(at_hub, here=here, there=there), replace(at_spoke, here=mine, there=its)


def load(count: int) -> tuple[float, Network, Box, Box]:
    """Everything added and routed; what it took at the hub."""
    network = Network()
    hub, spokes = network.box(WEST), network.box("198.18.0.0")
    both = [made(number) for number in range(count)]
    began = time.process_time()
    for one, _ in both:
        hub.add(one)
        hub.route(one.name)
    spent = time.process_time() - began
    for _, one in both:
        network.boxes[str(one.here.host)] = spokes
        spokes.add(one)
    return spent, network, hub, spokes


def each(count: int, network: Network, boxes: tuple[Box, Box], what: Callable[[str], object]) -> float:
    """Do something with each connection; CPU milliseconds for one. Nothing is kept that only tests want."""
    began = time.process_time()
    for number in range(count):
        what(f"spoke{number}")
        network.run(APART)
        for rows in (network.wire, *(box.log for box in boxes), *(box.kernel.calls for box in boxes)):
            rows.clear()
    network.run(5.0)
    return (time.process_time() - began) / count * 1000


def loading(count: int) -> str:
    """Milliseconds for each connection."""
    return f"{load(count)[0] / count * 1000:.3f}"


def called(count: int) -> tuple[float, Network, Box, Box]:
    """All are up."""
    _, network, hub, spokes = load(count)
    spent = each(count, network, (hub, spokes), spokes.up)
    assert hub.pairs() == spokes.pairs() == count
    return spent, network, hub, spokes


def calls(count: int) -> str:
    """Milliseconds for each tunnel, both ends."""
    return f"{called(count)[0]:.2f}"


def rekeying(count: int) -> str:
    """The same, of a quick mode."""
    _, network, hub, spokes = called(count)
    return f"{each(count, network, (hub, spokes), spokes.up):.2f}"


def deletions(count: int) -> str:
    """The same, of the end of a tunnel."""
    _, network, hub, spokes = called(count)
    spent = each(count, network, (hub, spokes), spokes.down)
    assert hub.pairs() == spokes.pairs() == 0
    return f"{spent:.2f}"


MEASURES: dict[str, Measure] = {
    "loading": (loading, "ms each", SIZES),
    "calls": (calls, "ms each, both ends", SIZES),
    "rekeying": (rekeying, "ms each, both ends", SIZES),
    "deletions": (deletions, "ms each, both ends", SIZES),
}

if __name__ == "__main__":
    show(MEASURES)
