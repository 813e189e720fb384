"""U-Boot from bare flash: a kernel partition for each slot, and commands to be given to U-Boot once.

The kernel is a legacy uImage with the device tree appended: so much every U-Boot of these boards takes, the one that
its maker put there too, which knows neither FIT nor UBI.  Its checksum is looked at before it is started.
"""

from __future__ import annotations

from pathlib import Path

from builder.boards import Board
from builder.errors import RecipeError
from builder.image.loaders.loader import Boot, render
from builder.image.loaders.uboot import mkimage
from builder.run import Runner

COMMANDS = "u-boot.txt.j2"
TEMPLATES: tuple[str, ...] = (COMMANDS,)
TOOLS: tuple[str, ...] = ("u-boot", "flash")
KERNEL_IN_ROOT = False


def boot(board: Board, _tools: Path, _work: Path, _runner: Runner) -> Boot:
    """The commands, which stay beside the image."""
    return Boot(files={COMMANDS.removesuffix(".j2"): render(board, COMMANDS).encode()})


def kernel(board: Board, system: Path, tools: Path, work: Path, runner: Runner) -> bytes:
    """The uImage."""
    words = options(board)
    both = work / "kernel-and-tree"
    both.write_bytes((system / "vmlinuz").read_bytes() + (system / "device-tree.dtb").read_bytes())
    mkimage(tools, [*words, "-d", str(both), "kernel.uimage"], work, runner)
    return (work / "kernel.uimage").read_bytes()


def options(board: Board) -> list[str]:
    """How mkimage is told about the kernel."""
    load = board.kernel.load_address
    if not load or not board.kernel.device_tree:
        raise RecipeError(board.folder / "board.toml", 1, "loader 'uimage' needs [kernel] load-address and device-tree")
    where = ["-a", f"{load:x}", "-e", f"{load:x}"]
    return ["-A", board.kernel.arch, "-O", "linux", "-T", "kernel", "-C", "none", *where, "-n", f"cygnet {board.name}"]
