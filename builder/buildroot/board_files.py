"""A board's folder in the tree: kernel fragment, overlay, scripts that Buildroot runs, what the boot loader reads.

All of it comes from where Cygnet's own engine takes it: boot loaders' files from builder/image/loaders, file systems'
options and layouts from builder/image.
"""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path

from builder.boards import Board
from builder.buildroot.defconfig import Package
from builder.buildroot.fill import fill
from builder.buildroot.tree import COMMON, File, board_folder
from builder.errors import CygnetError
from builder.image import disk, firewall, flash
from builder.image.filesystem import options as filesystem_options
from builder.image.flash_layout import ROOTS, check_layout, kernel_room
from builder.image.header import Header
from builder.image.image import medium
from builder.image.layout import HEADER_AT, MIB, SECTOR, disk_id, disk_size, partitions
from builder.image.loaders import LOADERS, grub, uboot, uimage
from builder.image.loaders.loader import render
from builder.image.overlay import MANIFEST, Manifest, lay_files, read_manifest
from builder.image.rootfs import KERNEL, OVERLAY
from builder.image.ubi import options as ubi_options
from builder.image.ubi import plan_text
from builder.image.ubifs import options as ubifs_options
from builder.settings import EPOCH, VERSION, Settings

KERNEL_FRAGMENT = "linux.config"
INCLUDED = re.compile(r"#include <\w+/(\w+)/")
SIZE = "$1"


def board_files(settings: Settings, board: Board, kernel: Package) -> dict[str, File]:
    """Everything below board/cygnet for one board; ``kernel`` is the package that its configuration begins with."""
    folder = board_folder(board.name)
    of = f"board/{board.name}, overlay and builder/image"
    files = {
        KERNEL_FRAGMENT: _kernel_fragment(board, kernel),
        "post-build.sh": _post_build(settings, board, of),
        "post-image.sh": _post_image(board, of),
        **_device_tree(board),
        **LOADER_FILES[board.loader](board),
    }
    if board.disk:
        files["genimage.cfg"] = fill("genimage.cfg", of, **_disk_values(board))
    else:
        files["ubinize.ini"] = File(_ubi_plan(board).encode())
    return {**{f"{folder}/{name}": file for name, file in files.items()}, **_overlay(settings, board)}


def kernel_file(board: Board) -> str:
    """What Buildroot calls the kernel in its images/."""
    return Path(board.kernel.image).name


def tree_file(board: Board) -> str:
    """What Buildroot calls the device tree in its images/, or nothing."""
    return Path(board.kernel.device_tree).with_suffix(".dtb").name if board.kernel.device_tree else ""


def _kernel_fragment(board: Board, kernel: Package) -> File:
    """The fragments that Cygnet's own kernel is configured with, one after the other."""
    common = (kernel.recipe.folder / "common.config").read_text()
    return File((common + "\n" + (board.folder / "kernel.config").read_text()).encode())


def _overlay(settings: Settings, board: Board) -> dict[str, File]:
    """The overlay: what is the same for all boards in a folder of its own, templates and the board's own in another."""
    found: dict[str, File] = {}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        variables = {"board": board, "version": VERSION, "epoch": EPOCH}
        for overlay in (settings.overlay, board.folder / OVERLAY):
            for path in lay_files(overlay, root, variables):
                same = overlay == settings.overlay and (overlay / path).exists()
                found[f"{COMMON if same else board_folder(board.name)}/overlay/{path}"] = _file(root / path)
    return found


def _file(place: Path) -> File:
    if place.is_symlink():
        return File(link=str(place.readlink()))
    return File(place.read_bytes(), bool(place.stat().st_mode & 0o100))


def _post_build(settings: Settings, board: Board, of: str) -> File:
    manifests = [read_manifest(folder / MANIFEST) for folder in (settings.overlay, board.folder / OVERLAY)]
    both = Manifest(
        *({key: value for one in manifests for key, value in getattr(one, name).items()} for name in
          ("directories", "links", "modes"))
    )  # fmt: skip
    return fill(
        "post-build.sh", of,
        manifest=both, firewall=firewall, rules=firewall.RULES, kernel_file=kernel_file(board),
        kernel_in_root=KERNEL if LOADERS[board.loader].KERNEL_IN_ROOT else "",
    )  # fmt: skip


def _post_image(board: Board, of: str) -> File:
    common = {
        "board": board, "image": medium(board).IMAGE, "kernel_file": kernel_file(board), "tree_file": tree_file(board),
    }  # fmt: skip
    own = _disk_values(board) if board.disk else _flash_values(board)
    return fill("post-image.sh", of, **{**common, **own})


