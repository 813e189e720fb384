"""The disk image: boot loader, two system slots, data; what a box's CompactFlash card is written with.

`image_step` makes the stock image, the same bytes each time.  `make_box` makes one box's image from
it, with what must be unique in the data partition.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from builder import run as run_module
from builder.boards import Board
from builder.checks.budget import check_budget
from builder.errors import CygnetError
from builder.image import command_line, filesystem, layout
from builder.image.filesystem import make_ext
from builder.image.layout import BOOT_CODE, MIB, SECTOR, disk_id, disk_size, partition_table, partitions
from builder.image.loaders import LOADERS, loader
from builder.image.loaders.loader import Boot, templates
from builder.image.rootfs import DEVICE_TREE, VMLINUZ
from builder.run import Runner
from builder.settings import EPOCH
from builder.sources.archive import Archive
from builder.steps.step import Step, Workspace, hash_bytes, hash_files
from builder.steps.store import Record, extract
from builder.tools.tree import group_identity

SIZES = "sizes"
# Of the published files, what is not in every image.
FIRMWARE = "firmware.bin"
# What a box reads at its first start to fill the kernel's pool; BusyBox seedrng credits it and makes the next.
SEED = "seedrng/seed.credit"
SEED_BYTES = 256
# /etc is an overlay: what stands here hides the stock image's file.
HOST_NAME = "etc/hostname"


def image_step(board: Board, rootfs: Step, archive: Archive, tools: Step, last: Record | None) -> Step:
    """The step that makes ``disk.img`` and, beside it, ``kernel``, ``rootfs.squashfs``, device tree, firmware.

    ``last``: the record of the board's last image, to say what grew when it is over budget.
    """
    boot_loader = LOADERS[board.disk.loader]
    modules = (run_module, filesystem, layout, command_line, loader, sys.modules[boot_loader.boot.__module__])
    code = [Path(__file__), *(Path(str(module.__file__)) for module in modules)]
    return Step(
        name=f"image:{board.name}",
        inputs={
            "code": hash_files(*code),
            "epoch": str(EPOCH),
            "board": hash_bytes(
                msgspec.json.encode([board.disk, board.console, board.kernel, board.budget, board.qemu.firmware])
            ),
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
    boot_loader = LOADERS[board.disk.loader]
    inside = kernel.stat().st_size if boot_loader.KERNEL_IN_ROOT else 0
    check_budget(board, kernel.stat().st_size, root.stat().st_size - inside, json.loads(space.notes[SIZES]), before)
    boot = boot_loader.boot(board, tools, space.work, space.runner)
    slot = _slot(board, root, boot_loader.kernel(board, system, tools, space.work, space.runner), space.work)
    parts = {
        "boot": _boot(board, boot, tools, space.work, space.runner),
        "slot-a": slot,
        "slot-b": slot,
        "data": _data(board, {}, tools, space.work, space.runner),
    }
    _assemble(board, boot, parts, space.out / "disk.img")
    shutil.copyfile(root, space.out / "rootfs.squashfs")
    shutil.copyfile(kernel, space.out / "kernel")
    if board.kernel.device_tree:
        shutil.copyfile(system / DEVICE_TREE, space.out / DEVICE_TREE)
    if board.qemu.firmware:
        shutil.copyfile(tools / board.qemu.firmware, space.out / FIRMWARE)


def _slot(board: Board, root: Path, kernel: bytes, work: Path) -> Path:
    """What a slot's partition holds: the root file system and, in its last MiB, the kernel for a loader that asks."""
    if not kernel:
        return root
    most = board.disk.kernel_mib * MIB
    start = board.disk.slot_mib * MIB - most
    for what, size, place in (("kernel", len(kernel), most), ("root file system", root.stat().st_size, start)):
        if size > place:
            raise CygnetError(
                f"{board.name}: the {what} is {size - place:,} bytes larger than its part of a slot; "
                f"change kernel-mib or slot-mib in {board.folder / 'board.toml'}, [disk]"
            )
    slot = work / "slot"
    with slot.open("wb") as file:
        file.write(root.read_bytes())
        file.seek(start)
        file.write(kernel)
    return slot


def _boot(board: Board, boot: Boot, tools: Path, work: Path, runner: Runner) -> Path:
    content = work / "boot"
    content.mkdir()
    for name, data in boot.files.items():
        (content / name).parent.mkdir(exist_ok=True)
        (content / name).write_bytes(data)
    part = partitions(board.disk)["boot"]
    make_ext("ext2", "boot", content, part.size, work / "boot.fs", tools, runner, board.name)
    return work / "boot.fs"


def _data(board: Board, files: Mapping[str, bytes], tools: Path, work: Path, runner: Runner) -> Path:
    content = work / "data"
    content.mkdir()
    for name, data in files.items():
        file = content / name
        file.parent.mkdir(mode=0o700 if name == SEED else 0o755)
        file.write_bytes(data)
        file.chmod(0o400 if name == SEED else 0o644)
    part = partitions(board.disk)["data"]
    make_ext("ext4", "data", content, part.size, work / "data.fs", tools, runner, board.name)
    return work / "data.fs"


def _assemble(board: Board, boot: Boot, parts: Mapping[str, Path], to: Path) -> None:
    with to.open("wb") as disk:
        disk.truncate(disk_size(board.disk))
        disk.write(boot.code.ljust(BOOT_CODE, b"\0") + partition_table(board.disk, disk_id(board.name)))
        disk.seek(SECTOR)
        disk.write(boot.gap)
        for name, place in partitions(board.disk).items():
            if parts[name].stat().st_size > place.size:
                over = parts[name].stat().st_size - place.size
                raise CygnetError(
                    f"{board.name}: {name} is {over:,} bytes larger than its partition; "
                    f"raise its size in {board.folder / 'board.toml'}, [disk]"
                )
            _write_sparse(disk.fileno(), parts[name].read_bytes(), place.start)


def _write_sparse(disk: int, content: bytes, at: int) -> None:
    """Write only what is not zero: the image stays a sparse file."""
    for start in range(0, len(content), layout.MIB // 16):
        piece = content[start : start + layout.MIB // 16]
        if piece.strip(b"\0"):
            os.pwrite(disk, piece, at + start)


def make_box(board: Board, name: str, stock: Path, to: Path, tools: Path, work: Path, runner: Runner) -> None:
    """One box's image from the stock image: its name and a seed of its own on the data partition.

    ``to`` is written under another name first; the seed is readable by its owner only.
    """
    work.mkdir(parents=True, mode=0o700)
    files = {SEED: os.urandom(SEED_BYTES), HOST_NAME: f"{name}\n".encode()}
    data = _data(board, files, tools, work, runner)
    new = to.with_name(f"{to.name}.new")
    new.unlink(missing_ok=True)
    os.close(os.open(new, os.O_CREAT | os.O_WRONLY, 0o600))
    runner.run(["cp", "--sparse=always", "--no-preserve=mode", str(stock), str(new)], cwd=work)
    with new.open("r+b") as disk:
        # All of it, zeros too: the stock image's own data partition must not shine through.
        os.pwrite(disk.fileno(), data.read_bytes(), partitions(board.disk)["data"].start)
    new.replace(to)
    shutil.rmtree(work)
