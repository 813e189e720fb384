"""When a router may forward: not before the connections' routes stand, and not once their policies go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cygnet.connection.connection import Setup
from cygnet.daemon import host
from cygnet.daemon.host import Machine
from cygnet.daemon.main import read_settings
from cygnet.kernel.fake import FakeKernel


@pytest.fixture
def told(tmp_path: Path) -> Path:
    """What happened: each word that the router's program was called with, and each flush of the kernel."""
    return tmp_path / "told"


@pytest.fixture
def make(told: Path, tmp_path: Path) -> Callable[[str], Machine]:
    """A machine whose kernel and router write down what they are told."""

    class Kernel(FakeKernel):
        def flush(self, keep_blocks: bool = False) -> list[object]:
            with told.open("a") as file:
                file.write("flush\n")
            return []

    program = tmp_path / "forwarding"
    program.write_text(f'#!/bin/sh\necho "$*" >>{told}\n')
    program.chmod(0o755)

    def make(router: str = str(program)) -> Machine:
        machine = Machine(lambda _: None, router)
        machine.kernel = Kernel()
        return machine

    return make


def test_policies_are_taken_away_only_while_nothing_is_forwarded(make: Callable[..., Machine], told: Path) -> None:
    machine = make()
    machine.open(Setup())
    assert told.read_text().split() == ["off", "flush"]
    machine.ready(Setup())
    assert told.read_text().split() == ["off", "flush", "on"]
    machine.close()
    assert told.read_text().split() == ["off", "flush", "on", "off", "flush"]


@pytest.mark.parametrize(
    ("control", "own_program", "during"), [(True, False, "1"), (False, False, "0"), (True, True, "0")]
)
def test_forwardcontrol_counts_where_no_program_decides(
    make: Callable[..., Machine],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    control: bool,
    own_program: bool,
    during: str,
) -> None:
    switch = tmp_path / "ip_forward"
    switch.write_text("0")
    monkeypatch.setattr(host, "FORWARDING", switch)
    machine, setup = make() if own_program else make(""), Setup(forward_control=control)
    machine.open(setup)
    assert switch.read_text() == "0"
    machine.ready(setup)
    assert switch.read_text() == during
    machine.close()
    assert switch.read_text() == "0"


def test_the_program_is_named_on_the_command_line() -> None:
    assert read_settings(["--forwarding", "/usr/lib/cygnet/forwarding"]).router == "/usr/lib/cygnet/forwarding"
    assert read_settings([]).router == ""
