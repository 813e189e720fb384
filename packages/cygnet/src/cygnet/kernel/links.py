"""Interfaces, addresses and routes, by rtnetlink(7): what this box has, and the XFRM interfaces that we add to it.

An XFRM interface ``ipsecN`` has no address; what is routed into it is encrypted by the policies of its if_id.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address

from cygnet.conf.local import Local
from cygnet.connection.connection import Address
from cygnet.kernel import ours
from cygnet.kernel.interface import KernelError
from cygnet.kernel.netlink import ACK, CREATE, EXCLUSIVE, Netlink, Refusal, attribute, attributes, number, pack_number

_NETLINK_ROUTE = 0
_NEWLINK, _DELLINK, _GETLINK = 16, 17, 18
_GETADDR, _GETROUTE, _NEWRULE, _DELRULE = 22, 26, 32, 33
_LINK = struct.Struct("=BxHiII")  # family, type, index, flags, changed flags
_ADDRESS = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, index
_ROUTE = struct.Struct(
    "=BBBBBBBBI"
)  # family, two lengths, tos, table, protocol, scope, type (of a rule: action), flags
_UP = 1
_IFNAME, _MTU, _LINKINFO = 3, 4, 18
_KIND, _DATA = 1, 2
_XFRM_LINK, _XFRM_IF_ID = 1, 2
_ADDRESS_ANY, _ADDRESS_LOCAL = 1, 2
_GATEWAY, _OUT, _METRIC, _SOURCE, _TABLE = 5, 4, 6, 7, 15
_MAIN, _UNICAST = 254, 1
_RULE_PRIORITY, _RULE_MARK, _RULE_TABLE, _RULE_MASK = 6, 10, 15, 16
_TO_TABLE = 1
_SCOPE_LINK = 253
_FAMILIES = (socket.AF_INET, socket.AF_INET6)


def read_local() -> Local:
    """Addresses and default route as they are now. Loopback and link-local addresses are not of interest."""
    with _rtnetlink() as netlink:
        names = {index: name for index, name, _ in _links(netlink)}
        addresses: dict[str, list[Address]] = {}
        for index, address in _addresses(netlink):
            addresses.setdefault(names.get(index, ""), []).append(address)
        default = min(_defaults(netlink, names), key=lambda route: route[0], default=(0, "", None, None))
    _, interface, gateway, source = default
    source = source or next(iter(addresses.get(interface, ())), None)
    return Local({name: tuple(found) for name, found in addresses.items() if name}, interface, gateway, source)


def create_interface(name: str, if_id: int, physical: str, mtu: int = 0) -> None:
    """Make an XFRM interface over a physical one, and set it up. One of that name that is there is replaced."""
    delete_interface(name)
    data = attribute(_XFRM_LINK, pack_number(_index(physical))) + attribute(_XFRM_IF_ID, pack_number(if_id))
    info = attribute(_KIND, b"xfrm\0") + attribute(_DATA, data)
    body = _LINK.pack(socket.AF_UNSPEC, 0, 0, _UP, _UP) + attribute(_IFNAME, name.encode() + b"\0")
    body += attribute(_MTU, pack_number(mtu)) if mtu else b""
    with _rtnetlink() as netlink, _sentence(f"create {name} over {physical}"):
        netlink.ask(_NEWLINK, body + attribute(_LINKINFO, info), ACK | CREATE | EXCLUSIVE)


def delete_interface(name: str) -> None:
    """Remove an XFRM interface; another's interface of that name is not touched, and refused."""
    with _rtnetlink() as netlink, _sentence(f"remove {name}"):
        for index, found, kind in _links(netlink):
            if found == name and kind != "xfrm":
                raise KernelError(f"{name} is there already and is no XFRM interface: rename it, or use another ipsecN")
            if found == name:
                netlink.ask(_DELLINK, _LINK.pack(socket.AF_UNSPEC, 0, index, 0, 0))


def add_underlay_rule() -> None:
    """Packets with our mark, of IKE and ESP themselves, first look for a path outside the tunnels."""
    _change_rule(_NEWRULE, ACK | CREATE | EXCLUSIVE, "add the rule for packets outside the tunnels")


def remove_underlay_rule() -> None:
    """The opposite."""
    _change_rule(_DELRULE, ACK, "remove the rule for packets outside the tunnels")


def _change_rule(kind: int, flags: int, what: str) -> None:
    numbers = {
        _RULE_PRIORITY: ours.UNDERLAY_RULE,
        _RULE_MARK: ours.UNDERLAY_MARK,
        _RULE_MASK: ours.UNDERLAY_MARK,
        _RULE_TABLE: ours.UNDERLAY_TABLE,
    }
    found = b"".join(attribute(key, pack_number(value)) for key, value in numbers.items())
    for family in _FAMILIES:
        body = _ROUTE.pack(family, 0, 0, 0, ours.UNDERLAY_TABLE, 0, 0, _TO_TABLE, 0) + found
        with _rtnetlink() as netlink, _sentence(what, errno.EEXIST, errno.ENOENT, errno.EAFNOSUPPORT):
            netlink.ask(kind, body, flags)


def _links(netlink: Netlink) -> Iterator[tuple[int, str, str]]:
    """Index, name, kind."""
    for _, body in netlink.dump(_GETLINK, _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0)):
        found = attributes(body[_LINK.size :])
        kind = attributes(found.get(_LINKINFO, b"")).get(_KIND, b"")
        yield _LINK.unpack_from(body)[2], _text(found.get(_IFNAME, b"")), _text(kind)


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
    for family in _FAMILIES:
        for _, body in netlink.dump(_GETROUTE, _ROUTE.pack(family, *[0] * 8)):
            got, bits, _, _, table, _, _, kind, _ = _ROUTE.unpack_from(body)
            found = attributes(body[_ROUTE.size :])
            interface = names.get(number(found.get(_OUT, b"")), "")
            table = number(found.get(_TABLE, b"")) or table
            if (
                (got, bits, table, kind) != (family, 0, _MAIN, _UNICAST)
                or not interface
                or interface.startswith("ipsec")
            ):
                continue
            gateway, source = (ip_address(raw) if raw else None for raw in (found.get(_GATEWAY), found.get(_SOURCE)))
            yield (int(family), number(found.get(_METRIC, b""))), interface, gateway, source


def _index(name: str) -> int:
    try:
        return socket.if_nametoindex(name)
    except OSError:
        raise KernelError(f"there is no interface {name}; see interfaces= of config setup") from None


def _text(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode("ascii", "replace")


@contextmanager
def _rtnetlink() -> Iterator[Netlink]:
    netlink = Netlink(_NETLINK_ROUTE, "rtnetlink")
    try:
        yield netlink
    finally:
        netlink.close()


@contextmanager
def _sentence(what: str, *tolerated: int) -> Iterator[None]:
    try:
        yield
    except Refusal as refusal:
        if refusal.number not in tolerated:
            why = refusal.text or os.strerror(refusal.number)
            raise KernelError(f"cannot {what}: {why}") from None
