"""The installer of init.sh, with a disk in memory, at the other end of a line that can be as bad as a test wants it."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping

from simulated_uboot import Board

from builder.image.layout import SECTOR

BLOCK = 4096


class Simulated(Board):
    """``disk`` is the board's; ``refuse_at``: a command's first words that its disk cannot do; ``hang_at``: it hangs."""

    def __init__(self, files: Mapping[str, bytes], token: str, size: int, model: str = "SanDisk SDCFB-64") -> None:
        super().__init__(start="prompt", disk=size)
        self._files, self._token, self._model = files, token, model
        self._unlocked = False
        self.refuse_at = self.hang_at = ""
        self.other_disks = ""

    def _uboot(self, line: str) -> None:
        if self.hang_at and line.startswith(self.hang_at):
            self._mode = "silent"
            return
        super()._uboot(line)

    def _prompt(self) -> bytes:
        return b"" if self._mode == "silent" else b"installer> "

    def _line(self, text: str) -> None:
        self._say(f"{text}\r\n".encode())

    def _do_disks(self) -> bool:
        if self.disk:
            self._line(f"disk=sda sectors={len(self.disk) // SECTOR} parts=sda1:2048,sda2:4096 model={self._model}   ")
        self._say(self.other_disks.encode())
        return True

    def _do_show(self, disk: str, sector: str, count: str) -> bool:
        start = int(sector) * SECTOR
        self._line(self.disk[start : start + int(count) * SECTOR].hex())
        return disk == "sda"

    def _do_unlock(self, token: str, disk: str) -> bool:
        self._unlocked = token == self._token and disk == "sda"
        if not self._unlocked:
            self._line("this installer was made for another run")
        return self._unlocked

    def _store_at(self, block: str, content: bytes) -> bool:
        if not self._unlocked:
            self._line("nothing is unlocked")
            return False
        if self.refuse_at and self.commands[-1].startswith(self.refuse_at):
            self._line("dd: error writing '/target': I/O error")
            return False
        start = int(block) * BLOCK
        self.disk[start : start + len(content)] = content
        if self.spoil:
            self.spoil -= 1
            self.disk[start + 7] ^= 1
        return True

    def _do_put(self, name: str, block: str) -> bool:
        return self._store_at(block, gzip.decompress(self._files[name]))

    def _do_zero(self, block: str, count: str) -> bool:
        return self._store_at(block, bytes(int(count) * BLOCK))

    def _do_sum(self, block: str, count: str) -> bool:
        start = int(block) * BLOCK
        self._line(hashlib.sha256(self.disk[start : start + int(count) * BLOCK]).hexdigest() + "  -")
        return True

    def _do_forget(self) -> bool:
        return True

    def _do_reboot(self, _: str) -> bool:
        return True
