"""board.toml: what it may say, and what is said about mistakes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from builder.boards import board_names, load_board
from builder.errors import CygnetError, RecipeError
from builder.settings import PROJECT

PC486 = PROJECT / "board/pc486"


@pytest.mark.parametrize("name", board_names(PROJECT / "board"))
def test_every_board_can_be_read(name: str) -> None:
    board = load_board(PROJECT / "board", name)
    assert board.name == name
    assert (board.folder / "kernel.config").is_file()


def test_an_unknown_board_is_answered_with_the_nearest() -> None:
    with pytest.raises(CygnetError, match="No board is called 'pc468'; did you mean pc486?"):
        load_board(PROJECT / "board", "pc468")


MISTAKES = [
    ('device = "ttyS0"', "device = 3", "Expected `str`, got `int` - at `$.console.device`"),
    ("speed = 115200", "speed = 115201", "Invalid enum value 115201 - at `$.console.speed`"),
    ("slot-mib = 16", "slot-mib = 0", "Expected `int` >= 1 - at `$.disk.slot-mib`"),
    ("slot-mib = 16", "slots-mib = 16", "Object contains unknown field `slots-mib` - at `$.disk`"),
    ('loader = "grub-pc"', 'loader = "lilo"', "Invalid enum value 'lilo' - at `$.disk.loader`"),
    ('device = "ttyS0"', "device = ", "this is not TOML: Invalid value"),
]


@pytest.mark.parametrize(("right", "wrong", "expected"), MISTAKES)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, right: str, wrong: str, expected: str) -> None:
    shutil.copytree(PC486, tmp_path / "pc486")
    file = tmp_path / "pc486/board.toml"
    text = file.read_text()
    assert text.count(right) == 1
    file.write_text(text.replace(right, wrong))
    line = text[: text.index(right)].count("\n") + 1
    with pytest.raises(RecipeError) as error:
        load_board(tmp_path, "pc486")
    assert str(error.value).startswith(f"{file}:{line}: {expected}")


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    shutil.copytree(PC486, tmp_path / "pc486")
    file = tmp_path / "pc486/board.toml"
    file.write_text(file.read_text().replace("[console]", "[consoles]"))
    with pytest.raises(RecipeError, match=r"(missing required field `console`|unknown field `consoles`)"):
        load_board(tmp_path, "pc486")


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """Boards of which one takes its CPU from another."""
    for name in ("armv5", "kirkwood", "mt7621"):
        shutil.copytree(PROJECT / "board" / name, tmp_path / name)
    return tmp_path


def change(file: Path, old: str, new: str) -> int:
    """Change what stands once in a file; its line."""
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))
    return text[: text.index(old)].count("\n") + 1


def test_a_board_can_take_the_cpu_of_another(shared: Path) -> None:
    assert load_board(shared, "kirkwood").cpu == load_board(shared, "armv5").cpu


def test_the_cpu_of_an_unknown_board_is_answered_with_the_nearest(shared: Path) -> None:
    line = change(shared / "kirkwood/board.toml", 'cpu = "armv5"', 'cpu = "amrv5"')
    with pytest.raises(
        RecipeError, match=rf"kirkwood/board\.toml:{line}: cpu: No board is called 'amrv5'; did you mean armv5"
    ):
        load_board(shared, "kirkwood")


def test_the_cpu_comes_from_a_board_that_has_one(shared: Path) -> None:
    change(shared / "mt7621/board.toml", 'cpu = "mipsel"', 'cpu = "kirkwood"')
    with pytest.raises(RecipeError, match=r"cpu: board 'kirkwood' has no table \[cpu\] of its own"):
        load_board(shared, "mt7621")


def test_a_board_has_a_disk_or_a_flash_chip(shared: Path) -> None:
    change(shared / "armv5/board.toml", "[disk]", "[disc]")
    with pytest.raises(RecipeError, match=r"unknown field `disc`"):
        load_board(shared, "armv5")
    file = shared / "kirkwood/board.toml"
    file.write_text(file.read_text()[: file.read_text().index("[flash]")] + "[budget]\nkernel = 1\nrootfs = 1\n")
    with pytest.raises(RecipeError, match=r"expected one of the tables \[disk\] and \[flash\]"):
        load_board(shared, "kirkwood")


def test_a_device_tree_of_the_boards_own_is_part_of_its_kernel(shared: Path) -> None:
    before = load_board(shared, "kirkwood").kernel
    change(shared / "kirkwood/kirkwood.dts", "\t\t\tread-only;\n", "")
    assert load_board(shared, "kirkwood").kernel != before


def test_a_device_tree_that_is_nowhere_is_named_with_its_line(shared: Path) -> None:
    line = change(shared / "kirkwood/board.toml", '"kirkwood.dts"', '"kirkwod.dts"')
    with pytest.raises(
        RecipeError, match=rf"kirkwood/board\.toml:{line}: there is no .*kirkwood/kirkwod\.dts; a tree of"
    ):
        load_board(shared, "kirkwood")
