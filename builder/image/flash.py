"""What a flash chip is written with: a kernel for either slot, one UBI image with both roots and data.

`assemble` makes the stock image, the same bytes each time, and reads back what it wrote.  `make_box` makes one box's
image, with what must be unique in the data volume.
"""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Mapping
from pathlib import Path

from builder.boards import Board
from builder.image.data import for_owner_only, lay_data, of_box
from builder.image.flash_layout import DATA, ROOTS, check_fits, volume_sizes
from builder.image.header import write_beside
from builder.image.loaders import LOADERS
from builder.image.read_back import check_kernel, check_tree, check_ubi
from builder.image.rootfs import DEVICE_TREE, VMLINUZ
from builder.image.ubi import Volume, write_ubi
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
    _write(board, system / ROOT, {}, out / IMAGE, tools, work, runner)
    for name in (KERNEL, IMAGE):
        write_beside(out / name, board.name)


def _write(
    board: Board, root: Path, files: Mapping[str, bytes], to: Path, tools: Path, work: Path, runner: Runner
) -> None:
    flash, sizes, data = board.need_flash(), volume_sizes(board.need_flash()), work / "data.ubifs"
    make_ubifs(flash, lay_data(files, work / "data"), data, tools, runner, f"{board.name} data")
    volumes = [Volume(name, sizes[name], root, static=True) for name in ROOTS.values()]
    volumes.append(Volume(DATA, sizes[DATA], data, grows=True))
    # UBI must not take the blocks of an older image for this one's.
    sequence = zlib.crc32(data.read_bytes(), zlib.crc32(root.read_bytes()))
    write_ubi(flash, volumes, sequence, to, tools, work, runner)
    check_ubi(board, to, root.read_bytes(), data.read_bytes())


def make_box(board: Board, name: str, stock: Path, to: Path, tools: Path, work: Path, runner: Runner) -> None:
    """One box's UBI image: the stock image's root, its name and a seed of its own on the data volume.

    ``to`` is written under another name first; it is readable by its owner only.
    """
    work.mkdir(parents=True, mode=0o700)
    new = for_owner_only(to.with_name(f"{to.name}.new"))
    _write(board, stock.with_name(ROOT), of_box(name), new, tools, work, runner)
    write_beside(new, board.name, called=to)
    new.replace(to)
    shutil.rmtree(work)
