"""Boards with bare flash, by their own commands on a simulated U-Boot: kernel twice, UBI, environment."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from simulated_uboot import Board as Simulated
from test_console import LOOPBACK, PATIENT

from builder.boards import load_board
from builder.errors import CygnetError, RecipeError
from builder.flash import console
from builder.flash.console.pieces import Piece, check_address, pieces
from builder.flash.options import Options
from builder.image.header import write_beside
from builder.settings import PROJECT

KIRKWOOD = load_board(PROJECT / "board", "kirkwood")
# As docs/boards.md has them.
AT = {"kernel-a": 0x100000, "kernel-b": 0x500000, "ubi": 0x900000}


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CYGNET_CACHE", str(tmp_path / "cache"))
    for name, size in (("kernel.uimage", 300 * 1024), ("ubi.img", 700 * 1024)):
        (tmp_path / name).write_bytes(random.Random(size).randbytes(size))  # noqa: S311
        write_beside(tmp_path / name, "kirkwood")
    return tmp_path / "ubi.img"


def test_all_of_it(image: Path, free_port: int) -> None:
    with Simulated(ram_at=0x2000000) as simulated:
        simulated.tftp_port = free_port
        simulated.nand[:] = random.Random(1).randbytes(len(simulated.nand))  # noqa: S311
        loader = bytes(simulated.nand[:0x100000])
        # What starts it here.
        simulated.disk[510:512] = b"\x55\xaa"
        simulated.boots = "\r\nCygnet 0.1.0 on kirkwood, Linux\r\n\r\ncygnet login: "
        console.put(KIRKWOOD, image, simulated.url, Options(console=LOOPBACK), print, PATIENT, free_port)
        for name, start in AT.items():
            content = (image if name == "ubi" else image.with_name("kernel.uimage")).read_bytes()
            assert simulated.nand[start : start + len(content)] == content, name
        assert simulated.nand[:0x100000] == loader
        assert simulated.saved["bootcmd"].startswith("'run pick; run boot_from; run fall_back;")
        assert simulated.saved["slot"] == "a"
        assert simulated.saved["ipaddr"] == "127.0.0.1"


def test_the_commands_are_those_of_the_documentation(image: Path) -> None:
    first = pieces(KIRKWOOD, image)[0]
    monitor = KIRKWOOD.need_monitor()
    assert first.command(monitor.erase, monitor.load_address, KIRKWOOD) == "nand erase 0x100000 0x400000"
    assert first.command(monitor.write, monitor.load_address, KIRKWOOD) == "nand write 0x2000000 0x100000 0x4b000"
    mt7621 = load_board(PROJECT / "board", "mt7621")
    piece = Piece("ubi", image, 0, 0x10000, 0x5D0000, 0x1A30000)
    assert piece.command(mt7621.need_monitor().erase, 0, mt7621) == "sf erase 0x5d0000 0x1a30000"
    assert check_address(monitor, pieces(KIRKWOOD, image)) == 0x2100000


def test_the_kernel_of_a_box_is_the_stock_images(image: Path) -> None:
    box = image.parent / "boxes" / "shop1.img"
    box.parent.mkdir()
    box.write_bytes(image.read_bytes())
    write_beside(box, "kirkwood")
    assert [piece.file.name for piece in pieces(KIRKWOOD, box)] == ["kernel.uimage", "kernel.uimage", "shop1.img"]


def test_a_kernel_of_another_board_is_refused(image: Path) -> None:
    write_beside(image.with_name("kernel.uimage"), "mt7621")
    with pytest.raises(CygnetError, match=r"kernel\.uimage is for mt7621"):
        pieces(KIRKWOOD, image)


def test_data_cannot_be_kept(image: Path) -> None:
    with pytest.raises(CygnetError, match="--keep-data: kirkwood's flash is written whole"):
        pieces(KIRKWOOD, image, keep_data=True)


def test_a_command_that_asks_for_what_there_is_not(image: Path) -> None:
    with pytest.raises(RecipeError, match=r"board\.toml.*\{adress\}.*there is address, start"):
        pieces(KIRKWOOD, image)[0].command("nand write {adress}", 0, KIRKWOOD)
