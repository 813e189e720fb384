"""The tree's packages: the daemon and the reader of site files from their sources, cryptography from the store.

The sources are those that Cygnet's own recipes take; Buildroot compiles them with its own Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from builder.boards import Board
from builder.buildroot.defconfig import cpu_lines, needs_prebuilt, symbols
from builder.buildroot.fill import fill
from builder.buildroot.prebuilt import Prebuilt
from builder.buildroot.tree import File
from builder.recipes.load import Recipe
from builder.settings import VERSION

SOURCES = ("src", "LICENSE", "ipsec", "compile_templates.py")
CRYPTOGRAPHY = "package/cygnet-cryptography"


def package_files(recipes: dict[str, Recipe], boards: Sequence[Board], prebuilt: Prebuilt) -> dict[str, File]:
    """Everything below package/."""
    cpus = {board.cpu.name: board for board in boards if needs_prebuilt(board)}
    found = {**_ours("cygnet", recipes["cygnet"]), **_ours("python-cygnet-site", recipes["site"])}
    of = "packages/cryptography, packages/sources.lock and the store"
    values = {
        "cpus": {name: " && ".join(symbols(cpu_lines(board))) for name, board in cpus.items()},
        "recipe": recipes["cryptography"],
        "sources": prebuilt.sources,
        "upstream": prebuilt.upstream,
        "main": next(source for source in prebuilt.sources if ".orig." in source.name),
    }
    for name in ("Config.in", "cygnet-cryptography.mk", "cygnet-cryptography.hash"):
        found[f"{CRYPTOGRAPHY}/{name}"] = fill(f"{CRYPTOGRAPHY}/{name}", of, **values)
    for name, board in cpus.items():
        found[f"{CRYPTOGRAPHY}/prebuilt/{name}/_rust.abi3.so"] = File(prebuilt.module(board), runs=True)
    return found


def _ours(name: str, recipe: Recipe) -> dict[str, File]:
    """A package of ours: its sources, and how Buildroot is told about them."""
    folder = f"package/{name}"
    found = {f"{folder}/{file.relative_to(recipe.folder)}": _file(file) for file in _sources(recipe.folder)}
    for made in ("Config.in", f"{name}.mk"):
        values = {"recipe": recipe, "project": VERSION}
        found[f"{folder}/{made}"] = fill(f"{folder}/{made}", f"packages/{recipe.name}", **values)
    return found


def _sources(folder: Path) -> list[Path]:
    places = [folder / name for name in SOURCES if (folder / name).exists()]
    files = [file for place in places for file in ([place] if place.is_file() else sorted(place.rglob("*")))]
    return [file for file in files if file.is_file() and "__pycache__" not in file.parts]


def _file(file: Path) -> File:
    return File(file.read_bytes(), bool(file.stat().st_mode & 0o100))
