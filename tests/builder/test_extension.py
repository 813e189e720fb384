"""A package or a board is added by adding one folder; and the same inputs give the same bytes anywhere.

These tests compile: they take the tools tree from the user's cache, and make it if it is not there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from graph_project import Silent
from whole_boards import leave_nothing_out

from builder.errors import CygnetError
from builder.image.publish import publish
from builder.plan import Project
from builder.settings import PROJECT, Settings, settings
from builder.steps.engine import Engine
from builder.steps.store import extract

HELLO = '''"""hello: one program of one file."""

from builder.recipes.build import Build
from builder.recipes.package import Package

package = Package(source=None, licence="MIT", summary="says hello")


def build(b: Build) -> None:
    program = b.work / "hello"
    b.run(b.cc, *b.cflags, *b.ldflags, b.recipe / "hello.c", "-o", program, cwd=b.work)
    b.install(program, "usr/bin/hello")
'''
HELLO_C = '#include <assert.h>\n#include <stdio.h>\nint main(void) { assert(puts("hello") >= 0); return 0; }\n'
KERNEL = '''"""linux: a stand-in that no test boots."""

from builder.recipes.build import Build
from builder.recipes.package import Package

package = Package(source=None, licence="MIT", summary="not a kernel", per="board")


def build(b: Build) -> None:
    (b.work / "vmlinuz").write_bytes(bytes(range(256)) * 1000)
    b.install(b.work / "vmlinuz", "boot/vmlinuz", 0o644)
'''


FLASH_KERNEL = KERNEL.replace(
    "from builder.recipes", "from builder.image.flash_layout import places\nfrom builder.recipes", 1
).replace("* 1000", "* 4000")
FLASH_KERNEL += """    tree = b.work / "tree.dts"
    parts = "".join(
        f'partition@{place.start:x} {{ label = "{name}"; reg = <{place.start:#x} {place.size:#x}>; }};'
        for name, place in places(b.board.need_flash()).items()
    )
    tree.write_text(f"/dts-v1/; / {{ flash {{ #address-cells = <1>; #size-cells = <1>; {parts} }}; }};")
    b.run("dtc", "-q", "-O", "dtb", "-o", b.work / "tree.dtb", tree, cwd=b.work)
    b.install_kernel(b.work / "tree.dtb", "boot/device-tree.dtb")
"""


@pytest.fixture
def project(tmp_path: Path) -> Settings:
    """A copy of the project to add folders to; its cache borrows the user's downloads and trees."""
    for folder in ("packages", "board", "overlay"):
        shutil.copytree(PROJECT / folder, tmp_path / "project" / folder)
    leave_nothing_out(tmp_path / "project/board")
    add_package(tmp_path / "project/packages", "hello", HELLO, {"hello.c": HELLO_C})
    cache = borrowed(tmp_path / "cache", "downloads", "trees", "zig")
    return Settings(cache, tmp_path / "project", tmp_path / "images")


def borrowed(cache: Path, *names: str) -> Path:
    """A new cache directory with some folders of the user's."""
    cache.mkdir(parents=True)
    for name in names:
        (settings().cache / name).mkdir(parents=True, exist_ok=True)
        (cache / name).symlink_to(settings().cache / name)
    return cache


def add_package(packages: Path, name: str, recipe: str, files: dict[str, str] | None = None) -> None:
    (packages / name).mkdir()
    for file, text in {"recipe.py": recipe, **(files or {})}.items():
        (packages / name / file).write_text(text)


def test_a_new_folder_is_a_new_package(project: Settings) -> None:
    plan, results = Project(project, Silent()).build("pc486", "hello")
    extract(results["hello:i486"], project.images / "hello", "root")
    program = project.images / "hello/usr/bin/hello"
    kind = (
        subprocess.run(["file", program], capture_output=True, text=True).stdout if shutil.which("file") else "32-bit"
    )
    assert "32-bit" in kind
    assert b"/lib/ld-musl-i386.so.1" in program.read_bytes()
    assert plan.packages["hello"] in plan.rootfs.needs


