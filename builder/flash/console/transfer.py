"""How bytes get into a board's RAM: by TFTP over a network, or by Y-modem over the line where there is none."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from typing import Protocol, TypeVar

from builder.errors import CygnetError
from builder.flash.console.modem import Sender, TransferFailed
from builder.flash.console.patience import Patience
from builder.flash.console.prompt import Garbled, Prompt, Refused
from builder.flash.console.tftp import PORT, Server
from builder.flash.options import Console
from builder.image.layout import MIB

NAME = "cygnet.img"
A = TypeVar("A", IPv4Address, IPv4Interface)


class Failed(Exception):
    """The bytes did not arrive; it may go better the next time. The text says what was seen, and what to do."""


class Transfer(Protocol):
    """A way into RAM. Bytes are compared ``part`` by part; at most ``most`` go at once."""

    part: int
    most: int

    def prepare(self, prompt: Prompt) -> None:
        """What the board has to be told at first, and after each restart."""

    def load(self, prompt: Prompt, address: int, content: bytes) -> None:
        """Bring ``content`` to an address in RAM; raises Failed."""


@dataclass(frozen=True)
class Network:
    """Addresses: the board's, our server's as the board calls it, the router's if there is one, where the board's
    packets come from, and where we listen.
    """

    board: IPv4Interface
    server: IPv4Address
    gateway: IPv4Address | None
    seen_as: IPv4Address
    listen: IPv4Address


def network(wishes: Console) -> Network:
    """The addresses that the user wants; without a server's, ours in the board's network."""
    board = _address("address", wishes.address, IPv4Interface)
    server = _address("server", wishes.server, IPv4Address) if wishes.server else _ours(board)
    gateway = _address("gateway", wishes.gateway, IPv4Address) if wishes.gateway else None
    seen_as = _address("seen-as", wishes.seen_as, IPv4Address) if wishes.seen_as else board.ip
    if server == board.ip:
        raise CygnetError(f"--server={server} is the board's address, too: --address= gives it another")
    return Network(board, server, gateway, seen_as, seen_as if seen_as.is_loopback else server)


def _address(option: str, text: str, kind: type[A]) -> A:
    try:
        return kind(text)
    except ValueError:
        example = "192.168.77.2" if kind is IPv4Address else "192.168.77.1/24"
        raise CygnetError(f"--{option}={text}: expected an IPv4 address such as {example}") from None


def _ours(board: IPv4Interface) -> IPv4Address:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: the kernel says which address it would send from.
            probe.connect((str(board.ip), PORT))
            ours = IPv4Address(probe.getsockname()[0])
        except OSError:
            ours = board.ip
    if ours == board.ip or ours not in board.network:
        raise CygnetError(
            f"this machine has no address in {board.network}, where the board is put: give it one, name another place "
            "with --address= and --server=, or do without a network by --ymodem"
        )
    return ours


class Tftp:
    """TFTP; the server is started by ``over_network``."""

    part, most = MIB, 64 * MIB

    def __init__(self, addresses: Network, server: Server) -> None:
        self._addresses, self._server = addresses, server

    def prepare(self, prompt: Prompt) -> None:
        """See Transfer. Without `netretry no` a board without a cable tries for ever."""
        board = self._addresses.board
        values = {
            "ipaddr": board.ip, "netmask": board.netmask, "serverip": self._addresses.server,
            "gatewayip": self._addresses.gateway or "", "netretry": "no", "autoload": "no",
        }  # fmt: skip
        for name, value in values.items():
            prompt.run(f"setenv {name} {value}".rstrip())

    def load(self, prompt: Prompt, address: int, content: bytes) -> None:
        """See Transfer."""
        self._server.offer({NAME: content})
        try:
            prompt.run(f"tftpboot {address:#x} {NAME}")
        except Refused as refused:
            raise Failed(
                f"it cannot load from {self._addresses.server} (`{refused.last_words}`): is its cable in the card that "
                "U-Boot uses, --address= free and --server= this machine's? --ymodem does without a network"
            ) from None


@contextmanager
def over_network(wishes: Console, port: int = PORT) -> Iterator[Tftp]:
    """TFTP with a server that answers the board's address alone."""
    addresses = network(wishes)
    with Server(str(addresses.listen), str(addresses.seen_as), port) as server:
        yield Tftp(addresses, server)


class Ymodem:
    """Y-modem: 11 kB a second at 115200 bit/s, so what has arrived is never sent again."""

    part = most = 64 * 1024

    def __init__(self, patience: Patience) -> None:
        self._patience = patience

    def prepare(self, prompt: Prompt) -> None:
        """See Transfer: nothing."""

    def load(self, prompt: Prompt, address: int, content: bytes) -> None:
        """See Transfer."""
        try:
            prompt.start(f"loady {address:#x}")
            Sender(prompt.line, patience=self._patience.modem).ymodem(NAME, content)
        except (Garbled, TransferFailed) as reason:
            prompt.interrupt()
            raise Failed(f"Y-modem did not get through ({reason}): is the line too noisy?") from None
        # What it says of the transfer is not looked at: the checksum tells.
        prompt.line.drain()
