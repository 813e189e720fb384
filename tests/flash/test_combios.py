"""comBIOS: its settings are put right and the card is started, on a simulated net4501."""

from __future__ import annotations

from pathlib import Path

import pytest
from cards import make_image
from simulated_combios import Net4501
from test_console import HASTY, PATIENT

from builder.boards import load_board
from builder.errors import CygnetError
from builder.flash import console
from builder.flash.console import combios, up
from builder.flash.console.line import Line
from builder.flash.options import Console, Options
from builder.settings import PROJECT

PC = load_board(PROJECT / "board", "pc486")
START = Console(only_start=True)


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("CYGNET_CACHE", str(tmp_path / "cache"))
    return []


def follow(monkeypatch: pytest.MonkeyPatch, board: Net4501, speed: int = PC.console.speed) -> None:
    """The simulated board learns the line's speed."""
    change = Line.change_speed

    def changed(line: Line, speed: int) -> None:
        change(line, speed)
        board.listened_at(speed)

    monkeypatch.setattr(Line, "change_speed", changed)
    board.listened_at(speed)


def start(monkeypatch: pytest.MonkeyPatch, board: Net4501, told: list[str], wishes: Console = START) -> None:
    """Flash it."""
    follow(monkeypatch, board, wishes.speed or PC.console.speed)
    console.put(PC, Path("none.img"), board.url, Options(console=wishes), told.append, PATIENT)


def test_a_new_board_gets_the_speed_of_the_image(monkeypatch: pytest.MonkeyPatch, told: list[str]) -> None:
    with Net4501() as board:
        start(monkeypatch, board, told)
        assert board.commands == ["show", "set ConSpeed=115200", "reboot"]
        assert board.speeds == [115200, 19200, 115200]
    assert told[-1] == "the box is up"


def test_a_board_that_is_right_is_only_started(monkeypatch: pytest.MonkeyPatch, told: list[str]) -> None:
    with Net4501({"ConSpeed": "115200"}) as board:
        start(monkeypatch, board, told)
        assert board.commands == ["show", "reboot"]
    assert "comBIOS 1.33" in told


def test_an_old_one_is_told(monkeypatch: pytest.MonkeyPatch, told: list[str]) -> None:
    with Net4501({"ConSpeed": "115200"}, version="1.28") as board:
        start(monkeypatch, board, told)
    assert "comBIOS 1.28; GRUB needs 1.33, the maker's `flashupdate` brings it" in told


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"ConSpeed": "115200", "BootDrive": "80 81 F0 FF"}, {}),
        ({"ConSpeed": "9600"}, {"ConSpeed": "115200"}),
        ({"ConSpeed": "115200", "BootDrive": "F0 80 81 FF"}, {"BootDrive": "80 F0 81 FF"}),
        ({"ConSpeed": "115200", "BootDrive": "F0 81"}, {"BootDrive": "80 F0 81"}),
    ],
)
def test_what_has_to_be_set(settings: dict[str, str], wanted: dict[str, str]) -> None:
    assert combios.wanted(settings, 115200) == wanted


@pytest.mark.parametrize(
    ("settings", "typed"),
    [
        ({"ConSpeed": "115200"}, ["show", "boot F0"]),
        # What was set is so from the next start on.
        ({"ConSpeed": "115200", "PXEBoot": "Disabled"}, ["show", "set PXEBoot=Enabled", "reboot", "boot F0"]),
        ({}, ["show", "set ConSpeed=115200", "reboot", "boot F0"]),
    ],
)
def test_a_board_is_sent_to_its_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: dict[str, str], typed: list[str]
) -> None:
    with Net4501(settings, card=False) as board, Line(board.url, PC.console.speed, tmp_path / "log") as line:
        follow(monkeypatch, board)
        combios.start(PC, PATIENT, print, line, from_network=True)
        while b"PXE-E61" not in line.read(20):
            pass
        assert board.commands == typed


def test_nothing_goes_over_the_line(told: list[str]) -> None:
    with Net4501() as board, pytest.raises(CygnetError, match="--ymodem: comBIOS takes nothing over the line"):
        console.put(PC, Path("none.img"), board.url, Options(console=Console(ymodem=True)), told.append, HASTY)
    assert board.commands == []


def test_the_wrong_image_is_refused_before_a_byte_is_typed(told: list[str], tmp_path: Path) -> None:
    other = make_image(tmp_path / "other.img", 1, "armv7")
    wishes = Console(address="192.168.77.1/24", server="192.168.77.2")
    with Net4501() as board, pytest.raises(CygnetError, match="other.img is for armv7 and would not start on pc486"):
        console.put(PC, other, board.url, Options(console=wishes), told.append, HASTY)
    assert board.commands == []


def test_no_combios_at_all(told: list[str]) -> None:
    with Net4501() as board, pytest.raises(CygnetError, match="does not come to the prompt of comBIOS"):
        console.put(PC, Path("none.img"), board.url, Options(console=START), told.append, HASTY)


def test_a_card_without_a_box(monkeypatch: pytest.MonkeyPatch, told: list[str]) -> None:
    """The monitor is back, and answers whoever asks whether the box is up: that is no life of a box."""
    monkeypatch.setattr(up, "ASK_AFTER", 0.1)
    monkeypatch.setattr("test_combios.PATIENT", HASTY)
    with Net4501({"ConSpeed": "115200"}, card=False) as board, pytest.raises(CygnetError, match="did not come up"):
        start(monkeypatch, board, told)
