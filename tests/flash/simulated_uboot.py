"""A board with U-Boot at the other end of a TCP socket, whose line can be as bad as a test wants it.

It has RAM, a disk, an environment and a TFTP client; what it prints is what U-Boot 2023.01 prints where that is looked at.
"""

from __future__ import annotations

import contextlib
import random
import re
import socket
import struct
import threading
import zlib
from collections.abc import Callable
from types import TracebackType

RAM_SIZE = 64 << 20
STARTS = {
    "autoboot": b"\r\nU-Boot 2023.01\r\n\r\nHit any key to stop autoboot:  2 ",
    "prompt": b"",
    "login": b"\r\nCygnet 0.1.0 on armv7, Linux\r\n\r\nbox login: ",
    "locked": b"\r\nbox login: ",
    "cfe": b"\r\nCFE> ",
    "silent": b"",
    "noise": bytes(range(128, 256)) * 2,
}


PROMPTS = {"prompt": b"=> ", "shell": b"root@box:~# ", "cfe": b"CFE> ", "password": b"Password: ", "silent": b""}
# What a receiver makes of a block, beside its number.
END, DAMAGED = -1, -2
# How long it waits for a block: as U-Boot does, or a busy machine's sender would be late. And for the rest of a block.
BEGINS, GOES_ON = 2.0, 0.1


class PowerCut(Exception):
    """The board begins anew."""


class Cancelled(Exception):
    """The sender has given up."""


