"""QEMU's command line of a board: the one place that knows it.

What differs from board to board stands in board.toml, [qemu].  Users: `./inv boot` (`interactive`),
and the acceptance tests, where labgrid starts QEMU (builder/smoke/labgrid.yaml.j2).  Manual page: qemu(1).
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.boards import Board
from builder.errors import CygnetError
from builder.image.command_line import first_slot
from builder.image.rootfs import DEVICE_TREE, FIRMWARE

# No floppy, CD or VGA: the firmware probes nothing that the board lacks, and is through in half a second.
BARE = ("-nodefaults", "-display", "none")
# MB of translated code that QEMU keeps.  With the default it still has the old kernel's when a box restarts, and
# drops it piece by piece as the new kernel is unpacked over it: 5 s to minutes instead of 1.5 s.
TRANSLATED = ("-accel", "tcg,tb-size=16")
# Hubs below are of cards with nothing at the other end.
FREE_HUB = 8
LEAVE = "Ctrl-A X ends QEMU, Ctrl-A H lists its other keys; Ctrl-C goes to the box."


@dataclass(frozen=True)
class Card:
    """One network card: its name in QEMU, its address, what it is plugged into, where its frames are recorded.

    ``behind``: what else is there of QEMU's network, each with its id.
    """

    name: str
    mac: str
    backend: str
    capture: Path | None = None
    behind: tuple[str, ...] = ()

    def words(self, nic: str) -> list[str]:
        """Its part of the command line; ``nic`` is the device that the board has."""
        dump = f"filter-dump,id={self.name}-dump,netdev={self.name},file={quoted(self.capture)}" if self.capture else ""
        return [
            "-netdev", f"{self.backend},id={self.name}",
            "-device", f"{nic},netdev={self.name},mac={self.mac}",
            *(["-object", dump] if dump else []),
            *(word for other in self.behind for word in ("-netdev", other)),
        ]  # fmt: skip


def wire_end(name: str, mac: str, here: Path, there: Path, capture: Path | None = None) -> Card:
    """A card on a wire between two boxes: one datagram a frame between two sockets, each box with its own."""
    return Card(name, mac, wire(here, there), capture)


def wire(here: Path, there: Path) -> str:
    """One end of a wire."""
    return f"dgram,local.type=unix,local.path={quoted(here)},remote.type=unix,remote.path={quoted(there)}"


def joined_wire_end(name: str, mac: str, wires: Sequence[str], provider: Sequence[str], capture: Path) -> Card:
    """The same, but several ``wires`` meet in a hub; the two of ``provider`` are joined to each other alone."""
    behind = []
    for hub, joined in ((FREE_HUB, wires), (FREE_HUB + 1, provider)):
        for number, backend in enumerate(joined):
            this = f"{name}-{hub}-{number}"
            behind += [f"{backend},id={this}", f"hubport,hubid={hub},netdev={this},id={this}-port"]
    return Card(name, mac, f"hubport,hubid={FREE_HUB}", capture, tuple(behind))


def unplugged(name: str, mac: str, hub: int = 0) -> Card:
    """A card with nothing at the other end of its cable: alone on its ``hub``."""
    return Card(name, mac, f"hubport,hubid={hub}")


def user_network(name: str, mac: str) -> Card:
    """A card on QEMU's own network (DHCP, a router to the outside)."""
    return Card(name, mac, "user")


def quoted(path: Path | None) -> str:
    """A path as an option's value: QEMU separates options by commas."""
    return str(path).replace(",", ",,")


def model(board: Board) -> tuple[str, str]:
    """Machine and CPU; labgrid wants these two by themselves."""
    words = board.need_twin().arguments
    try:
        return words[words.index("-M") + 1], words[words.index("-cpu") + 1]
    except (ValueError, IndexError):
        raise CygnetError(f"{board.folder / 'board.toml'}: [qemu] arguments must name -M and -cpu") from None


def arguments(board: Board, image: Path) -> list[str]:
    """The board's own arguments, with the files of the image in the folder ``image`` filled in."""
    known = {
        "kernel": str(image / "kernel"),
        "device-tree": str(image / DEVICE_TREE),
        "firmware": str(image / FIRMWARE),
        "command-line": first_slot(board),
    }
    try:
        return [word.format_map(known) for word in board.need_twin().arguments]
    except (KeyError, ValueError) as error:
        raise CygnetError(
            f"{board.folder / 'board.toml'}: [qemu] arguments: {error}; what can be filled in: {', '.join(known)}"
        ) from None


def devices(board: Board, image: Path, disk: Path, cards: Sequence[Card], restarts: bool = True) -> list[str]:
    """Everything but program, machine, CPU, memory and serial line. ``restarts``: else a reboot ends QEMU."""
    fixed = arguments(board, image)
    for option in ("-M", "-cpu"):
        place = fixed.index(option)
        del fixed[place : place + 2]
    return [
        *BARE, *TRANSLATED, *fixed,
        "-drive", f"file={quoted(disk)},format=raw,{board.need_twin().drive}",
        *(word for card in cards for word in card.words(board.need_twin().nic)),
        *([] if restarts else ["-no-reboot"]),
    ]  # fmt: skip


def command(
    board: Board, image: Path, disk: Path, cards: Sequence[Card], serial: str = "mon:stdio", restarts: bool = True
) -> list[str]:
    """The whole command line; ``image``: the folder of the image that ``disk`` was made from."""
    machine, cpu = model(board)
    memory = str(board.need_twin().memory_mib)
    head = [board.need_twin().program, "-M", machine, "-cpu", cpu, "-m", memory, "-serial", serial]
    return head + devices(board, image, disk, cards, restarts)


def interactive(board: Board, disk: Path) -> int:
    """Run a box with its serial line on this terminal until the user leaves; QEMU's exit status."""
    program(board)
    cards = [user_network("wan", "52:54:00:c9:00:01"), unplugged("lan", "52:54:00:c9:00:02")]
    print(f"{board.name} boots from {disk}, its serial line is here. {LEAVE}")
    return subprocess.run(command(board, disk.parent, disk, cards), check=False).returncode


def program(board: Board) -> Path:
    """Where the board's QEMU is installed."""
    found = shutil.which(board.need_twin().program)
    if not found:
        raise CygnetError(f"{board.need_twin().program} is not installed: on Debian 12 or 13, ./inv brings it")
    return Path(found)
