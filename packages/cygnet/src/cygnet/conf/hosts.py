"""Addresses, host names, subnets, ports and identities, as ipsec_ttoaddr(3), ipsec_ttosubnet(3) and Pluto read them."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import NamedTuple

from cygnet.conf.values import Scope, distinguished_name, to_data
from cygnet.connection.connection import Address, HostKind
from cygnet.connection.identity import Identity, IdType
from cygnet.connection.selector import Network

PROTOCOLS = {"icmp": 1, "ipip": 4, "tcp": 6, "udp": 17, "gre": 47, "esp": 50, "ah": 51, "icmpv6": 58, "sctp": 132}
PORTS = {"ssh": 22, "domain": 53, "http": 80, "ntp": 123, "https": 443, "isakmp": 500, "syslog": 514, "l2tp": 1701}
ANYONE = ("%any", "%any6", "0.0.0.0", "::")  # noqa: S104 - the old way to write %any
_KINDS = dict.fromkeys(ANYONE, HostKind.ANY) | {kind.value: kind for kind in HostKind if kind.value.startswith("%")}


class Host(NamedTuple):
    """left=: a kind, an address where it has one, the name it was found by, and whether %defaultroute gave it."""

    kind: HostKind = HostKind.ADDRESS
    address: Address | None = None
    name: str = ""
    default_route: bool = False


def numeric(text: str) -> Address | None:
    """A numeric address; None if it looks like a name. Missing bytes at the end are 0, leading zeros mean nothing."""
    if ":" in text:
        if "%" in text:
            raise ValueError(f"{text} has a scope, which cannot be used here")
        return IPv6Address(text)
    if re.fullmatch(r"0[xX][0-9a-fA-F]{8}", text):
        return IPv4Address(int(text, 16))
    if not re.fullmatch(r"[0-9.]+", text):
        return None
    octets = [int(part) for part in text.split(".") if 0 < len(part) < 10]
    if len(octets) != text.count(".") + 1 or len(octets) > 4 or max(octets) > 255:
        raise ValueError(f"{text} is no address")
    return IPv4Address(bytes([*octets, 0, 0, 0][:4]))


def address(text: str, scope: Scope) -> Address:
    """An address, or that of a host name."""
    if (found := numeric(text)) is not None:
        return found
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,253}", text):
        raise ValueError(f"{text} is neither an address nor a host name")
    known = [one for one in scope.resolve(text) if scope.version in (0, one.version)]
    if not known:
        raise ValueError(f"the name {text} has no address now: write the address, or look at the DNS server")
    return min(known, key=lambda one: one.version)


def host(text: str, scope: Scope) -> Host:
    """left= and right=."""
    if text == "%defaultroute":
        return Host(address=scope.local.default_address, default_route=True)
    if text in _KINDS:
        return Host(_KINDS[text])
    if text.startswith("%"):
        raise ValueError(f"it must be an address, a name, %defaultroute or one of {', '.join(_KINDS)}")
    return Host(address=address(text, scope), name="" if numeric(text) else text)


def nexthop(text: str, scope: Scope) -> Address | None:
    """leftnexthop=; None for %direct, and for a default route over a link without a router."""
    if text == "%direct":
        return None
    if text != "%defaultroute":
        return address(text, scope)
    return scope.local.default_gateway


def subnet(text: str, scope: Scope) -> Network:
    """Address/bits or address/mask; bits behind the mask are cleared; %default is everything."""
    if text.startswith(("vhost:", "vnet:")):
        raise ValueError("virtual addresses (vhost:, vnet:) are not supported: give each peer its own conn and subnet")
    if "," in text:
        raise ValueError("one subnet only: give each its own conn, and share the rest with also=")
    if text == "%default":
        text = "::/0" if scope.version == 6 else "0/0"
    base, slash, mask = text.partition("/")
    start = address(base, scope)
    return ip_network((start, _bits(mask, start)), strict=False) if slash else ip_network(start)


def _bits(mask: str, start: Address) -> int:
    if re.fullmatch("[0-9]{1,3}", mask) and int(mask) <= start.max_prefixlen:
        return int(mask)
    number = numeric(mask) if start.version == 4 and not mask.isdigit() else None
    bits = bin(int(number)).count("1") if number else 0
    if not number or int(number) != (0xFFFFFFFF << (32 - bits)) & 0xFFFFFFFF:
        raise ValueError(f"/{mask} is no mask")
    return bits


def protoport(text: str, _scope: Scope) -> tuple[int, int]:
    """Protocol and port, by number or name: 17/1701, udp/l2tp, tcp, 17/%any."""
    protocol, _, port = text.lower().partition("/")
    found = _number(protocol, PROTOCOLS, 255), _number(port, PORTS, 65535)
    if found[1] and not found[0]:
        raise ValueError("a port needs a protocol, such as 17/1701")
    return found


def _number(text: str, names: dict[str, int], most: int) -> int:
    if text in ("", "any", "%any"):
        return 0
    number = int(text) if re.fullmatch("[0-9]{1,5}", text) else names.get(text, most + 1)
    if number > most:
        raise ValueError(f"{text} is no protocol or port: write its number")
    return number


def source_ip(text: str, scope: Scope) -> Address:
    """leftsourceip=: an address of this box."""
    if text.startswith("%"):
        raise ValueError("addresses given by the peer (mode config) are not supported: write the address")
    return address(text, scope)


def identity(text: str, scope: Scope) -> Identity | None:
    """leftid= and the indices of ipsec.secrets; None for %any, and for %myid where it is not set."""
    if text in ANYONE:
        return None
    if text == "%myid":
        return scope.my_id
    if text.startswith("@#"):
        return Identity(IdType.KEY_ID, to_data("0x" + text[2:].removeprefix("0x")))
    if text.startswith("@~"):
        return Identity(IdType.DER_ASN1_DN, to_data("0x" + text[2:].removeprefix("0x")))
    if text.startswith("@[") and text.endswith("]"):
        return Identity(IdType.KEY_ID, _bounded(text[2:-1]))
    if "=" in text:
        return Identity(IdType.DER_ASN1_DN, distinguished_name(text.removeprefix("@")))
    if "@" in text:
        return Identity(IdType.FQDN if text[0] == "@" else IdType.USER_FQDN, _bounded(text.removeprefix("@")))
    if text.startswith("%"):
        raise ValueError("it must be an address, @name, user@name, @#hex, @[text], a distinguished name or %myid")
    return Identity.address(address(text, scope))


def _bounded(text: str) -> bytes:
    data = text.encode("utf-8", "surrogateescape")
    if not 0 < len(data) <= 255:
        raise ValueError("an identity has 1 to 255 bytes")
    return data
