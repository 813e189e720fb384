"""From Buildroot's output to images/<board>/: the same files, made by the same code, as of the other engine's image.

Buildroot brings the root file system, the kernel and the device tree; layout, boot loader and the image's header are
the project's own (builder/image).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from builder.boards import Board
from builder.buildroot import sbom
from builder.buildroot.drive import STEP, Make
from builder.buildroot.output import Output
from builder.errors import CygnetError
from builder.image.image import medium
from builder.image.publish import STAMP
from builder.image.rootfs import DEVICE_TREE, FIRMWARE, VMLINUZ
from builder.papers.parts import Carried, carried, write
from builder.papers.sbom import dump, validate
from builder.plan import Project
from builder.run import Runner

ROOT = "rootfs.squashfs"
# What all images have from the tools that assemble them; the rest is of the other engine's compilers.
LOADERS = ("grub2", "u-boot")
# The package that comes from those compilers.
PREBUILT = "cygnet-cryptography"


def publish(project: Project, board: Board, make: Make, output: Output, info: Mapping[str, Any]) -> Path:
    """Assemble the image of what Buildroot left, with its bill of materials; where it is."""
    packages = sbom.read(info)
    bill = dump(sbom.make(board, make.checkout, packages, _carried(project, board, packages)))
    validate(bill)
    folder, work = project.settings.images / board.name, project.settings.work / f"buildroot-{board.name}"
    shutil.rmtree(work, ignore_errors=True)
    try:
        _assemble(project, board, output, work, make.log)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / STAMP).unlink(missing_ok=True)
        for file in sorted((work / "out").iterdir()):
            file.replace(folder / file.name)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    write(folder / "sbom.json", bill)
    (folder / STAMP).write_text(f"Buildroot {make.checkout.release.name}")
    return folder / medium(board).IMAGE


def _assemble(project: Project, board: Board, output: Output, work: Path, log: Path) -> None:
    """The image and what lies beside it, in ``work``/out."""
    system, out, tools = work / "system", work / "out", project.tools()
    system.mkdir(parents=True)
    out.mkdir()
    for name, place in _products(board).items():
        found = output.images / name
        if not found.is_file():
            raise CygnetError(f"Buildroot left no {found}: the board's configuration was changed so that it makes none")
        shutil.copyfile(found, system / place)
    medium(board).assemble(board, system, out, tools, work, Runner(STEP, log))
    for place, name in {ROOT: ROOT, VMLINUZ: "kernel", DEVICE_TREE: DEVICE_TREE}.items():
        if (system / place).is_file():
            shutil.copyfile(system / place, out / name)
    if board.qemu and board.qemu.firmware:
        shutil.copyfile(tools / board.qemu.firmware, out / FIRMWARE)


def _products(board: Board) -> dict[str, str]:
    """What Buildroot's images/ must have, and what the code that assembles an image calls it."""
    found = {ROOT: ROOT, Path(board.kernel.image).name: VMLINUZ}
    if board.kernel.device_tree:
        found[Path(board.kernel.device_tree).with_suffix(".dtb").name] = DEVICE_TREE
    return found


def _carried(project: Project, board: Board, packages: Mapping[str, sbom.Info]) -> list[Carried]:
    found = carried(project.plan(board.name))
    return [one for one in found if one.name in LOADERS or PREBUILT in packages]
