"""Cygnet against IKE daemons that we did not write: the fixtures.

Nothing is installed on this machine and none of its own network is touched: peers are unpacked Debian packages
(debian_tree.py), in network namespaces (network.py) or in guests (guest.py).
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import paths  # noqa: F401 - first: the others need them
import pytest
from cygnet_box import CygnetBox, make_box
from cygnet_node import Cygnet
from debian_tree import tree
from meeting import Meeting, RunCygnet, RunStrongSwan
from network import Namespaces, Node
from street import BOX, ENDS, Street
from strongswan import StrongSwan
from topology import joined


@pytest.fixture(scope="session")
def strongswan_tree() -> Path:
    """strongSwan and what it needs, unpacked."""
    return tree("strongswan")


@pytest.fixture
def network() -> Iterator[Namespaces]:
    """Machines that come and go with the test."""
    with Namespaces() as found:
        yield found


@pytest.fixture
def nodes(network: Namespaces) -> tuple[Node, Node]:
    """West and east, on one wire."""
    return joined(network)


@pytest.fixture
def run_strongswan(strongswan_tree: Path, tmp_path: Path) -> RunStrongSwan:
    """Starts strongSwan on a node; its directory is the test's and holds its log."""
    numbers = itertools.count(1)

    def run(node: Node, settings: str = "") -> StrongSwan:
        return StrongSwan(node, strongswan_tree, tmp_path / f"strongswan-{node.name}-{next(numbers)}", settings)

    return run


@pytest.fixture
def run_cygnet(tmp_path: Path) -> RunCygnet:
    """Prepares a Cygnet on a node; the test configures and starts it."""
    return lambda node: Cygnet(node, tmp_path / f"cygnet-{node.name}")


@pytest.fixture
def meeting(nodes: tuple[Node, Node], run_cygnet: RunCygnet, run_strongswan: RunStrongSwan) -> Meeting:
    """Cygnet in the west, strongSwan in the east."""
    west, east = nodes
    return Meeting(run_cygnet(west), run_strongswan(east))


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    """Guests with strongSwan, libreswan and Cygnet, booting side by side."""
    # Not a folder of pytest's: the path of a Unix socket has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="cygnet-wire-") as sockets, Namespaces() as network:
        yield Street(network.node("host"), tmp_path_factory.mktemp("street"), Path(sockets))


@pytest.fixture(scope="session")
def street(started: Street) -> Street:
    """The same when all are there, each with its daemon."""
    started.settle()
    return started


@pytest.fixture
def clean(street: Street) -> Iterator[Street]:
    """The same, with nothing up before or after."""
    with street.cleared():
        yield street


@pytest.fixture(scope="session")
def with_box(
    started: Street, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Street]:
    """A Cygnet box has joined, booted beside the guests where it is the first to be asked for; it is off at the end."""
    box = make_box(BOX, started.card(BOX), tmp_path_factory.mktemp("box"))
    try:
        box.switch_on()
        street: Street = request.getfixturevalue("street")
        box.log_in()
        street.join(BOX, CygnetBox(box, ENDS[BOX]))
        yield street
    finally:
        started.gateways.pop(BOX, None)
        box.switch_off()