def test_a_new_folder_is_a_new_board_that_shares_what_has_the_same_cpu(project: Settings) -> None:
    shutil.copytree(project.boards / "pc486", project.boards / "wrap")
    file = project.boards / "wrap/board.toml"
    file.write_text(file.read_text().replace("speed = 115200", "speed = 38400"))
    both = Project(project, Silent())
    pc486, wrap = both.plan("pc486"), both.plan("wrap")
    assert wrap.board.console.speed == 38400
    assert wrap.packages["python"].key == pc486.packages["python"].key
    assert wrap.packages["linux"].name == "linux:wrap"
    assert wrap.image.key != pc486.image.key


def test_several_boards_are_one_graph(project: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(Engine, "build", lambda _, targets: asked.append([step.name for step in targets]) or {})
    Project(project, Silent()).build_all(["pc486", "armv7"])
    assert asked == [["image:pc486", "rootfs:pc486", "image:armv7", "rootfs:armv7"]]


def test_a_comment_in_one_recipe_remakes_that_package_and_what_rests_on_it(project: Settings) -> None:
    before = Project(project, Silent()).plan("pc486")
    recipe = project.packages / "zlib/recipe.py"
    recipe.write_text(recipe.read_text() + "# a comment\n")
    after = Project(project, Silent()).plan("pc486")
    changed = {name for name, step in after.packages.items() if step.key != before.packages[name].key}
    assert changed == {"zlib", "python", "cffi", "cryptography", "cygnet", "site"}
    assert after.image.key != before.image.key


def test_a_board_with_bare_flash_is_built_like_any_other(project: Settings) -> None:
    for unneeded in project.packages.iterdir():
        if unneeded.is_dir():
            shutil.rmtree(unneeded)
    add_package(project.packages, "linux", FLASH_KERNEL)
    here = Project(project, Silent())
    plan, results = here.build("kirkwood")
    image = publish(here, plan, results)
    assert {file.name for file in image.parent.iterdir()} >= {
        "ubi.img", "ubi.img.header", "kernel.uimage", "kernel.uimage.header", "u-boot.txt", "kernel", "device-tree.dtb", "rootfs.squashfs", "sbom.json",
    }  # fmt: skip
    assert image.read_bytes().startswith(b"UBI#")
    # When the kernel has grown out of its partition
    file = project.packages / "linux/recipe.py"
    file.write_text(file.read_text().replace("* 4000", "* 16000"))
    board = project.boards / "kirkwood/board.toml"
    board.write_text(board.read_text().replace("kernel = 2_300_000", "kernel = 9_000_000"))
    # then the build ends with the bytes over, and what to change.
    with pytest.raises(
        CygnetError, match=r"kirkwood: the kernel .* is [\d,]+ bytes larger .* raise kernel-a and kernel-b"
    ):
        Project(project, Silent()).build("kirkwood")


def test_two_builds_in_different_places_give_the_same_bytes(project: Settings, tmp_path: Path) -> None:
    for unneeded in project.packages.iterdir():
        if unneeded.is_dir() and unneeded.name not in ("hello", "zlib"):
            shutil.rmtree(unneeded)
    add_package(project.packages, "linux", KERNEL)
    elsewhere = borrowed(tmp_path / "a-rather-longer-path/cache", "downloads", "zig")
    moved = shutil.copytree(project.project, tmp_path / "moved-project")
    places = [(project, "UTC"), (replace(project, cache=elsewhere, project=moved), "Pacific/Auckland")]
    assert len({_image_hash(place, zone) for place, zone in places}) == 1


def _image_hash(place: Settings, time_zone: str) -> str:
    os.environ["TZ"] = time_zone
    try:
        plan, results = Project(place, Silent()).build("pc486")
    finally:
        del os.environ["TZ"]
    extract(results[plan.image.name], place.cache / "work/compared")
    image = (place.cache / "work/compared/disk.img").read_bytes()
    shutil.rmtree(place.cache / "work/compared")
    return hashlib.sha256(image).hexdigest()
