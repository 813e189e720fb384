"""How opportunistic encryption grows with the number of destinations: `.venv/bin/python bench/strangers.py`.

Two daemons on the simulated network of packages/cygnet/tests/ike, fake kernels, a clock that is set forward: what is
measured is the CPU time of the code, and what it keeps.

- look-ups: packets to so many hosts that have no key, in a simulated minute; the table ends at strangers.MOST_PAIRS.
- negotiations: to so many hosts that name one gateway; a quick mode each, both ends of it in this process. The bound of
  the table is lifted for it.
- memory: the same, and what Python's allocator holds for the pairs (tracemalloc), by pair and end.
"""

from __future__ import annotations

import sys
import time
import tracemalloc
from ipaddress import ip_address
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = [ROOT / "packages/cygnet/src", ROOT / "packages/cygnet/tests/ike"]
sys.path[:0] = map(str, SOURCES)

import strangers_scene as stories  # noqa: E402
from cygnet.connection.selector import host_selector  # noqa: E402
from cygnet.crypto.rsa import PrivateKey  # noqa: E402
from cygnet.ike import roster, strangers  # noqa: E402
from cygnet.kernel.interface import Acquire  # noqa: E402
from growth import Measure, show  # noqa: E402
from name_server import NameServer  # noqa: E402
from simulation import Box, Network  # noqa: E402

MINUTE = 60.0
# Seconds between two destinations that have a key; more of them at once meet the bounds of the name server's queue.
APART = 0.024
# What quick modes are remembered for is over then.
LATER = 300.0
KIB = 1024
KEYS = tuple(PrivateKey.generate(2048) for _ in range(2))


def hosts(count: int) -> list[str]:
    """So many addresses, one after the other."""
    return [str(ip_address("11.0.0.0") + number) for number in range(count)]


def packet(box: Box, source: str, destination: str) -> None:
    """A first packet: what the kernel says of it. The fake kernel, which looks through all policies, is left out."""
    trap = next(policy for policy in box.kernel.policies.values() if policy.interface)
    ends = (host_selector(ip_address(end)) for end in (source, destination))
    box.engine.acquired(Acquire(trap.templates[0].reqid, *ends), box.network.now)


def look_ups(count: int) -> str:
    """Nobody has a key: CPU milliseconds each."""
    network, west, _ = stories.street(KEYS, NameServer(), east=False)
    began = time.process_time()
    for host in hosts(count):
        packet(west, stories.WEST, host)
        network.run(MINUTE / count)
    network.run(1.0)
    spent = time.process_time() - began
    assert len(west.engine.strangers.pairs) == min(count, strangers.MOST_PAIRS)
    return f"{spent / count * 1000:.2f}"


def gateways(everybody: list[str]) -> tuple[Network, Box, Box]:
    """Everybody behind east; the first tunnel stands."""
    names = stories.known(KEYS)
    names.records[stories.reverse(stories.CLIENT), "TXT"] = [stories.delegation(stories.WEST, KEYS[0])]
    for host in everybody:
        names.records[stories.reverse(host), "TXT"] = [stories.delegation(stories.EAST, KEYS[1])]
    network, west, east = stories.street(KEYS, names)
    for box, subnet in ((west, "10.1.0.0/24"), (east, "11.0.0.0/8")):
        box.engine.delete(stories.OE, network.now)
        box.add(stories.opportunistic(box.address, subnet, key_life=28_800.0, ike_lifetime=28_800.0))
        box.route(stories.OE)
    call(network, (west, east), everybody[:1])
    return network, west, east


def call(network: Network, boxes: tuple[Box, Box], everybody: list[str]) -> None:
    """A packet to each; nothing is kept that only tests want."""
    for host in everybody:
        packet(boxes[0], stories.CLIENT, host)
        network.run(APART)
        for rows in (network.wire, *(box.log for box in boxes), *(box.kernel.calls for box in boxes)):
            rows.clear()
    network.run(5.0)


def negotiations(count: int) -> str:
    """A pair each: CPU milliseconds of both ends."""
    strangers.MOST_PAIRS = roster.MOST_INSTANCES = 2 * count
    everybody = hosts(count)
    network, west, east = gateways(everybody)
    began = time.process_time()
    call(network, (west, east), everybody[1:])
    spent = time.process_time() - began
    assert west.pairs() == east.pairs() == count
    return f"{spent / count * 1000:.2f}"


def memory(count: int) -> str:
    """KiB of a pair at one end."""
    everybody = hosts(count)
    network, west, east = gateways(everybody)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    call(network, (west, east), everybody[1:])
    network.run(LATER)
    for box in (west, east):
        box.kernel.calls.clear()
    network.wire.clear()
    network.names.asked.clear()
    return f"{(tracemalloc.get_traced_memory()[0] - before) / 2 / (count - 1) / KIB:.1f}"


MEASURES: dict[str, Measure] = {
    "look-ups": (look_ups, "ms each", (250, 2500, 10_000)),
    "negotiations": (negotiations, "ms each, both ends", (250, 2500, 10_000)),
    "memory": (memory, "KiB a pair and end", (500, 1000)),
}

if __name__ == "__main__":
    show(MEASURES)
