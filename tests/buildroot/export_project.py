"""Projects that the tests of the export write trees from: this one, and a copy in which a line may be changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from builder.boards import Board, load_board
from builder.buildroot.prebuilt import Prebuilt
from builder.plan import Project
from builder.progress import Lines
from builder.settings import PROJECT, Settings

MIRROR = "http://mirror.example/debian"
PARTS = ("board", "overlay", "packages")


def project_of(folder: Path, cache: Path) -> Project:
    """The project in ``folder``."""
    return Project(Settings(cache, folder, folder / "images"), Lines())


def board_of(name: str) -> Board:
    """A board of this project."""
    return load_board(PROJECT / "board", name)


@pytest.fixture
def nothing_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """cryptography's module is words instead of 4 MB that are compiled for minutes; the mirror is a made-up one."""
    monkeypatch.setattr(Prebuilt, "module", lambda _, board: f"for {board.cpu.name}\n".encode())
    monkeypatch.setenv("CYGNET_MIRROR", MIRROR)


@pytest.fixture
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    """This project, with an empty cache."""
    request.getfixturevalue("nothing_is_built")
    return project_of(PROJECT, tmp_path / "cache")


@pytest.fixture
def copy(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of what a tree is made from; without the tests of packages, which reach none."""
    request.getfixturevalue("nothing_is_built")
    folder = tmp_path / "project"
    for part in PARTS:
        shutil.copytree(PROJECT / part, folder / part, ignore=shutil.ignore_patterns("tests", "__pycache__", ".*"))
    return folder
