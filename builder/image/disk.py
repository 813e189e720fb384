"""The disk image: boot loader, two system slots, data; what a box's CompactFlash card is written with.

`image_step` makes the stock image, the same bytes each time.  `make_box` makes one box's image from
it, with what must be unique in the data partition.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import zlib
from collections.abc import Mapping
from pathlib import Path

import jinja2
import msgspec

from builder import run as run_module
from builder.boards import Board
from builder.checks.budget import check_budget
from builder.errors import CygnetError
from builder.image import filesystem, grub, layout
from builder.image.filesystem import make_ext
from builder.image.layout import SECTOR, disk_size, partition_table, partitions
from builder.run import Runner
from builder.settings import EPOCH
from builder.sources.archive import Archive
from builder.steps.step import Step, Workspace, hash_bytes, hash_files
from builder.steps.store import Record, extract
from builder.tools.tree import group_identity

SIZES = "sizes"
GRUB_CONFIG = "grub.cfg.j2"
# What a box reads at its first start to fill the kernel's pool; BusyBox seedrng credits it and makes the next.
SEED = "seedrng/seed.credit"
SEED_BYTES = 256
# /etc is an overlay: what stands here hides the stock image's file.
HOST_NAME = "etc/hostname"


def image_step(board: Board, rootfs: Step, archive: Archive, tools: Step, last: Record | None) -> Step:
    """The step that makes ``disk.img`` and, beside it, ``kernel`` and ``rootfs.squashfs``.

    ``last``: the record of the board's last image, to say what grew when it is over budget.
    """
    code = [Path(__file__), *(Path(str(module.__file__)) for module in (run_module, filesystem, grub, layout))]
    return Step(
        name=f"image:{board.name}",
        inputs={
            "code": hash_files(*code),
            "epoch": str(EPOCH),
            "board": hash_bytes(msgspec.json.encode([board.disk, board.console, board.kernel, board.budget])),
            "boot": hash_files(board.folder / GRUB_CONFIG),
            "tools": group_identity(archive, ("image", "grub")),
        },
        action=functools.partial(_make, board, rootfs, json.loads(last.notes.get(SIZES, "{}")) if last else {}),
        needs=(rootfs,),
        uses=(tools,),
    )


def _make(board: Board, rootfs: Step, before: Mapping[str, int], space: Workspace) -> None:
    extract(space.results[rootfs.name], space.work / "system")
    slot, kernel = space.work / "system/rootfs.squashfs", space.work / "system/vmlinuz"
    space.notes[SIZES] = (space.work / "system/sizes.json").read_text()
    size = kernel.stat().st_size
    check_budget(board, size, slot.stat().st_size - size, json.loads(space.notes[SIZES]), before)
    tools = space.results["tools"]
    parts = {
        "boot": _boot(board, tools, space.work, space.runner),
        "slot-a": slot,
        "slot-b": slot,
        "data": _data(board, {}, tools, space.work, space.runner),
    }
    core = grub.core_image(board, tools, space.work, space.runner)
    _assemble(board, grub.boot_code(tools), core, parts, space.out / "disk.img")
    shutil.copyfile(slot, space.out / "rootfs.squashfs")
    shutil.copyfile(kernel, space.out / "kernel")


def disk_id(board: Board) -> int:
    """The MBR's disk signature: by it Linux finds its root, whatever the disk is called."""
    return zlib.crc32(f"cygnet {board.name}".encode()) | 1


def _boot(board: Board, tools: Path, work: Path, runner: Runner) -> Path:
    content = work / "boot"
    (content / "grub").mkdir(parents=True)
    template = jinja2.Template((board.folder / GRUB_CONFIG).read_text(), undefined=jinja2.StrictUndefined)
    (content / "grub/grub.cfg").write_text(template.render(board=board, disk_id=f"{disk_id(board):08x}") + "\n")
    (content / "grub/grubenv").write_bytes(grub.environment_block(slot="a"))
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


def _assemble(board: Board, boot_code: bytes, core: bytes, parts: Mapping[str, Path], to: Path) -> None:
    with to.open("wb") as disk:
        disk.truncate(disk_size(board.disk))
        disk.write(boot_code + partition_table(board.disk, disk_id(board)))
        disk.seek(SECTOR)
        disk.write(core)
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
