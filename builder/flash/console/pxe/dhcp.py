"""The DHCP server of one board that starts by PXE: it answers the first such client it hears, and nobody else.

RFC 2131 and 2132; the options of a PXE client are those of RFC 4578 and of Intel's PXE specification 2.1.  `Answers`
is the protocol without a socket, `Server` has the socket, in a thread of its own.
"""

from __future__ import annotations

import contextlib
import enum
import re
import selectors
import socket
import struct
import threading
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from builder.errors import CygnetError
from builder.flash.console.transfer import Network

PORT, CLIENT_PORT = 67, 68
# RFC 2131, figure 1: op, htype, hlen, hops, xid, secs, flags, four addresses, chaddr, sname, file.
HEAD = struct.Struct(">4B4sHH4s4s4s4s16s64s128s")
COOKIE = b"\x63\x82\x53\x63"
TO_SERVER, TO_CLIENT, ETHERNET = 1, 2, b"\x01\x06"
# What a BOOTP relay lets through (RFC 1542, section 2.1), and what a client has to take (RFC 2131, section 2).
LEAST, MOST = 300, 1500
LEASE_SECONDS = 3600
PXE = b"PXEClient"
# PXE 2.1, table 2-1: tag 6, of one byte, bit 3: load the file that the offer names, look for no other server.
LOAD_WHAT_IS_NAMED = b"\x06\x01\x08\xff"
PC_WITH_BIOS = b"\0\0"
IP_PKTINFO = 8  # linux/in.h; Python has no name for it
MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


class Option(enum.IntEnum):
    """The options that are read or written: RFC 2132, and RFC 4578 for the last two."""

    NETMASK = 1
    ROUTER = 3
    VENDOR = 43
    ADDRESS = 50
    LEASE = 51
    KIND = 53
    SERVER = 54
    CLASS = 60
    ARCHITECTURE = 93
    MACHINE = 97


class Kind(enum.IntEnum):
    """DHCP's messages, RFC 2132, section 9.6."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    ACK = 5


class Unreadable(Exception):
    """A packet that is no request of a DHCP client on an Ethernet."""


@dataclass(frozen=True)
class Asked:
    """A client's request."""

    transaction: bytes
    flags: int
    mac: bytes
    options: dict[int, bytes]

    @property
    def by_pxe(self) -> bool:
        """Whether a BIOS asks, for something to start."""
        machine = self.options.get(Option.ARCHITECTURE, PC_WITH_BIOS)
        return self.options.get(Option.CLASS, b"").startswith(PXE) and machine == PC_WITH_BIOS


def read(packet: bytes) -> Asked:
    """Take a request apart; raises Unreadable."""
    if not HEAD.size + len(COOKIE) <= len(packet) <= MOST:
        raise Unreadable("too short or too long")
    op, htype, hlen, _, transaction, _, flags, *_, relay, hardware, _, _ = HEAD.unpack_from(packet)
    options = packet[HEAD.size :]
    if op != TO_SERVER or bytes([htype, hlen]) != ETHERNET or relay != bytes(4) or options[:4] != COOKIE:
        raise Unreadable("not a DHCP client's on this network")
    return Asked(transaction, flags, hardware[:6], _options(options[4:]))


