"""Whether legal-info holds all that went into a made-up image, and refuses what it cannot vouch for."""

from __future__ import annotations

import csv
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from papers_project import BOARD, Toy, built, tarball, toy

from builder.errors import CygnetError, RecipeError
from builder.papers import legal
from builder.papers.licences import checked
from builder.papers.scripts import script_files, write_scripts
from builder.sources.lock import File, Locked
from builder.steps.step import hash_bytes

__all__ = ["built", "toy"]  # fixtures
CONTROL = "Maintainer: nobody <nobody@example.org>\nDescription: made up\n"


class Index:
    """A mirror's index that knows one version of GRUB's source, downloaded already."""

    def __init__(self, toy: Toy, version: str) -> None:
        content = tarball("debian/copyright", b"GRUB is GPL-3+.\n")
        name = "grub2_2.12.debian.tar.xz"
        place = toy.project.settings.downloads / hash_bytes(content) / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        self.locked = Locked(version, "trixie", (File(f"pool/{name}", hash_bytes(content), len(content)),))

    def sources(self, name: str, suites: tuple[str, ...]) -> list[Locked]:
        return [self.locked] if name == "grub2" and "trixie" in suites else []


@pytest.fixture
def ready(built: Toy) -> Toy:
    """Built, and GRUB's source can be had."""
    version = built.project.tool_sources.locked("grub-pc-bin").version
    built.project.__dict__["index"] = Index(built, version)
    return built


def manifest(folder: Path) -> list[dict[str, str]]:
    with (folder / "manifest.csv").open() as file:
        return list(csv.DictReader(file))


def test_every_package_comes_with_source_patches_recipe_and_licences(ready: Toy) -> None:
    folder = legal.run(ready.project, BOARD)

    alpha = sorted(str(file.relative_to(folder / "alpha")) for file in (folder / "alpha").rglob("*") if file.is_file())
    assert alpha == [
        "licences/LICENSE", "licences/debian-copyright", "patches/0001-change.patch", "recipe/recipe.py",
        "sources/alpha_1.0-2.debian.tar.xz", "sources/alpha_1.0.orig.tar.gz",
    ]  # fmt: skip
    assert (folder / "alpha/licences/debian-copyright").read_text() == "alpha is free.\n"
    assert (folder / "beta/sources/beta_1.0.orig.tar.gz").is_file()  # only linked, and yet here


def test_the_manifest_tells_every_file_with_its_hash(ready: Toy) -> None:
    folder = legal.run(ready.project, BOARD)

    rows = {row["file"]: row for row in manifest(folder)}
    files = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert set(rows) == files - {"manifest.csv", "tools.csv", "README.txt"}
    assert all(hash_bytes((folder / name).read_bytes()) == row["sha256"] for name, row in rows.items())
    alpha, beta = rows["alpha/sources/alpha_1.0.orig.tar.gz"], rows["beta/sources/beta_1.0.orig.tar.gz"]
    assert (alpha["version"], alpha["licence"], alpha["in the image"]) == ("1:1.0-2", "MIT", "yes")
    assert beta["in the image"] == "linked in"


def test_the_boot_loader_and_the_compilers_run_time_are_not_forgotten(ready: Toy) -> None:
    folder = legal.run(ready.project, BOARD)

    assert (folder / "grub2/licences/debian-copyright").read_text() == "GRUB is GPL-3+.\n"
    assert (folder / "grub2/sources/grub2_2.12.debian.tar.xz").is_file()
    assert "Permission is hereby granted" in (folder / "zig-run-time/licences/LICENSE").read_text()


