"""What a boot loader does with the slots, on the real image in QEMU: a trial is made once, a broken slot falls back.

Only as far as the kernel's command line, which says what the loader chose.
"""

from __future__ import annotations

import re
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builder import qemu
from builder.boards import Board
from builder.image.layout import MIB, SECTOR, partitions
from builder.image.loaders import LOADERS, grub, uboot
from builder.run import Runner

PATIENCE = 120
# To the end of the word: the rest of it may still be on its way.
CHOSEN = re.compile(rb"cygnet\.slot=(\w) cygnet\.mode=(\w+)\s")


class Machine:
    """A box in QEMU from whose console the loader's choices are read, one a start."""

    def __init__(self, board: Board, image: Path, disk: Path) -> None:
        card = qemu.unplugged("wan", "52:54:00:c9:00:01")
        words = qemu.command(board, image, disk, [card], serial="stdio")
        self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self._heard = b""

    def chosen(self) -> tuple[str, str]:
        """Slot and mode of the next start."""
        end = time.monotonic() + PATIENCE
        out = self._process.stdout
        assert out is not None
        while not (found := CHOSEN.search(self._heard)):
            assert time.monotonic() < end, f"nothing was chosen; last words: {self._heard[-400:]!r}"
            if select.select([out], [], [], 1)[0]:
                self._heard += out.read1(4096)
        self._heard = self._heard[found.end() :]
        return found[1].decode(), found[2].decode()

    def off(self) -> None:
        """Cut its power."""
        self._process.kill()
        self._process.wait()


class Disk:
    """A copy of the stock image, to be changed as an update or a bad flash would."""

    def __init__(self, board: Board, image: Path, tools: Path, folder: Path) -> None:
        self.board, self.tools, self.folder = board, tools, folder
        self.file = folder / "disk.img"
        self.parts = partitions(board.need_disk())
        shutil.copyfile(image / "disk.img", self.file)

    def remember(self, **variables: str) -> None:
        """Write what the loader reads at its start."""
        if self.board.loader == "u-boot":
            self._write(SECTOR, uboot.environment(**variables))
            return
        block = self.folder / "grubenv"
        block.write_bytes(grub.environment_block(**variables))
        boot = self.folder / "boot.fs"
        with self.file.open("rb") as disk:
            disk.seek(self.parts["boot"].start)
            boot.write_bytes(disk.read(self.parts["boot"].size))
        words = [str(self.tools / "usr/sbin/debugfs"), "-w", str(boot)]
        for command in ("rm /grub/grubenv", f"write {block} /grub/grubenv"):
            Runner("slots", self.folder / "log").run([*words, "-R", command], cwd=self.folder)
        self._write(self.parts["boot"].start, boot.read_bytes())

    def spoil(self, slot: str) -> None:
        """Destroy what the loader reads of a slot."""
        part = self.parts[slot]
        if LOADERS[self.board.loader].KERNEL_IN_ROOT:
            self._write(part.start, b"\0" * MIB)
        else:
            # In the middle of the kernel, where only its hash tells.
            self._write(part.start + part.size - self.board.need_disk().kernel_mib * MIB + MIB, b"spoilt")

    def _write(self, at: int, data: bytes) -> None:
        with self.file.open("r+b") as disk:
            disk.seek(at)
            disk.write(data)


@pytest.fixture
def disk(stock: tuple[Board, Path, Path], tmp_path: Path) -> Disk:
    board, image, tools = stock
    return Disk(board, image, tools, tmp_path)


@pytest.fixture
def start(stock: tuple[Board, Path, Path], disk: Disk) -> Iterator[Callable[[], tuple[str, str]]]:
    """Switch the box on and say what its loader chose."""
    board, image, _ = stock

    def switch_on() -> tuple[str, str]:
        machine = Machine(board, image, disk.file)
        try:
            return machine.chosen()
        finally:
            machine.off()

    yield switch_on


def test_a_stock_image_starts_slot_a(start: Callable[[], tuple[str, str]]) -> None:
    assert start() == ("a", "normal")


def test_the_good_slot_is_remembered(disk: Disk, start: Callable[[], tuple[str, str]]) -> None:
    disk.remember(slot="b")
    assert start() == ("b", "normal")


def test_a_trial_is_made_once(disk: Disk, start: Callable[[], tuple[str, str]]) -> None:
    disk.remember(slot="a", trial="b")
    assert start() == ("b", "trial")
    # Nobody confirmed it.
    assert start() == ("a", "normal")


def test_a_slot_that_cannot_be_read_falls_back_to_the_other(disk: Disk, start: Callable[[], tuple[str, str]]) -> None:
    disk.spoil("slot-a")
    assert start() == ("b", "fallback")
