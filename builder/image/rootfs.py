"""The root file system: all packages' products and the overlay, as one read-only squashfs.

The kernel is inside, at /boot: a system slot is this one file.
"""

from __future__ import annotations

import functools
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from builder import run as run_module
from builder.boards import Board
from builder.errors import CygnetError
from builder.image import firewall
from builder.image import overlay as overlay_module
from builder.image.loaders import LOADERS
from builder.image.overlay import lay
from builder.run import Runner
from builder.settings import EPOCH, VERSION, Settings
from builder.sources.archive import Archive
from builder.steps.step import Step, Workspace, hash_bytes, hash_files, hash_folder
from builder.steps.store import extract
from builder.tools.tree import group_identity

KERNEL = "boot/vmlinuz"
BOOT = "boot"
# What the step leaves beside the root file system.
VMLINUZ = "vmlinuz"
DEVICE_TREE = "device-tree.dtb"
# What the twin's boot loader is called beside the image.
FIRMWARE = "firmware.bin"
OVERLAY = "overlay"
MODULES = (firewall, overlay_module, run_module)


def rootfs_step(settings: Settings, board: Board, packages: Mapping[str, Step], archive: Archive, tools: Step) -> Step:
    """The step that makes ``rootfs.squashfs``, ``vmlinuz``, ``owners.json`` (path -> package), ``sizes.json``.

    With a device tree, that too; the kernel stays in the root file system only for a boot loader that reads it there.
    """
    return Step(
        name=f"rootfs:{board.name}",
        inputs={
            "code": hash_files(Path(__file__), *(Path(str(module.__file__)) for module in MODULES)),
            "epoch": str(EPOCH),
            "overlay": hash_folder(settings.overlay),
            "board overlay": hash_folder(board.folder / OVERLAY),
            "board": hash_bytes(msgspec.json.encode([board.name, board.description, board.console])),
            "version": VERSION,
            "kernel in root": str(LOADERS[board.loader].KERNEL_IN_ROOT),
            "tools": group_identity(archive, ("image",)),
        },
        action=functools.partial(_make, settings, board, dict(packages)),
        needs=tuple(packages.values()),
        uses=(tools,),
    )


def _make(settings: Settings, board: Board, packages: Mapping[str, Step], space: Workspace) -> None:
    root = space.work / "root"
    root.mkdir()
    owners: dict[str, str] = {}
    for name, step in packages.items():
        _take(name, space.results[step.name], root, owners)
    variables = {"board": board, "version": VERSION, "epoch": EPOCH}
    overlays = (settings.overlay, board.folder / OVERLAY)
    for folder in overlays:
        owners |= dict.fromkeys(lay(folder, root, variables), OVERLAY)
    if firewall.PACKAGE in packages:
        laid = firewall.render(settings.packages / firewall.PACKAGE, overlays, root, space.work, space.runner)
        owners |= dict.fromkeys(laid, OVERLAY)
    if not (root / KERNEL).is_file():
        raise CygnetError(f"{board.name}: no package puts a kernel at /{KERNEL}")
    sizes = _sizes(root, owners)
    for file in (root / BOOT).iterdir():
        shutil.copyfile(file, space.out / file.name)
    if not LOADERS[board.loader].KERNEL_IN_ROOT:
        shutil.rmtree(root / BOOT)
    squash(space.results["tools"], root, space.out / "rootfs.squashfs", board.cpu.filter, space.runner)
    (space.out / "owners.json").write_bytes(msgspec.json.encode(dict(sorted(owners.items()))))
    (space.out / "sizes.json").write_bytes(msgspec.json.encode(sizes))


def _sizes(root: Path, owners: Mapping[str, str]) -> dict[str, int]:
    """Bytes of each package in the root file system, uncompressed."""
    sizes = dict.fromkeys(sorted(set(owners.values())), 0)
    for path, name in owners.items():
        sizes[name] += (root / path).lstat().st_size
    return sizes


def _take(name: str, result: Path, root: Path, owners: dict[str, str]) -> None:
    """Unpack a package's products; a path that another package owns is an error."""
    with tarfile.open(result) as tar:
        paths = [m.name.removeprefix("./root/") for m in tar if m.name.startswith("./root/") and not m.isdir()]
    for path in paths:
        if path in owners:
            raise CygnetError(f"/{path} is installed by two packages: {owners[path]} and {name}")
    owners.update(dict.fromkeys(paths, name))
    extract(result, root, "root")


def squash(tools: Path, root: Path, to: Path, branch_filter: str, runner: Runner) -> None:
    """Write ``root`` as a squashfs that is the same bytes each time: xz, owners root, times EPOCH."""
    command = [
        tools / "usr/bin/mksquashfs", root, to, "-comp", "xz", "-b", "1M", "-all-root", "-no-xattrs", "-noappend",
        "-no-progress", "-quiet",
    ]  # fmt: skip
    if branch_filter:
        command += ["-Xbcj", branch_filter]
    # mksquashfs takes every time stamp from SOURCE_DATE_EPOCH, which run() sets.
    runner.run([str(word) for word in command], cwd=root)
