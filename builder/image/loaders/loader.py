"""What the builder asks of a boot loader."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import jinja2

from builder.boards import Board
from builder.errors import CygnetError, RecipeError
from builder.image.command_line import common_words
from builder.image.flash_layout import flash_facts
from builder.image.layout import disk_id
from builder.run import Runner


@dataclass(frozen=True)
class Boot:
    """What goes on the disk for the loader's sake: code in the MBR, the gap behind it, the boot partition's files."""

    code: bytes = b""
    gap: bytes = b""
    files: dict[str, bytes] = field(default_factory=dict)


class Loader(Protocol):
    """A boot loader: a module of this folder.

    ``TEMPLATES`` are files of the board's folder, ``TOOLS`` groups of the tools tree; ``KERNEL_IN_ROOT``: it reads
    the kernel out of the root file system.
    """

    TEMPLATES: tuple[str, ...]
    TOOLS: tuple[str, ...]
    KERNEL_IN_ROOT: bool

    def boot(self, board: Board, tools: Path, work: Path, runner: Runner) -> Boot:
        """What goes on the disk beside slots and data."""

    def kernel(self, board: Board, system: Path, tools: Path, work: Path, runner: Runner) -> bytes:
        """What stands where the loader finds a slot's kernel; ``system`` holds vmlinuz and perhaps device-tree.dtb."""


def templates(board: Board, loader: Loader) -> list[Path]:
    """The loader's files in the board's folder; one that is missing is an error."""
    files = [board.folder / name for name in loader.TEMPLATES]
    for file in files:
        if not file.is_file():
            raise CygnetError(f"{board.folder / 'board.toml'}: loader {board.loader!r} needs {file}")
    return files


def render(board: Board, template: str) -> str:
    """A template of the board's folder, filled in."""
    file = board.folder / template
    filled = jinja2.Template(file.read_text(), undefined=jinja2.StrictUndefined)
    try:
        text: str = filled.render(
            board=board, disk_id=f"{disk_id(board.name):08x}", arguments=common_words(board),
            **(flash_facts(board.flash) if board.flash else {}),
        )  # fmt: skip
    except jinja2.UndefinedError as error:
        raise RecipeError(file, 1, str(error.message)) from None
    return text + "\n"
