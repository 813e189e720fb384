"""A TFTP server for one board: it hands out a few contents by their names, to one address, and writes nothing.

RFC 1350 with the options of RFC 2347: blksize (RFC 2348), timeout and tsize (RFC 2349).  `Transfer` is the protocol
without a socket; `Server` has the sockets, in a thread of its own.  One transfer at a time: who asks again begins anew.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from builder.errors import CygnetError

PORT = 69
READ, DATA, ACK, ERROR, OPTIONS = 1, 3, 4, 5, 6
NOT_FOUND, NOT_ALLOWED, ILLEGAL = 1, 2, 4
PLAIN_BLOCK = 512
# What fits into an Ethernet frame; a larger block would come in fragments, which boot loaders do not put together.
LARGEST_BLOCK = 1468
# A request is a name and a few options.
LARGEST_REQUEST = 600
TRIES = 8
SECONDS = 1


class Unreadable(Exception):
    """A packet that is not TFTP's."""


@dataclass(frozen=True)
class Request:
    """A read request: RFC 1350, section 5, and RFC 2347."""

    name: str
    options: dict[str, str] = field(default_factory=dict)


def read_request(packet: bytes) -> Request:
    """Take a read request apart; raises Unreadable when it is none, or not for bytes as they are ("octet")."""
    if len(packet) > LARGEST_REQUEST or packet[:2] != READ.to_bytes(2, "big") or packet[-1:] != b"\0":
        raise Unreadable("not a read request")
    try:
        words = packet[2:-1].decode("ascii").split("\0")
    except UnicodeDecodeError:
        raise Unreadable("not ASCII") from None
    if len(words) % 2 or words[1].lower() != "octet":
        raise Unreadable("not a name, `octet` and pairs of options")
    return Request(words[0], dict(zip((word.lower() for word in words[2::2]), words[3::2], strict=True)))


def error(code: int, text: str) -> bytes:
    """An error packet; nobody answers it."""
    return struct.pack(">HH", ERROR, code) + text.encode() + b"\0"


class Transfer:
    """The sending of one content: what to send first, and after each acknowledgement."""

    def __init__(self, content: bytes, options: dict[str, str]) -> None:
        self._content = content
        self._agreed = _agree(options, len(content))
        self._block = int(self._agreed.get("blksize", PLAIN_BLOCK))
        self.seconds = int(self._agreed.get("timeout", SECONDS))
        # The number of the block that is on its way, from 0 for the options; on the wire it has 16 bits.
        self._sent = 0 if self._agreed else 1

    @property
    def packet(self) -> bytes:
        """What is on its way, to be sent again when nothing comes back."""
        if not self._sent:
            words = "".join(f"{name}\0{value}\0" for name, value in self._agreed.items())
            return OPTIONS.to_bytes(2, "big") + words.encode()
        start = (self._sent - 1) * self._block
        return struct.pack(">HH", DATA, self._sent & 0xFFFF) + self._content[start : start + self._block]

    @property
    def done(self) -> bool:
        """Whether the last block, which is shorter than the others, has been acknowledged."""
        return (self._sent - 1) * self._block > len(self._content)

    def take(self, packet: bytes) -> bool:
        """An answer: whether there is something new to send. An acknowledgement that comes twice is not answered.

        Raises Unreadable for an error of the board's, or for what is no acknowledgement.
        """
        if len(packet) < 4 or packet[:2] != ACK.to_bytes(2, "big"):
            raise Unreadable("not an acknowledgement")
        if int.from_bytes(packet[2:4], "big") != self._sent & 0xFFFF:
            return False
        self._sent += 1
        return not self.done


def _agree(asked: dict[str, str], size: int) -> dict[str, str]:
    """The options that are taken up, with their values; what cannot be is left out."""
    limits = {"blksize": (8, 65464), "timeout": (1, 255), "tsize": (0, 1 << 40)}
    found = {}
    for name, (least, most) in limits.items():
        value = asked.get(name, "")
        if value.isascii() and value.isdigit() and len(value) < 14 and least <= int(value) <= most:
            found[name] = value
    if "blksize" in found:
        found["blksize"] = str(min(int(found["blksize"]), LARGEST_BLOCK))
    if "tsize" in found:
        found["tsize"] = str(size)
    return found


