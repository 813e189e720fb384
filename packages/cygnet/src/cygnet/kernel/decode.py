"""XFRM messages of the kernel: events, counters, and which SAs and policies are ours (<linux/xfrm.h>).

What is too short or of no interest gives None, never an exception.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_network

from cygnet.connection.connection import Address
from cygnet.connection.selector import Selector
from cygnet.kernel import ours, structs
from cygnet.kernel.encode import ATTR_IF_ID, ATTR_MARK, ATTR_TMPL, DIRECTIONS, PROTOCOLS
from cygnet.kernel.interface import Acquire, Expire, Mapping
from cygnet.kernel.netlink import attributes, number
from cygnet.kernel.policy import Action, Policy, Template
from cygnet.kernel.sa import SaCounters, SaKey

_PROTOCOL_NAMES = {value: name for name, value in PROTOCOLS.items()}
_DIRECTION_OF = {value: direction for direction, value in DIRECTIONS.items()}
_LAST_USED = 15  # XFRMA_LASTUSED
_WITH_PORTS = (6, 17, 132, 33, 136)  # TCP, UDP, SCTP, DCCP, UDP-Lite; of ICMP the kernel gives type and code


def acquire(body: bytes) -> Acquire | None:
    """Of a policy of ours, or None."""
    policy_at = structs.ID.size + 16 + structs.SELECTOR.size
    found = attributes(body[policy_at + structs.POLICY_SIZE + 16 :])
    reqid = _reqid(found.get(ATTR_TMPL, b""))
    selectors = _selectors(body[structs.ID.size + 16 : policy_at])
    return Acquire(reqid, *selectors) if reqid in ours.REQIDS and selectors else None


def expire(body: bytes) -> Expire | None:
    """Of an SA of ours, or None. The flag has its own padding behind it."""
    key, reqid = sa_key(body, structs.SA_SIZE + 1 + structs.abi_tail(structs.SA_SIZE + 1)), sa_reqid(body)
    if key is None or reqid not in ours.REQIDS or len(body) <= structs.SA_SIZE:
        return None
    return Expire(key, reqid, hard=bool(body[structs.SA_SIZE]))


def mapping(body: bytes) -> Mapping | None:
    """Of an SA of ours, or None."""
    if len(body) < structs.MAPPING.size:
        return None
    name, reqid, _, new, _, port = structs.MAPPING.unpack_from(body)
    destination, spi, family, protocol = structs.SA_ID.unpack(name)
    address, source = _address(destination, family), _address(new, family)
    if reqid not in ours.REQIDS or protocol not in _PROTOCOL_NAMES or address is None or source is None:
        return None
    key = SaKey(address, _PROTOCOL_NAMES[protocol], int.from_bytes(spi, "big"))
    return Mapping(key, reqid, source, int.from_bytes(port, "big"))


def counters(body: bytes) -> SaCounters | None:
    """What an SA has done; of when it was used the structure has the first time, an attribute the last."""
    if len(body) < structs.SA_SIZE:
        return None
    size, packets, added, used = structs.CURRENT.unpack_from(body, structs.SA_CURRENT_AT)
    last = attributes(body[structs.SA_SIZE :]).get(_LAST_USED, b"")
    used = int.from_bytes(last, sys.byteorder) or used
    late, replayed, failed = structs.STATS.unpack_from(body, structs.SA_STATS_AT)
    return SaCounters(size, packets, added, used, late + replayed, failed)


def sa_reqid(body: bytes) -> int:
    """0 if there is none."""
    if len(body) < structs.SA_SIZE:
        return 0
    return int(structs.SA_REST.unpack_from(body, structs.SA_STATS_AT + structs.STATS.size)[1])


def sa_key(body: bytes, attributes_at: int = structs.SA_SIZE) -> SaKey | None:
    """What names an SA."""
    if len(body) < structs.SA_SIZE:
        return None
    destination, spi, protocol = structs.ID.unpack_from(body, structs.SELECTOR.size)
    family = structs.SA_REST.unpack_from(body, structs.SA_STATS_AT + structs.STATS.size)[2]
    address = _address(destination, family)
    if protocol not in _PROTOCOL_NAMES or address is None:
        return None
    mark = number(attributes(body[attributes_at:]).get(ATTR_MARK, b""))
    return SaKey(address, _PROTOCOL_NAMES[protocol], int.from_bytes(spi, "big"), mark)


def policy(body: bytes) -> Policy | None:
    """Anybody's; None for what is no policy of these directions and families, such as a socket's."""
    selectors = _selectors(body)
    if len(body) < structs.POLICY_SIZE or selectors is None:
        return None
    found, at = attributes(body[structs.POLICY_SIZE :]), structs.POLICY_BARE - structs.POLICY_REST.size
    priority, _, direction, action, *_ = structs.POLICY_REST.unpack_from(body, at)
    if direction not in _DIRECTION_OF:
        return None
    if_id, mark = number(found.get(ATTR_IF_ID, b"")), number(found.get(ATTR_MARK, b""))
    templates = tuple(_templates(found.get(ATTR_TMPL, b"")))
    does = Action.BLOCK if action else Action.ALLOW
    interface = structs.SELECTOR.unpack_from(body)[-2]
    return Policy(_DIRECTION_OF[direction], *selectors, priority, does, templates, if_id, mark, interface)


def selectors(body: bytes) -> tuple[Selector, Selector] | None:
    """Source and destination of an SA's traffic; None if it is for any."""
    return _selectors(body)


def _templates(data: bytes) -> Iterator[Template]:
    whole = len(data) // structs.TEMPLATE.size * structs.TEMPLATE.size
    for name, family, source, reqid, mode, _, optional, *_ in structs.TEMPLATE.iter_unpack(data[:whole]):
        destination, _, protocol = structs.ID.unpack(name)
        here, there = (_address(end, family) if any(end) else None for end in (source, destination))
        kind = _PROTOCOL_NAMES.get(protocol, str(protocol))
        yield Template(kind, "tunnel" if mode else "transport", reqid, here, there, bool(optional))


def _reqid(templates: bytes) -> int:
    """Of the first template; ours are all alike."""
    return int(structs.TEMPLATE.unpack_from(templates)[3]) if len(templates) >= structs.TEMPLATE.size else 0


def _selectors(data: bytes) -> tuple[Selector, Selector] | None:
    """Source and destination."""
    if len(data) < structs.SELECTOR.size:
        return None
    daddr, saddr, dport, _, sport, _, family, dbits, sbits, protocol, *_ = structs.SELECTOR.unpack_from(data)
    source, destination = _address(saddr, family), _address(daddr, family)
    if source is None or destination is None or max(dbits, sbits) > source.max_prefixlen:
        return None
    ports = (struct.unpack("!HH", sport + dport)) if protocol in _WITH_PORTS else (0, 0)
    networks = (ip_network((source, sbits), strict=False), ip_network((destination, dbits), strict=False))
    return Selector(networks[0], protocol, ports[0]), Selector(networks[1], protocol, ports[1])


def _address(data: bytes, family: int) -> Address | None:
    match family:
        case socket.AF_INET:
            return IPv4Address(data[:4])
        case socket.AF_INET6:
            return IPv6Address(data[:16])
    return None
