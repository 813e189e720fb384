"""A board that starts from its network is watched until the installer is there: at the servers, and at its line."""

from __future__ import annotations

import contextlib
import enum
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from builder.errors import CygnetError
from builder.flash.console import combios
from builder.flash.console.line import Line, LineDropped
from builder.flash.console.patience import Patience
from builder.flash.console.prompt import ENTER, Prompt
from builder.flash.console.pxe import dhcp
from builder.flash.console.pxe.installer import INITRAMFS, LINUX, LOADER
from builder.flash.console.tftp import Server

# What init.sh says when it waits for a command.
INSTALLER = b"installer>"
# The last words of a PXE ROM, of GRUB, of Linux.
FAILURE = re.compile(rb"PXE-[EM][0-9A-F]{2}: [^\r\n]+|error: [^\r\n]+|Kernel panic[^\r\n]+")


class Stage(enum.IntEnum):
    """How far a board has come."""

    NOTHING = 0
    ADDRESS = 1
    BOOT_FILE = 2
    KERNEL = 3
    IMAGE = 4


HAPPENED = {
    Stage.ADDRESS: "{client} asks by PXE, and gets {address}",
    Stage.BOOT_FILE: "it loads the boot loader",
    Stage.KERNEL: "it loads the kernel",
    Stage.IMAGE: "it loads the installer, with the image",
}
# What is wrong if nothing more happens.
MISSING = {
    Stage.NOTHING: "nobody asked by PXE at {card}: is there a cable from it to the board's first Ethernet socket, "
    "and no router between?",
    Stage.ADDRESS: "{client} was given {address} and then loaded nothing: is that the board (--mac= says which is), "
    "and may UDP port 69 pass this machine's firewall?",
    Stage.BOOT_FILE: "it loaded the boot loader, which asked for no kernel",
    Stage.KERNEL: "it loaded the kernel, and then not the installer",
    Stage.IMAGE: "it loaded the installer, which says nothing",
}


@dataclass(frozen=True)
class Served:
    """The two servers that a board starts from, and the card that they listen at."""

    answers: dhcp.Answers
    tftp: Server
    address: str
    card: str

    @property
    def stage(self) -> Stage:
        """How far the board has come."""
        for name, stage in ((INITRAMFS, Stage.IMAGE), (LINUX, Stage.KERNEL), (LOADER, Stage.BOOT_FILE)):
            if name in self.tftp.asked:
                return stage
        return Stage.ADDRESS if self.answers.given else Stage.NOTHING

    def in_words(self, sentence: str) -> str:
        """A sentence about the board, filled in."""
        return sentence.format(client=self.answers.client, address=self.address, card=self.card)

    @property
    def missing(self) -> str:
        """Why nothing more happens."""
        client, foreign, other = self.answers.client, self.answers.foreign, self.answers.other
        if self.stage is Stage.NOTHING and foreign:
            return (
                f"{client} took the address that another DHCP server offered, {foreign}: switch that off meanwhile, or "
                "put a cable directly between this machine and the board"
            )
        too = f"; {other} asked by PXE, too, and was not answered: --mac= says which is the board" if other else ""
        return self.in_words(MISSING[self.stage]) + too


class Start:
    """The waiting for the installer's prompt."""

    def __init__(self, line: Line, served: Served, patience: Patience, say: Callable[[str], None]) -> None:
        self._line, self._served, self._patience, self._say = line, served, patience, say
        self._stage, self._heard, self._words, self._nudged = Stage.NOTHING, b"", "", 0.0

    def prompt(self) -> Prompt:
        """The installer's prompt; raises CygnetError, which says how far the board came, when it does not."""
        seen, last = 0, time.monotonic()
        while time.monotonic() - last < self._patience.boot:
            came = self._listen()
            if self._tell() or seen != self._served.tftp.acknowledged:
                seen, last = self._served.tftp.acknowledged, time.monotonic()
            if came:
                continue
            if self._heard.rstrip().endswith(INSTALLER):
                return Prompt(self._line, INSTALLER, self._patience, terminal=True)
            if combios.PROMPT.search(self._heard):
                raise self._failed("comBIOS gave up starting from the network")
            self._nudge()
        raise self._failed("it does not start from the network")

    def _listen(self) -> bytes:
        try:
            came = self._line.read(self._patience.tick)
        except LineDropped:
            with contextlib.suppress(LineDropped):
                self._line.reopen(self._patience.line)
            return b""
        self._heard = (self._heard + came)[-4096:]
        if found := FAILURE.findall(self._heard):
            self._words = f" (`{found[-1].decode(errors='replace').strip()}`)"
        return came

    def _nudge(self) -> None:
        """A prompt that came damaged is asked for again."""
        now = time.monotonic()
        if self._stage is Stage.IMAGE and now - self._nudged > self._patience.nudge:
            self._nudged = now
            with contextlib.suppress(LineDropped):
                self._line.write(ENTER)

    def _tell(self) -> bool:
        """Say what has happened since; whether something has."""
        now = self._served.stage
        for stage in Stage:
            if self._stage < stage <= now:
                self._say(self._served.in_words(HAPPENED[stage]))
        new = now > self._stage
        self._stage = now
        return new

    def _failed(self, what: str) -> CygnetError:
        return CygnetError(
            f"the board at {self._line.url}: {what}{self._words}: {self._served.missing}; "
            "nothing on its disk was changed"
        )
