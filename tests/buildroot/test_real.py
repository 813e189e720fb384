"""With a real Buildroot, at the place that CYGNET_BUILDROOT names; without it these are skipped, by name."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from builder.boards import load_board
from builder.buildroot import sbom
from builder.buildroot.build import Build, configured
from builder.buildroot.checkout import find
from builder.buildroot.drive import Make
from builder.buildroot.export import export
from builder.buildroot.output import Output
from builder.errors import CygnetError
from builder.papers.sbom import dump, validate
from builder.plan import Project
from builder.progress import Lines
from builder.settings import PROJECT, settings

pytestmark = pytest.mark.skipif(
    not settings().buildroot, reason="CYGNET_BUILDROOT names no checkout of Buildroot to test with"
)
BOARD = load_board(PROJECT / "board", "armv7")


@pytest.fixture(scope="module")
def this(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """A board's build, configured."""
    folder = tmp_path_factory.mktemp("real")
    project = Project(replace(settings(), images=folder / "images"), Lines(), jobs=2)
    output = Output(folder / "armv7")
    output.folder.mkdir()
    external = export(project, folder / "external", ("armv7",))
    checkout = find("", project.settings)
    return Build(project, BOARD, Make(checkout, external, output.folder, folder / "cache", folder / "log"), output)


def test_the_release_is_one_that_cygnet_is_made_for(this: Build) -> None:
    assert this.make.checkout.release.warning == ""


def test_every_option_is_taken_and_packages_are_known(this: Build) -> None:
    config = configured(this)
    assert config["BR2_CCACHE"] == "y"
    assert config["BR2_JLEVEL"] == "2"
    info = this.make.show_info()
    text = dump(sbom.make(this.board, this.make.checkout, sbom.read(info), []))
    validate(text)
    parts = {one["name"]: one for one in json.loads(text)["components"]}
    assert {"cygnet", "busybox", "linux", "musl", "host-gcc-final"} <= parts.keys()
    assert parts["linux"]["version"][0].isdigit()
    assert all(one["version"] for one in parts.values())
    assert all(str(one["stamp_dir"]).startswith("build/") for one in info.values() if "stamp_dir" in one)


def test_an_option_that_is_not_there_is_named(this: Build) -> None:
    this.chosen.write_text("BR2_PACKAGE_NOT_OF_THIS_WORLD=y\n")
    with pytest.raises(CygnetError, match="does not take BR2_PACKAGE_NOT_OF_THIS_WORLD of .*armv7.menuconfig: "):
        configured(this)
    this.chosen.unlink()