def _disk_values(board: Board) -> dict[str, object]:
    where, size = board.need_disk(), disk_size(board.need_disk())
    parts = partitions(where)
    header = Header(board.name, VERSION, size, parts["data"].start, parts["data"].size)
    slot = "slot.img" if where.kernel_mib else "rootfs.squashfs"
    kernel_start = (where.slot_mib - where.kernel_mib) * MIB
    return {
        "medium": "disk", "contents": "boot loader, two slots, data", "image": disk.IMAGE, "size": size,
        "parts": parts, "disk_id": f"{disk_id(board.name):08x}",
        "files": {"boot": "boot.fs", "slot-a": slot, "slot-b": slot, "data": "data.fs"},
        "boot_options": shlex.join(filesystem_options("ext2", "boot", board.name)),
        "data_options": shlex.join(filesystem_options("ext4", "data", board.name)),
        "header_lines": header.head.decode().rstrip(), "header_at": HEADER_AT, "hashed": header.hashed,
        "kernel_start": kernel_start, "kernel_most": where.kernel_mib * MIB,
        "loader_code": LOADER_CODE.get(board.loader, ()),
    }  # fmt: skip


def _flash_values(board: Board) -> dict[str, object]:
    check_layout(board)
    chip = board.need_flash()
    lines = Header(board.name, VERSION, 0, 0, 0).head.decode().replace("size=0\n", f"size={SIZE}\n")
    return {
        "medium": "flash", "contents": "a kernel for either slot, one UBI image with two roots and data",
        "kernel_image": flash.KERNEL, "kernel_options": shlex.join(uimage.options(board)),
        "kernel_room": kernel_room(chip), "root_most": chip.root_mib * MIB, "page": chip.page,
        "ubi_options": shlex.join(ubi_options(chip)), "ubifs_options": shlex.join(ubifs_options(chip)),
        "header_lines": lines.rstrip(), "boot_files": sorted(LOADER_FILES[board.loader](board)),
    }  # fmt: skip


def _ubi_plan(board: Board) -> str:
    roots = dict.fromkeys(ROOTS.values(), Path(flash.ROOT))
    return plan_text(flash.volumes_of(board.need_flash(), roots, Path("data.ubifs")))


def _device_tree(board: Board) -> dict[str, File]:
    """A device tree of the board's own, in the vendor's folder that it takes the rest from: the kernel looks there."""
    if not board.kernel.has_own_tree:
        return {}
    vendor = INCLUDED.search(board.kernel.own_tree)
    if not vendor:
        raise CygnetError(
            f"{board.folder / board.kernel.device_tree}: includes no tree of the kernel's <arch/vendor/...>"
        )
    return {f"dts/{vendor[1]}/{board.kernel.device_tree}": File(board.kernel.own_tree.encode())}


def _grub(board: Board) -> dict[str, File]:
    return {
        "early.cfg": File(grub.early_text(board).encode()),
        "grub.cfg": File(render(board, grub.CONFIG).encode()),
        "grubenv": File(grub.environment_block(slot="a")),
    }


def _uboot(board: Board) -> dict[str, File]:
    return {
        "boot.cmd": File(render(board, uboot.SCRIPT).encode()),
        "kernel.its": File(uboot.fit(board, kernel_file(board), tree_file(board)).encode()),
    }


def _uimage(board: Board) -> dict[str, File]:
    return {uimage.COMMANDS.removesuffix(".j2"): File(render(board, uimage.COMMANDS).encode())}


LOADER_FILES = {"grub-pc": _grub, "u-boot": _uboot, "direct": lambda _: {}, "uimage": _uimage}
# What goes before the first partition: GRUB's code, U-Boot's sector of text.
LOADER_CODE: Mapping[str, tuple[str, ...]] = {
    "grub-pc": (
        f"dd if=boot.img of={disk.IMAGE} bs=1 count=440 conv=notrunc status=none",
        f"dd if=grub.img of={disk.IMAGE} bs={SECTOR} seek=1 conv=notrunc status=none",
    ),
    "u-boot": (
        f"printf '{uboot.environment(slot='a').rstrip(bytes(1)).decode().encode('unicode_escape').decode()}' | "
        f"dd of={disk.IMAGE} bs={SECTOR} seek=1 conv=notrunc,sync status=none",
    ),
}
