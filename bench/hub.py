"""How a hub grows with its configured connections: `.venv/bin/python bench/hub.py`.

A hub and as many spokes on the simulated network of packages/cygnet/tests/ike, with fake kernels and a clock that is
set forward: what is measured is the CPU time of the code. A spoke has one tunnel: what grows is the hub's part.

- loading: each connection added and routed, at the hub.
- calls: each spoke calls, main mode and quick mode.
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
# Seconds that the two have for each other.
A_WHILE = 2.0


def address(number: int) -> str:
    """Of a spoke."""
    return str(ip_address("198.18.0.1") + number)


def seen_by(here: str, there: str, number: int) -> Connection:
    """The connection of a spoke, as either end has it."""
    made = connection(here, there, None, name=f"spoke{number}", **LONG_LIVED)
    nets = ip_network("10.0.0.0/16"), ip_network((int(ip_address("11.0.0.0")) + 256 * number, 24))
    mine, its = nets if here == WEST else nets[::-1]
    return replace(made, here=replace(made.here, subnet=mine), there=replace(made.there, subnet=its))


def load(count: int) -> tuple[float, Box]:
    """The hub, everything added and routed; what it took."""
    hub = Network().box(WEST)
    made = [seen_by(WEST, address(number), number) for number in range(count)]
    began = time.process_time()
    for one in made:
        hub.add(one)
        hub.tunnels.route(one)
    return time.process_time() - began, hub


def spokes_of(hub: Box, count: int) -> list[Box]:
    """A box for each connection, not on the network yet."""
    spokes = [hub.network.box(address(number)) for number in range(count)]
    for number, spoke in enumerate(spokes):
        spoke.add(seen_by(address(number), WEST, number))
    return spokes


def each(hub: Box, spokes: list[Box], what: Callable[[Box, str], object], stands: int) -> float:
    """Let each spoke do something; CPU milliseconds for one. Nothing is kept that only tests want."""
    network, spent = hub.network, 0.0
    for number, spoke in enumerate(spokes):
        network.boxes = {WEST: hub, spoke.address: spoke}
        began = time.process_time()
        what(spoke, f"spoke{number}")
        network.run(A_WHILE)
        spent += time.process_time() - began
        assert spoke.pairs() == stands
        for rows in (network.wire, hub.log, hub.kernel.calls):
            rows.clear()
    return spent / len(spokes) * 1000


def loading(count: int) -> str:
    """Milliseconds for each connection."""
    return f"{load(count)[0] / count * 1000:.3f}"


def called(count: int) -> tuple[float, Box, list[Box]]:
    """All are up."""
    _, hub = load(count)
    spokes = spokes_of(hub, count)
    spent = each(hub, spokes, Box.up, 1)
    assert hub.pairs() == count
    return spent, hub, spokes


def calls(count: int) -> str:
    """Milliseconds for each tunnel, both ends."""
    return f"{called(count)[0]:.2f}"


def rekeying(count: int) -> str:
    """The same, of a quick mode."""
    _, hub, spokes = called(count)
    return f"{each(hub, spokes, Box.up, 2):.2f}"


def deletions(count: int) -> str:
    """The same, of the end of a tunnel."""
    _, hub, spokes = called(count)
    spent = each(hub, spokes, Box.down, 0)
    assert hub.pairs() == 0
    return f"{spent:.2f}"


MEASURES: dict[str, Measure] = {
    "loading": (loading, "ms each", SIZES),
    "calls": (calls, "ms each, both ends", SIZES),
    "rekeying": (rekeying, "ms each, both ends", SIZES),
    "deletions": (deletions, "ms each, both ends", SIZES),
}

if __name__ == "__main__":
    show(MEASURES)
