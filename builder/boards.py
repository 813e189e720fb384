"""Boards: ``board/<name>/board.toml`` read into typed, frozen values.

A board is one folder and no Python: CPU, kernel, console, disk layout, size budget
and its QEMU twin are all data.  Boards whose ``[cpu]`` tables are equal share every
compiled package.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from builder.errors import RecipeError
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
    """

    arch: str
    image: str
    tools: str
    arguments: tuple[str, ...] = ()
    device_tree: str = ""
    load_address: int = 0


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


class Board(_Table, frozen=True):
    """One board; ``without`` names packages that it leaves out; ``name`` and ``folder`` are where it stands.

    Without a ``hardware_watchdog`` the kernel's own restarts a box that is stuck, as long as the kernel is not.
    """

    description: str
    cpu: Cpu
    kernel: Kernel
    console: Console
    disk: Disk
    budget: Budget
    qemu: Qemu
    without: tuple[str, ...] = ()
    hardware_watchdog: bool = True
    name: str = ""
    folder: Path = Path()


def load_board(boards: Path, name: str) -> Board:
    """The board called ``name``; an unknown name ends in the nearest known one."""
    folder = boards / name
    file = folder / "board.toml"
    if not file.is_file():
        raise unknown("board", name, board_names(boards))
    text = file.read_text()
    try:
        table = tomllib.loads(text)
        board = msgspec.convert(table, Board, dec_hook=_no_paths)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(file, _toml_error_line(error), f"this is not TOML: {error}") from None
    except msgspec.ValidationError as error:
        raise RecipeError(file, _line_of(text, str(error)), str(error)) from None
    return msgspec.structs.replace(board, name=name, folder=folder)


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
