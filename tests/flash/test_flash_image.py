"""Images of boards with bare flash, of made-up kernels and root file systems: the way of a real build, in seconds.

What `./inv build` writes for such a board it reads back itself (builder/image/read_back.py), so that whoever builds
kirkwood or mt7621 has run these checks on the whole image.
"""

from __future__ import annotations

import re
import subprocess
import uuid
import zlib
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from builder.boards import Board, load_board
from builder.errors import CygnetError
from builder.image import flash, read_back, ubifs
from builder.image.data import SEED, of_box
from builder.image.flash_layout import DATA, ROOTS, check_fits, check_layout, kernel_room, places, volume_sizes
from builder.image.layout import MIB
from builder.image.provision import make_box
from builder.image.rootfs import squash
from builder.image.ubi import read_ubi
from builder.plan import Project
from builder.progress import Lines
from builder.run import ENVIRONMENT, Runner
from builder.settings import EPOCH, PROJECT, settings
from builder.steps.store import hash_file

BOARDS = PROJECT / "board"
KIRKWOOD = load_board(BOARDS, "kirkwood")
NAMES = ("kirkwood", "mt7621")


@dataclass(frozen=True)
class Made:
    """A board's image, and what it was made from."""

    board: Board
    system: Path
    out: Path
    tools: Path
    runner: Runner

    @property
    def image(self) -> bytes:
        return (self.out / flash.IMAGE).read_bytes()

    def run(self, program: str, *words: str | Path) -> str:
        command = [str(self.tools / program), *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=True, env=ENVIRONMENT).stdout


@pytest.fixture(scope="module")
def tools() -> Path:
    project = Project(settings(), Lines())
    return project.engine().build((project.plan("kirkwood").tools,))["tools"]


def tree_source(board: Board) -> str:
    """A device tree that says of the flash what board.toml says, and nothing else."""
    parts = "".join(
        f'partition@{place.start:x} {{ label = "{name}"; reg = <{place.start:#x} {place.size:#x}>; }};\n'
        for name, place in places(board.need_flash()).items()
    )
    return f"/dts-v1/;\n/ {{ flash {{ #address-cells = <1>; #size-cells = <1>;\n{parts}}}; }};\n"


def make(board: Board, tools: Path, place: Path, tree: str = "") -> Made:
    """The image of a kernel and a root file system that nothing would start."""
    system, out, work = place / "system", place / "out", place / "work"
    for folder in (system, out, work, place / "root/etc"):
        folder.mkdir(parents=True)
    runner = Runner("flash", place / "log")
    (place / "root/etc/hostname").write_text("cygnet\n")
    (place / "root/large").write_bytes(b"".join(zlib.crc32(b"%d" % n).to_bytes(4, "big") for n in range(100_000)))
    squash(tools, place / "root", system / "rootfs.squashfs", board.cpu.filter, runner)
    (system / "vmlinuz").write_bytes(bytes(range(256)) * 4000)
    (place / "tree.dts").write_text(tree or tree_source(board))
    words = ["-q", "-I", "dts", "-O", "dtb", "-o", str(system / "device-tree.dtb"), str(place / "tree.dts")]
    runner.run([str(tools / "usr/bin/dtc"), *words], cwd=place)
    flash.assemble(board, system, out, tools, work, runner)
    return Made(board, system, out, tools, runner)