class Board:
    """The board. ``start``: what it is doing; ``noise``: how likely a character is lost or doubled, either way.

    ``hang_up_at``: the start of a command at which the line drops, once; ``spoil``: so many times the disk takes other
    bytes than it is given, ``spoil_loaded``: the RAM does.
    """

    def __init__(
        self, start: str = "autoboot", noise: float = 0.0, disk: int = 8 << 20, ram_at: int = 0x40000000
    ) -> None:
        self.noise, self.tftp_port, self._ram_at = noise, 0, ram_at
        self.disk, self.ram = bytearray(disk), bytearray(RAM_SIZE)
        self.nand = bytearray(16 << 20)
        self.environment: dict[str, str] = {}
        self.saved: dict[str, str] = {}
        self.commands: list[str] = []
        self.hang_up_at = ""
        self.cut_power = False
        self.spoil = self.spoil_loaded = 0
        self.boots = "\r\nCygnet 0.1.0 on armv7, Linux 6.12\r\n\r\ncygnet login: "
        self.after_boot = "login"
        self.received = 0
        self._random = random.Random(7)  # noqa: S311
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"socket://127.0.0.1:{self._server.getsockname()[1]}"
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._mode = start

    def __enter__(self) -> Board:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        self.off()

    def off(self) -> None:
        """Nobody can connect any more."""
        with contextlib.suppress(OSError):
            # Wakes accept().
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def hang_up(self) -> None:
        """Drop the line."""
        self._peer.shutdown(socket.SHUT_RDWR)

    def _live(self) -> None:
        first = True
        while True:
            try:
                self._peer, _ = self._server.accept()
            except OSError:
                return
            self._peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                if first:
                    self._say(STARTS[self._mode])
                first = False
                self._connected()
            except OSError:
                pass
            finally:
                self._peer.close()

    def _connected(self) -> None:
        while True:
            try:
                self._typed()
            except PowerCut:
                self._mode = "autoboot"
                self.ram[:] = bytes(RAM_SIZE)
                self._say(STARTS["autoboot"])

    def _typed(self) -> None:
        """One more line."""
        line = b""
        while True:
            letter = self._byte()
            if self._mode in ("silent", "noise"):
                self._say(STARTS[self._mode])
                continue
            if self._mode == "autoboot":
                self._mode = "prompt"
                self._say(b"\r\n=> ")
                continue
            if letter == b"\x03":
                self._say(b"<INTERRUPT>\r\n" + self._prompt())
                return
            if letter in b"\r\n":
                self._say(b"\r\n")
                self._run(line.decode(errors="replace"))
                self._say(self._prompt())
                return
            line += letter
            self._say(letter)

    def _prompt(self) -> bytes:
        return PROMPTS.get(self._mode, b"box login: ")

    def _byte(self, seconds: float | None = None) -> bytes:
        """The next character; nothing if none comes for so long."""
        self._peer.settimeout(seconds)
        while True:
            try:
                got = self._peer.recv(1)
            except TimeoutError:
                return b""
            if not got:
                raise OSError
            self.received += 1
            if self._random.random() >= self.noise:
                return got

    def _say(self, text: bytes) -> None:
        for letter in text:
            chance = self._random.random()
            if chance < self.noise / 2:
                continue
            self._peer.sendall(bytes([letter]) * (2 if chance > 1 - self.noise / 2 else 1))

    def _run(self, line: str) -> None:
        if self._mode in ("login", "locked"):
            if line == "root":
                self._mode = "shell" if self._mode == "login" else "password"
            return
        if self._mode == "shell":
            if line == "reboot":
                raise PowerCut
            self._say(f"-sh: {line}: not found\r\n".encode())
            return
        if self._mode != "prompt":
            return
        self._uboot(line)

    def _uboot(self, line: str) -> None:
        command, _, mark = line.rpartition("; echo ")
        if not command:
            command, mark = line, ""
        self.commands.append(command)
        words = command.split(" ")
        if self.hang_up_at and command.startswith(self.hang_up_at):
            self.hang_up_at = ""
            if self.cut_power:
                self._mode = "autoboot"
                self.ram[:] = bytes(RAM_SIZE)
            self.hang_up()
            raise OSError
        handler: Callable[..., bool] | None = getattr(self, f"_do_{words[0].replace('.', '_')}", None)
        if handler is None:
            self._say(f"Unknown command '{words[0]}' - try 'help'\r\n".encode())
        status = 1 if handler is None else 0 if handler(*words[1:]) else 1
        if mark.endswith("=$?"):
            self._say(f"{mark.removesuffix('$?')}{status}\r\n".encode())

    def _do_version(self) -> bool:
        self._say(b"U-Boot 2023.01 (Jan 01 2023)\r\n")
        return True

    def _do_setenv(self, name: str, *value: str) -> bool:
        self.environment[name] = " ".join(value)
        return True

    def _do_reset(self) -> bool:
        self._say(b"resetting ...\r\n" + (self.boots.encode() if self.disk[510:512] == b"\x55\xaa" else b"no disk\r\n"))
        self._mode = self.after_boot
        return True

    def _do_crc32(self, at: str, length: str) -> bool:
        start = int(at, 0) - self._ram_at
        found = zlib.crc32(self.ram[start : start + int(length, 0)])
        self._say(f"crc32 for {int(at, 0):x} ... {int(at, 0) + int(length, 0) - 1:x} ==> {found:08x}\r\n".encode())
        return True

    def _do_mw_b(self, at: str, value: str, length: str) -> bool:
        self._store(int(at, 0), bytes([int(value, 0)]) * int(length, 0))
        return True

    def _do_virtio(self, verb: str, *words: str) -> bool:
        if verb in ("scan", "dev"):
            return True
        at, sector, sectors = (int(word, 0) for word in words)
        start, size = sector * 512, sectors * 512
        if start + size > len(self.disk):
            self._say(f"\r\nvirtio {verb}: device 0 block # {sector}, count {sectors} ... 0 blocks: ERROR\r\n".encode())
            return False
        if verb == "read":
            self._store(at, self.disk[start : start + size])
            return True
        self.disk[start : start + size] = self.ram[at - self._ram_at : at - self._ram_at + size]
        if self.spoil:
            self.spoil -= 1
            self.disk[start + 7] ^= 1
        return True

    def _do_nand(self, verb: str, *words: str) -> bool:
        numbers = [int(word, 0) for word in words]
        if verb == "erase":
            start, size = numbers
            end = min(start + size, len(self.nand))
            self.nand[start:end] = b"\xff" * (end - start)
            return True
        at, start, size = numbers
        if verb == "read":
            self._store(at, self.nand[start : start + size])
            return True
        # A cell is only ever cleared.
        new = self.ram[at - self._ram_at : at - self._ram_at + size]
        self.nand[start : start + size] = bytes(map(int.__and__, self.nand[start : start + size], new))
        return True

    def _do_saveenv(self) -> bool:
        self.saved = dict(self.environment)
        return True

    def _do_tftpboot(self, at: str, name: str) -> bool:
        self._say(b"Using virtio-net#0 device\r\nLoading: *\x08")
        content = fetch(self.tftp_port, name)
        if content is None:
            self._say(b"\r\nRetry count exceeded\r\n")
            return False
        self._store(int(at, 0), content)
        if self.spoil_loaded:
            self.spoil_loaded -= 1
            self.ram[int(at, 0) - self._ram_at] ^= 1
        self._say(f"####\r\ndone\r\nBytes transferred = {len(content)} ({len(content):x} hex)\r\n".encode())
        return True

    def _do_loady(self, at: str) -> bool:
        self._say(f"## Ready for binary (ymodem) download to {int(at, 0):#x} at 115200 bps...\r\n".encode())
        try:
            content = Receiver(self._byte, self._say).ymodem()
        except Cancelled:
            return False
        self._store(int(at, 0), content)
        self._say(f"## Total Size      = 0x{len(content):08x} = {len(content)} Bytes\r\n".encode())
        return True

    def _store(self, at: int, content: bytes | bytearray) -> None:
        self.ram[at - self._ram_at : at - self._ram_at + len(content)] = content


