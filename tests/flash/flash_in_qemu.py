"""An ARM board with an empty disk in QEMU is flashed over its console: the story, told in a file for the tests to read.

Run in a network namespace of its own, where port 69 is free and anybody's:  flash_in_qemu.py IMAGE-FOLDER FOLDER
The board's packets come out of QEMU's user network; what they are sent to lies outside of it, so that QEMU's own TFTP
server does not answer.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from builder import qemu
from builder.boards import load_board
from builder.errors import CygnetError
from builder.flash.console import environment, put
from builder.flash.console.line import Line
from builder.flash.console.patience import Patience
from builder.flash.console.pieces import Piece
from builder.flash.console.transfer import Ymodem
from builder.flash.console.uboot import Writer
from builder.flash.options import Console, Options
from builder.image.header import read_header, write_header
from builder.image.layout import MIB, Partition
from builder.settings import PROJECT

BEHIND_QEMU = Console(address="10.0.2.15/24", gateway="10.0.2.2", server="127.0.0.1", seen_as="127.0.0.1")
DISK = 64 * MIB
# Behind the image's end.
SPARE = 60 * MIB
PORT, QEMU_PORT = 4001, 4000
PATIENCE = 60


class Cable:
    """The serial cable, which can be pulled: TCP from PORT to QEMU's."""

    def __init__(self) -> None:
        self.url = f"socket://127.0.0.1:{PORT}"
        self.typed = 0
        self.pull_at = b""
        self._server = socket.create_server(("127.0.0.1", PORT))
        threading.Thread(target=self._carry, daemon=True).start()

    def _carry(self) -> None:
        while True:
            near, _ = self._server.accept()
            far = connect(QEMU_PORT)
            with near, far, contextlib.suppress(OSError):
                self._both_ways(near, far)

    def _both_ways(self, near: socket.socket, far: socket.socket) -> None:
        said = b""
        for typed, got in carried(near, far):
            self.typed += len(got) if typed else 0
            said = said if typed else (said + got)[-200:]
            if self.pull_at and self.pull_at in said:
                self.pull_at = b""
                return


def carried(near: socket.socket, far: socket.socket) -> Iterator[tuple[bool, bytes]]:
    """What one end sends is passed on to the other until one has gone: whether it came from ``near``, and the bytes."""
    others = {near: far, far: near}
    while True:
        for end in select.select(others, [], [])[0]:
            got = end.recv(4096)
            if not got:
                return
            others[end].sendall(got)
            yield end is near, got


def connect(port: int) -> socket.socket:
    """QEMU's serial line, as soon as it is there."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


@contextlib.contextmanager
def machine(image: Path, disk: Path) -> Iterator[None]:
    """The board, switched on."""
    card = qemu.user_network("wan", "52:54:00:c9:00:01")
    board = load_board(PROJECT / "board", "armv7")
    serial = f"tcp:127.0.0.1:{QEMU_PORT},server=on,wait=off"
    process = subprocess.Popen(qemu.command(board, image, disk, [card], serial=serial))
    try:
        yield
    finally:
        process.kill()
        process.wait()


def refused(cable: Cable, image: Path) -> dict[str, object]:
    """What is said to an image of another board, and how much was typed by then."""
    board = load_board(PROJECT / "board", "armv7")
    try:
        put(board, image, cable.url, Options(console=BEHIND_QEMU), print)
    except CygnetError as error:
        return {"refused": str(error), "typed": cable.typed}
    return {"refused": "", "typed": cable.typed}


def ask(line: Line, command: str) -> str:
    """What a command says on the box's console."""
    heard, end = "", time.monotonic() + PATIENCE
    while "end=0" not in heard:
        assert time.monotonic() < end, heard
        if got := line.read(1):
            heard += got.decode(errors="replace")
        elif heard.endswith("login: "):
            line.write(b"root\r")
        elif heard.endswith("# "):
            line.write(f"{command}; echo end=$?\r".encode())
        else:
            line.write(b"\r")
    return heard


def by_ymodem(cable: Cable, folder: Path, told: list[str]) -> Piece:
    """A piece of the disk, by Y-modem, on a board that runs Linux."""
    file = folder / "piece"
    file.write_bytes(random.Random(3).randbytes(96 * 1024))  # noqa: S311
    piece = Piece("spare", file, 0, 96 * 1024, SPARE)
    board, wishes = load_board(PROJECT / "board", "armv7"), Console(ymodem=True, reboot=True)
    with Line(cable.url, 115200, folder / "ymodem.log") as line:
        Writer(board, line, Ymodem(Patience()), wishes, Patience(), told.append).write([piece])
    return piece


def main(image: Path, folder: Path) -> None:
    """The story."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    board = load_board(PROJECT / "board", "armv7")
    disk, stock = folder / "empty.img", image / "disk.img"
    other = folder / "other.img"
    other.write_bytes(bytes(2 * MIB))
    write_header(other, "pc486", Partition(4, "data", MIB, MIB))
    os.truncate(os.open(disk, os.O_CREAT | os.O_WRONLY), DISK)
    told: list[str] = []
    with machine(image, disk):
        cable = Cable()
        found = refused(cable, other)
        cable.pull_at = b"virtio write"
        put(board, stock, cable.url, Options(console=BEHIND_QEMU), told.append)
        with Line(cable.url, 115200, folder / "status.log") as line:
            found["status"] = ask(line, "box status")
        start = read_header(stock).data_start
        found["same"] = disk.read_bytes()[:start] == stock.read_bytes()[:start]
        piece = by_ymodem(cable, folder, told)
        found["ymodem"] = disk.read_bytes()[SPARE : SPARE + piece.length] == piece.content()
    found |= {"told": told, "environment": environment(board)}
    (folder / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    assert shutil.which("ip")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
