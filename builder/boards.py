"""Boards: ``board/<name>/board.toml`` read into typed, frozen values.

A board is one folder and no Python: CPU, kernel, console, layout of disk or flash, size
budget and its QEMU twin are all data.  Boards whose ``[cpu]`` tables are equal share every
compiled package; ``cpu = "armv5"`` takes the table of another board.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from builder.errors import CygnetError, RecipeError
from builder.names import unknown

Size = Annotated[int, msgspec.Meta(gt=0)]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """A table of board.toml: keys are written with hyphens, unknown keys are errors."""


class Rust(_Table, frozen=True):
    """How rustc is told about the CPU: a built-in target it derives from, and a new name."""

    target: str
    base: str
    cpu: str


class Cpu(_Table, frozen=True):
    """What user space is compiled for; equal tables mean equal packages.

    ``binutils``: prefix of GNU binutils in the tools tree; ``scan``: the table of what the CPU executes, in
    builder/checks; ``filter``: xz's filter for its code in a squashfs.
    """

    name: str
    zig_target: str
    zig_cpu: str
    gnu: str
    musl_arch: str
    openssl: tuple[str, ...]
    rust: Rust
    scan: str
    binutils: str
    assembler: tuple[str, ...] = ()
    cflags: tuple[str, ...] = ()
    filter: Literal["", "x86", "arm", "armthumb"] = ""


class Kernel(_Table, frozen=True):
    """Which kernel: ``arch`` as in ARCH=, ``image`` and ``device_tree`` as paths in the build tree.

    ``tools``: prefix of the compiler's name in the tools tree, and the group that brings it; ``arguments``: for the
    command line; ``load_address``: where a boot loader puts it that does not find that out by itself.
    A ``device_tree`` that ends in .dts stands in the board's folder; ``own_tree`` is its text, not a key of the file.
    """

    arch: str
    image: str
    tools: str
    arguments: tuple[str, ...] = ()
    device_tree: str = ""
    load_address: int = 0
    own_tree: str = ""

    @property
    def has_own_tree(self) -> bool:
        """Whether its device tree stands in the board's folder."""
        return self.device_tree.endswith(".dts")


class Console(_Table, frozen=True):
    """The serial console: device as Linux names it, speed in bit/s."""

    device: str
    speed: Literal[9600, 19200, 38400, 57600, 115200]


class Disk(_Table, frozen=True):
    """Boot loader and the sizes of the partitions, in MiB.

    ``kernel_mib``: the last MiB of each slot, where a loader finds the kernel that cannot look into a squashfs.
    """

    loader: Literal["grub-pc", "u-boot", "direct"]
    boot_mib: Size
    slot_mib: Size
    data_mib: Size
    kernel_mib: int = 0


class Flash(_Table, frozen=True):
    """A flash chip that Linux sees bare: sizes in bytes, ``partitions`` by name from its start on.

    ``page``: what is written at once, 1 for NOR; ``bad_blocks``: how many of the whole chip's may be bad, 0 for NOR.
    Among the partitions are kernel-a and kernel-b, and ubi, whose volumes are two roots and data: ``data_mib`` is the
    least that data gets, it takes what is left.
    """

    loader: Literal["uimage"]
    size: Size
    block: Size
    page: Size
    bad_blocks: int
    root_mib: Size
    data_mib: Size
    partitions: dict[str, Size]


class Budget(_Table, frozen=True):
    """The most that kernel and root file system may take, compressed, in bytes."""

    kernel: Size
    rootfs: Size


class Qemu(_Table, frozen=True):
    """The board's twin: program, fixed arguments, how disk and network cards are attached.

    In ``arguments``, ``{kernel}``, ``{device-tree}`` and ``{firmware}`` are files of the image, ``{command-line}`` is
    the kernel's.  ``firmware``: a file of the tools tree that becomes the image's.
    """

    program: str
    memory_mib: Size
    arguments: tuple[str, ...]
    drive: str
    nic: str
    firmware: str = ""


class Monitor(_Table, frozen=True):
    """What answers at the serial console before Linux does, and the commands by which it writes an image.

    ``prepare`` makes it find disk or flash; ``erase``, ``write`` and ``read`` are told {address} in RAM, {length} in
    bytes, and of the disk {sector} and {sectors}, of the flash {start} and {room}: hexadecimal with 0x.  So much is in
    RAM at once, from ``load_address`` on, and as much again behind it to compare: ``piece_mib``, for a disk.
    ``stop_at``: what it says while its start can be interrupted (a regular expression; there is one for most), which
    ``stop_key`` does.
    """

    name: Literal["u-boot", "combios"] = "u-boot"
    load_address: int = 0
    piece_mib: Size = 8
    prepare: tuple[str, ...] = ()
    erase: str = ""
    write: str = ""
    read: str = ""
    boot: str = "reset"
    stop_at: str = ""
    stop_key: str = "\x03"


