"""What one tunnel costs does not grow with how many others there are: counted in connections looked at, not in time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from cygnet.connection.connection import Connection
from cygnet.ike.v1.sa import IsakmpSa
from simulation import EAST, LONG_LIVED, WEST, Box, Network, connection
from strangers_scene import CLIENT, Keys, delegated, delegation, meet, protected, reverse, street


@contextmanager
def looked_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Connection]]:
    """The connections that are compared with an ISAKMP SA meanwhile."""
    seen: list[Connection] = []
    fits = IsakmpSa.fits

    def count(sa: IsakmpSa, other: Connection) -> bool:
        seen.append(other)
        return fits(sa, other)

    with monkeypatch.context() as changed:
        changed.setattr(IsakmpSa, "fits", count)
        yield seen


def spoke(network: Network, number: int) -> Box:
    """A box that has a tunnel with the hub."""
    here = f"198.51.100.{number}"
    box = network.box(here)
    box.add(connection(here, WEST, None, name=f"spoke{number}", **LONG_LIVED))
    network.boxes[WEST].add(connection(WEST, here, None, name=f"spoke{number}", **LONG_LIVED))
    return box


def test_a_hub_looks_at_the_caller_only(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network()
    hub, costs = network.box(WEST), []
    for number in range(60):
        box = spoke(network, number)
        with looked_at(monkeypatch) as seen:
            for act in (box.up, box.up, box.down, box.up):
                act(f"spoke{number}")
                network.run(20)
            costs.append(len(seen))
    assert hub.pairs() == 60
    assert set(costs) == {costs[0]}
    assert costs[0] < 60


def test_a_gateway_looks_at_the_pair_that_is_made_only(rsa_keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    network, west, east = street(rsa_keys, delegated(rsa_keys), clients=True)
    costs = []
    for number in range(40):
        host = f"10.2.0.{number}"
        network.names.records[reverse(host), "TXT"] = [delegation(EAST, rsa_keys[1])]
        with looked_at(monkeypatch) as seen:
            meet(west, CLIENT, host)
            costs.append(len(seen))
        assert protected(west, east, CLIENT, host)
    assert set(costs[1:]) == {costs[1]}
    assert costs[1] < 40
