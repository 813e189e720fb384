"""What a board with bare flash is written with, read by programs that did not write it: ubi_reader, dumpimage, dtc."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from builder.boards import Board
from builder.image import flash
from builder.image.data import SEED
from builder.image.flash_layout import DATA, ROOTS, kernel_room, places
from builder.run import ENVIRONMENT, Runner


@dataclass(frozen=True)
class Written:
    """A board's published files, and the tools tree."""

    board: Board
    folder: Path
    tools: Path

    def told(self, program: str, *words: str | Path) -> str:
        """What a program of the tools tree prints."""
        return _told(self.tools / program, *words)


def _told(program: Path, *words: str | Path) -> str:
    command = [str(program), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=ENVIRONMENT).stdout


def reader(name: str, *words: str | Path) -> str:
    """What a program of ubi_reader prints."""
    return _told(Path(sys.executable).with_name(f"ubireader_{name}"), *words)


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def written(stock: tuple[Board, Path, Path]) -> Written:
    return Written(*stock)


def test_dumpimage_reads_the_kernel(written: Written) -> None:
    file = written.folder / flash.KERNEL
    told = written.told("usr/bin/dumpimage", "-l", file)
    load = f"{written.board.kernel.load_address:08x}"
    assert re.search(rf"Load Address:\s+{load}\s+Entry Point:\s+{load}", told), told
    assert f"cygnet {written.board.name}" in told
    # As many bytes as U-Boot is told to read hold it.
    assert file.stat().st_size <= kernel_room(written.board.need_flash())


def test_the_device_tree_divides_the_flash_as_the_board_says(written: Written) -> None:
    text = written.told("usr/bin/dtc", "-q", "-I", "dtb", "-O", "dts", written.folder / "device-tree.dtb")
    for name, place in places(written.board.need_flash()).items():
        part = rf'label = "{name}";\s+reg = <{place.start:#04x} {place.size:#x}>'
        assert re.search(part, text), f"{name} is not at {place.start:#x}"
    assert "bootargs" not in text


def test_ubi_reader_finds_the_root_in_both_slots(written: Written, tmp_path: Path) -> None:
    image = written.folder / flash.IMAGE
    assert image.stat().st_size <= places(written.board.need_flash())["ubi"].size
    reader("extract_images", "-o", tmp_path, image)
    volumes = {file.name.split("_vol-")[1]: file for file in tmp_path.rglob("img-*")}
    assert volumes.keys() == {f"{name}.ubifs" for name in (*ROOTS.values(), DATA)}
    for name in ROOTS.values():
        assert sha256(volumes[f"{name}.ubifs"]) == sha256(written.folder / flash.ROOT)


def test_ubi_reader_finds_what_a_box_has_of_its_own(written: Written, tmp_path: Path) -> None:
    box, runner = tmp_path / "shop1.img", Runner("flash", tmp_path / "log")
    image = written.folder / flash.IMAGE
    flash.make_box(written.board, "shop1", image, box, written.tools, tmp_path / "work", runner)
    reader("extract_images", "-o", tmp_path / "volumes", box)
    (data,) = (tmp_path / "volumes").rglob(f"*_vol-{DATA}.ubifs")
    reader("extract_files", "-k", "-o", tmp_path / "files", data)
    files = {
        str(file.relative_to(tmp_path / "files")): file for file in (tmp_path / "files").rglob("*") if file.is_file()
    }
    (host_name,) = (file for name, file in files.items() if name.endswith("etc/hostname"))
    (seed,) = (file for name, file in files.items() if name.endswith(SEED))
    assert host_name.read_text() == "shop1\n"
    assert seed.stat().st_mode & 0o777 == 0o400
