"""The peers by themselves, before Cygnet meets them: strongSwan against strongSwan, and that these tests can fail."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from network import Namespaces, Node
from strongswan import StrongSwan
from swanctl_config import Conn, End
from topology import EAST, EAST_HOST, EAST_NET, WEST, WEST_HOST, WEST_NET

WEST_END, EAST_END = End(WEST, WEST_NET), End(EAST, EAST_NET)
PINGS = 3


@pytest.fixture
def pair(nodes: tuple[Node, Node], run_strongswan: Callable[..., StrongSwan]) -> tuple[StrongSwan, StrongSwan]:
    """strongSwan at both ends, nothing configured."""
    return run_strongswan(nodes[0]), run_strongswan(nodes[1])


def load(pair: tuple[StrongSwan, StrongSwan], west_psk: str = "swan", east_psk: str = "swan") -> None:
    """The same connection at both ends."""
    pair[0].load(str(Conn(WEST_END, EAST_END, psk=west_psk)))
    pair[1].load(str(Conn(EAST_END, WEST_END, psk=east_psk)))


def test_strongswan_meets_strongswan(pair: tuple[StrongSwan, StrongSwan]) -> None:
    """Main mode with a PSK comes up, both ends have the same SPIs and keys, and the SAs count a ping"""
    load(pair)
    output, status = pair[0].initiate("net")
    assert status == 0, output
    one, other = pair[0].children()[0], pair[1].children()[0]
    assert (one["spi-in"], one["spi-out"]) == (other["spi-out"], other["spi-in"])
    assert pair[0].keys() == pair[1].keys()
    assert set(pair[0].keys()[0]) == {
        f"{kind} {whose}" for kind in ("encryption", "integrity") for whose in ("initiator", "responder")
    }
    pair[0].ping(WEST_HOST, EAST_HOST, PINGS)
    for peer in pair:
        assert peer.children()[0]["packets-in"] == peer.children()[0]["packets-out"] == str(PINGS)


def test_a_wrong_psk_fails(pair: tuple[StrongSwan, StrongSwan]) -> None:
    """With another PSK at one end nothing comes up, so a test with the right one proves something"""
    load(pair, east_psk="goose")
    _, status = pair[0].initiate("net", seconds=4)
    assert status != 0
    assert pair[0].children() == pair[1].children() == []


def test_rekey_and_delete(pair: tuple[StrongSwan, StrongSwan]) -> None:
    """Rekeying replaces the SPIs, deleting leaves nothing at either end"""
    load(pair)
    pair[0].initiate("net")
    before = pair[1].children()[0]["spi-in"]
    pair[1].rekey(child="net")
    pair[0].wait(lambda: [child["spi-out"] for child in pair[0].children()] not in ([], [before]))
    assert pair[0].keys() == pair[1].keys()
    pair[0].terminate(ike="net")
    for peer in pair:
        peer.wait(lambda peer=peer: peer.list_sas() == [])


def cards() -> list[str]:
    """The host's own interfaces."""
    return sorted(card.name for card in Path("/sys/class/net").iterdir())


def test_nothing_is_left_behind() -> None:
    """Leaving the context ends what runs in it, and the host's own network is never touched"""
    before = cards()
    with Namespaces() as network:
        node = network.node("lonely")
        network.wire((node, "wan", f"{WEST}/24"), (network.node("other"), "wan", f"{EAST}/24"))
        programs = [node.start(["sleep", "1000"], Path(os.devnull)) for _ in range(2)]
        # One that is paused would not hear that it is to end, and what has entered the machine with it waits for it.
        programs[0].pause()
        assert all(program.runs for program in programs)
        assert cards() == before
    assert not any(Path(f"/proc/{program.pid}").exists() for program in programs)


KILLED = """
import sys, time
from pathlib import Path
from network import Namespaces
with Namespaces() as network:
    print(network.node("lonely").start(["sleep", "1000"], Path("/dev/null")).pid, flush=True)
    time.sleep(1000)
"""


def test_nothing_outlives_a_killed_test() -> None:
    """A test run that is killed takes its machines and programs along"""
    run = subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, cwd=Path(__file__).parent)
    assert run.stdout is not None
    with run.stdout:
        program = Path("/proc") / run.stdout.readline().decode().strip()
    assert program.exists()
    run.kill()
    run.wait()
    end = time.monotonic() + 10
    while program.exists():
        assert time.monotonic() < end, f"{program} is still there"
        time.sleep(0.05)
