"""A netlink socket: requests and their answers, dumps, events (RFC 3549; netlink(7)). No meaning of its own.

The kernel answers a request before `send` returns, so nothing here waits but for the kernel's own work.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterator

from cygnet.kernel.interface import KernelError

REQUEST, ACK, DUMP = 0x1, 0x4, 0x300
CREATE, EXCLUSIVE, REPLACE = 0x400, 0x200, 0x100
_ERROR, _DONE = 2, 3
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_SOL_NETLINK, _CAP_ACK, _EXT_ACK = 270, 10, 11
_CAPPED, _HAS_TEXT = 0x100, 0x200
_TEXT = 1
_BUFFER = 1 << 16
_PATIENCE = 10.0
_TYPE_MASK = 0x3FFF

Message = tuple[int, bytes]


class Refusal(Exception):
    """The kernel said no. Never leaves kernel/: callers say what they had asked for."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(number, text)
        self.number, self.text = number, text


class Netlink:
    """A socket for requests."""

    def __init__(self, protocol: int, name: str) -> None:
        self._socket = _open(protocol, name)
        self._socket.settimeout(_PATIENCE)
        for option in (_CAP_ACK, _EXT_ACK):
            self._socket.setsockopt(_SOL_NETLINK, option, 1)
        self._sequence = 0

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def ask(self, kind: int, body: bytes, flags: int = ACK) -> list[Message]:
        """Send a request; what the kernel answers, without the acknowledgement. Raises Refusal."""
        self._sequence = self._sequence % 0xFFFFFFFF + 1
        packet = _HEADER.pack(_HEADER.size + len(body), kind, REQUEST | flags, self._sequence, 0) + body
        try:
            self._socket.sendto(packet, (0, 0))
            return list(self._answers())
        except OSError as error:
            raise Refusal(error.errno or errno.ETIMEDOUT, "") from error

    def dump(self, kind: int, body: bytes) -> list[Message]:
        """Ask for all there is."""
        return self.ask(kind, body, DUMP)

    def _answers(self) -> Iterator[Message]:
        while True:
            packet, (sender, _) = self._socket.recvfrom(_BUFFER)
            for kind, flags, sequence, body in messages(packet) if sender == 0 else ():
                if sequence != self._sequence:
                    continue
                if kind == _ERROR:
                    _raise_error(flags, body)
                    return
                if kind == _DONE:
                    return
                yield kind, body


class NetlinkEvents:
    """A socket that hears what the kernel tells everyone. ``lost`` is called when it told more than we could keep."""

    def __init__(self, protocol: int, name: str, groups: int, lost: Callable[[], None]) -> None:
        self._socket = _open(protocol, name, groups)
        self._socket.setblocking(False)
        self._lost = lost

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def fileno(self) -> int:
        """Readable when there is something."""
        return self._socket.fileno()

    def receive(self) -> Iterator[Message]:
        """What has come; ends rather than waiting."""
        while True:
            try:
                packet, (sender, _) = self._socket.recvfrom(_BUFFER)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise KernelError(f"cannot hear the kernel's events: {error.strerror}") from error
                self._lost()
                continue
            for kind, _, _, body in messages(packet) if sender == 0 else ():
                yield kind, body


def _open(protocol: int, name: str, groups: int = 0) -> socket.socket:
    try:
        opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        opened.bind((0, groups))
    except OSError as error:
        raise KernelError(f"cannot speak {name} with this kernel: {os.strerror(error.errno or 0)}") from error
    return opened


def messages(packet: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Type, flags, sequence number and body of each; a broken one ends it."""
    while len(packet) >= _HEADER.size:
        length, kind, flags, sequence, _ = _HEADER.unpack_from(packet)
        if not _HEADER.size <= length <= len(packet):
            return
        yield kind, flags, sequence, packet[_HEADER.size : length]
        packet = packet[_aligned(length) :]


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded."""
    size = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(size, kind) + value + bytes(_aligned(size) - size)


def attributes(data: bytes) -> dict[int, bytes]:
    """All attributes; a broken one ends it."""
    found = {}
    while len(data) >= _ATTRIBUTE.size:
        size, kind = _ATTRIBUTE.unpack_from(data)
        if not _ATTRIBUTE.size <= size <= len(data):
            break
        found[kind & _TYPE_MASK] = data[_ATTRIBUTE.size : size]
        data = data[_aligned(size) :]
    return found


def number(value: bytes) -> int:
    """An attribute that is one 32-bit number; 0 if it is too short."""
    return int(struct.unpack_from("=I", value)[0]) if len(value) >= 4 else 0


def pack_number(value: int) -> bytes:
    """The opposite."""
    return struct.pack("=I", value)


def _aligned(size: int) -> int:
    return (size + 3) & ~3


def _raise_error(flags: int, body: bytes) -> None:
    """Nothing for an acknowledgement; otherwise the errno, and the kernel's own words if it has any."""
    if len(body) < 4:
        return
    (code,) = struct.unpack_from("=i", body)
    if not code:
        return
    start = 4 + _HEADER.size
    if not flags & _CAPPED:
        start = 4 + _aligned(number(body[4:8]))
    text = attributes(body[start:]).get(_TEXT, b"") if flags & _HAS_TEXT else b""
    raise Refusal(-code, text.rstrip(b"\0").decode("ascii", "replace"))
