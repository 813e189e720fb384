"""What --to is."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from builder.errors import CygnetError
from builder.flash.target import Kind, kind_of, url_of

CONSOLES = {
    "serial:/dev/ttyUSB0": "/dev/ttyUSB0",
    "socket://192.0.2.1:4001": "socket://192.0.2.1:4001",
    "rfc2217://192.0.2.1:4001?ign_set_control": "rfc2217://192.0.2.1:4001?ign_set_control",
    "/dev/null": "/dev/null",
}


@pytest.mark.parametrize("to", CONSOLES)
def test_a_console_is_a_url_or_a_character_device(to: str) -> None:
    assert kind_of(to) is Kind.CONSOLE
    assert url_of(to) == CONSOLES[to]


def test_a_file_need_not_be_there(tmp_path: Path) -> None:
    assert kind_of(str(tmp_path / "new.img")) is Kind.FILE
    (tmp_path / "new.img").touch()
    assert kind_of(str(tmp_path / "new.img")) is Kind.FILE
    assert kind_of("new.img") is Kind.FILE


def test_a_mistyped_device_does_not_become_a_file(tmp_path: Path) -> None:
    """As it does with dd, which then fills the memory that /dev lies in."""
    (tmp_path / "disk/by-id").mkdir(parents=True)
    for name in ("sdx", "disk/by-id/usb-reader", "shm/../sdx"):
        with pytest.raises(CygnetError, match=f"--to=.*{name}: there is no such device; lsblk lists what there is"):
            kind_of(str(tmp_path / name), devices=tmp_path)
    (tmp_path / "shm").mkdir()
    assert kind_of(str(tmp_path / "shm/new.img"), devices=tmp_path) is Kind.FILE


@pytest.mark.parametrize("case", ["", "directory", "fifo", "socket", "no folder", "below a file"])
def test_anything_else_is_told(tmp_path: Path, case: str) -> None:
    to = tmp_path / "it"
    match case:
        case "directory":
            to.mkdir()
        case "fifo":
            os.mkfifo(to)
        case "socket":
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(to))
        case "no folder":
            to = to / "new.img"
        case "below a file":
            to.touch()
            to = to / "new.img"
    told = {"": "names nothing", "no folder": "there is no directory", "below a file": "Not a directory"}
    with pytest.raises(CygnetError, match=f"--to=.*{told.get(case, 'is neither a block device nor a plain file nor')}"):
        kind_of(str(to) if case else "")
