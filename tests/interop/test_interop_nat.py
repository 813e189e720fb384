"""One end is behind a router that translates addresses and ports: NAT-T (RFC 3947, 3948), whoever is hidden.

strongSwan's ESP in user space is always in UDP, and so it says in IKE that there is NAT where there is none; all the
other tests run that way.  Guests prove ESP without UDP.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from meeting import CYGNET, EAST_END, PSK, SWAN, WEST_END, Meeting, RunCygnet, RunStrongSwan
from network import Namespaces, Node
from topology import EAST, HIDDEN, NAT_PORTS, WEST, translated

HIDDEN_ID, EAST_ID = "hidden.example.org", "east.example.org"


@pytest.fixture
def hidden_and_east(network: Namespaces, strongswan_tree: Path, tmp_path: Path) -> tuple[Node, Node]:
    """One behind the router, and one that is seen by all."""
    return translated(network, strongswan_tree, tmp_path / "router")


def test_cygnet_behind_nat(
    hidden_and_east: tuple[Node, Node], run_cygnet: RunCygnet, run_strongswan: RunStrongSwan
) -> None:
    """Cygnet is hidden: its packets come from the router's address and port, its SAs are within UDP"""
    hidden, east = hidden_and_east
    meeting = Meeting(run_cygnet(hidden), run_strongswan(east))
    local, remote = (
        replace(WEST_END, address=HIDDEN, identity=f"@{HIDDEN_ID}"),
        replace(EAST_END, identity=f"@{EAST_ID}"),
    )
    theirs = replace(WEST_END, address="%any", identity=HIDDEN_ID)
    meeting.start(
        replace(CYGNET, local=local, remote=remote),
        replace(SWAN, local=replace(EAST_END, identity=EAST_ID), remote=theirs),
    )
    meeting.bring_up("cygnet")
    sa = meeting.swan.ikes()[0]
    assert (sa["remote-host"], sa["nat-remote"]) == (WEST, "yes")
    assert int(sa["remote-port"]) in NAT_PORTS
    assert [found.ports for found in meeting.cygnet.sas()] == [(4500, 4500)] * 2


def test_a_peer_behind_nat(
    hidden_and_east: tuple[Node, Node], run_cygnet: RunCygnet, run_strongswan: RunStrongSwan
) -> None:
    """strongSwan is hidden and calls a Cygnet that takes anyone: SAs lead to the router's port"""
    hidden, east = hidden_and_east
    meeting = Meeting(run_cygnet(east), run_strongswan(hidden))
    local, remote = (
        replace(EAST_END, identity=f"@{EAST_ID}"),
        replace(WEST_END, address="%any", identity=f"@{HIDDEN_ID}"),
    )
    hidden_end = replace(WEST_END, address=HIDDEN, identity=HIDDEN_ID)
    meeting.start(
        replace(CYGNET, local=local, remote=remote),
        replace(SWAN, local=hidden_end, remote=replace(EAST_END, identity=EAST_ID)),
        f'@{EAST_ID} @{HIDDEN_ID} : PSK "{PSK}"\n',
    )
    meeting.bring_up("strongswan")
    assert meeting.swan.ikes()[0]["remote-host"] == EAST
    found = {sa.outbound: sa.ports or (0, 0) for sa in meeting.cygnet.sas()}
    assert found[True][0] == 4500
    assert found[True][1] in NAT_PORTS
    assert found[False] == found[True][::-1]
