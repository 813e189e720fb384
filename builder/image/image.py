"""The step that makes a board's image, on whatever the board keeps it: a disk, or a flash chip.

The same bytes each time.
"""

from __future__ import annotations

import functools
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from builder import run as run_module
from builder.boards import Board
from builder.checks.budget import check_budget
from builder.image import (
    command_line,
    data,
    disk,
    filesystem,
    flash,
    flash_layout,
    header,
    layout,
    read_back,
    ubi,
    ubifs,
)
from builder.image.flash_layout import check_layout
from builder.image.loaders import LOADERS, loader
from builder.image.loaders.loader import templates
from builder.image.rootfs import DEVICE_TREE, FIRMWARE, VMLINUZ
from builder.run import Runner
from builder.settings import EPOCH, VERSION
from builder.sources.archive import Archive
from builder.steps.step import Step, Workspace, hash_bytes, hash_files
from builder.steps.store import Record, extract
from builder.tools.tree import group_identity

SIZES = "sizes"
DISK_MODULES = (disk, filesystem, layout)
FLASH_MODULES = (flash, flash_layout, read_back, ubi, ubifs)


class Medium(Protocol):
    """What an image is written to: a module of this folder. ``IMAGE``: the image's name in images/<board>/."""

    IMAGE: str

    def assemble(self, board: Board, system: Path, out: Path, tools: Path, work: Path, runner: Runner) -> None:
        """Make the image in ``out``; ``system`` is what the root file system's step leaves."""

    def make_box(self, board: Board, name: str, stock: Path, to: Path, tools: Path, work: Path, runner: Runner) -> None:
        """One box's image from the stock image."""


def medium(board: Board) -> Medium:
    """What the board's image is written to."""
    return flash if board.disk is None else disk


def image_step(board: Board, rootfs: Step, archive: Archive, tools: Step, last: Record | None) -> Step:
    """The step that makes the image and, beside it, ``kernel``, ``rootfs.squashfs``, device tree, firmware.

    ``last``: the record of the board's last image, to say what grew when it is over budget.
    """
    if board.flash:
        check_layout(board)
    boot_loader = LOADERS[board.loader]
    own = FLASH_MODULES if board.flash else DISK_MODULES
    modules = (run_module, data, header, command_line, loader, sys.modules[boot_loader.boot.__module__], *own)
    code = [Path(__file__), *(Path(str(module.__file__)) for module in modules)]
    kept = [board.disk or board.flash, board.console, board.kernel, board.budget, board.qemu and board.qemu.firmware]
    return Step(
        name=f"image:{board.name}",
        inputs={
            "code": hash_files(*code),
            "epoch": str(EPOCH),
            "version": VERSION,
            "board": hash_bytes(msgspec.json.encode(kept)),
            "boot": hash_files(*templates(board, boot_loader)),
            "tools": group_identity(archive, ("image", *boot_loader.TOOLS)),
        },
        action=functools.partial(_make, board, rootfs, json.loads(last.notes.get(SIZES, "{}")) if last else {}),
        needs=(rootfs,),
        uses=(tools,),
    )


def _make(board: Board, rootfs: Step, before: Mapping[str, int], space: Workspace) -> None:
    system, tools = space.work / "system", space.results["tools"]
    extract(space.results[rootfs.name], system)
    space.notes[SIZES] = (system / "sizes.json").read_text()
    root, kernel = system / "rootfs.squashfs", system / VMLINUZ
    inside = kernel.stat().st_size if LOADERS[board.loader].KERNEL_IN_ROOT else 0
    check_budget(board, kernel.stat().st_size, root.stat().st_size - inside, json.loads(space.notes[SIZES]), before)
    medium(board).assemble(board, system, space.out, tools, space.work, space.runner)
    shutil.copyfile(root, space.out / "rootfs.squashfs")
    shutil.copyfile(kernel, space.out / "kernel")
    if board.kernel.device_tree:
        shutil.copyfile(system / DEVICE_TREE, space.out / DEVICE_TREE)
    if board.qemu and board.qemu.firmware:
        shutil.copyfile(tools / board.qemu.firmware, space.out / FIRMWARE)