class Receiver:
    """The receiving side of Y-modem, which asks again for what comes damaged, as U-Boot does (common/xyzModem.c)."""

    def __init__(self, byte: Callable[[float], bytes], say: Callable[[bytes], None]) -> None:
        self._byte, self._say = byte, say

    def ymodem(self) -> bytes:
        """A file."""
        head = self._blocks(first=0, last=0)
        size = int(re.split(rb"[ \0]", head.split(b"\0", 1)[1])[0])
        content = self._blocks(first=1)
        # The end is acknowledged twice, and what follows is taken for the last block whatever it is.
        self._say(b"\x06C")
        self._block()
        self._say(b"\x06")
        return content[:size]

    def _blocks(self, first: int, last: int | None = None) -> bytes:
        """Blocks from ``first`` on to the end mark, or to the one called ``last``."""
        content, wanted = b"", first
        self._say(b"C")
        while True:
            number, body = self._block()
            if number == END:
                self._say(b"\x06")
                return content
            if number == wanted & 0xFF:
                content, wanted = content + body, wanted + 1
                self._say(b"\x06")
                if number == last:
                    return content
            elif number == (wanted - 1) & 0xFF and wanted != first:
                self._say(b"\x06")
            else:
                self._say(b"C")

    def _block(self) -> tuple[int, bytes]:
        """The next block's number and content; DAMAGED when it does not come whole."""
        cancels = 0
        while (mark := self._byte(BEGINS)) not in (b"\x01", b"\x02", b""):
            if mark == b"\x04":
                return END, b""
            cancels += mark == b"\x18"
            if cancels == 3:
                raise Cancelled
        size = {b"\x01": 128, b"\x02": 1024, b"": 0}[mark]
        body = b""
        while len(body) < size + 4 and (letter := self._byte(GOES_ON)):
            body += letter
        content = body[2:-2]
        whole = len(body) == size + 4 and body[0] == 255 - body[1]
        right = whole and bitwise_crc(content) == int.from_bytes(body[-2:], "big")
        return (body[0], content) if right and size else (DAMAGED, b"")


def bitwise_crc(content: bytes) -> int:
    """CRC-16 with polynomial 1021, bit by bit: written without the sender's."""
    value = 0
    for letter in content:
        value ^= letter << 8
        for _ in range(8):
            value = (value << 1) ^ (0x1021 if value & 0x8000 else 0)
            value &= 0xFFFF
    return value


def fetch(port: int, name: str, options: bytes = b"blksize\x001468\0", host: str = "127.0.0.1") -> bytes | None:
    """What a TFTP client gets."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.3)
        client.sendto(b"\0\1" + name.encode() + b"\0octet\0" + options, (host, port))
        content, block, size = b"", 0, 1468 if options else 512
        while True:
            try:
                packet, peer = client.recvfrom(65536)
            except TimeoutError:
                return None
            kind, number = struct.unpack(">HH", packet[:4])
            if kind == 5:
                return None
            if kind == 6:
                client.sendto(b"\0\4\0\0", peer)
                continue
            if number == (block + 1) & 0xFFFF:
                content, block = content + packet[4:], block + 1
            client.sendto(b"\0\4" + (block & 0xFFFF).to_bytes(2, "big"), peer)
            if len(packet) < size + 4:
                return content
