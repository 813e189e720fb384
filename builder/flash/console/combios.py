"""comBIOS, the monitor of Soekris boards (net45xx, net48xx): its settings are put right, the board is started.

It cannot write a disk: what `download` takes by X-modem is its own next version.  But `boot F0` starts what a network
has to offer (`pxe`).  The board gets the image's console speed, which a new one does not have (19200 bit/s).  Facts:
what the makers' users show of their consoles.  **It has not been run on hardware.**
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from builder.boards import Board
from builder.errors import CygnetError
from builder.flash.console.line import Line, LineDropped
from builder.flash.console.patience import Patience
from builder.flash.console.prompt import AT_ONCE, ENTER, TRIES, Garbled, Prompt
from builder.flash.console.reach import noisy
from builder.flash.options import Console

INTERRUPT = b"\x10"  # Ctrl-P
STOP_AT = re.compile(rb"Ctrl-P for entering", re.IGNORECASE)
PROMPT = re.compile(rb"[\r\n]> ?$")
VERSION = re.compile(rb"comBIOS ver\. (\d+)\.(\d+)")
# What GRUB 2 needs.
OLDEST = (1, 33)
SETTING = re.compile(r"^(\w+) = (.*?)\s*$", re.MULTILINE)
NEW_BOARD = 19200
FIRST_DISK = "80"
ENABLED = "Enabled"


def check(wishes: Console) -> None:
    """Raise CygnetError for what cannot be."""
    if wishes.ymodem:
        raise CygnetError(
            "--ymodem: comBIOS takes nothing over the line but its own next version: leave it out, and the board loads "
            "over the network; or write the card in a reader (--to=/dev/...), then --only-start"
        )


def start(board: Board, patience: Patience, say: Callable[[str], None], line: Line, from_network: bool = False) -> None:
    """Start the card that is in the board, or what its network offers; raises CygnetError when that cannot be."""
    say(f"{board.name} at {line.url}: waiting for comBIOS; switch the board on, or off and on")
    monitor = Monitor(line, patience)
    try:
        monitor.reach(say)
        found = wanted(monitor.settings(), board.console.speed, from_network)
        for name, value in found.items():
            say(f"set {name}={value}")
            monitor.run(f"set {name}={value}")
        if from_network and found:
            # What was set is so from the next start on.
            monitor.leave("reboot")
            line.change_speed(board.console.speed)
            monitor.reach(say)
        monitor.leave("boot F0" if from_network else "reboot")
        line.change_speed(board.console.speed)
    except LineDropped as reason:
        raise CygnetError(
            f"{line.url}: the line dropped ({reason}); nothing on the card was changed, the same command begins anew"
        ) from None


def wanted(settings: dict[str, str], speed: int, from_network: bool = False) -> dict[str, str]:
    """Which settings have to be others, so that the first disk starts and its console can be read; or the network."""
    found = {} if settings.get("ConSpeed") == str(speed) else {"ConSpeed": str(speed)}
    if from_network and settings.get("PXEBoot", ENABLED) != ENABLED:
        found["PXEBoot"] = ENABLED
    drives = settings.get("BootDrive", FIRST_DISK).split()
    if drives[:1] != [FIRST_DISK]:
        found["BootDrive"] = " ".join([FIRST_DISK, *(drive for drive in drives if drive != FIRST_DISK)][:4])
    return found


class Monitor:
    """comBIOS at its prompt."""

    def __init__(self, line: Line, patience: Patience) -> None:
        self._line, self._patience = line, patience
        self._keys = Prompt(line, b">", patience)

    def reach(self, say: Callable[[str], None]) -> None:
        """Interrupt the start. A board whose words are noise has another speed: a new board's, and the image's."""
        seen, end, spoken = b"", time.monotonic() + self._patience.switch_on, 0.0
        others = [NEW_BOARD, self._line.speed]
        while time.monotonic() < end:
            came = self._line.read(self._patience.tick)
            seen = (seen + came)[-4096:]
            if STOP_AT.search(seen):
                self._line.write(INTERRUPT)
                say(self._version(seen))
                seen = b""
            elif not came and PROMPT.search(seen):
                return
            elif len(seen) > 20 and noisy(seen):
                self._line.change_speed(others[0])
                others.reverse()
                seen = b""
            elif not came and time.monotonic() - spoken > self._patience.nudge:
                spoken = time.monotonic()
                self._line.write(ENTER)
        raise CygnetError(
            f"the board at {self._line.url} does not come to the prompt of comBIOS: switch it off and on while this "
            "waits; look at the cable, and whether it is a board with comBIOS at all"
        )

    def settings(self) -> dict[str, str]:
        """All settings by their names."""
        return dict(SETTING.findall(self.run("show").replace("\r", "")))

    def run(self, command: str) -> str:
        """Type a command, its echo compared; what it said. It has no status."""
        return self._typed(command, self._answer)

    def leave(self, command: str) -> None:
        """Type a command after which there is no prompt."""
        self._typed(command, str)

    def _typed(self, command: str, answer: Callable[[], str]) -> str:
        for attempt in range(TRIES):
            try:
                self._keys.type(command, AT_ONCE if attempt == 0 else 1)
                self._line.write(ENTER)
                return answer()
            except Garbled:
                # A line that it does not know is answered with a prompt, and that is all.
                self._line.write(ENTER)
                self._line.drain()
        raise CygnetError(f"{self._line.url} is too noisy: `{command}` did not come back as it was typed")

    def _answer(self) -> str:
        heard = b""
        while not PROMPT.search(heard):
            came = self._line.read(self._patience.answer)
            if not came:
                raise Garbled
            heard += came
        return heard.decode(errors="replace")

    def _version(self, seen: bytes) -> str:
        found = VERSION.search(seen)
        if not found:
            return "comBIOS, of a version that it did not say"
        version = (int(found[1]), int(found[2]))
        old = "" if version >= OLDEST else f"; GRUB needs {OLDEST[0]}.{OLDEST[1]}, the maker's `flashupdate` brings it"
        return f"comBIOS {version[0]}.{version[1]:02}{old}"
