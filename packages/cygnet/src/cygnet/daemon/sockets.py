"""IKE's UDP sockets, and what is special about their packets at this edge (RFC 3948, section 2).

Each family has one socket a port. A reply leaves from the address that the packet came to; that it finds its way
outside the tunnels is kernel/sockets.py's doing.
"""

from __future__ import annotations

import functools
import selectors
import socket
import struct
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address

from cygnet.connection.connection import Address
from cygnet.errors import CygnetError
from cygnet.ike.path import Path

NON_ESP_MARKER = bytes(4)
KEEP_ALIVE = b"\xff"
MOST_AT_ONCE = 16
IP_PKTINFO, IP_RECVERR, IPV6_RECVERR = 8, 11, 25  # <linux/in.h>, <linux/in6.h>; Python has no names for them
ANCILLARY = socket.CMSG_SPACE(20)
ERROR = struct.Struct("=I12xH2x4s16s")  # errno, ..., who says so: family, port, IPv4 address, IPv6 address (ip(7))
ERRORS = {(socket.IPPROTO_IP, IP_RECVERR), (socket.IPPROTO_IPV6, IPV6_RECVERR)}
ANY: tuple[Address, ...] = (IPv4Address("0.0.0.0"), IPv6Address("::"))  # noqa: S104
Prepare = Callable[[socket.socket], None]


class SocketError(CygnetError):
    """A port cannot be had."""


class Sockets:
    """``received`` is called with each packet, bare of the marker of the port for NAT, and its path.

    ``lost`` with whom a packet did not reach, and why: the error's number, and who says so, "-" for this box.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        received: Callable[[bytes, Path], None],
        lost: Callable[[Address, str], None],
        ike_port: int,
        nat_port: int,
    ) -> None:
        self._selector, self._received, self._lost = selector, received, lost
        self._ports, self._nat_port = (ike_port, nat_port), nat_port
        self._sockets: dict[tuple[Address, int], socket.socket] = {}

    def open(self, addresses: Sequence[Address], prepare: Prepare, encapsulate: Prepare) -> None:
        """Bind each address at both ports; `prepare` all, `encapsulate` those for NAT. A host may be without IPv6."""
        for address in addresses:
            for port in self._ports:
                made = _bind(address, port, optional=address in ANY and address.version == 6)
                if made is None:
                    continue
                self._sockets[address, port] = made
                prepare(made)
                if port == self._nat_port:
                    encapsulate(made)
                self._selector.register(made, selectors.EVENT_READ, functools.partial(self._readable, made, port))

    def send(self, path: Path, packet: bytes) -> None:
        """Send; a packet that cannot be sent is lost, as packets are."""
        made = self._sockets.get((path.local, path.local_port))
        made = made or self._sockets.get((ANY[path.local.version == 6], path.local_port))
        if made is None:
            return
        if path.local_port == self._nat_port and packet != KEEP_ALIVE:
            packet = NON_ESP_MARKER + packet
        target = (str(path.remote), path.remote_port)
        number = 0
        for _ in range(2):  # the first time, the error may be an earlier packet's
            try:
                made.sendmsg([packet], [_origin(path.local)], 0, target)
            except OSError as problem:
                number = problem.errno or 0
            else:
                return
        self._lost(path.remote, f"{number} -")

    def close(self) -> None:
        """All of them."""
        for made in self._sockets.values():
            self._selector.unregister(made)
            made.close()
        self._sockets.clear()

    def _readable(self, made: socket.socket, port: int, _mask: int) -> None:
        """A few packets; the rest after others have had their turn."""
        self._errors(made)
        for _ in range(MOST_AT_ONCE):
            try:
                packet, ancillary, flags, sender = made.recvmsg(65535, ANCILLARY)
            except OSError:
                return
            local = _destination(ancillary)
            if local is None or flags & socket.MSG_TRUNC:
                continue
            bare = _without_marker(packet) if port == self._nat_port else packet
            remote = _address(sender[0])
            if bare and remote:
                self._received(bare, Path(local, port, remote, sender[1]))

    def _errors(self, made: socket.socket) -> None:
        """What ICMP says of packets of ours."""
        for _ in range(MOST_AT_ONCE):
            try:
                _, ancillary, _, target = made.recvmsg(
                    0, ANCILLARY + socket.CMSG_SPACE(ERROR.size), socket.MSG_ERRQUEUE
                )
            except OSError:
                return
            for level, kind, data in ancillary:
                if (level, kind) in ERRORS and (remote := _address(target[0])):
                    number, family, four, six = ERROR.unpack(data[: ERROR.size].ljust(ERROR.size, b"\0"))
                    speaker = {socket.AF_INET: IPv4Address(four), socket.AF_INET6: IPv6Address(six)}.get(family, "-")
                    self._lost(remote, f"{number} {speaker}")


def _without_marker(packet: bytes) -> bytes:
    """b"" for a keep-alive, and for ESP that the kernel did not want."""
    return packet[4:] if packet.startswith(NON_ESP_MARKER) else b""


def _bind(address: Address, port: int, optional: bool) -> socket.socket | None:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        made = socket.socket(family, socket.SOCK_DGRAM)
    except OSError:
        if optional:
            return None
        raise SocketError(f"this kernel has no IPv{address.version}") from None
    try:
        made.setblocking(False)
        if address.version == 4:
            made.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
            made.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        else:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            made.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
        made.bind((str(address), port))
    except OSError as problem:
        made.close()
        if optional:
            return None
        raise SocketError(
            f"cannot have UDP port {port} of {address}: {problem.strerror}; does another IKE daemon run?"
        ) from None
    return made


def _origin(local: Address) -> tuple[int, int, bytes]:
    """The control message that says where a packet comes from; its interface is left to the routes."""
    if local.version == 4:
        return socket.IPPROTO_IP, IP_PKTINFO, struct.pack("=i4s4s", 0, local.packed, bytes(4))
    return socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, struct.pack("=16si", local.packed, 0)


def _destination(ancillary: Sequence[tuple[int, int, bytes]]) -> Address | None:
    """Which of our addresses a packet came to; None for a broadcast."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO) and len(data) == 12:
            return IPv4Address(data[8:]) if data[4:8] == data[8:] else None
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO) and len(data) == 20:
            return IPv6Address(data[:16])
    return None


def _address(text: str) -> Address | None:
    """A sender's address; its scope is not ours to keep."""
    try:
        return IPv6Address(text.partition("%")[0]) if ":" in text else IPv4Address(text)
    except ValueError:
        return None
