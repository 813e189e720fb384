"""GRUB for PCs with a BIOS: boot code in the MBR, core image in the gap behind it."""

from __future__ import annotations

import struct
from pathlib import Path

from builder.boards import Board
from builder.errors import CygnetError
from builder.image.layout import BOOT_CODE, HEADER_AT, SECTOR
from builder.image.loaders.loader import Boot, render
from builder.run import Runner

CONFIG = "grub.cfg.j2"
TEMPLATES: tuple[str, ...] = (CONFIG,)
TOOLS: tuple[str, ...] = ("grub",)
KERNEL_IN_ROOT = True

MODULES = (
    "biosdisk", "part_msdos", "ext2", "squash4", "linux", "serial", "terminal", "configfile", "normal", "echo", "test",
    "loadenv", "boot", "sleep", "reboot",
)  # fmt: skip
PLATFORM = "usr/lib/grub/i386-pc"
# core.img's first sector ends in a list of where the rest lies: first sector (8 bytes), count, segment.
BLOCK_LIST = 500
LOAD_SEGMENT = 0x820
GRUBENV_SIZE = 1024


def boot(board: Board, tools: Path, work: Path, runner: Runner) -> Boot:
    """Boot code and core image; on the boot partition the script that chooses a slot, and what it remembers."""
    files = {"grub/grub.cfg": render(board, CONFIG).encode(), "grub/grubenv": environment_block(slot="a")}
    return Boot(boot_code(tools), core_image(board, tools, work, runner), files)


def kernel(_board: Board, _system: Path, _tools: Path, _work: Path, _runner: Runner) -> bytes:
    """Nothing: it reads the kernel out of the squashfs."""
    return b""


def boot_code(tools: Path) -> bytes:
    """What goes into the first bytes of the MBR; it loads sector 1."""
    return (tools / PLATFORM / "boot.img").read_bytes()[:BOOT_CODE]


def core_image(board: Board, tools: Path, work: Path, runner: Runner) -> bytes:
    """What goes into the disk from sector 1 on: GRUB with all its modules inside."""
    early = work / "early.cfg"
    early.write_text(early_text(board))
    core = work / "core.img"
    command = [
        tools / "usr/bin/grub-mkimage", "-d", tools / PLATFORM, "-O", "i386-pc", "-c", early, "-p", "(,msdos1)/grub",
        "-o", core, *MODULES,
    ]  # fmt: skip
    runner.run([str(word) for word in command], cwd=work)
    image = bytearray(core.read_bytes())
    sectors = -(-len(image) // SECTOR)
    if (sectors + 1) * SECTOR > HEADER_AT:
        raise CygnetError(
            f"{board.name}: GRUB's core image ({len(image):,} bytes) does not fit before the first partition"
        )
    struct.pack_into("<QHH", image, BLOCK_LIST, 2, sectors - 1, LOAD_SEGMENT)
    return bytes(image)


def early_text(board: Board) -> str:
    """What the core image does first: it talks on the serial line."""
    unit = board.console.device.removeprefix("ttyS")
    return f"serial --unit={unit} --speed={board.console.speed}\nterminal_input serial\nterminal_output serial\n"


def environment_block(**variables: str) -> bytes:
    """GRUB's environment block: 1,024 bytes of text, filled up with '#'."""
    text = "# GRUB Environment Block\n" + "".join(f"{name}={value}\n" for name, value in variables.items())
    return text.encode().ljust(GRUBENV_SIZE, b"#")