class Board(_Table, frozen=True):
    """One board; ``without`` names packages that it leaves out; ``name`` and ``folder`` are where it stands.

    It has a disk or a flash chip, and a twin in QEMU or none.
    ``cards``: its network cards as Linux calls them, where all boards of its kind have the same.
    Without a ``hardware_watchdog`` the kernel's own restarts a box that is stuck, as long as the kernel is not.
    """

    description: str
    cpu: Cpu
    kernel: Kernel
    console: Console
    budget: Budget
    disk: Disk | None = None
    flash: Flash | None = None
    qemu: Qemu | None = None
    monitor: Monitor | None = None
    without: tuple[str, ...] = ()
    cards: tuple[str, ...] = ()
    hardware_watchdog: bool = True
    name: str = ""
    folder: Path = Path()

    @property
    def loader(self) -> str:
        """The boot loader's name."""
        return self.need_flash().loader if self.disk is None else self.disk.loader

    def need_disk(self) -> Disk:
        """Its disk, for what is done on disks only."""
        if self.disk is None:
            raise CygnetError(f"{self.name} has no disk; {self.folder / 'board.toml'} has no table [disk]")
        return self.disk

    def need_flash(self) -> Flash:
        """Its flash chip, for what is done on those only."""
        if self.flash is None:
            raise CygnetError(f"{self.name} has no flash chip; {self.folder / 'board.toml'} has no table [flash]")
        return self.flash

    def need_monitor(self) -> Monitor:
        """What answers at its console; a board without one is flashed as a card."""
        if self.monitor is None:
            raise CygnetError(
                f"{self.name} is not flashed over its console ({self.folder / 'board.toml'} has no table [monitor]): "
                "write the image to its card or disk, --to=/dev/..."
            )
        return self.monitor

    def need_twin(self) -> Qemu:
        """Its twin; a board without one cannot be started here."""
        if self.qemu is None:
            raise CygnetError(
                f"{self.name} has no twin in QEMU and cannot be started here: ./inv check --board={self.name} makes "
                "its image and looks at it, docs/boards.md says how it is flashed"
            )
        return self.qemu


def load_board(boards: Path, name: str) -> Board:
    """The board called ``name``; an unknown name ends in the nearest known one."""
    folder = boards / name
    file = folder / "board.toml"
    if not file.is_file():
        raise unknown("board", name, board_names(boards))
    table = _read(file)
    if isinstance(table.get("cpu"), str):
        table["cpu"] = _cpu_of(boards, file, table["cpu"])
    try:
        board = msgspec.convert(table, Board, dec_hook=_no_paths)
    except msgspec.ValidationError as error:
        raise RecipeError(file, _line_of(file.read_text(), str(error)), str(error)) from None
    if (board.disk is None) == (board.flash is None):
        raise RecipeError(file, 1, "expected one of the tables [disk] and [flash]")
    return msgspec.structs.replace(board, name=name, folder=folder, kernel=_with_own_tree(board.kernel, file))


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(file, _toml_error_line(error), f"this is not TOML: {error}") from None


def _cpu_of(boards: Path, file: Path, other: str) -> object:
    """The table [cpu] of the board ``other``, which ``file`` names instead of having its own."""
    line = _line_of(file.read_text(), "at `$.cpu`")
    if other not in board_names(boards):
        raise RecipeError(file, line, f"cpu: {unknown('board', other, board_names(boards))}")
    table = _read(boards / other / "board.toml").get("cpu")
    if not isinstance(table, dict):
        raise RecipeError(file, line, f"cpu: board {other!r} has no table [cpu] of its own; name one that has")
    return table


def _with_own_tree(kernel: Kernel, file: Path) -> Kernel:
    """The kernel with the text of a device tree of our own, which is part of what the kernel is made from."""
    if not kernel.has_own_tree:
        return msgspec.structs.replace(kernel, own_tree="")
    tree = file.parent / kernel.device_tree
    if not tree.is_file():
        line = _line_of(file.read_text(), "at `$.kernel.device-tree`")
        raise RecipeError(file, line, f"there is no {tree}; a tree of the kernel's is named arch/.../dts/....dtb")
    return msgspec.structs.replace(kernel, own_tree=tree.read_text())


def board_names(boards: Path) -> list[str]:
    """All boards below ``boards``, sorted."""
    return sorted(file.parent.name for file in boards.glob("*/board.toml"))


def _no_paths(_: type, value: object) -> object:
    raise msgspec.ValidationError(f"`folder` is not a key of board.toml (it is where the file stands): {value!r}")


def _toml_error_line(error: tomllib.TOMLDecodeError) -> int:
    found = re.search(r"line (\d+)", str(error))
    return int(found[1]) if found else 1


def _line_of(text: str, message: str) -> int:
    """The line that a validation message speaks of: its path is `$.table.key`, or names a field."""
    path = re.search(r"at `\$\.([\w.-]+)", message)
    field = re.search(r"unknown field `([^`]+)`", message)
    wanted = ".".join([*(path[1].split(".") if path else []), *([field[1]] if field else [])])
    line, table = 1, ""
    for number, content in enumerate(text.splitlines(), 1):
        header, key = re.match(r"\s*\[([\w.-]+)\]", content), re.match(r"\s*([\w-]+)\s*=", content)
        table = header[1] if header else table
        here = f"{table}.{key[1]}".lstrip(".") if key else table
        if here == wanted and (key or header):
            line = number
    return line
