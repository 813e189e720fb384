"""A tiny made-up project for the tests of builder/papers: two packages, one board, results put into a store by hand.

``alpha`` has a file on the box and links ``beta``, of which only an archive exists.  The board is
pc486's folder as it stands, so that a new key in board.toml is no concern of these tests.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from whole_boards import leave_nothing_out

from builder.plan import Plan, Project
from builder.progress import Lines
from builder.run import Runner
from builder.settings import PROJECT, Settings
from builder.sources.lock import File, Locked, write_lock
from builder.steps.step import Step, hash_bytes, walk
from builder.steps.store import Record, Store

BOARD = "toy"
RECIPE = '''"""{name}: a made-up package."""

from builder.recipes.build import Build
from builder.recipes.package import DebianSource, Package

package = Package(
    source=DebianSource("{name}"),
    licence="{licence}",
    summary="made up",
    licence_files=("LICENSE",),
    depends={depends},
)


def build(b: Build) -> None:
    """Never called: results are put into the store by hand."""
'''
ALPHA_FILES = {
    "root/usr/bin/alpha": b"a" * 5000,
    "root/usr/share/alpha.txt": b"text " * 100,
    "licences/LICENSE": b"MIT\n",
}
BETA_FILES = {"dev/usr/lib/libbeta.a": b"b" * 100, "licences/LICENSE": b"Zlib\n"}
CRATES = [{"name": "pem", "version": "3.0", "licence": "MIT/Apache-2.0", "purl": "pkg:cargo/pem@3.0"}]


@dataclass
class Toy:
    """The project, its store, and ways to change both."""

    project: Project
    store: Store
    runner: Runner

    @property
    def plan(self) -> Plan:
        return self.project.plan(BOARD)

    @property
    def images(self) -> Path:
        return self.project.settings.images / BOARD

    def recipe(self, name: str) -> Path:
        return self.project.settings.packages / name / "recipe.py"

    def again(self) -> Toy:
        """The same project read anew, as the next command would."""
        return Toy(Project(self.project.settings, Lines()), self.store, self.runner)

    def put(self, step: Step, files: dict[str, bytes], seconds: float = 1.0) -> None:
        """Make ``files`` the step's result."""
        out = self.project.settings.work / "out"
        out.mkdir(parents=True)
        for name, content in files.items():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).write_bytes(content)
        self.store.put(step, out, Record(step.name, step.key, step.all_inputs, seconds, seconds / 2), self.runner)
        shutil.rmtree(out, ignore_errors=True)

    def build(self) -> None:
        """Put a result of every step into the store."""
        plan = self.plan
        results = {
            "alpha:i486": {**ALPHA_FILES, "bom/crates.json": json.dumps(CRATES).encode()},
            "beta:i486": BETA_FILES,
            plan.rootfs.name: {
                "rootfs.squashfs": b"s" * 4000,
                "vmlinuz": b"k" * 1000,
                "owners.json": json.dumps(
                    {"usr/bin/alpha": "alpha", "usr/share/alpha.txt": "alpha", "etc/hostname": "overlay"}
                ).encode(),
            },
            plan.image.name: {"disk.img": b"d" * 8000},
        }
        for seconds, step in enumerate(walk((plan.image, plan.rootfs)), 1):
            if not self.store.has(step):
                self.put(step, results.get(step.name, {"file": b""}), float(seconds))


def _source(name: str, cache: Path) -> Locked:
    """A source of two tarballs, already downloaded."""
    orig = tarball(f"{name}-1.0/{name}.c", b"int main;\n")
    debian = tarball("debian/copyright", f"{name} is free.\n".encode())
    files = []
    for file, content in ((f"{name}_1.0.orig.tar.gz", orig), (f"{name}_1.0-2.debian.tar.xz", debian)):
        sha256 = hash_bytes(content)
        place = cache / "downloads" / sha256 / file
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        files.append(File(f"pool/main/{name[0]}/{name}/{file}", sha256, len(content)))
    return Locked("1:1.0-2", "trixie", tuple(files))


def tarball(name: str, content: bytes) -> bytes:
    """A tarball with one file."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return data.getvalue()


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    """The project, nothing built."""
    root, cache = tmp_path / "project", tmp_path / "cache"
    for name, licence, depends in (("alpha", "MIT", '("beta",)'), ("beta", "Zlib", "()")):
        folder = root / "packages" / name
        folder.mkdir(parents=True)
        (folder / "recipe.py").write_text(RECIPE.format(name=name, licence=licence, depends=depends))
    patch = root / "packages/alpha/patches/0001-change.patch"
    patch.parent.mkdir()
    patch.write_text("--- a/alpha.c\n+++ b/alpha.c\n@@ -1 +1 @@\n-int main;\n+int more;\n")
    write_lock(root / "packages/sources.lock", {name: _source(name, cache) for name in ("alpha", "beta")})
    shutil.copytree(PROJECT / "board/pc486", root / "board" / BOARD)
    leave_nothing_out(root / "board")
    shutil.rmtree(root / "board" / BOARD / "overlay", ignore_errors=True)
    (root / "overlay/etc").mkdir(parents=True)
    (root / "overlay/etc/hostname").write_text("box\n")
    (root / "tasks.py").write_text("# tasks\n")
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    settings = Settings(cache, root, root / "images")
    return Toy(Project(settings, Lines()), Store(settings.store, settings.trees), Runner("test", tmp_path / "log"))


@pytest.fixture
def built(toy: Toy) -> Toy:
    """The project, everything in the store."""
    toy.build()
    return toy
