"""The serial line itself: a terminal that one program has at a time, and what is told when it cannot be had."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.errors import CygnetError
from builder.flash.console.line import Line, LineDropped


@pytest.fixture
def terminal() -> Iterator[tuple[int, str]]:
    """The board's end of a serial line, and the device at ours."""
    board, ours = os.openpty()
    yield board, os.ttyname(ours)
    os.close(ours)
    os.close(board)


def test_what_goes_over_a_device(terminal: tuple[int, str], tmp_path: Path) -> None:
    board, device = terminal
    with Line(device, 115200, tmp_path / "logs/console") as line:
        line.write(b"version\r")
        assert os.read(board, 100) == b"version\r"
        os.write(board, b"U-Boot")
        assert line.read(5) + line.drain() == b"U-Boot"
    assert (tmp_path / "logs/console").read_bytes() == b"U-Boot"


def test_of_two_runs_at_a_time_one_is_refused(terminal: tuple[int, str], tmp_path: Path) -> None:
    board, device = terminal
    with Line(device, 115200, tmp_path / "one") as line:
        with (
            pytest.raises(CygnetError, match=f"^--to={device} cannot be opened: another program has it open$"),
            Line(device, 115200, tmp_path / "two"),
        ):
            pass
        # The first one has all that comes.
        os.write(board, b"=> ")
        assert line.read(5) + line.drain() == b"=> "


def test_a_device_that_is_not_there(tmp_path: Path) -> None:
    with (
        pytest.raises(CygnetError, match=f"^--to={tmp_path}/tty cannot be opened: No such file or directory$"),
        Line(f"{tmp_path}/tty", 115200, tmp_path / "log"),
    ):
        pass


def test_an_adapter_that_is_pulled_out(terminal: tuple[int, str], tmp_path: Path) -> None:
    board, device = terminal
    with Line(device, 115200, tmp_path / "log") as line:
        os.dup2(os.open(os.devnull, os.O_RDWR), board)
        with pytest.raises(LineDropped):
            line.read(5)


def test_a_log_on_a_full_disk_ends_nothing(terminal: tuple[int, str], tmp_path: Path) -> None:
    board, device = terminal
    (tmp_path / "log").symlink_to("/dev/full")
    with Line(device, 115200, tmp_path / "log") as line:
        os.write(board, b"=> ")
        assert line.read(5) + line.drain() == b"=> "


def test_a_log_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "logs").touch()
    with (
        pytest.raises(CygnetError, match=f"^{tmp_path}/logs/console: cannot be written: "),
        Line("loop://", 115200, tmp_path / "logs/console"),
    ):
        pass
