"""What a board loads to be written: GRUB as its network's boot file, the image's own kernel, and an initramfs.

The initramfs has the image's BusyBox, a script (init.sh), the image in parts and a token: all of it out of the image's
file, by the tools tree's unsquashfs and grub-mkimage.
"""

from __future__ import annotations

import secrets
import struct
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.boards import Board
from builder.errors import CygnetError, StepFailed
from builder.flash.console.pxe import cpio
from builder.flash.console.pxe.contents import Contents, contents
from builder.flash.image import Image
from builder.image.layout import BOOT_CODE, MIB, SECTOR
from builder.image.loaders.grub import PLATFORM, early_text
from builder.image.rootfs import KERNEL
from builder.run import Runner

# The names by which they are loaded: the boot file's is DHCP's, GRUB asks with a slash.
LOADER, LINUX, INITRAMFS = "cygnet.pxe", "/kernel", "/initramfs"
MODULES = ("pxe", "tftp", "linux", "serial", "terminal", "echo", "boot", "sleep", "reboot")
# Where the image's programs come from: /lib has the C library under the name that BusyBox asks for, whatever the CPU.
BUSYBOX, LIBRARIES = "bin/busybox", "lib/ld-musl-*"
APPLETS = ("sh", "mount", "dmesg", "cat", "dd", "hexdump", "ln", "zcat", "sha256sum", "sync", "reboot")
SCRIPT = Path(__file__).with_name("init.sh")
# It is twice in RAM while it is unpacked, beside the kernel: 48 MB are enough.
LARGEST = 16 * MIB
# The MBR's second entry is slot A; where it begins stands 8 bytes into an entry, in sectors.
SLOT_A_AT = BOOT_CODE + 6 + 16 + 8


@dataclass(frozen=True)
class Installer:
    """All that a board loads, by name; what the installer is told to write, and by which word it obeys."""

    files: Mapping[str, bytes]
    contents: Contents
    token: str


def make(board: Board, image: Image, keep_data: bool, tools: Path, log: Path) -> Installer:
    """The installer of ``image``; raises CygnetError when its system cannot be read, or when it is too large."""
    token, what = secrets.token_hex(16), contents(image, keep_data)
    with tempfile.TemporaryDirectory(prefix="cygnet-installer-") as folder:
        work, runner = Path(folder), Runner("installer", log)
        root = _system(image, tools, work, runner)
        initramfs = cpio.archive(_entries(root, what.files, token))
        loader = _loader(board, tools, work, runner)
        kernel = (root / KERNEL).read_bytes()
    if len(initramfs) > LARGEST:
        raise CygnetError(
            f"{image.path}: with {len(initramfs) / 1e6:.1f} MB its installer does not fit into the board's RAM: "
            "write the card in a reader (--to=/dev/...), then --only-start"
        )
    return Installer({LOADER: loader, LINUX: kernel, INITRAMFS: initramfs}, what, token)


def _system(image: Image, tools: Path, work: Path, runner: Runner) -> Path:
    """Kernel and BusyBox of slot A, unpacked."""
    start = struct.unpack("<I", image.read(0, SECTOR)[SLOT_A_AT : SLOT_A_AT + 4])[0] * SECTOR
    root = work / "root"
    command = [
        tools / "usr/bin/unsquashfs", "-quiet", "-no-progress", "-offset", start, "-dest", root, image.path.absolute(),
        KERNEL, BUSYBOX, LIBRARIES,
    ]  # fmt: skip
    try:
        runner.run([str(word) for word in command], cwd=work)
    except StepFailed:
        raise CygnetError(f"{image.path}: its slot A cannot be read, {runner.log} has why: build it anew") from None
    missing = [name for name in (KERNEL, BUSYBOX) if not (root / name).is_file()]
    if missing:
        raise CygnetError(f"{image.path}: /{missing[0]} is not in its slot A: build the image anew")
    return root


def _entries(root: Path, parts: Mapping[str, bytes], token: str) -> dict[str, cpio.Entry]:
    libraries = [file for file in sorted((root / "lib").iterdir()) if not file.is_symlink()]
    return {
        **dict.fromkeys(("dev", "proc", "sys", "bin", "lib", "parts"), cpio.FOLDER),
        "init": cpio.program(SCRIPT.read_bytes()),
        "token": cpio.file(token.encode()),
        BUSYBOX: cpio.program((root / BUSYBOX).read_bytes()),
        **{f"bin/{name}": cpio.link("busybox") for name in APPLETS},
        **{f"lib/{library.name}": cpio.program(library.read_bytes()) for library in libraries},
        **{f"parts/{name}": cpio.file(content) for name, content in parts.items()},
    }


def _loader(board: Board, tools: Path, work: Path, runner: Runner) -> bytes:
    """GRUB as what a PXE client loads, its configuration inside."""
    early, image = work / "early.cfg", work / "grub.pxe"
    early.write_text(early_text(board) + _loads(board))
    command = [
        tools / "usr/bin/grub-mkimage", "-d", tools / PLATFORM, "-O", "i386-pc-pxe", "-c", early, "-p", "(tftp)/",
        "-o", image, *MODULES,
    ]  # fmt: skip
    runner.run([str(word) for word in command], cwd=work)
    return image.read_bytes()


def _loads(board: Board) -> str:
    console = f"console={board.console.device},{board.console.speed}"
    words = " ".join([console, "panic=10", *board.kernel.arguments])
    # Without a kernel `boot` fails, and what follows comes to be.
    return f"linux (tftp){LINUX} {words}\ninitrd (tftp){INITRAMFS}\nboot\nsleep 10\nreboot\n"
