"""Identities of quick mode: which traffic an SA is for (RFC 2407, section 4.6.2)."""

from __future__ import annotations

import ipaddress

from cygnet.connection.identity import IdType
from cygnet.connection.selector import Selector
from cygnet.ike.numbers import Notify
from cygnet.ike.payloads import Identification
from cygnet.ike.v1.exchange import Refused

HOSTS = {IdType.IPV4_ADDR: 4, IdType.IPV6_ADDR: 16}
SUBNETS = {IdType.IPV4_ADDR_SUBNET: 4, IdType.IPV6_ADDR_SUBNET: 16}
RANGES = {IdType.IPV4_ADDR_RANGE: 4, IdType.IPV6_ADDR_RANGE: 16}


def write(selector: Selector) -> Identification:
    """A selector as an identity payload."""
    network = selector.network
    v4 = network.version == 4
    if network.prefixlen == network.max_prefixlen:
        kind, data = (IdType.IPV4_ADDR if v4 else IdType.IPV6_ADDR), network.network_address.packed
    else:
        kind = IdType.IPV4_ADDR_SUBNET if v4 else IdType.IPV6_ADDR_SUBNET
        data = network.network_address.packed + network.netmask.packed
    return Identification(kind, data, selector.protocol, selector.port)


def read(payload: Identification) -> Selector:
    """The selector of an identity payload. Raises Refused for what is no network."""
    try:
        network = _network(payload.type, payload.data)
    except ValueError:
        raise Refused(
            Notify.INVALID_ID_INFORMATION,
            f"the peer asks for traffic that is no network: identity type {payload.type}, {payload.data[:32].hex()}",
        ) from None
    if payload.port and not payload.protocol:
        raise Refused(Notify.INVALID_ID_INFORMATION, "the peer asks for a port without a protocol")
    return Selector(network, payload.protocol, payload.port)


def _network(kind: int, data: bytes) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    if HOSTS.get(IdType(kind)) == len(data):
        return ipaddress.ip_network(ipaddress.ip_address(data))
    size = len(data) // 2
    first, second = data[:size], data[size:]
    if SUBNETS.get(IdType(kind)) == size == len(second):
        return ipaddress.ip_network(f"{ipaddress.ip_address(first)}/{_prefix(second)}")
    if RANGES.get(IdType(kind)) == size == len(second):
        networks = list(_summary(first, second))
        if len(networks) == 1:
            return networks[0]
    raise ValueError


def _prefix(mask: bytes) -> int:
    """The length of a contiguous mask; ValueError for any other."""
    bits = int.from_bytes(mask, "big")
    width = 8 * len(mask)
    length = bits.bit_count()
    if bits != (1 << width) - (1 << (width - length)):
        raise ValueError
    return length


def _summary(first: bytes, last: bytes) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    low, high = ipaddress.ip_address(first), ipaddress.ip_address(last)
    span = int(high) - int(low) + 1
    if span <= 0 or span & (span - 1):
        raise ValueError
    return [ipaddress.ip_network(f"{low}/{low.max_prefixlen - span.bit_length() + 1}")]
