"""The header of an image: where it stands, what its hash covers, and what is said of an image that is none."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from builder.boards import load_board
from builder.errors import CygnetError
from builder.image.header import Header, beside, read_header, verify, write_beside, write_header
from builder.image.layout import HEADER_AT, MIB, SECTOR, disk_size, partitions
from builder.settings import PROJECT, VERSION

BOARD = load_board(PROJECT / "board", "pc486")
DATA = partitions(BOARD.need_disk())["data"]


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A disk image with something in every part of it."""
    file = tmp_path / "disk.img"
    with file.open("wb") as image:
        image.truncate(disk_size(BOARD.need_disk()))
        for place in (0, SECTOR, *(part.start for part in partitions(BOARD.need_disk()).values())):
            image.seek(place)
            image.write(b"here is %d" % place)
    write_header(file, "pc486", DATA)
    return file


@pytest.fixture
def ubi(tmp_path: Path) -> Path:
    """A file for bare flash."""
    file = tmp_path / "ubi.img"
    file.write_bytes(b"UBI#" * MIB)
    write_beside(file, "kirkwood")
    return file


def change(image: Path, at: int, to: bytes = b"changed") -> None:
    with image.open("r+b") as file:
        file.seek(at)
        file.write(to)


def test_a_disk_image_says_what_it_is(disk: Path) -> None:
    header = verify(disk)
    assert header == read_header(disk)
    assert (header.board, header.version, header.size) == ("pc486", VERSION, disk_size(BOARD.need_disk()))
    assert (header.data_start, header.data_size) == (DATA.start, DATA.size)
    image = disk.read_bytes()
    covered = image[:HEADER_AT] + image[MIB : DATA.start] + image[DATA.start + DATA.size :]
    lines = image[HEADER_AT:MIB].partition(b"sha256=")[0]
    assert header.sha256 == hashlib.sha256(lines + covered).hexdigest()


def test_the_header_stands_where_no_partition_is() -> None:
    assert min(part.start for part in partitions(BOARD.need_disk()).values()) == HEADER_AT + SECTOR


def test_a_box_with_data_of_its_own_verifies(disk: Path) -> None:
    change(disk, DATA.start)
    change(disk, DATA.start + DATA.size - 7)
    verify(disk)


def test_a_card_that_is_larger_than_the_image_verifies(disk: Path) -> None:
    change(disk, disk_size(BOARD.need_disk()) + MIB)
    verify(disk)


@pytest.mark.parametrize(
    "at",
    [0, SECTOR, HEADER_AT - 7, *(p.start for p in partitions(BOARD.need_disk()).values() if p.name != "data"), DATA.start - 7],
)  # fmt: skip
def test_damage_anywhere_else_is_found(disk: Path, at: int) -> None:
    change(disk, at)
    assert read_header(disk).board == "pc486"
    with pytest.raises(
        CygnetError, match=r"disk\.img is damaged: the SHA-256 .* is \w{64}, its header says \w{64}; build"
    ):
        verify(disk)


def test_a_header_that_was_changed_is_found(disk: Path) -> None:
    change(disk, HEADER_AT, disk.read_bytes()[HEADER_AT:MIB].replace(b"board=pc486", b"board=armv7"))
    assert read_header(disk).board == "armv7"
    with pytest.raises(CygnetError, match="is damaged"):
        verify(disk)


def test_a_file_for_bare_flash_has_its_header_beside_it(ubi: Path) -> None:
    assert ubi.read_bytes() == b"UBI#" * MIB
    header = verify(ubi)
    assert (header.board, header.size, header.data_size) == ("kirkwood", 4 * MIB, 0)
    change(ubi, 3 * MIB)
    with pytest.raises(CygnetError, match="is damaged"):
        verify(ubi)


SAID = Header("pc486", "1", 4096, 0, 0, "0" * 64)
WRONG = {
    "nothing": (b"", r"ubi\.img is no Cygnet image: it has no header; \./inv build makes one"),
    "of later days": (b"CYGNET IMAGE 2\nboard=pc486\n", "a header of another format than 1: use the Cygnet that it was made with"),
    "damaged": (SAID.sector.replace(b"size=", b"seize="), "its header is damaged"),
    "not text": (SAID.sector.replace(b"pc486", b"pc\xff86"), "its header is damaged"),
    "data before the header": (Header("pc486", "1", 4096, 512, 99, "0" * 64).sector, "its header is damaged"),
    "data beyond the end": (Header("pc486", "1", 2 * MIB, MIB, 2 * MIB, "0" * 64).sector, "its header is damaged"),
    "of a larger image": (Header("pc486", "1", 9 * MIB, 0, 0, "0" * 64).sector, r"ubi\.img is cut short: 4,194,304 of 9,437,184 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_image_is_refused(ubi: Path, case: str) -> None:
    sector, told = WRONG[case]
    beside(ubi).write_bytes(sector)
    with pytest.raises(CygnetError, match=told):
        read_header(ubi)


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(CygnetError, match=r"nothing\.img: No such file or directory; name an image"):
        read_header(tmp_path / "nothing.img")
    with pytest.raises(CygnetError, match=r"Is a directory"):
        read_header(tmp_path)
