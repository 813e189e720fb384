"""The firewall's rules are in an image from its start: rendered from the description, or said where that is wrong."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from graph_project import Silent

from builder.errors import StepFailed
from builder.image.firewall import RULES, render
from builder.plan import Project
from builder.run import Runner
from builder.settings import PROJECT, Settings

# A stand-in for the program, which only the box's package knows.
PROGRAM = """import pathlib, sys
description, network, folder = map(pathlib.Path, sys.argv[1:])
if "wrong" in description.read_text():
    sys.exit(f"{description}:1: wrong is no statement")
(folder / "rules.v4").write_text(description.read_text() + network.read_text())
"""


class Scene:
    """Two overlays, a package, and what comes out of them."""

    def __init__(self, place: Path) -> None:
        self.stock, self.board, self.package = place / "overlay", place / "board/overlay", place / "packages/cygnet"
        self.root, self.log = place / "root", place / "log"
        self._place = place
        for folder in (self.root, self.package / "src/cygnet/firewall"):
            folder.mkdir(parents=True)
        (self.package / "src/cygnet/firewall/__main__.py").write_text(PROGRAM)
        self.say(self.stock, firewall="stock ", network="WAN=eth0")

    def say(self, overlay: Path, **files: str) -> None:
        for name, text in files.items():
            (overlay / "etc/cygnet").mkdir(parents=True, exist_ok=True)
            (overlay / "etc/cygnet" / name).write_text(text)

    def render(self) -> list[str]:
        return render(self.package, (self.stock, self.board), self.root, self._place, Runner("rootfs:board", self.log))

    @property
    def rules(self) -> Path:
        return self.root / RULES / "rules.v4"


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_rules_are_rendered_into_the_image_for_everybody_to_read(scene: Scene) -> None:
    assert scene.render() == [f"{RULES}/rules.v4"]
    assert scene.rules.read_text() == "stock WAN=eth0"
    assert oct(scene.rules.stat().st_mode & 0o777) == "0o644"
    assert not list(scene.package.rglob("__pycache__"))


def test_a_boards_own_files_come_first(scene: Scene) -> None:
    scene.say(scene.board, network="WAN=wan")
    scene.render()
    assert scene.rules.read_text() == "stock WAN=wan"


def test_no_description_no_rules(scene: Scene) -> None:
    (scene.stock / "etc/cygnet/firewall").unlink()
    assert scene.render() == []
    assert not (scene.root / RULES).exists()


def test_what_is_wrong_in_it_stops_the_build_with_its_line(scene: Scene) -> None:
    scene.say(scene.stock, firewall="wrong\n")
    with pytest.raises(StepFailed, match=rf"{scene.stock}/etc/cygnet/firewall:1: wrong is no statement"):
        scene.render()


@pytest.fixture
def project(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "cache", PROJECT, tmp_path / "images")


def test_the_stock_description_is_right(tmp_path: Path) -> None:
    runner = Runner("rootfs:pc486", tmp_path / "log")
    laid = render(PROJECT / "packages/cygnet", (PROJECT / "overlay",), tmp_path, tmp_path, runner)
    assert laid == [f"{RULES}/{name}" for name in ("firewall", "rules.v4", "rules.v6")]
    assert (tmp_path / RULES / "rules.v4").read_text().startswith("# from: ")


@pytest.mark.parametrize(
    "changed", ["overlay/etc/cygnet/firewall", "overlay/etc/cygnet/network", "packages/cygnet/src/cygnet/firewall/x.py"]
)
def test_the_image_rests_on_all_that_its_rules_are_made_from(project: Settings, tmp_path: Path, changed: str) -> None:
    for folder in ("packages", "board", "overlay"):
        shutil.copytree(PROJECT / folder, tmp_path / "project" / folder)
    here = replace(project, project=tmp_path / "project")
    before = Project(here, Silent()).plan("pc486").rootfs.key
    with (tmp_path / "project" / changed).open("a") as file:
        file.write("# a comment\n")
    assert Project(here, Silent()).plan("pc486").rootfs.key != before
