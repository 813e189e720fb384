"""What a tunnel needs of the machine around it: interfaces, ways to addresses, the kernel's switches and counters."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cygnet.connection.connection import Address
from cygnet.kernel import route_netlink as rt
from cygnet.kernel.encode import family_of
from cygnet.kernel.netlink import Refusal, attribute

INTERFACES, SWITCHES, COUNTERS = Path("/sys/class/net"), Path("/proc/sys/net"), Path("/proc/net")
UP = 1
MARK = 16  # RTA_MARK of <linux/rtnetlink.h>


@dataclass(frozen=True)
class Link:
    """An interface. ``carrier``: whether there is a cable, and something at its other end."""

    up: bool = True
    carrier: bool = True
    mtu: int = 1500


@dataclass(frozen=True)
class Way:
    """How packets to an address leave. ``problem``: why they cannot, "" if they can."""

    interface: str = ""
    gateway: Address | None = None
    source: Address | None = None
    problem: str = ""

    def __str__(self) -> str:
        return self.problem or f"by {self.interface}" + (f" via {self.gateway}" if self.gateway else "")


def links() -> dict[str, Link]:
    """Every interface by its name."""
    found = {}
    for path in INTERFACES.iterdir():
        flags, mtu = _text(path / "flags"), _text(path / "mtu")
        if flags and mtu:
            found[path.name] = Link(bool(int(flags, 16) & UP), _text(path / "carrier") != "0", int(mtu))
    return found


def way(remote: Address, mark: int = 0) -> Way:
    """The way of a packet with this mark."""
    body = rt.head(family_of(remote), remote.max_prefixlen) + attribute(rt.DESTINATION, remote.packed)
    try:
        with rt.rtnetlink() as netlink:
            route = rt.read_route(netlink.ask(rt.GETROUTE, body + rt.numbered({MARK: mark} if mark else {}))[0][1])
    except Refusal as refusal:
        return Way(problem=os.strerror(refusal.number))
    names = {_text(path / "ifindex"): path.name for path in INTERFACES.iterdir()}
    return Way(names.get(str(route.interface), "?"), route.gateway, route.source)


def switch(name: str) -> int:
    """A setting of /proc/sys/net; 0 where there is none."""
    text = _text(SWITCHES / name)
    return int(text) if text.isdecimal() else 0


def counters() -> dict[str, int]:
    """What the kernel's IPsec threw away, by its names; those that are not 0."""
    pairs = [line.split() for line in _text(COUNTERS / "xfrm_stat").splitlines()]
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].strip("0").isdecimal()}


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
