"""What ``ipsec verify`` looks at and what it says of it: the edge towards the machine, so that all else is plain.

A finding without problems is OK. A problem comes with its remedy; those that are not grave are as they may be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from cygnet.conf import Configuration
from cygnet.connection.connection import Address, Auto, Connection, Type
from cygnet.connection.local import DEFAULT_ROUTE, Local
from cygnet.connection.secret import Secrets
from cygnet.connection.selector import Network
from cygnet.dns.cache import Answer
from cygnet.dns.message import Question
from cygnet.why.host import Link, Way
from cygnet.why.netfilter import Firewall

NETLINK_XFRM = 6


class Problem(NamedTuple):
    """What is wrong, in a sentence, and what to do."""

    text: str
    remedy: str
    grave: bool = True


class Finding(NamedTuple):
    """One thing that was looked at."""

    what: str
    problems: tuple[Problem, ...] = ()

    @property
    def verdict(self) -> str:
        """OK, NOTE or FAILED."""
        return "FAILED" if any(each.grave for each in self.problems) else "NOTE" if self.problems else "OK"


@dataclass(frozen=True)
class Scene:
    """A machine, its files below ``root``, and its configuration. ``pid``: the daemon's, 0 if it does not run.

    ``attached``: the networks that its interfaces are in, with the interface. ``switch``: a setting of /proc/sys/net.
    ``firewall``: of an IP version; raises NetfilterError. ``has``: whether there is a program.
    ``xfrm``: whether the kernel answers to that netlink; ``algorithm``: whether it has one, None: not known.
    ``ask``: what the DNS answers to questions.
    """

    configuration: Configuration
    secrets: Secrets
    local: Local
    attached: Mapping[Network, str]
    pid: int
    links: Mapping[str, Link]
    way: Callable[[Address], Way]
    switch: Callable[[str], int]
    firewall: Callable[[int], Firewall]
    has: Callable[[str], object]
    xfrm: bool
    algorithm: Callable[[str, str], bool | None]
    resolve: Callable[[str], object]
    ask: Callable[[Sequence[Question]], Mapping[Question, Answer]]
    root: Path = Path("/")
    folder: Path = Path("/etc")
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def text(self, path: str) -> str:
        """A file's, "" if there is none."""
        with suppress(OSError):
            return (self.root / path).read_text(errors="replace").strip()
        return ""

    @property
    def connections(self) -> list[Connection]:
        """Those that the daemon negotiates, unless they are ignored."""
        return [one for one in self.configuration.connections.values() if one.auto not in (Auto.IGNORE, Auto.MANUAL)]

    @property
    def tunnels(self) -> list[Connection]:
        """Of these the ones in tunnel mode: their traffic goes by ipsecN."""
        return [one for one in self.connections if one.type is Type.TUNNEL]

    def inward(self, network: Network) -> Way:
        """How the hosts of a network behind this one are reached; the way to our own address in it would be lo."""
        near = [name for at, name in self.attached.items() if at.version == network.version and at.overlaps(network)]
        return Way(near[0]) if near else self.way(network[1] if network.num_addresses > 2 else network[0])

    def virtual(self, connection: Connection) -> str:
        """Its ipsecN, "" if there is none."""
        return {physical: name for name, physical in self.pairs}.get(connection.here.interface, "")

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Each ipsecN and its card; one that follows the default route has none while there is no such route."""
        cards = [
            (name, self.local.default_interface if physical == DEFAULT_ROUTE else physical)
            for name, physical in self.configuration.setup.interfaces
        ]
        return [(name, card) for name, card in cards if card]


def has_xfrm() -> bool:
    """Whether the kernel takes SAs and policies by netlink."""
    import socket

    try:
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_XFRM).close()
    except OSError:
        return False
    return True


def has_algorithm(kind: str, name: str) -> bool | None:
    """Whether the kernel has it, asked by AF_ALG; None where the kernel cannot be asked."""
    import socket

    try:
        with socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET) as asked:
            asked.bind((kind, name))
    except FileNotFoundError:
        return False
    except OSError:
        return None
    return True