class Server:
    """The server: ``listen`` is our address, ``board`` the only one that is answered.

    ``asked``: what was asked for; ``acknowledged``: how many packets have arrived.
    """

    def __init__(self, listen: str, board: str, port: int = PORT) -> None:
        self._board = board
        self._offer: Mapping[str, bytes] = {}
        self.asked: set[str] = set()
        self.acknowledged = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.bind((listen, port))
        except OSError as reason:
            self._socket.close()
            raise CygnetError(_cannot_listen(listen, port, reason)) from None
        self.port: int = self._socket.getsockname()[1]
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, name="tftp", daemon=True)
        self._selector = selectors.DefaultSelector()
        self._session: _Session | None = None

    def __enter__(self) -> Server:
        self._selector.register(self._socket, selectors.EVENT_READ, self._requested)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._wake.send(b"\0")
        self._thread.join()
        self._end_session()
        for each in (self._socket, self._wake, self._woken, self._selector):
            each.close()

    def offer(self, contents: Mapping[str, bytes]) -> None:
        """What can be had from now on, by its name, and nothing else."""
        self._offer = contents

    def _serve(self) -> None:
        while True:
            events = self._selector.select(self._session.transfer.seconds if self._session else None)
            for key, _ in events:
                if key.fileobj is self._woken:
                    return
                key.data()
            if not events and self._session and not self._session.again():
                self._end_session()

    def _requested(self) -> None:
        packet, peer = self._socket.recvfrom(LARGEST_REQUEST + 1)
        if peer[0] != self._board:
            return
        # A request that comes twice: its answer is on its way.
        if self._session and self._session.peer == peer:
            return
        try:
            request = read_request(packet)
        except Unreadable as reason:
            self._tell(error(ILLEGAL, str(reason)), peer)
            return
        content = self._offer.get(request.name)
        if content is None:
            self._tell(error(NOT_FOUND, "no such file"), peer)
            return
        self.asked.add(request.name)
        self._end_session()
        self._session = _Session(self._socket.getsockname()[0], peer, Transfer(content, request.options))
        self._selector.register(self._session.socket, selectors.EVENT_READ, self._answered)
        self._session.send()

    def _answered(self) -> None:
        assert self._session
        self.acknowledged += 1
        if not self._session.answered():
            self._end_session()

    def _tell(self, packet: bytes, peer: tuple[str, int]) -> None:
        with contextlib.suppress(OSError):
            self._socket.sendto(packet, peer)

    def _end_session(self) -> None:
        if self._session:
            if self._session.socket in self._selector.get_map():
                self._selector.unregister(self._session.socket)
            self._session.socket.close()
            self._session = None


class _Session:
    """One transfer and its socket, whose port is its name (RFC 1350, section 4)."""

    def __init__(self, listen: str, peer: tuple[str, int], transfer: Transfer) -> None:
        self.peer, self.transfer = peer, transfer
        self._left = TRIES
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((listen, 0))
        # From here on the kernel drops what comes from others.
        self.socket.connect(peer)

    def send(self) -> None:
        """Put the packet on its way; a network that has gone is silence."""
        with contextlib.suppress(OSError):
            self.socket.send(self.transfer.packet)

    def again(self) -> bool:
        """Nothing came: send again; False when that has been done often enough."""
        self._left -= 1
        self.send()
        return self._left > 0

    def answered(self) -> bool:
        """Something came; False when there is nothing more to do."""
        try:
            new = self.transfer.take(self.socket.recv(LARGEST_REQUEST))
        except (Unreadable, OSError):
            return False
        if new:
            self._left = TRIES
            self.send()
        return not self.transfer.done


def _cannot_listen(listen: str, port: int, reason: OSError) -> str:
    where = f"TFTP cannot be served at {listen}, port {port}"
    if isinstance(reason, PermissionError):
        return (
            f"{where}: ports below 1024 are root's; `sudo sysctl net.ipv4.ip_unprivileged_port_start={port}` opens it "
            "until the next start of this machine, --ymodem does without a network"
        )
    return f"{where}: {reason.strerror}; --server= is an address of this machine, and no other TFTP server may run"
