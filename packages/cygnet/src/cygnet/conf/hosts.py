"""Addresses, host names, subnets, ports and identities, as ipsec_ttoaddr(3), ipsec_ttosubnet(3) and Pluto read them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_network

from cygnet.conf.keys import to_data
from cygnet.conf.values import Scope, distinguished_name
from cygnet.connection.connection import Address, HostKind
from cygnet.connection.identity import Identity, IdType
from cygnet.connection.selector import Network

PROTOCOLS = {"icmp": 1, "igmp": 2, "ipip": 4, "tcp": 6, "udp": 17, "ipv6": 41, "gre": 47, "esp": 50, "ah": 51}
PROTOCOLS |= {"ipv6-icmp": 58, "icmpv6": 58, "ospf": 89, "l2tp": 115, "ipcomp": 108, "sctp": 132, "%any": 0, "any": 0}
PORTS = {"ssh": 22, "telnet": 23, "smtp": 25, "domain": 53, "bootps": 67, "bootpc": 68, "tftp": 69, "http": 80}
PORTS |= {
    "ntp": 123,
    "snmp": 161,
    "https": 443,
    "isakmp": 500,
    "syslog": 514,
    "l2tp": 1701,
    "l2f": 1701,
    "radius": 1812,
}
PORTS |= {"%any": 0, "any": 0}
_ANYONE = {
    "%any": HostKind.ANY,
    "%any6": HostKind.ANY,
    "0.0.0.0": HostKind.ANY,  # noqa: S104 - the old way to write %any
    "::": HostKind.ANY,
    "%opportunistic": HostKind.OPPORTUNISTIC,
    "%group": HostKind.GROUP,
    "%opportunisticgroup": HostKind.OPPORTUNISTIC_GROUP,
}


@dataclass(frozen=True)
class Host:
    """left=: a kind, an address where it has one, the name it was found by, and whether %defaultroute gave it."""

    kind: HostKind = HostKind.ADDRESS
    address: Address | None = None
    name: str = ""
    default_route: bool = False


@dataclass(frozen=True)
class Nexthop:
    """leftnexthop=: None is %direct; ``default_route``: that of the default route, which may be a link without one."""

    address: Address | None = None
    default_route: bool = False


def numeric(text: str) -> Address | None:
    """A numeric address; None if it looks like a name. Missing bytes at the end are 0, leading zeros mean nothing."""
    if ":" in text:
        if "%" in text:
            raise ValueError(f"{text} has a scope, which cannot be used here")
        return IPv6Address(text)
    if re.fullmatch(r"0[xX][0-9a-fA-F]{8}", text):
        return IPv4Address(int(text, 16))
    if not re.fullmatch(r"\d+(\.\d+)*", text, re.ASCII):
        return None
    octets = [int(part[-9:]) for part in text.split(".")]
    if len(octets) > 4 or max(octets) > 255:
        raise ValueError(f"{text} is no address")
    return IPv4Address(bytes([*octets, 0, 0, 0][:4]))


def address(text: str, scope: Scope) -> Address:
    """An address, or that of a host name."""
    found = numeric(text)
    return found if found is not None else _resolved(text, scope)


def _resolved(name: str, scope: Scope) -> Address:
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,253}", name):
        raise ValueError(f"{name} is neither an address nor a host name")
    found = [one for one in scope.resolve(name) if scope.version in (0, one.version)]
    if not found:
        raise ValueError(f"the name {name} has no address now: write the address, or look at the DNS server")
    return min(found, key=lambda one: one.version)


def host(text: str, scope: Scope) -> Host:
    """left= and right=."""
    if text == "%defaultroute":
        if scope.local.default_address is None:
            raise ValueError("there is no default route now, so its address is not known")
        return Host(address=scope.local.default_address, default_route=True)
    if text in _ANYONE:
        return Host(_ANYONE[text])
    if text.startswith("%"):
        raise ValueError(f"it must be an address, a name, %defaultroute or one of {', '.join(_ANYONE)}")
    return Host(address=address(text, scope), name="" if numeric(text) else text)


def nexthop(text: str, scope: Scope) -> Nexthop:
    """leftnexthop=."""
    if text == "%direct":
        return Nexthop()
    if text == "%defaultroute":
        if not scope.local.default_interface:
            raise ValueError("there is no default route now")
        return Nexthop(scope.local.default_gateway, True)
    return Nexthop(address(text, scope))


def subnet(text: str, scope: Scope) -> Network:
    """Address/bits or address/mask; bits behind the mask are cleared; %default is all of IPv4."""
    if text.startswith(("vhost:", "vnet:")):
        raise ValueError("virtual addresses (vhost:, vnet:) are not supported: give each peer its own conn and subnet")
    if text == "%default":
        return ip_network("::/0" if scope.version == 6 else "0.0.0.0/0")
    if "," in text:
        raise ValueError("one subnet only: give each its own conn, and share the rest with also=")
    base, slash, mask = text.partition("/")
    start = address(base, scope)
    if not slash:
        return ip_network(start)
    return ip_network((start, _bits(mask, start)), strict=False)


def _bits(mask: str, start: Address) -> int:
    if re.fullmatch(r"\d{1,3}", mask, re.ASCII):
        if int(mask) > start.max_prefixlen:
            raise ValueError(f"/{mask} is too long a mask")
        return int(mask)
    number = numeric(mask) if start.version == 4 else None
    value = int(number) if isinstance(number, IPv4Address) else -1
    bits = bin(value).count("1")
    if value != (0xFFFFFFFF << (32 - bits)) & 0xFFFFFFFF:
        raise ValueError(f"/{mask} is no mask")
    return bits


def protoport(text: str, _scope: Scope) -> tuple[int, int]:
    """Protocol and port, by number or name: 17/1701, udp/l2tp, tcp, 17/%any."""
    protocol, slash, port = text.lower().partition("/")
    number = _number(protocol, PROTOCOLS, 255, "protocol")
    if not slash or not port:
        return number, 0
    found = _number(port, PORTS, 65535, "port")
    if found and not number:
        raise ValueError("a port needs a protocol, such as 17/1701")
    return number, found


def _number(text: str, names: dict[str, int], most: int, what: str) -> int:
    number = names.get(text, int(text) if re.fullmatch(r"\d{1,5}", text, re.ASCII) else -1)
    if not 0 <= number <= most:
        raise ValueError(f"{text} is no {what}: write its number")
    return number


def source_ip(text: str, scope: Scope) -> Address:
    """leftsourceip=: an address of this box."""
    if text.startswith("%"):
        raise ValueError("addresses given by the peer (mode config) are not supported: write the address")
    return address(text, scope)


def identity(text: str, scope: Scope) -> Identity | None:
    """leftid= and the indices of ipsec.secrets; None for %any, and for %myid where it is not set."""
    if text in _ANYONE and _ANYONE[text] is HostKind.ANY:
        return None
    if text == "%myid":
        return scope.my_id
    if "=" in text and not text.startswith(("@#", "@[", "@~")):
        return Identity(IdType.DER_ASN1_DN, distinguished_name(text.removeprefix("@")))
    if text.startswith("@"):
        return _named(text)
    if "@" in text:
        return Identity(IdType.USER_FQDN, _bounded(text))
    if text.startswith("%"):
        raise ValueError("it must be an address, @name, user@name, @#hex, @[text], a distinguished name or %myid")
    return Identity.address(address(text, scope))


def _named(text: str) -> Identity:
    match text[1:2]:
        case "#":
            return Identity(IdType.KEY_ID, to_data("0x" + text[2:].removeprefix("0x")))
        case "~":
            return Identity(IdType.DER_ASN1_DN, to_data("0x" + text[2:].removeprefix("0x")))
        case "[" if text.endswith("]"):
            return Identity(IdType.KEY_ID, _bounded(text[2:-1]))
    return Identity(IdType.FQDN, _bounded(text[1:]))


def _bounded(text: str) -> bytes:
    data = text.encode("utf-8", "surrogateescape")
    if not 0 < len(data) <= 255:
        raise ValueError("an identity has 1 to 255 bytes")
    return data
