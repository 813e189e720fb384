"""Routes and rules by rtnetlink(7), as far as links.py and paths.py need them."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address

from cygnet.connection.connection import Address
from cygnet.kernel.interface import KernelError
from cygnet.kernel.netlink import Netlink, Refusal, attribute, attributes, number, pack_number

NEWROUTE, DELROUTE, GETROUTE, NEWRULE, DELRULE = 24, 25, 26, 32, 33
MAIN, UNICAST, SCOPE_LINK = 254, 1, 253
DESTINATION, OUT, GATEWAY, METRIC, SOURCE, TABLE = 1, 4, 5, 6, 7, 15
FAMILIES = (int(socket.AF_INET), int(socket.AF_INET6))
_NETLINK_ROUTE = 0
# Family, length of destination and source, tos, table, protocol, scope, type (of a rule: action), flags.
_HEAD = struct.Struct("=BBBBBBBBI")


@dataclass(frozen=True)
class RouteInfo:
    """What the kernel tells of a route. ``interface``: its index."""

    family: int
    bits: int
    table: int
    kind: int
    destination: Address | None
    interface: int
    gateway: Address | None
    source: Address | None
    metric: int
    protocol: int


def head(family: int, bits: int = 0, table: int = 0, protocol: int = 0, scope: int = 0, kind: int = 0) -> bytes:
    """The beginning of a message about a route or a rule."""
    return _HEAD.pack(family, bits, 0, 0, table, protocol, scope, kind, 0)


def routes(netlink: Netlink) -> Iterator[RouteInfo]:
    """All routes of both families."""
    for family in FAMILIES:
        for _, body in netlink.dump(GETROUTE, head(family)):
            route = read_route(body)
            if route.family == family:
                yield route


def read_route(body: bytes) -> RouteInfo:
    """One route."""
    family, bits, _, _, table, protocol, _, kind, _ = _HEAD.unpack_from(body)
    found = attributes(body[_HEAD.size :])
    destination, gateway, source = (_address(found.get(key)) for key in (DESTINATION, GATEWAY, SOURCE))
    table = number(found.get(TABLE, b"")) or table
    interface, metric = number(found.get(OUT, b"")), number(found.get(METRIC, b""))
    return RouteInfo(family, bits, table, kind, destination, interface, gateway, source, metric, protocol)


def _address(raw: bytes | None) -> Address | None:
    return ip_address(raw) if raw and len(raw) in (4, 16) else None


def numbered(values: dict[int, int]) -> bytes:
    """Attributes that are numbers."""
    return b"".join(attribute(key, pack_number(value)) for key, value in values.items())


def index_of(name: str) -> int:
    """Of an interface."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        raise KernelError(f"there is no interface {name}; see interfaces= of config setup") from None


@contextmanager
def rtnetlink() -> Iterator[Netlink]:
    """A socket for a few requests."""
    netlink = Netlink(_NETLINK_ROUTE, "rtnetlink")
    try:
        yield netlink
    finally:
        netlink.close()


@contextmanager
def sentence(what: str, *tolerated: int) -> Iterator[None]:
    """Say what had been asked when the kernel refuses, unless that is ``tolerated``."""
    try:
        yield
    except Refusal as refusal:
        if refusal.number not in tolerated:
            raise KernelError(f"cannot {what}: {refusal.text or os.strerror(refusal.number)}") from None
