"""The commands that a board with bare flash gives to its U-Boot, run by a real U-Boot: QEMU's, which has other hardware.

What touches the flash or starts a kernel is replaced by words on the console; the choice of a slot, what is saved and
when are the board's own.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from builder.boards import Board, load_board
from builder.image.flash_layout import flash_facts
from builder.image.loaders.loader import render
from builder.image.loaders.uimage import COMMANDS
from builder.plan import Project
from builder.progress import Lines
from builder.settings import PROJECT, settings

PATIENCE = 60
STARTED = r"STARTED .*ubi\.block=0,root-(\w) root=/dev/ubiblock0_(\d) .*cygnet\.slot=(\w) cygnet\.mode=(\w+)\r\n"
# Without hardware to read from: what ends a start, what keeps variables over a power cut, what cuts the power.
STAND_INS = {"bootm ": "run start ", "saveenv": "run save", "sleep 10; reset": "echo RESTART"}
FAKES = {
    "start": "echo STARTED ${bootargs}; echo",
    "fetch": "test ${at} != ${spoilt}",
    "save": "setenv saved_slot ${slot}; setenv saved_trial ${trial}",
    "power": "setenv slot ${saved_slot}; setenv trial ${saved_trial}; setenv mode; setenv boot_slot; run bootcmd",
    "spoilt": "0",
}


class UBoot:
    """U-Boot in QEMU, at its prompt."""

    def __init__(self, firmware: Path, log: Path) -> None:
        self._log = log
        words = [
            "qemu-system-arm", "-M", "virt", "-cpu", "cortex-a7", "-m", "64", "-nodefaults", "-display", "none",
            "-bios", str(firmware), "-serial", "stdio",
        ]  # fmt: skip
        with log.open("wb") as out:
            self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=out)
        self._seen = 0

    def say(self, line: str) -> str:
        """Type a line; what comes until the next prompt."""
        assert self._process.stdin
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()
        return self.wait("=> ")

    def wait(self, mark: str) -> str:
        """What the console shows until ``mark``."""
        end = time.monotonic() + PATIENCE
        while mark not in (text := self._log.read_bytes()[self._seen :].decode(errors="replace")):
            assert time.monotonic() < end, f"no {mark!r}; last words: {text[-600:]}"
            time.sleep(0.02)
        self._seen += len(text[: text.index(mark) + len(mark)].encode())
        return text[: text.index(mark)]

    def off(self) -> None:
        """Cut its power."""
        self._process.kill()
        self._process.wait()


@dataclass
class Box:
    """A board's commands in a U-Boot."""

    board: Board
    uboot: UBoot

    def remember(self, slot: str, trial: str = "") -> None:
        """What the environment in the flash holds."""
        self.uboot.say(f"setenv saved_slot {slot}; setenv saved_trial {trial}")

    def power_on(self) -> tuple[str, str]:
        """Slot and mode of the next start; slot, volume and command line have to agree."""
        found = re.search(STARTED, self.uboot.say("run power"))
        assert found
        root, volume, slot, mode = found.groups()
        assert (root, volume) == (slot, str("ab".index(slot)))
        return slot, mode


@pytest.fixture(scope="module")
def firmware() -> Path:
    project = Project(settings(), Lines())
    twin = load_board(PROJECT / "board", "armv7").need_twin()
    return project.engine().build((project.plan("armv7").tools,))["tools"] / twin.firmware


@pytest.fixture(scope="module", params=["kirkwood", "mt7621"])
def typed(request: pytest.FixtureRequest, firmware: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """U-Boot that was given the board's commands."""
    board = load_board(PROJECT / "board", request.param)
    uboot = UBoot(firmware, tmp_path_factory.mktemp(request.param) / "console")
    try:
        uboot.wait("stop autoboot")
        uboot.say("")
        for line in render(board, COMMANDS).splitlines():
            for real, stand_in in STAND_INS.items():
                line = line.replace(real, stand_in)
            uboot.say(line)
        yield Box(board, uboot)
    finally:
        uboot.off()


@pytest.fixture
def box(typed: Box) -> Box:
    for name, value in FAKES.items():
        typed.uboot.say(f"setenv {name} '{value}'")
    return typed


def test_a_new_box_starts_slot_a(box: Box) -> None:
    box.remember("")
    assert box.power_on() == ("a", "normal")


def test_a_trial_is_made_once(box: Box) -> None:
    box.remember("a", trial="b")
    assert box.power_on() == ("b", "trial")
    # Nobody confirmed it.
    assert box.power_on() == ("a", "normal")


def test_the_good_slot_is_remembered(box: Box) -> None:
    box.remember("b")
    assert [box.power_on(), box.power_on()] == [("b", "normal"), ("b", "normal")]


def test_a_trial_that_cannot_be_struck_out_is_not_made(box: Box) -> None:
    box.remember("b", trial="a")
    box.uboot.say("setenv save 'test a = b'")
    assert box.power_on() == ("b", "normal")


def test_a_slot_that_cannot_be_read_falls_back_to_the_other(box: Box) -> None:
    kernels = flash_facts(box.board.need_flash())["kernel_at"]
    assert isinstance(kernels, dict)
    box.remember("a")
    box.uboot.say(f"setenv spoilt {kernels['a']:x}")
    assert box.power_on() == ("b", "fallback")


def test_if_no_slot_can_be_read_it_starts_over(box: Box) -> None:
    box.remember("a")
    box.uboot.say("setenv fetch 'test a = b'")
    told = box.uboot.say("run power")
    assert "STARTED" not in told
    assert "no slot boots, restarting in 10 s" in told
    assert told.rstrip().endswith("RESTART")
