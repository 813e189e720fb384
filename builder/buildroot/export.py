"""`./inv buildroot export`: a complete BR2_EXTERNAL tree of boards, packages and overlay as they stand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from builder.boards import Board, load_board
from builder.buildroot.board_files import board_files
from builder.buildroot.defconfig import Package, defconfig, package, package_files
from builder.buildroot.fill import fill
from builder.buildroot.package_files import package_files as own_package_files
from builder.buildroot.prebuilt import Prebuilt
from builder.buildroot.tree import File, defconfig_name, put, read_list
from builder.plan import Project
from builder.settings import PROJECT

KERNEL = "linux"
# How the overlay's scripts are looked at, by Buildroot's check-package as well.
LINT = ".shellcheckrc"
TOP = ("external.desc", "Config.in", "external.mk", ".flake8")
HASHES = ("patches/linux/linux.hash", "patches/linux-headers/linux-headers.hash")


def export(project: Project, out: Path, boards: Sequence[str] = ()) -> Path:
    """Write the tree for ``boards`` (none: all) to ``out``; builds cryptography where Buildroot's Rust cannot.

    Raises CygnetError for an unknown board, and for an ``out`` that is neither empty nor such a tree; then nothing is
    written.
    """
    out = out.absolute()
    read_list(out)
    chosen = [load_board(project.settings.boards, name) for name in boards or project.board_names()]
    files: dict[str, File] = {name: fill(name, "builder/buildroot") for name in TOP}
    for board in chosen:
        files |= _board(project, board)
    files[LINT] = File((PROJECT / LINT).read_bytes())
    files |= _hashes(package(project, KERNEL))
    files |= own_package_files(project.recipes, chosen, Prebuilt(project))
    put(files, out)
    return out


def _board(project: Project, board: Board) -> dict[str, File]:
    packages = {name: package(project, name) for name in project.recipes if name not in board.without}
    found = board_files(project.settings, board, package(project, KERNEL))
    found[f"configs/{defconfig_name(board.name)}"] = defconfig(board, packages)
    for one in packages.values():
        found |= package_files(one)
    return found


def _hashes(kernel: Package) -> dict[str, File]:
    """What Buildroot compares the kernel's source with; it asks twice, the headers are a package of their own."""
    files = [file for file in kernel.locked.files if ".orig." in file.name] if kernel.locked else []
    return dict.fromkeys(HASHES, fill("linux.hash", "packages/sources.lock", files=files))
