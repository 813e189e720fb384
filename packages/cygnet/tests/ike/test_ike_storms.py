"""Ten thousand negotiations in foul weather: whatever is lost, doubled or reordered, one usable pair is left.

A run follows from its seed alone. A failing one is replayed, with its log, by
`.venv/bin/python packages/cygnet/tests/ike/test_ike_storms.py short SEED` (or `long SEED`), PYTHONPATH as the tests have it.
"""

from __future__ import annotations

import sys

import pytest
from cygnet.connection.connection import DpdAction
from simulation import STORM, Box, Network, Weather, carried, pair

SHORT_RUNS, CHUNK = 10_000, 500
LONG_RUNS, LONG_CHUNK = 100, 50
REKEYED = {"ike_lifetime": 900.0, "key_life": 400.0, "rekey_margin": 60.0, "dpd_action": DpdAction.RESTART}


def short_run(seed: int) -> tuple[Network, Box, Box]:
    """A minute of storm while west, east or both bring the tunnel up; then clear weather."""
    network, west, east = pair(seed, STORM, keying_tries=0)
    if seed % 2:
        east.up()
    if seed % 4 != 1:
        network.run(seed % 7 * 0.3)
        west.up()
    network.run(60)
    network.weather = Weather()
    network.run(800)
    return network, west, east


def long_run(seed: int) -> tuple[Network, Box, Box]:
    """Hours of storms and lulls over a tunnel that is rekeyed every few minutes; then clear weather."""
    network, west, east = pair(seed, STORM, keying_tries=0, dpd_delay=30.0 * (seed % 2), **REKEYED)
    west.up()
    if seed % 3:
        east.up()
    for hour in range(8):
        network.weather = STORM if hour % 2 == 0 else Weather(delay=0.05, jitter=0.3)
        network.run(900)
    network.weather = Weather()
    network.run(1500)
    if west.pairs() != 1 or east.pairs() != 1:
        # The clear weather may end in the middle of a rekeying; the loser's grace is over after this.
        network.run(50)
    return network, west, east


def wrongs(network: Network, west: Box, east: Box) -> list[str]:
    """What is not as it must be when the weather has cleared."""
    checks = [("bugs", network.bugs() == [] and west.engine.bugs + east.engine.bugs == 0)]
    checks += [(f"traffic: {outcome}", outcome == "delivered") for outcome in carried(west, east)]
    for box in (west, east):
        sizes = box.sizes()
        checks += [
            (f"{box.address} has {box.pairs()} pairs", box.pairs() == 1),
            (f"{box.address}'s kernel has {sizes['kernel SAs']} SAs", sizes["kernel SAs"] == 2),
            # An end whose last messages were lost may be left without one until it is needed.
            (f"{box.address} has {box.isakmp()} ISAKMP SAs", box.isakmp() <= 1),
            (f"tables: {sizes}", max(size for name, size in sizes.items() if name != "timers") <= 4),
            (f"{sizes['timers']} timers", sizes["timers"] <= 100 + 1024),
        ]
    return [what for what, right in checks if not right]


@pytest.mark.parametrize("first", range(0, SHORT_RUNS, CHUNK))
def test_a_tunnel_comes_up_in_a_storm(first: int) -> None:
    for seed in range(first, first + CHUNK):
        found = wrongs(*short_run(seed))
        assert not found, f"short {seed}: {found}; replay: {__file__} short {seed}"


@pytest.mark.parametrize("first", range(0, LONG_RUNS, LONG_CHUNK))
def test_a_tunnel_is_rekeyed_through_storms(first: int) -> None:
    for seed in range(first, first + LONG_CHUNK):
        found = wrongs(*long_run(seed))
        assert not found, f"long {seed}: {found}; replay: {__file__} long {seed}"


def test_a_run_follows_from_its_seed() -> None:
    first, second = (short_run(3)[0] for _ in range(2))
    # Key exchanges are made by the library's own randomness, so that only what is in clear is the same.
    assert [(sent.when, len(sent.packet)) for sent in first.wire] == [
        (sent.when, len(sent.packet)) for sent in second.wire
    ]


def replay(kind: str, seed: int) -> None:
    """A run again, with what both ends say."""
    network, west, east = (short_run if kind == "short" else long_run)(seed)
    for box in (west, east):
        sys.stdout.write(f"-- {box.address}\n" + "\n".join(box.log) + "\n")
    sys.stdout.write(f"wrong: {wrongs(network, west, east)}\n")


if __name__ == "__main__":
    replay(sys.argv[1], int(sys.argv[2]))
