"""What a flash chip is written with: a kernel for either slot, one UBI image with both roots and data.

`assemble` makes the stock image, the same bytes each time, and reads back what it wrote.  `make_box` makes one box's
image, whose data volume holds what is that box's own.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path

from builder.boards import Board, Flash
from builder.errors import CygnetError
from builder.image.data import Files, check_room, lay_data
from builder.image.flash_layout import DATA, ROOTS, check_fits, volume_sizes
from builder.image.header import verify, write_beside
from builder.image.loaders import LOADERS
from builder.image.read_back import check_kernel, check_tree, check_ubi
from builder.image.rootfs import DEVICE_TREE, VMLINUZ
from builder.image.ubi import Volume, read_ubi, write_ubi
from builder.image.ubifs import make_ubifs
from builder.run import Runner

IMAGE = "ubi.img"
KERNEL = "kernel.uimage"
ROOT = "rootfs.squashfs"


def assemble(board: Board, system: Path, out: Path, tools: Path, work: Path, runner: Runner) -> None:
    """Make ``ubi.img``, ``kernel.uimage`` and the boot loader's commands of what ``system`` holds."""
    boot_loader = LOADERS[board.loader]
    tree = system / DEVICE_TREE
    check_tree(board, tree, tools, work, runner)
    kernel = boot_loader.kernel(board, system, tools, work, runner)
    check_fits(board, len(kernel), (system / ROOT).stat().st_size)
    check_kernel(board, kernel, (system / VMLINUZ).read_bytes() + tree.read_bytes())
    # U-Boot writes whole pages.
    page = board.need_flash().page
    (out / KERNEL).write_bytes(kernel + b"\xff" * (-len(kernel) % page))
    for name, content in boot_loader.boot(board, tools, work, runner).files.items():
        (out / name).write_bytes(content)
    _write(board, dict.fromkeys(ROOTS.values(), system / ROOT), {}, out / IMAGE, tools, work, runner)
    for name in (KERNEL, IMAGE):
        write_beside(out / name, board.name)


def _write(
    board: Board, roots: Mapping[str, Path], files: Files, to: Path, tools: Path, work: Path, runner: Runner
) -> None:
    flash, data = board.need_flash(), work / "data.ubifs"
    check_room(files, volume_sizes(flash)[DATA], f"the data volume of {board.name}")
    make_ubifs(flash, lay_data(files, work / "data"), data, tools, runner, f"{board.name} data")
    volumes = volumes_of(flash, roots, data)
    # UBI must not take the blocks of an older image for this one's.
    sequence = 0
    for content in (*roots.values(), data):
        sequence = zlib.crc32(content.read_bytes(), sequence)
    write_ubi(flash, volumes, sequence, to, tools, work, runner)
    check_ubi(board, to, {volume.name: volume.content.read_bytes() for volume in volumes})


def volumes_of(flash: Flash, roots: Mapping[str, Path], data: Path) -> list[Volume]:
    """The volumes of an image; ``roots`` and ``data`` are what they hold."""
    sizes = volume_sizes(flash)
    return [*(Volume(name, sizes[name], root, static=True) for name, root in roots.items()),
            Volume(DATA, sizes[DATA], data, grows=True)]  # fmt: skip


def make_box(board: Board, files: Files, stock: Path, to: Path, tools: Path, work: Path, runner: Runner) -> None:
    """One box's UBI image from the stock image, in the empty file ``to``: ``files`` are what its data volume holds."""
    verify(stock)
    volumes = {one.name: one.content for one in read_ubi(board.need_flash(), stock.read_bytes(), str(stock))}
    roots = {name: work / name for name in ROOTS.values()}
    for name, file in roots.items():
        if name not in volumes:
            raise CygnetError(f"{stock} has no volume {name}; name the image that ./inv build made, {IMAGE}")
        file.write_bytes(volumes[name])
    _write(board, roots, files, to, tools, work, runner)
    write_beside(to, board.name)
