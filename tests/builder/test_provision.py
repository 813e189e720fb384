"""One box's image from a stock image: what its data partition holds, whose it is, and that nothing half-made is left.

The stock images are of kernels and root file systems that nothing would start, on a disk and on both kinds of flash.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from builder import boxes
from builder.boards import Board, load_board
from builder.errors import CygnetError
from builder.image import flash
from builder.image.data import PRIVATE, SEED, File, check_room, lay_data, of_box
from builder.image.flash_layout import DATA, places
from builder.image.header import beside, read_header, verify
from builder.image.image import medium
from builder.image.layout import MIB
from builder.image.overlay import read_manifest
from builder.image.provision import make_box
from builder.image.ubi import read_ubi
from builder.plan import Project
from builder.progress import Lines
from builder.run import ENVIRONMENT, Runner
from builder.settings import PROJECT, settings

BOARDS = PROJECT / "board"
SECRET = b': PSK "nobody guesses this"\n'
FILES = {
    SEED: File(b"\x5e" * 256, 0o400),
    "etc/hostname": File(b"shop1\n"),
    "etc/ipsec.secrets": File(SECRET, 0o600),
    "etc/ipsec.d/private/shop1.pem": File(b"key\n", 0o600),
    "etc/ipsec.d/hub.conf": File(b"conn hub\n"),
    "root/.ssh/authorized_keys": File(b"ssh-ed25519 AAAA ops\n", 0o600),
}
MODES = {
    "etc": 0o755, "etc/hostname": 0o644, "etc/ipsec.secrets": 0o600, "etc/ipsec.d": 0o755, "etc/ipsec.d/hub.conf": 0o644,
    "etc/ipsec.d/private": 0o700, "etc/ipsec.d/private/shop1.pem": 0o600, "root": 0o700, "root/.ssh": 0o700,
    "root/.ssh/authorized_keys": 0o600, "seedrng": 0o700, SEED: 0o400,
}  # fmt: skip


@dataclass(frozen=True)
class Stock:
    """A stock image of a board, and where there is room for boxes of it."""

    board: Board
    image: Path
    tools: Path
    place: Path

    def box(self, name: str, files: dict[str, File] = FILES) -> Path:
        to = self.place / f"{name}.img"
        make_box(self.board, files, self.image, to, self.tools, self.place / "log")
        return to


@pytest.fixture(scope="module")
def project() -> Project:
    return Project(settings(), Lines())


@pytest.fixture(scope="module")
def tools(project: Project) -> Path:
    return project.tools()


def tree_source(board: Board) -> str:
    parts = "".join(
        f'partition@{place.start:x} {{ label = "{name}"; reg = <{place.start:#x} {place.size:#x}>; }};\n'
        for name, place in places(board.need_flash()).items()
    )
    return f"/dts-v1/;\n/ {{ flash {{ #address-cells = <1>; #size-cells = <1>;\n{parts}}}; }};\n"


def assemble(name: str, tools: Path, place: Path) -> Path:
    """A stock image of a board."""
    board = load_board(BOARDS, name)
    system, out, work = place / "system", place / "out", place / "work"
    for folder in (system, out, work):
        folder.mkdir()
    runner = Runner("stock", place / "log")
    (system / "rootfs.squashfs").write_bytes(b"hsqs" + bytes(range(256)) * 9000)
    (system / "vmlinuz").write_bytes(bytes(range(256)) * 4000)
    if board.flash:
        (place / "tree.dts").write_text(tree_source(board))
        words = ["-q", "-I", "dts", "-O", "dtb", "-o", str(system / "device-tree.dtb"), str(place / "tree.dts")]
        runner.run([str(tools / "usr/bin/dtc"), *words], cwd=place)
    medium(board).assemble(board, system, out, tools, work, runner)
    return out / medium(board).IMAGE


@pytest.fixture(scope="module", params=["mipsel", "kirkwood", "mt7621"])
def built(request: pytest.FixtureRequest, tools: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Board, Path]:
    return load_board(BOARDS, request.param), assemble(request.param, tools, tmp_path_factory.mktemp(request.param))


@pytest.fixture
def stock(built: tuple[Board, Path], tools: Path, tmp_path: Path) -> Stock:
    """On a disk or on flash."""
    board, image = built
    return Stock(board, image, tools, tmp_path)


@pytest.fixture(scope="module")
def disk_image(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return assemble("mipsel", tools, tmp_path_factory.mktemp("disk"))


@pytest.fixture
def on_disk(disk_image: Path, tools: Path, tmp_path: Path) -> Stock:
    """On a disk, whose data partition debugfs reads."""
    return Stock(load_board(BOARDS, "mipsel"), disk_image, tools, tmp_path)


def debugfs(stock: Stock, box: Path, command: str) -> bytes:
    """What e2fsprogs says of a box's data partition."""
    header = read_header(box)
    part = stock.place / "data.part"
    part.write_bytes(box.read_bytes()[header.data_start : header.data_start + header.data_size])
    words = [str(stock.tools / "usr/sbin/debugfs"), "-R", command, str(part)]
    return subprocess.run(words, capture_output=True, check=True, env=ENVIRONMENT).stdout


