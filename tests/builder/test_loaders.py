"""Boot loaders and QEMU twins: what goes on the disk for them, and what is said about mistakes in a board's folder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from builder import commands, qemu, smoke
from builder.boards import Board, board_names, load_board
from builder.errors import CygnetError, RecipeError
from builder.image import disk
from builder.image.command_line import common_words, first_slot
from builder.image.layout import MIB, SECTOR
from builder.image.loaders import LOADERS, uboot, uimage
from builder.image.loaders.loader import render, templates
from builder.recipes.load import load_recipe
from builder.settings import PROJECT

BOARDS = PROJECT / "board"
ARMV7 = load_board(BOARDS, "armv7")


@pytest.mark.parametrize("name", board_names(BOARDS))
def test_every_board_has_what_its_loader_needs(name: str) -> None:
    board = load_board(BOARDS, name)
    for file in templates(board, LOADERS[board.loader]):
        assert common_words(board) in render(board, file.name)


def test_u_boots_environment_is_one_sector_of_text() -> None:
    sector = uboot.environment(slot="a", trial="b")
    assert len(sector) == SECTOR
    assert sector.rstrip(b"\0") == b"slot=a\ntrial=b\n"


def test_without_a_loader_the_command_line_names_slot_a() -> None:
    words = first_slot(load_board(BOARDS, "mipsel")).split()
    assert words[0].startswith("root=PARTUUID=")
    assert words[0].endswith("-02")
    assert {"console=ttyS0,115200", "cygnet.slot=a", "cygnet.mode=normal"} <= set(words)


def test_a_missing_boot_script_is_named(tmp_path: Path) -> None:
    shutil.copytree(ARMV7.folder, tmp_path / "armv7")
    (tmp_path / "armv7/boot.cmd.j2").unlink()
    board = load_board(tmp_path, "armv7")
    with pytest.raises(CygnetError, match=r"board\.toml: loader 'u-boot' needs .*armv7/boot\.cmd\.j2"):
        templates(board, LOADERS[board.loader])


def test_a_boot_script_that_asks_for_what_there_is_not_is_named(tmp_path: Path) -> None:
    shutil.copytree(ARMV7.folder, tmp_path / "armv7")
    (tmp_path / "armv7/boot.cmd.j2").write_text("{{ slots }}\n")
    with pytest.raises(RecipeError, match=r"boot\.cmd\.j2:1: 'slots' is undefined"):
        render(load_board(tmp_path, "armv7"), "boot.cmd.j2")


def test_u_boot_must_know_where_the_kernel_goes(tmp_path: Path) -> None:
    board = changed(ARMV7, kernel={"load_address": 0})
    with pytest.raises(RecipeError, match=r"loader 'u-boot' needs \[kernel\] load-address"):
        uboot.kernel(board, tmp_path, tmp_path, tmp_path, SimpleNamespace())


TOO_LARGE = [
    (5 * MIB, 4 * MIB, "kernel is 1,048,576 bytes larger than its part of a slot"),
    (2 * MIB, 13 * MIB, "root file system is 1,048,576 bytes larger than its part of a slot"),
]


@pytest.mark.parametrize(("kernel", "root", "expected"), TOO_LARGE)
def test_what_does_not_fit_into_a_slot_is_named(tmp_path: Path, kernel: int, root: int, expected: str) -> None:
    (tmp_path / "root").write_bytes(b"\0" * root)
    with pytest.raises(CygnetError, match=expected):
        disk._slot(ARMV7, tmp_path / "root", b"\0" * kernel, tmp_path)


def test_a_slot_ends_in_its_kernel(tmp_path: Path) -> None:
    (tmp_path / "root").write_bytes(b"root")
    slot = disk._slot(ARMV7, tmp_path / "root", b"kernel", tmp_path).read_bytes()
    start = (ARMV7.disk.slot_mib - ARMV7.disk.kernel_mib) * MIB
    assert slot == b"root".ljust(start, b"\0") + b"kernel"


@pytest.mark.parametrize("name", ["kirkwood", "mt7621"])
def test_the_uimage_needs_a_load_address_and_a_device_tree(tmp_path: Path, name: str) -> None:
    board = load_board(BOARDS, name)
    for missing in ({"load_address": 0}, {"device_tree": ""}):
        with pytest.raises(RecipeError, match=r"loader 'uimage' needs \[kernel\] load-address and device-tree"):
            uimage.kernel(changed(board, kernel=missing), tmp_path, tmp_path, tmp_path, SimpleNamespace())


@pytest.mark.parametrize("name", ["kirkwood", "mt7621"])
def test_a_board_without_a_twin_says_what_can_be_done_instead(name: str) -> None:
    told = rf"{name} has no twin in QEMU and cannot be started here: ./inv check --board={name} makes its image"
    for start in (commands.boot, smoke.smoke):
        with pytest.raises(CygnetError, match=told):
            start(name)
    with pytest.raises(CygnetError, match=told):
        smoke.smoke("pc486", name)


def test_the_twins_arguments_name_files_of_the_image(tmp_path: Path) -> None:
    words = qemu.arguments(load_board(BOARDS, "armv5"), tmp_path)
    assert words[words.index("-kernel") + 1] == str(tmp_path / "kernel")
    assert words[words.index("-dtb") + 1] == str(tmp_path / "device-tree.dtb")
    assert words[words.index("-append") + 1].startswith("root=PARTUUID=")


def test_an_unknown_word_in_the_twins_arguments_is_named(tmp_path: Path) -> None:
    board = changed(ARMV7, qemu={"arguments": ("-M", "virt", "-cpu", "x", "-initrd", "{initrd}")})
    with pytest.raises(CygnetError, match=r"\[qemu\] arguments: 'initrd'; what can be filled in: kernel, device-tree"):
        qemu.arguments(board, tmp_path)


def test_a_device_tree_that_the_kernel_lacks_stops_the_build_before_the_kernel_is_compiled(tmp_path: Path) -> None:
    recipe = load_recipe(PROJECT / "packages", "linux")
    board = changed(ARMV7, kernel={"device_tree": "arch/arm/boot/dts/marvell/kirkwood-nothing.dtb"})
    build = SimpleNamespace(board=board, source=tmp_path, work=tmp_path)
    find = recipe.build.__globals__["device_tree_source"]
    with pytest.raises(CygnetError, match=r"armv7/board\.toml: .*the kernel has no arch/arm/.*kirkwood-nothing\.dts"):
        find(build)


def changed(board: Board, **tables: Mapping[str, object]) -> Board:
    """The board with some keys of some tables changed."""
    new = {name: msgspec.structs.replace(getattr(board, name), **keys) for name, keys in tables.items()}
    return msgspec.structs.replace(board, **new)
