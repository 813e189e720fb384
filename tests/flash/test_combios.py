"""comBIOS: its settings are put right and the card is started, on a simulated net4501."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
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


def start(monkeypatch: pytest.MonkeyPatch, board: Net4501, told: list[str], wishes: Console = START) -> None:
    """Flash it, with a line whose speed the simulated board learns."""
    change = Line.change_speed

    def changed(line: Line, speed: int) -> None:
        change(line, speed)
        board.listened_at(speed)

    monkeypatch.setattr(Line, "change_speed", changed)
    board.listened_at(wishes.speed or PC.console.speed)
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


def test_it_is_not_said_that_a_card_was_written(monkeypatch: pytest.MonkeyPatch, told: list[str]) -> None:
    with Net4501() as board, pytest.raises(CygnetError, match="writes no disk: write the card in a reader"):
        start(monkeypatch, board, told, replace(START, only_start=False))


def test_no_combios_at_all(told: list[str]) -> None:
    with Net4501() as board, pytest.raises(CygnetError, match="does not come to the prompt of comBIOS"):
        console.put(PC, Path("none.img"), board.url, Options(console=START), told.append, HASTY)


def test_a_card_without_a_box(monkeypatch: pytest.MonkeyPatch, told: list[str]) -> None:
    """The monitor is back, and answers whoever asks whether the box is up: that is no life of a box."""
    monkeypatch.setattr(up, "ASK_AFTER", 0.1)
    monkeypatch.setattr("test_combios.PATIENT", HASTY)
    with Net4501({"ConSpeed": "115200"}, card=False) as board, pytest.raises(CygnetError, match="did not come up"):
        start(monkeypatch, board, told)
