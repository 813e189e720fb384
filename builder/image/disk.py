"""The disk image: boot loader, two system slots, data; what a box's CompactFlash card is written with.

`assemble` makes the stock image, the same bytes each time.  `make_box` makes one box's image from
it, with what must be unique in the data partition.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from builder.boards import Board
from builder.errors import CygnetError
from builder.image import layout
from builder.image.data import for_owner_only, lay_data, of_box
from builder.image.filesystem import make_ext
from builder.image.header import write_header
from builder.image.layout import BOOT_CODE, MIB, SECTOR, disk_id, disk_size, partition_table, partitions
from builder.image.loaders import LOADERS
from builder.image.loaders.loader import Boot
from builder.run import Runner

IMAGE = "disk.img"


def assemble(board: Board, system: Path, out: Path, tools: Path, work: Path, runner: Runner) -> None:
    """Make ``disk.img`` of what the root file system's step leaves in ``system``."""
    boot_loader = LOADERS[board.loader]
    boot = boot_loader.boot(board, tools, work, runner)
    kernel = boot_loader.kernel(board, system, tools, work, runner)
    slot = _slot(board, system / "rootfs.squashfs", kernel, work)
    parts = {
        "boot": _boot(board, boot, tools, work, runner),
        "slot-a": slot,
        "slot-b": slot,
        "data": _data(board, {}, tools, work, runner),
    }
    _write(board, boot, parts, out / IMAGE)


def _slot(board: Board, root: Path, kernel: bytes, work: Path) -> Path:
    """What a slot's partition holds: the root file system and, in its last MiB, the kernel for a loader that asks."""
    if not kernel:
        return root
    disk = board.need_disk()
    most = disk.kernel_mib * MIB
    start = disk.slot_mib * MIB - most
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
    part = partitions(board.need_disk())["boot"]
    make_ext("ext2", "boot", content, part.size, work / "boot.fs", tools, runner, board.name)
    return work / "boot.fs"


def _data(board: Board, files: Mapping[str, bytes], tools: Path, work: Path, runner: Runner) -> Path:
    content = lay_data(files, work / "data")
    part = partitions(board.need_disk())["data"]
    make_ext("ext4", "data", content, part.size, work / "data.fs", tools, runner, board.name)
    return work / "data.fs"


def _write(board: Board, boot: Boot, parts: Mapping[str, Path], to: Path) -> None:
    where = board.need_disk()
    with to.open("wb") as disk:
        disk.truncate(disk_size(where))
        disk.write(boot.code.ljust(BOOT_CODE, b"\0") + partition_table(where, disk_id(board.name)))
        disk.seek(SECTOR)
        disk.write(boot.gap)
        for name, place in partitions(where).items():
            if parts[name].stat().st_size > place.size:
                over = parts[name].stat().st_size - place.size
                raise CygnetError(
                    f"{board.name}: {name} is {over:,} bytes larger than its partition; "
                    f"raise its size in {board.folder / 'board.toml'}, [disk]"
                )
            _write_sparse(disk.fileno(), parts[name].read_bytes(), place.start)
    write_header(to, board.name, partitions(where)["data"])


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
    data = _data(board, of_box(name), tools, work, runner)
    new = for_owner_only(to.with_name(f"{to.name}.new"))
    runner.run(["cp", "--sparse=always", "--no-preserve=mode", str(stock), str(new)], cwd=work)
    with new.open("r+b") as disk:
        # All of it, zeros too: the stock image's own data partition must not shine through.
        os.pwrite(disk.fileno(), data.read_bytes(), partitions(board.need_disk())["data"].start)
    new.replace(to)
    shutil.rmtree(work)
