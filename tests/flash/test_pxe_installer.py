"""What a board loads to be written: the image in parts, the archive that they are in, the script that runs there."""

from __future__ import annotations

import gzip
import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cards import DATA, SIZE, make_image

from builder.boards import load_board
from builder.flash.block_layout import FIRST, MARK
from builder.flash.console.pxe import cpio
from builder.flash.console.pxe.contents import BLOCK, EDGE, STEP, WHOLE, Contents, Part, _Packing, contents
from builder.flash.console.pxe.contents import MARK as MARKED
from builder.flash.console.pxe.installer import APPLETS, SCRIPT
from builder.flash.image import opened
from builder.image.header import write_header
from builder.image.layout import MIB, SECTOR
from builder.settings import PROJECT

PC = load_board(PROJECT / "board", "pc486")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_image(tmp_path_factory.mktemp("image") / "new.img", 2)


def of(path: Path, keep_data: bool = False) -> Contents:
    with opened(PC, path) as image:
        return contents(image, keep_data)


def put_together(what: Contents, disk: bytearray) -> bytes:
    for part in [*what.parts, Part(0, FIRST, WHOLE)]:
        piece = gzip.decompress(what.files[part.name]) if part.name else bytes(part.size)
        assert len(piece) == part.size
        disk[part.start : part.start + part.size] = piece
    for check in [*what.checks, what.first]:
        assert hashlib.sha256(disk[check.start : check.start + check.size]).hexdigest() == check.sha256
    assert sum(check.size for check in what.checks) == sum(part.size for part in what.parts)
    return bytes(disk)


class TestContents:
    def test_the_parts_are_the_image(self, image: Path) -> None:
        assert put_together(of(image), bytearray(b"\xff" * SIZE)) == image.read_bytes()

    def test_data_that_is_kept_is_no_part(self, image: Path) -> None:
        disk = put_together(of(image, keep_data=True), bytearray(b"\xff" * SIZE))
        assert disk[DATA.start : DATA.start + DATA.size] == b"\xff" * DATA.size
        assert disk[: DATA.start] == image.read_bytes()[: DATA.start]

    def test_zeros_and_what_comes_twice_take_no_room(self, tmp_path: Path, image: Path) -> None:
        # Slot B is zeros; with what slot A has it takes no more.
        content = bytearray(image.read_bytes())
        content[3 * MIB : 4 * MIB] = content[2 * MIB : 3 * MIB]
        twice = tmp_path / "twice.img"
        twice.write_bytes(content)
        write_header(twice, "pc486", DATA)
        assert len(of(twice).files) == len(of(image).files)

    def test_everything_is_whole_blocks(self, image: Path) -> None:
        assert all(part.start % BLOCK == part.size % BLOCK == 0 for part in of(image, keep_data=True).parts)

    def test_neighbours_are_joined_up_to_the_next_step(self) -> None:
        packing = _Packing()
        for at, content in (
            (FIRST, bytes(MIB - FIRST)), (MIB, bytes(MIB)), (2 * MIB, b"x"), (STEP - MIB, bytes(MIB)), (STEP, bytes(MIB)),
            (STEP + MIB, b"x" * MIB),
        ):  # fmt: skip
            packing.take(at, content)
        assert packing.parts == [
            Part(FIRST, 2 * MIB - FIRST, ""), Part(2 * MIB, 1, "p0"), Part(STEP - MIB, MIB, ""), Part(STEP, MIB, ""),
            Part(STEP + MIB, MIB, "p1"),
        ]  # fmt: skip
        sizes = [(check.start, check.size) for check in packing.checks]
        assert sizes == [(FIRST, 2 * MIB + 1 - FIRST), (STEP - MIB, MIB), (STEP, 2 * MIB)]

    def test_the_first_sector_comes_in_three_states(self, image: Path) -> None:
        files, first = of(image).files, image.read_bytes()[:FIRST]
        marked = gzip.decompress(files[MARKED])
        assert marked.startswith(MARK)
        assert len(marked) == SECTOR
        assert gzip.decompress(files[EDGE]) == marked + first[SECTOR:]
        assert gzip.decompress(files[WHOLE]) == first


def test_cpio_unpacks_the_archive(tmp_path: Path) -> None:
    entries = {
        "bin": cpio.FOLDER,
        "bin/busybox": cpio.program(b"program"),
        "bin/sh": cpio.link("busybox"),
        "token": cpio.file(b"x" * 4097),
        "empty": cpio.file(b""),
    }
    subprocess.run(["cpio", "-i", "--quiet"], input=cpio.archive(entries), cwd=tmp_path, check=True)
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
    assert found == sorted(entries)
    assert (tmp_path / "bin/sh").read_bytes() == b"program"
    assert (tmp_path / "bin/busybox").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "token").read_bytes() == b"x" * 4097
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600


def test_shellcheck_finds_nothing_in_the_script() -> None:
    words = [Path(sys.executable).with_name("shellcheck"), "--shell=sh", SCRIPT]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("applet", [name for name in APPLETS if name != "sh"])
def test_each_program_that_is_brought_along_is_run(applet: str) -> None:
    assert re.search(rf"^[^#]*\b{applet}\b", SCRIPT.read_text(), re.MULTILINE)