def test_a_box_is_the_stock_image_but_for_its_data(stock: Stock) -> None:
    box, image = stock.box("shop1"), stock.image
    header = verify(box)
    assert header.board == stock.board.name
    if stock.board.disk:
        stop = header.data_start
        assert header == verify(image)
        assert box.read_bytes()[:stop] == image.read_bytes()[:stop]
        assert SECRET in box.read_bytes()[stop:]
        return
    layout = stock.board.need_flash()
    of_stock, of_box = ({one.name: one for one in read_ubi(layout, one.read_bytes(), "x")} for one in (image, box))
    assert SECRET in of_box.pop(DATA).content
    assert of_box == {name: one for name, one in of_stock.items() if name != DATA}


def test_the_same_files_give_the_same_bytes_wherever_the_stock_image_stands(stock: Stock) -> None:
    """Given a stock image that was fetched, one file and its header, then its box is that of the built one."""
    elsewhere = stock.place / "fetched" / stock.image.name
    elsewhere.parent.mkdir()
    for file in (stock.image, beside(stock.image)):
        if file.is_file():
            (elsewhere.parent / file.name).write_bytes(file.read_bytes())
    other = Stock(stock.board, elsewhere, stock.tools, stock.place)
    assert other.box("one").read_bytes() == stock.box("two").read_bytes()


