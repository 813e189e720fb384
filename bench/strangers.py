"""How opportunistic encryption grows with the number of destinations: `.venv/bin/python bench/strangers.py [most]`.

Two daemons on the simulated network of packages/cygnet/tests/ike, fake kernels, a clock that is set forward: what is
measured is the CPU time of the code, and what it keeps.  Each number of destinations is a run of its own.

- look-ups: packets to so many hosts that have no key, within a simulated minute; the table stays at strangers.MOST_PAIRS.
- negotiations: to so many hosts that name one gateway; a quick mode each, both ends of it in this process.

Memory is what Python's allocator holds more than before (tracemalloc), half of it for each end.
"""

from __future__ import annotations

import subprocess
import sys
import time
import tracemalloc
from ipaddress import ip_address
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = [ROOT / "packages/cygnet/src", ROOT / "packages/cygnet/tests/ike"]
sys.path[:0] = map(str, SOURCES)

import test_ike_strangers as stories  # noqa: E402
from cygnet.crypto.rsa import PrivateKey  # noqa: E402
from cygnet.ike.strangers import MOST_PAIRS  # noqa: E402
from name_server import NameServer  # noqa: E402

MOST, MINUTE = 10_000, 60.0
KIB = 1024


def hosts(first: str, count: int) -> list[str]:
    """So many addresses, one after the other."""
    start = int(ip_address(first))
    return [str(ip_address(start + number)) for number in range(count)]


def look_ups(count: int, keys: stories.Keys) -> str:
    """Nobody has a key."""
    network, west, _ = stories.street(keys, NameServer(), east=False)
    began = time.process_time()
    for host in hosts("11.0.0.0", count):
        west.traffic(stories.WEST, host)
        network.run(MINUTE / count)
    network.run(1.0)
    spent = time.process_time() - began
    table = west.engine.strangers.pairs
    assert len(table) == min(count, MOST_PAIRS), len(table)
    return f"{spent / count * 1000:.2f} {len(table)} {len(west.kernel.policies)}"


def negotiations(count: int, keys: stories.Keys) -> str:
    """Everybody behind one gateway."""
    names = stories.known(keys)
    names.records[stories.reverse(stories.CLIENT), "TXT"] = [stories.delegation(stories.WEST, keys[0])]
    network, west, east = stories.street(keys, names)
    everybody = hosts("11.0.0.0", count)
    for box, subnet in ((west, "10.1.0.0/24"), (east, "11.0.0.0/8")):
        box.engine.delete(stories.OE, network.now)
        box.add(stories.opportunistic(box.address, subnet, rekey=False, key_life=28_800.0, ike_lifetime=28_800.0))
        box.route(stories.OE)
    for host in everybody:
        names.records[stories.reverse(host), "TXT"] = [stories.delegation(stories.EAST, keys[1])]
    west.traffic(stories.CLIENT, everybody[0])
    network.run(5.0)
    network.wire.clear()
    tracemalloc.start()
    before, began = tracemalloc.get_traced_memory()[0], time.process_time()
    for host in everybody[1:]:
        west.traffic(stories.CLIENT, host)
        network.run(MINUTE / count)
        for rows in (network.wire, west.log, east.log):
            rows.clear()
    network.run(5.0)
    spent = time.process_time() - began
    # What is remembered of a negotiation for a while only is not what a pair costs.
    network.run(300.0)
    network.wire.clear()
    names.asked.clear()
    kept = tracemalloc.get_traced_memory()[0] - before
    assert (west.pairs(), east.pairs()) == (count, count), (west.pairs(), east.pairs())
    return f"{spent / count * 1000:.2f} {kept / 2 / count / KIB:.1f} {west.isakmp()}"


MEASURES = {"look-ups": look_ups, "negotiations": negotiations}


def run(name: str, count: int) -> list[str]:
    """A measurement in a process of its own."""
    words = [sys.executable, __file__, name, str(count)]
    return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout.split()


def main() -> None:
    """Measure and say."""
    if len(sys.argv) == 3:
        keys = (PrivateKey.generate(2048), PrivateKey.generate(2048))
        print(MEASURES[sys.argv[1]](int(sys.argv[2]), keys))
        return
    most = int(sys.argv[1]) if len(sys.argv) == 2 else MOST
    first = 0.0
    for count in (most // 10, most // 4, most // 2, most):
        each, pairs, policies = run("look-ups", count)
        first = first or float(each)
        print(f"{count} look-ups: {each} ms each, {float(each) / first:.2f} x the first; table {pairs}, {policies} policies")
    first = 0.0
    for count in (most // 40, most // 20, most // 10, most // 4):
        each, memory, sas = run("negotiations", count)
        first = first or float(each)
        print(f"{count} pairs: {each} ms each (both ends), {float(each) / first:.2f} x the first; {memory} KiB a pair and end, {sas} ISAKMP SA")


if __name__ == "__main__":
    main()
