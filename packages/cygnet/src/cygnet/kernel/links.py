"""Interfaces, addresses and routes, by rtnetlink(7): what this box has, and the XFRM interfaces that we add to it.

An XFRM interface ``ipsecN`` has no address; what is routed into it is encrypted by the policies of its if_id.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from ipaddress import ip_address

from cygnet.connection.connection import Address
from cygnet.connection.local import Local
from cygnet.kernel.interface import KernelError
from cygnet.kernel.netlink import ACK, CREATE, Netlink, attribute, attributes, number, pack_number
from cygnet.kernel.route_netlink import MAIN, UNICAST, index_of, routes, rtnetlink, sentence

_NEWLINK, _DELLINK, _GETLINK, _GETADDR = 16, 17, 18, 22
_LINK = struct.Struct("=BxHiII")  # family, type, index, flags, changed flags
_ADDRESS = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, index
_UP = 1
_IFNAME, _MTU, _BELOW, _LINKINFO = 3, 4, 5, 18
_KIND, _DATA = 1, 2
_XFRM_LINK, _XFRM_IF_ID = 1, 2
_ADDRESS_ANY, _ADDRESS_LOCAL = 1, 2
_SCOPE_LINK = 253


def read_local() -> Local:
    """Addresses and default route as they are now. Loopback and link-local addresses are not of interest."""
    with rtnetlink() as netlink:
        names = {index: name for index, name, *_ in _links(netlink)}
        addresses: dict[str, list[Address]] = {}
        for index, address in _addresses(netlink):
            addresses.setdefault(names.get(index, ""), []).append(address)
        default = min(_defaults(netlink, names), key=lambda route: route[0], default=(0, "", None, None))
    _, interface, gateway, source = default
    source = source or next(iter(addresses.get(interface, ())), None)
    return Local({name: tuple(found) for name, found in addresses.items() if name}, interface, gateway, source)


def create_interface(name: str, if_id: int, physical: str, mtu: int = 0) -> None:
    """Make an XFRM interface over a physical one, and set it up.

    One of that name that is there keeps its routes, unless it is over another interface: then it is made anew.
    """
    below = index_of(physical)
    delete_interface(name, unless_over=below)
    data = attribute(_XFRM_LINK, pack_number(below)) + attribute(_XFRM_IF_ID, pack_number(if_id))
    info = attribute(_KIND, b"xfrm\0") + attribute(_DATA, data)
    body = _LINK.pack(socket.AF_UNSPEC, 0, 0, _UP, _UP) + attribute(_IFNAME, name.encode() + b"\0")
    body += attribute(_MTU, pack_number(mtu)) if mtu else b""
    with rtnetlink() as netlink, sentence(f"create {name} over {physical}"):
        netlink.ask(_NEWLINK, body + attribute(_LINKINFO, info), ACK | CREATE)


def delete_interface(name: str, unless_over: int = -1) -> None:
    """Remove an XFRM interface; another's interface of that name is not touched, and refused."""
    with rtnetlink() as netlink, sentence(f"remove {name}"):
        for index, found, kind, below in _links(netlink):
            if found == name and kind != "xfrm":
                raise KernelError(f"{name} is there already and is no XFRM interface: rename it, or use another ipsecN")
            if found == name and below != unless_over:
                netlink.ask(_DELLINK, _LINK.pack(socket.AF_UNSPEC, 0, index, 0, 0))


def _links(netlink: Netlink) -> Iterator[tuple[int, str, str, int]]:
    """Index, name, kind, index of the interface below."""
    for _, body in netlink.dump(_GETLINK, _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0)):
        found = attributes(body[_LINK.size :])
        kind = attributes(found.get(_LINKINFO, b"")).get(_KIND, b"")
        yield _LINK.unpack_from(body)[2], _text(found.get(_IFNAME, b"")), _text(kind), number(found.get(_BELOW, b""))


def _addresses(netlink: Netlink) -> Iterator[tuple[int, Address]]:
    for _, body in netlink.dump(_GETADDR, _ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0)):
        _, _, _, scope, index = _ADDRESS.unpack_from(body)
        found = attributes(body[_ADDRESS.size :])
        raw = found.get(_ADDRESS_LOCAL) or found.get(_ADDRESS_ANY)
        if raw and scope < _SCOPE_LINK:
            yield index, ip_address(raw)


def _defaults(
    netlink: Netlink, names: dict[int, str]
) -> Iterator[tuple[tuple[int, int], str, Address | None, Address | None]]:
    """Rank, interface, gateway, source address of each default route that leads out of the box."""
    for route in routes(netlink):
        interface = names.get(route.interface, "")
        if (
            route.table == MAIN
            and not route.bits
            and route.kind == UNICAST
            and interface.strip("0123456789") not in ("", "ipsec")
        ):
            yield (route.family, route.metric), interface, route.gateway, route.source


def _text(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode("ascii", "replace")