def test_paths_are_meant_from_where_the_user_stands(stock: Stock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(stock.place)
    image = Path(os.path.relpath(stock.image))
    make_box(stock.board, FILES, image, Path("here.img"), stock.tools, stock.place / "log")
    assert verify(stock.place / "here.img").board == stock.board.name


def test_a_box_becomes_another_box(stock: Stock) -> None:
    """What the first one had is gone: its image was given to the wrong shop."""
    first = stock.box("first")
    second = Stock(stock.board, first, stock.tools, stock.place).box("second", {"etc/hostname": File(b"shop2\n")})
    assert SECRET not in second.read_bytes()
    assert b"shop2\n" in second.read_bytes()


def test_all_is_roots_and_a_secret_is_for_nobody_else(on_disk: Stock) -> None:
    box = on_disk.box("shop1")
    for path, mode in MODES.items():
        told = debugfs(on_disk, box, f"stat /{path}").decode()
        assert re.search(r"User:\s+0\s+Group:\s+0", told), path
        assert re.search(rf"Mode:\s+{mode:04o}\b", told), (path, told)
    for path, file in FILES.items():
        assert debugfs(on_disk, box, f"cat /{path}") == file.content


def test_folders_of_etc_that_are_roots_alone_stay_so() -> None:
    manifest = read_manifest(PROJECT / "overlay/manifest.toml")
    private = {name for name, mode in manifest.directories.items() if mode == "0700"}
    assert private == {name for name in PRIVATE if name.startswith("etc/")}


def test_only_its_owner_reads_an_image_with_secrets(stock: Stock) -> None:
    (stock.place / "shop1.img").write_bytes(b"of last year, for everybody")
    assert oct(stock.box("shop1").stat().st_mode & 0o777) == "0o600"


def test_each_box_has_a_seed_of_its_own() -> None:
    one, two = of_box("shop1"), of_box("shop2")
    assert one[SEED].mode == 0o400
    assert len(one[SEED].content) == 256
    assert one[SEED].content != two[SEED].content
    assert one["etc/hostname"].content == b"shop1\n"


class TestNothingIsHalfWritten:
    """Whatever goes wrong, what stood there before still does, and nothing else."""

    @pytest.fixture
    def old(self, on_disk: Stock) -> Path:
        file = on_disk.place / "shop1.img"
        file.write_bytes(b"the box of yesterday")
        return file

    def holds_only(self, old: Path, *others: str) -> bool:
        assert old.read_bytes() == b"the box of yesterday"
        return {file.name for file in old.parent.iterdir()} <= {old.name, "log", "data.part", *others}

    def test_a_damaged_stock_image(self, on_disk: Stock, old: Path) -> None:
        spoilt = old.with_name("stock.img")
        spoilt.write_bytes(on_disk.image.read_bytes()[:-1])
        with pytest.raises(CygnetError, match=r"stock\.img is cut short: "):
            Stock(on_disk.board, spoilt, on_disk.tools, old.parent).box("shop1")
        image = bytearray(on_disk.image.read_bytes())
        image[3 * MIB] ^= 1
        spoilt.write_bytes(image)
        with pytest.raises(CygnetError, match=r"stock\.img is damaged: .*build it or fetch it again"):
            Stock(on_disk.board, spoilt, on_disk.tools, old.parent).box("shop1")
        assert self.holds_only(old, "stock.img")

    def test_a_full_disk(self, on_disk: Stock, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*_: object) -> NoReturn:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "pwrite", full)
        with pytest.raises(
            CygnetError, match=r"no space is left there for a box's image; make room, or name another --to$"
        ):
            on_disk.box("shop1")
        assert self.holds_only(old)

    def test_another_run_at_the_same_time(self, on_disk: Stock, old: Path) -> None:
        new = old.with_name("shop1.img.new")
        with new.open("wb") as theirs:
            theirs.write(b"half of it")
            theirs.flush()
            fcntl.flock(theirs, fcntl.LOCK_EX)
            with pytest.raises(CygnetError, match=r"another run is making .*shop1\.img now; wait for it$"):
                on_disk.box("shop1")
            assert new.read_bytes() == b"half of it"
        assert self.holds_only(old, "shop1.img.new")

    def test_what_a_killed_run_left_does_no_harm(self, on_disk: Stock, old: Path) -> None:
        old.with_name("shop1.img.new").write_bytes(b"half of it")
        (work := old.with_name("shop1.img.work")).mkdir()
        (work / "data").write_bytes(b"half of it")
        verify(on_disk.box("shop1"))
        assert {file.name for file in old.parent.iterdir()} == {"shop1.img", "log"}

    def test_more_than_the_data_partition_holds(self, on_disk: Stock, old: Path) -> None:
        large = {"etc/large": File(bytes(15 * MIB))}
        with pytest.raises(
            CygnetError, match=r"this box's files are 1,049,600 bytes larger than the data partition of mipsel"
        ):
            on_disk.box("shop1", large)
        assert self.holds_only(old)

    def test_a_name_that_a_box_cannot_have(self, tmp_path: Path) -> None:
        for name in ('etc/"x', "/etc/x", "etc/../../x", "etc/x\n", "", "etc//x", "."):
            with pytest.raises(CygnetError, match="cannot be a file of a box"):
                lay_data({name: File(b"")}, tmp_path / str(len(list(tmp_path.iterdir()))))

    def test_a_target_that_is_no_file(self, on_disk: Stock, old: Path) -> None:
        (old.parent / "folder.img").mkdir()
        with pytest.raises(
            CygnetError, match=r"folder\.img is no file: name a file for the image, \./inv flash writes"
        ):
            on_disk.box("folder")
        with pytest.raises(CygnetError, match=r"x\.img\.new: .*; name a place for the image where files can be made"):
            make_box(on_disk.board, FILES, on_disk.image, old / "x.img", on_disk.tools, old.with_name("log"))
        assert self.holds_only(old, "folder.img")

    def test_the_stock_image_itself(self, on_disk: Stock, project: Project) -> None:
        before = on_disk.image.read_bytes()
        with pytest.raises(CygnetError, match=r"disk\.img is the stock image: name another --to"):
            boxes.make(project, on_disk.board, FILES, on_disk.image, on_disk.image, "x")
        assert on_disk.image.read_bytes() == before


def test_what_just_fits_fits(on_disk: Stock) -> None:
    """As much as check_room lets through, mke2fs takes."""
    most = read_header(on_disk.image).data_size - 2 * MIB - 1024
    check_room({"etc/large": File(bytes(most))}, 16 * MIB, "it")
    on_disk.box("shop1", {"etc/large": File(b"x" * most)})


def test_a_kernel_is_no_image_for_a_box(tools: Path, built: tuple[Board, Path], tmp_path: Path) -> None:
    board, image = built
    if not board.flash:
        return
    with pytest.raises(CygnetError, match=r"kernel\.uimage: erase block at 0x0: there is no UBI# header"):
        make_box(board, FILES, image.with_name(flash.KERNEL), tmp_path / "x.img", tools, tmp_path / "log")