@pytest.fixture(scope="module", params=NAMES)
def made(request: pytest.FixtureRequest, tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(load_board(BOARDS, request.param), tools, tmp_path_factory.mktemp(request.param))


def test_u_boots_own_tool_reads_the_kernel(made: Made) -> None:
    told = made.run("usr/bin/dumpimage", "-l", made.out / flash.KERNEL)
    load = f"{made.board.kernel.load_address:08x}"
    assert "Linux Kernel Image (uncompressed)" in told
    assert re.search(rf"Load Address:\s+{load}\s+Entry Point:\s+{load}", told)
    assert f"cygnet {made.board.name}" in told


def test_the_kernel_ends_in_its_device_tree(made: Made) -> None:
    image = (made.out / flash.KERNEL).read_bytes()
    content = image[64 : 64 + int.from_bytes(image[12:16], "big")]
    assert int.from_bytes(image[24:28], "big") == zlib.crc32(content)
    tree = (made.system / "device-tree.dtb").read_bytes()
    assert content == (made.system / "vmlinuz").read_bytes() + tree
    assert tree.startswith(b"\xd0\x0d\xfe\xed")
    # What follows fills the last page.
    assert len(image) % made.board.need_flash().page == 0
    assert set(image[64 + len(content) :]) <= {0xFF}


def test_either_slot_holds_the_root_file_system(made: Made, tmp_path: Path) -> None:
    volumes = {one.name: one for one in read_ubi(made.board.need_flash(), made.image, "image")}
    for name in ROOTS.values():
        (tmp_path / name).write_bytes(volumes[name].content)
        made.run("usr/bin/unsquashfs", "-q", "-n", "-d", tmp_path / f"{name}.root", tmp_path / name)
        assert (tmp_path / f"{name}.root/etc/hostname").read_text() == "cygnet\n"
        assert volumes[name].content == (made.system / "rootfs.squashfs").read_bytes()


def test_the_image_fits_the_flash(made: Made) -> None:
    assert len(made.image) <= places(made.board.need_flash())["ubi"].size
    assert (made.out / flash.KERNEL).stat().st_size <= kernel_room(made.board.need_flash())


def test_data_is_a_file_system_that_can_grow_over_the_whole_flash(made: Made) -> None:
    layout = made.board.need_flash()
    data = next(one for one in read_ubi(layout, made.image, "image") if one.name == DATA)
    found = list(ubifs.nodes(data.content))
    at = next(place for place, _, kind in found if kind == ubifs.SUPER_BLOCK)
    page, block, _, most = (int.from_bytes(data.content[at + n : at + n + 4], "little") for n in (32, 36, 40, 44))
    assert data.grows
    assert (page, most) == (max(layout.page, 8), layout.partitions["ubi"] // layout.block)
    assert block == layout.block - 2 * max(layout.page, 64)


def test_the_same_bytes_each_time(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    again = make(made.board, made.tools, tmp_path / "elsewhere")
    for name in sorted(file.name for file in made.out.iterdir()):
        assert hash_file(again.out / name) == hash_file(made.out / name), name


def test_no_inode_says_when_it_was_made(made: Made) -> None:
    data = next(one for one in read_ubi(made.board.need_flash(), made.image, "image") if one.name == DATA).content
    inodes = [at for at, _, kind in ubifs.nodes(data) if kind == ubifs.INODE]
    assert inodes
    for at in inodes:
        assert ubifs.TIMES.unpack_from(data, at + ubifs.TIMES_AT) == (EPOCH, EPOCH, EPOCH, 0, 0, 0)


def test_a_box_has_its_name_and_a_seed_nobody_else_can_read(made: Made, tmp_path: Path) -> None:
    boxes = []
    for name in ("shop1", "shop2"):
        box = tmp_path / f"{name}.img"
        make_box(made.board, of_box(name), made.out / flash.IMAGE, box, made.tools, tmp_path / "log")
        assert oct(box.stat().st_mode & 0o777) == "0o600"
        volumes = {one.name: one.content for one in read_ubi(made.board.need_flash(), box.read_bytes(), name)}
        assert volumes["root-b"] == (made.system / "rootfs.squashfs").read_bytes()
        assert f"{name}\n".encode() in volumes[DATA]
        assert Path(SEED).name.encode() in volumes[DATA]
        boxes.append(volumes[DATA])
    assert boxes[0] != boxes[1]


class TestReadBack:
    """What would not be noticed on a flash: every kind of damage is found in the image."""

    @pytest.mark.parametrize(
        ("block", "at", "told"),
        [
            (0, 1, "there is no UBI# header"),
            (0, 15, "UBI# header has another checksum"),
            (2, 2048 + 1, "there is no UBI! header"),
            (2, 2048 + 40, "UBI! header has another checksum"),
            (2, 4096 + 9, "its data has another checksum"),
            (0, 4096 + 3, "row 0 of its table of volumes is damaged"),
        ],
    )
    def test_damage_is_found(self, made: Made, block: int, at: int, told: str) -> None:
        layout = made.board.need_flash()
        header = max(layout.page, 64)
        place = block * layout.block + at // 2048 * header + at % 2048
        image = bytearray(made.image)
        image[place] ^= 0x10
        with pytest.raises(CygnetError, match=told):
            read_ubi(layout, bytes(image), "image")

    def test_a_block_of_another_image_is_found(self, made: Made) -> None:
        block = made.board.need_flash().block
        image = bytearray(made.image)
        image[24:28] = b"\0\0\0\7"
        image[60:64] = (zlib.crc32(image[:60]) ^ 0xFFFFFFFF).to_bytes(4, "big")
        with pytest.raises(CygnetError, match="its erase blocks are of 2 images"):
            read_ubi(made.board.need_flash(), bytes(image), "image")
        with pytest.raises(CygnetError, match="lacks a block"):
            read_ubi(made.board.need_flash(), made.image[: 2 * block] + made.image[3 * block :], "image")

    def test_a_kernel_that_is_not_what_was_built_is_found(self, made: Made) -> None:
        image = bytearray((made.out / flash.KERNEL).read_bytes())
        del image[64 + int.from_bytes(image[12:16], "big") :]
        with pytest.raises(CygnetError, match="holds something else"):
            read_back.check_kernel(made.board, bytes(image), b"another kernel")
        image[1000] ^= 1
        with pytest.raises(CygnetError, match="wrong checksum"):
            read_back.check_kernel(made.board, bytes(image), bytes(image[64:]))

    def test_a_damaged_data_file_system_is_found(self, made: Made) -> None:
        layout = made.board.need_flash()
        data = bytearray(next(one for one in read_ubi(layout, made.image, "image") if one.name == DATA).content)
        data[next(at for at, _, _ in ubifs.nodes(data)) + 100] ^= 1
        with pytest.raises(CygnetError, match="node with a wrong checksum"):
            ubifs.settle(data, uuid.UUID(int=1))


def changed(board: Board, **keys: object) -> Board:
    return msgspec.structs.replace(board, flash=msgspec.structs.replace(board.need_flash(), **keys))


def with_partitions(**sizes: int) -> Board:
    return changed(
        KIRKWOOD, partitions={**KIRKWOOD.need_flash().partitions, **{n.replace("_", "-"): s for n, s in sizes.items()}}
    )


LAYOUTS = [
    (with_partitions(ubi=0x1F740000), r"the partitions are 262,144 bytes larger than the chip; make one smaller"),
    (with_partitions(kernel_b=0x300000), r"kernel-a and kernel-b differ in size"),
    (with_partitions(u_boot=0x100400), r"partition u-boot ends 1,024 bytes after an erase block's end"),
    (changed(KIRKWOOD, data_mib=500), r"the volumes are [\d,]+ bytes larger than partition ubi .*lower root-mib or data-mib"),
    (changed(KIRKWOOD, partitions={"ubi": 0x20000}), r"there is no partition kernel-a; give it a size"),
]  # fmt: skip


@pytest.mark.parametrize(("board", "told"), LAYOUTS)
def test_a_layout_that_does_not_fit_is_named(board: Board, told: str) -> None:
    with pytest.raises(CygnetError, match=rf"kirkwood: {told}.*kirkwood/board\.toml, \[flash"):
        check_layout(board)


def test_what_does_not_fit_says_by_how_much_and_what_to_change() -> None:
    room = kernel_room(KIRKWOOD.need_flash())
    check_fits(KIRKWOOD, room, 16 * MIB)
    with pytest.raises(CygnetError, match=r"kirkwood: the kernel .* is 7 bytes larger .*raise kernel-a and kernel-b"):
        check_fits(KIRKWOOD, room + 7, 16 * MIB)
    with pytest.raises(CygnetError, match=r"kirkwood: the root file system is 9 bytes larger .*raise root-mib"):
        check_fits(KIRKWOOD, room, 16 * MIB + 9)


def test_a_kernel_partition_has_spare_blocks_for_bad_ones() -> None:
    layout = KIRKWOOD.need_flash()
    assert layout.partitions["kernel-a"] - kernel_room(layout) == 2 * layout.block


def test_volumes_follow_the_layout() -> None:
    assert volume_sizes(KIRKWOOD.need_flash()) == {"root-a": 16 * MIB, "root-b": 16 * MIB, "data": 16 * MIB}


def test_a_device_tree_that_divides_the_flash_otherwise_is_named(tools: Path, tmp_path: Path) -> None:
    tree = tree_source(KIRKWOOD).replace("reg = <0x500000 0x400000>", "reg = <0x500000 0x300000>")
    with pytest.raises(CygnetError, match=r"partition kernel-b is 0x400000 bytes at 0x500000 in .*and 0x300000 bytes"):
        make(KIRKWOOD, tools, tmp_path, tree)


def test_a_missing_device_tree_is_named(tools: Path, tmp_path: Path) -> None:
    with pytest.raises(CygnetError, match=r"kirkwood: there is no device tree; name it in .*\[kernel\] device-tree"):
        read_back.check_tree(KIRKWOOD, tmp_path / "none.dtb", tools, tmp_path, Runner("x", tmp_path / "log"))