def _options(field: bytes) -> dict[int, bytes]:
    """The options by number; what comes in several parts is put together (RFC 3396)."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(field) and (number := field[at]) != 255:
        if number == 0:
            at += 1
            continue
        value = field[at + 2 : at + 2 + field[at + 1]] if at + 1 < len(field) else b""
        if at + 1 >= len(field) or len(value) != field[at + 1]:
            raise Unreadable("an option is cut short")
        found[number] = found.get(number, b"") + value
        at += 2 + len(value)
    return found


class Answers:
    """What is answered, and what was seen.

    ``client``: the board, which may be known before; ``given``: it has its address; ``other``: a PXE client that was
    not answered; ``foreign``: a DHCP server whose offer the board took instead.
    """

    def __init__(self, addresses: Network, file: str, mac: str = "") -> None:
        self._addresses, self._file = addresses, file
        self.client = _mac_of(mac)
        self.given = False
        self.other = self.foreign = ""

    def to(self, packet: bytes) -> bytes:
        """The answer; nothing for who is not to be answered."""
        try:
            asked = read(packet)
        except Unreadable:
            return b""
        if not asked.by_pxe:
            return b""
        if self.client not in ("", _text(asked.mac)):
            self.other = _text(asked.mac)
            return b""
        match asked.options.get(Option.KIND):
            case b"\x01":
                self.client = _text(asked.mac)
                return self._answer(asked, Kind.OFFER)
            case b"\x03":
                return self._requested(asked)
        return b""

    def _requested(self, asked: Asked) -> bytes:
        server = asked.options.get(Option.SERVER, b"")
        if server != self._addresses.server.packed:
            if len(server) == 4 and self.client:
                self.foreign = str(IPv4Address(server))
            return b""
        if asked.options.get(Option.ADDRESS) != self._addresses.board.ip.packed:
            return b""
        self.given, self.foreign = True, ""
        return self._answer(asked, Kind.ACK)

    def _answer(self, asked: Asked, kind: Kind) -> bytes:
        board, server, router = self._addresses.board, self._addresses.server, self._addresses.gateway
        options = {
            Option.KIND: bytes([kind]),
            Option.SERVER: server.packed,
            Option.LEASE: LEASE_SECONDS.to_bytes(4, "big"),
            Option.NETMASK: board.netmask.packed,
            Option.ROUTER: router.packed if router else b"",
            Option.CLASS: PXE,
            Option.VENDOR: LOAD_WHAT_IS_NAMED,
            Option.MACHINE: asked.options.get(Option.MACHINE, b"")[:17],
        }
        head = HEAD.pack(
            TO_CLIENT, *ETHERNET, 0, asked.transaction, 0, asked.flags,
            bytes(4), board.ip.packed, server.packed, bytes(4), asked.mac, b"", self._file.encode(),
        )  # fmt: skip
        body = b"".join(bytes([number, len(value)]) + value for number, value in options.items() if value)
        return (head + COOKIE + body + b"\xff").ljust(LEAST, b"\0")


class Server:
    """``Answers`` at a network card: ``card`` is its name, ``listen`` our address there."""

    def __init__(self, answers: Answers, listen: IPv4Address, card: str, port: int = PORT) -> None:
        self._answers, self._listen = answers, listen
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            # Also for what is sent: a broadcast leaves by the card that it came in at.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, card.encode())
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            # Requests are broadcasts, which a socket with an address does not get.
            self._socket.bind(("", port))
        except OSError as reason:
            self._socket.close()
            raise CygnetError(_cannot_listen(card, port, reason)) from None
        self.port: int = self._socket.getsockname()[1]
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, name="dhcp", daemon=True)

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._wake.send(b"\0")
        self._thread.join()
        for each in (self._socket, self._wake, self._woken):
            each.close()

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            for each in (self._socket, self._woken):
                selector.register(each, selectors.EVENT_READ)
            while self._woken not in [key.fileobj for key, _ in selector.select()]:
                # A network that has gone is silence.
                with contextlib.suppress(OSError):
                    self._answer(self._socket.recv(MOST + 1))

    def _answer(self, packet: bytes) -> None:
        if answer := self._answers.to(packet):
            # ip(7), struct in_pktinfo: the address that it is sent from; the card may have others.
            source = struct.pack("=I4s4s", 0, self._listen.packed, bytes(4))
            control = [(socket.IPPROTO_IP, IP_PKTINFO, source)]
            # To everybody: who has no address yet cannot be found by one.
            self._socket.sendmsg([answer], control, 0, ("255.255.255.255", CLIENT_PORT))


def card_towards(address: IPv4Address, routes: Path = Path("/proc/net/route")) -> str:
    """The network card whose own network ``address`` is in, by the kernel's table; nothing if there is none."""
    found = {}
    for line in routes.read_text().splitlines()[1:]:
        card, network, gateway, _, _, _, _, mask = line.split()[:8]
        # The table has them as this machine has numbers.
        bits = int(mask, 16)
        if not int(gateway, 16) and _number(address) & bits == int(network, 16) and bits:
            found[bits.bit_count()] = card
    return found[max(found)] if found else ""


def _number(address: IPv4Address) -> int:
    number: int = struct.unpack("=I", address.packed)[0]
    return number


def _mac_of(text: str) -> str:
    mac = text.lower().replace("-", ":")
    if mac and not MAC.fullmatch(mac):
        raise CygnetError(f"--mac={text}: expected the board's Ethernet address, such as 00:00:24:c0:12:34")
    return mac


def _text(mac: bytes) -> str:
    return mac.hex(":")


def _cannot_listen(card: str, port: int, reason: OSError) -> str:
    where = f"DHCP cannot be served at {card}, port {port}"
    if isinstance(reason, PermissionError):
        return (
            f"{where}: ports below 1024 are root's; `sudo sysctl net.ipv4.ip_unprivileged_port_start={port}` opens it "
            "until the next start of this machine"
        )
    return f"{where}: {reason.strerror}; no other DHCP server, such as dnsmasq, may run there meanwhile"
