"""The tables of boards and packages, built and not."""

from __future__ import annotations

import shutil

import pytest
from papers_project import BOARD, Toy, built, toy
from rich.console import Console

from builder.errors import CygnetError
from builder.papers import tables
from builder.recipes.package import PypiSource

__all__ = ["built", "toy"]  # fixtures


def printed(toy: Toy, which: str) -> dict[str, list[str]]:
    """The rows of a table by their first cell."""
    console = Console(record=True, width=250)
    getattr(tables, which)(toy.project, console)
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in console.export_text().splitlines()]
    return {row[0]: row[1:] for row in rows if row}


def test_boards_tells_what_is_built(built: Toy) -> None:
    shutil.copytree(built.project.settings.boards / BOARD, built.project.settings.boards / "other")
    file = built.project.settings.boards / "other/board.toml"
    file.write_text(file.read_text().replace("speed = 115200", "speed = 9600"))

    rows = printed(built, "boards")
    assert (rows[BOARD][-1], rows["other"][-1]) == ("built", "not built")
    assert rows["other"][2] == "ttyS0 9600"


def test_packages_tells_version_licence_and_size(built: Toy) -> None:
    assert printed(built, "packages") == {
        "alpha": ["1:1.0-2", "MIT", "5,500"],
        "beta": ["1:1.0-2", "Zlib", "0"],
    }


def test_packages_before_anything_is_built_and_with_one_left_out(toy: Toy) -> None:
    file = toy.project.settings.boards / BOARD / "board.toml"
    file.write_text('without = ["alpha"]\n' + file.read_text())
    rows = printed(toy, "packages")
    assert (rows["alpha"][-1], rows["beta"][-1]) == ("left out", "not built")


def test_a_replaced_version_is_marked(built: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(built.project.sources, "replaced", lambda name: name == "beta")
    assert printed(built, "packages")["beta"][0] == "1:1.0-2 (replaced)"


def test_a_project_without_boards_says_what_a_board_is(toy: Toy) -> None:
    shutil.rmtree(toy.project.settings.boards)
    with pytest.raises(CygnetError, match=r"board\.toml"):
        tables.boards(toy.project)


def test_a_source_of_the_python_index_has_its_own_address() -> None:
    from builder.papers.parts import address
    from builder.sources.lock import File

    file = File("cffi/1.17.1/cffi-1.17.1.tar.gz", "0" * 64, 1, "pypi")
    assert PypiSource("cffi", "1.17.1").name in address(file)
    assert address(file) == "pypi/cffi/1.17.1/cffi-1.17.1.tar.gz"
