"""The daemon beside what is keyed by hand: it starts it, and leaves it alone."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from cygnet.cli import manual
from cygnet.conf import Configuration, load
from cygnet.connection.connection import Setup
from cygnet.connection.local import Local
from cygnet.connection.selector import Selector
from cygnet.daemon import host
from cygnet.kernel import ours
from cygnet.kernel.fake import FakeKernel
from cygnet.kernel.policy import Direction, Policy

SETUP = Setup(interfaces=(("ipsec0", "eth0"), ("ipsec1", "eth1")))
LAN, FAR = Selector(ip_network("10.1.0.0/24")), Selector(ip_network("10.2.0.0/24"))


@pytest.fixture
def machine() -> host.Machine:
    """A machine whose kernel is in memory."""
    made = host.Machine.__new__(host.Machine)
    made.kernel, made.if_ids, made._log, made._forwarding = FakeKernel(), {}, print, ""
    made._router, made._filters = "", {}
    return made


@pytest.fixture
def interfaces(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    done: list[str] = []
    monkeypatch.setattr(host.links, "create_interface", lambda name, if_id, _mtu: done.append(f"make {name}"))
    monkeypatch.setattr(host.links, "delete_interface", lambda name: done.append(f"remove {name}"))
    return done


def test_an_interface_that_manual_keying_uses_outlives_the_daemon(machine: host.Machine, interfaces: list[str]) -> None:
    # Given a policy of manual keying with the number of ipsec0, when a daemon starts and ends,
    kernel = machine.kernel
    by_hand = Policy(Direction.OUT, LAN, FAR, ours.MANUAL.priorities[0], if_id=1)
    kernel.owner = ours.MANUAL  # type: ignore[attr-defined]
    kernel.put_policy(by_hand)
    kernel.owner = ours.DAEMON  # type: ignore[attr-defined]
    machine.open(SETUP)
    machine.close()
    # then ipsec0, which was not there any more, is there and stays, ipsec1 has gone, and the policy stands.
    assert interfaces == ["make ipsec0", "make ipsec1", "remove ipsec1"]
    assert kernel.list_policies() == [by_hand]


def test_what_is_to_be_up_from_the_start_is_brought_up(
    machine: host.Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Configuration] = []
    monkeypatch.setattr(manual, "start", lambda configuration, _log: started.append(configuration))
    path = tmp_path / "ipsec.conf"
    conn = "conn west\n\tleft=192.0.2.1\n\tright=192.0.2.2\n\tauto={}\n"
    for auto in ("ignore", "manual"):
        path.write_text("version 2\n" + conn.format(auto))
        machine.manual(load(path, Local({"eth0": (ip_address("192.0.2.1"),)})))
    assert [one.starts_manual for one in started] == [["west"]]