def test_crates_that_are_compiled_along_are_here_as_debian_packages(
    ready: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deb(name: str) -> Path:
        tree, file = tmp_path / name, tmp_path / f"{name}_1_amd64.deb"
        for folder in ("DEBIAN", f"usr/share/doc/{name}"):
            (tree / folder).mkdir(parents=True)
        (tree / "DEBIAN/control").write_text(f"Package: {name}\nVersion: 1\nArchitecture: all\n{CONTROL}")
        (tree / f"usr/share/doc/{name}/copyright").write_text(f"{name} is MIT.\n")
        subprocess.run(["dpkg-deb", "--build", tree, file], check=True, capture_output=True)
        return file

    monkeypatch.setattr(legal, "read_groups", lambda: {"base": [], "crates": ["librust-pem-dev"]})
    monkeypatch.setattr(ready.project.tool_sources, "fetch", lambda name, _=(): [deb(name)])
    recipe = ready.recipe("alpha")
    recipe.write_text(recipe.read_text().replace('summary="made up",', 'summary="made up",\n    tools=("crates",),'))
    again = ready.again()
    again.build()
    again.project.__dict__.update(index=ready.project.index, tool_sources=ready.project.tool_sources)

    folder = legal.run(again.project, BOARD)
    assert (folder / "alpha/licences/librust-pem-dev/debian-copyright").read_text() == "librust-pem-dev is MIT.\n"
    assert (folder / "alpha/sources/librust-pem-dev_1_amd64.deb").is_file()
    assert not (folder / "beta/licences/librust-pem-dev").exists()


def test_the_boot_loaders_source_is_looked_up_once(ready: Toy) -> None:
    legal.run(ready.project, BOARD)
    again = ready.again()
    again.project.__dict__["index"] = None  # a question would fail
    legal.run(again.project, BOARD)


def test_a_source_of_another_version_will_not_do(built: Toy) -> None:
    built.project.__dict__["index"] = Index(built, "2.02-1")
    with pytest.raises(CygnetError, match=r"NOT COMPLETE.*grub2.*the mirror has no source .*2\.02-1"):
        legal.run(built.project, BOARD)
    folder = built.images / "legal-info"
    assert "grub2" in (folder / "MISSING.txt").read_text()
    assert (folder / "alpha/sources/alpha_1.0.orig.tar.gz").is_file()


def test_a_folder_that_was_not_complete_is_made_good(ready: Toy) -> None:
    index = ready.project.index
    ready.project.__dict__["index"] = Index(ready, "2.02-1")
    with pytest.raises(CygnetError):
        legal.run(ready.project, BOARD)
    ready.project.__dict__["index"] = index
    assert not (legal.run(ready.project, BOARD) / "MISSING.txt").exists()


def test_an_earlier_folder_outlives_a_licence_that_is_none(ready: Toy) -> None:
    folder = legal.run(ready.project, BOARD)
    ready.recipe("beta").write_text(ready.recipe("beta").read_text().replace('"Zlib"', '"Foo"'))
    again = ready.again()
    again.build()
    with pytest.raises(RecipeError):
        legal.run(again.project, BOARD)
    assert (folder / "manifest.csv").is_file()


def test_a_change_in_the_folder_does_not_reach_the_cache(ready: Toy) -> None:
    folder = legal.run(ready.project, BOARD)
    (folder / "alpha/sources/alpha_1.0.orig.tar.gz").write_bytes(b"changed")
    for file in ready.project.sources.locked("alpha").files:
        place = ready.project.settings.downloads / file.sha256 / file.name
        assert hash_bytes(place.read_bytes()) == file.sha256


def test_a_second_run_gives_the_same_bytes(ready: Toy) -> None:
    folder = legal.run(ready.project, BOARD)
    first = {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    (folder / "left-over").touch()

    folder = legal.run(ready.project, BOARD)
    assert {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*") if file.is_file()} == first


def test_the_scripts_are_what_git_tracks_or_would(toy: Toy, tmp_path: Path) -> None:
    project = toy.project.settings.project
    (project / ".gitignore").write_text("*.secret\n")
    (project / "packages/alpha/key.secret").write_text("no\n")
    subprocess.run(["git", "add", "tasks.py", "packages/beta"], cwd=project, check=True)

    assert "packages/alpha/key.secret" not in script_files(project)
    write_scripts(project, tmp_path / "scripts.tar.xz")
    with tarfile.open(tmp_path / "scripts.tar.xz") as tar:
        names = [name.partition("/")[2] for name in tar.getnames()]
    assert {"tasks.py", "packages/beta/recipe.py", "packages/alpha/recipe.py", "overlay/etc/hostname"} <= set(names)
    assert names == sorted(names)


def test_the_scripts_do_not_depend_on_clock_or_checkout(toy: Toy, tmp_path: Path) -> None:
    project = toy.project.settings.project
    write_scripts(project, tmp_path / "one")
    os.utime(project / "tasks.py", (1, 1))
    (project / ".git").rename(tmp_path / "git")
    write_scripts(project, tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize("expression", ["Foo", "MIT AND", "", "GPL-2.0-only WITH Foo-exception", "MIT OR (Zlib"])
def test_what_is_no_licence_names_the_recipe_and_the_line(ready: Toy, expression: str) -> None:
    recipe = ready.recipe("beta")
    recipe.write_text(recipe.read_text().replace('"Zlib"', f'"{expression}"'))
    again = ready.again()
    again.build()
    with pytest.raises(RecipeError, match=r"beta/recipe\.py:8: expected an SPDX licence"):
        legal.run(again.project, BOARD)


def test_spdx_spelling_is_kept() -> None:
    expression = "GPL-2.0-or-later AND GPL-2.0-only WITH Linux-syscall-note"
    assert checked(expression, Path("recipe.py")) == expression
    assert checked("(MIT OR Apache-2.0) AND Zlib", Path("recipe.py")) == "(MIT OR Apache-2.0) AND Zlib"


def test_an_unbuilt_image_names_the_command(toy: Toy) -> None:
    with pytest.raises(CygnetError, match=r"\./inv build --board=toy"):
        legal.run(toy.project, BOARD)
