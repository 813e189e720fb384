"""A PC with comBIOS is flashed over its network: the story, told in a file for the tests to read.

Run in a network namespace of its own, with a wire to the board:  pxe_in_qemu.py IMAGE-FOLDER FOLDER
comBIOS is simulated, up to `boot F0`; what that starts is QEMU's PC: SeaBIOS, and iPXE as its network card's PXE ROM.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from flash_in_qemu import ask, carried, connect
from simulated_combios import Net4501

from builder import qemu
from builder.boards import load_board
from builder.errors import CygnetError
from builder.flash.console import put
from builder.flash.console.line import Line
from builder.flash.console.patience import Patience
from builder.flash.console.prompt import ENTER, INTERRUPT, Prompt, Refused
from builder.flash.console.pxe.start import INSTALLER
from builder.flash.options import Console, Options
from builder.image.header import read_header
from builder.image.layout import MIB
from builder.settings import PROJECT

WIRE, HERE = "tap0", "192.168.77.2/24"
MAC = "52:54:00:c9:00:01"
QEMU_PORT = 4000
SERIAL = f"socket://127.0.0.1:{QEMU_PORT}"
DISK = 64 * MIB
OLD = b"\xff"
PC = load_board(PROJECT / "board", "pc486")
SPEED = PC.console.speed
# Debian's iPXE begins with FXSAVE, which no 486 has. What the BIOS says comes over the serial line, as with comBIOS.
ARGUMENTS = ("-M", "pc,graphics=off", "-cpu", "486,+fxsr")


class Machine:
    """The board from `boot F0` on."""

    def __init__(self, image: Path, disk: Path) -> None:
        twin = msgspec.structs.replace(PC.need_twin(), nic="virtio-net-pci", arguments=ARGUMENTS)
        board = msgspec.structs.replace(PC, qemu=twin)
        card = qemu.Card("wan", MAC, f"tap,ifname={WIRE},script=no,downscript=no")
        serial = f"tcp:127.0.0.1:{QEMU_PORT},server=on,wait=off"
        self._words = [*qemu.command(board, image, disk, [card], serial=serial), "-boot", "once=n"]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, near: socket.socket) -> None:
        """Start it, and carry its serial line until one of the ends has gone."""
        self._process = subprocess.Popen(self._words)
        with connect(QEMU_PORT) as far, contextlib.suppress(OSError):
            for _ in carried(near, far):
                pass

    def off(self) -> None:
        """Cut its power."""
        if self._process:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def board(image: Path, disk: Path) -> Iterator[str]:
    """The board, at its comBIOS; its serial line."""
    machine = Machine(image, disk)
    try:
        with Net4501({"ConSpeed": str(SPEED)}, network=machine.start) as simulated:
            simulated.listened_at(SPEED)
            yield simulated.url
    finally:
        machine.off()


def old_disk(file: Path, size: int) -> Path:
    """A disk that holds something."""
    file.write_bytes(OLD * size)
    return file


def refused(image: Path, folder: Path) -> dict[str, Any]:
    """A board whose disk is too small, and what its installer does for somebody who has not its token."""
    disk, told = old_disk(folder / "small", 32 * MIB), ""
    with board(image, disk) as url:
        try:
            put(PC, image / "disk.img", url, Options(), print)
        except CygnetError as error:
            told = str(error)
        with Line(SERIAL, SPEED, folder / "installer.log") as line:
            # What is struck out is not run.
            line.write(ENTER + b"echo" + INTERRUPT)
            said = [last_words(line, command) for command in ("put p0 0", "zero 0 16", f"unlock {'0' * 32} sda")]
    return {"told": told, "said": said, "untouched": disk.read_bytes() == OLD * (32 * MIB)}


def last_words(line: Line, command: str) -> str:
    """What the installer says to a command that it refuses."""
    try:
        return Prompt(line, INSTALLER, Patience(), terminal=True).run(command)
    except Refused as refused:
        return refused.last_words


def flashed(image: Path, disk: Path, options: Options) -> dict[str, Any]:
    """An image onto the disk; what the box that it is then says of itself."""
    told: list[str] = []
    with board(image, disk) as url:
        put(PC, image / "disk.img", url, options, told.append)
        content = disk.read_bytes()
        with Line(SERIAL, SPEED, disk.with_suffix(".log")) as line:
            said = ask(line, "box status; echo mine >/data/kept; sync")
    stock, header = (image / "disk.img").read_bytes(), read_header(image / "disk.img")
    same = content[: header.data_start] == stock[: header.data_start]
    return {"told": told, "status": said, "same": same, "behind": content[header.size :] == OLD * (DISK - header.size)}


class Enough(Exception):
    """The disk is written."""


def kept(image: Path, disk: Path, options: Options) -> dict[str, Any]:
    """Its system is damaged, and written anew."""
    stock, header = (image / "disk.img").read_bytes(), read_header(image / "disk.img")
    with disk.open("r+b") as file:
        file.seek(8 * MIB)
        file.write(OLD * MIB)
    before, told = disk.read_bytes(), list[str]()

    def say(sentence: str) -> None:
        told.append(sentence)
        if sentence.startswith("the board starts"):
            raise Enough

    with board(image, disk) as url, contextlib.suppress(Enough):
        put(PC, image / "disk.img", url, options, say)
    content = disk.read_bytes()
    system, data = slice(header.data_start), slice(header.data_start, header.size)
    return {"told": told, "same": content[system] == stock[system], "data": content[data] == before[data],
            "own": before[data] != stock[data]}  # fmt: skip


def advertise() -> None:
    """iPXE waits 16 s for an IPv6 router beside IPv4's DHCP: there is one, which has nothing to offer."""
    advertisement = struct.pack(">BBHBBHII", 134, 0, 0, 64, 0, 0, 0, 0)
    everybody = ("ff02::1", 0, 0, socket.if_nametoindex(WIRE))
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as router:
        router.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        while True:
            # Until the wire has somebody at its other end.
            with contextlib.suppress(OSError):
                router.sendto(advertisement, everybody)
            time.sleep(0.5)


def main(image: Path, folder: Path) -> None:
    """The story."""
    for words in (
        "link set lo up",
        f"tuntap add {WIRE} mode tap",
        f"addr add {HERE} dev {WIRE}",
        f"link set {WIRE} up",
    ):
        subprocess.run(["ip", *words.split()], check=True)
    threading.Thread(target=advertise, daemon=True).start()
    disk, mac = old_disk(folder / "disk", DISK), Console(mac=MAC)
    found = {
        "refused": refused(image, folder),
        "flashed": flashed(image, disk, Options(console=mac)),
        "kept": kept(image, disk, Options(keep_data=True, console=mac)),
    }
    (folder / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
