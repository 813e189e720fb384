"""SAs and policies as XFRM messages: what is asked of the kernel (<linux/xfrm.h>)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

from cygnet.connection.connection import Address
from cygnet.connection.selector import Selector
from cygnet.kernel import structs
from cygnet.kernel.netlink import attribute, pack_number
from cygnet.kernel.policy import Action, Direction, Policy, Template
from cygnet.kernel.sa import Algorithm, Sa, SaKey

PROTOCOLS = {"esp": 50, "ah": 51, "comp": 108}
DIRECTIONS = {Direction.IN: 0, Direction.OUT: 1, Direction.FORWARD: 2}
_ACTIONS = {Action.ALLOW: 0, Action.BLOCK: 1}
_MODES = {"transport": 0, "tunnel": 1}
ATTR_CRYPT, ATTR_COMP, ATTR_ENCAP, ATTR_TMPL, ATTR_REPLAY = 2, 3, 4, 5, 10
ATTR_AEAD, ATTR_AUTH_TRUNC, ATTR_MARK, ATTR_REPLAY_ESN = 18, 20, 21, 23
ATTR_EXTRA_FLAGS, ATTR_SET_MARK, ATTR_SET_MARK_MASK, ATTR_IF_ID = 24, 29, 30, 31
_ESP_IN_UDP = 2
_HIDE_TOS = 1  # an extra flag of an SA
_ANY_FAMILY, _ALIGN_4, _ESN = 32, 64, 128  # flags of an SA
_ALL = 0xFFFFFFFF
_LEGACY_WINDOW = 32


def family_of(address: Address) -> int:
    """AF_INET or AF_INET6."""
    return int(socket.AF_INET if address.version == 4 else socket.AF_INET6)


def selector(source: Selector, destination: Selector, interface: int = 0) -> bytes:
    """Both sides in one, and the index of the interface by which it leaves."""
    ports = (_port(destination), _mask(destination), _port(source), _mask(source))
    network, other = destination.network, source.network
    return structs.SELECTOR.pack(
        network.network_address.packed,
        other.network_address.packed,
        *ports,
        family_of(network.network_address),
        network.prefixlen,
        other.prefixlen,
        source.protocol or destination.protocol,
        interface,
        0,
    )


def _port(side: Selector) -> bytes:
    return struct.pack("!H", side.port)


def _mask(side: Selector) -> bytes:
    return b"\xff\xff" if side.port else bytes(2)


def sa_id(key: SaKey) -> bytes:
    """What names an SA in DELSA and GETSA, with its mark."""
    name = structs.SA_ID.pack(key.destination.packed, _spi(key), family_of(key.destination), PROTOCOLS[key.protocol])
    return name + _mark(key.mark)


def sa(wanted: Sa, replay: bytes = b"") -> bytes:
    """The body of NEWSA and UPDSA. ``replay``: attributes with the state of the SA whose place it takes."""
    inner, flags = (selector(*wanted.selectors), 0) if wanted.selectors else (bytes(structs.SELECTOR.size), _ANY_FAMILY)
    legacy = wanted.replay_window if not wanted.outbound and not _long_replay(wanted) else 0
    body = (
        inner
        + structs.ID.pack(wanted.key.destination.packed, _spi(wanted.key), PROTOCOLS[wanted.key.protocol])
        + wanted.source.packed.ljust(16, b"\0")
        + _lifetime(wanted.soft_seconds, wanted.hard_seconds)
        + bytes(structs.CURRENT.size + structs.STATS.size)
        + structs.SA_REST.pack(
            0,
            wanted.reqid,
            family_of(wanted.key.destination),
            _MODES[wanted.mode],
            legacy,
            flags | (_ESN if wanted.esn else 0) | _alignment(wanted.key),
        )
    )
    return body.ljust(structs.SA_SIZE, b"\0") + b"".join(_sa_attributes(wanted, replay))


def _alignment(key: SaKey) -> int:
    """An AH header in IPv4 is a multiple of 4 bytes, not of 8 (RFC 4302, section 3.3.3.2.1)."""
    return _ALIGN_4 if key.protocol == "ah" and key.destination.version == 4 else 0


def _sa_attributes(wanted: Sa, replay: bytes) -> Iterator[bytes]:
    if wanted.encryption:
        yield attribute(ATTR_CRYPT, _algorithm(wanted.encryption))
    if wanted.integrity:
        yield attribute(ATTR_AUTH_TRUNC, _checked(wanted.integrity))
    if wanted.aead:
        yield attribute(ATTR_AEAD, _checked(wanted.aead))
    if wanted.compression:
        yield attribute(ATTR_COMP, _algorithm(Algorithm(wanted.compression, b"")))
    if wanted.encapsulation:
        ports = (wanted.encapsulation.source_port, wanted.encapsulation.destination_port)
        packed = (struct.pack("!H", port) for port in ports)
        yield attribute(ATTR_ENCAP, structs.ENCAPSULATION.pack(_ESP_IN_UDP, *packed, bytes(16)))
    if replay:
        yield replay
    elif _long_replay(wanted):
        yield attribute(ATTR_REPLAY_ESN, _window(wanted.replay_window))
    yield _mark(wanted.key.mark)
    if wanted.if_id:
        yield attribute(ATTR_IF_ID, pack_number(wanted.if_id))
    if wanted.set_mark:
        yield attribute(ATTR_SET_MARK, pack_number(wanted.set_mark))
        yield attribute(ATTR_SET_MARK_MASK, pack_number(wanted.set_mark))
    if wanted.hide_tos:
        yield attribute(ATTR_EXTRA_FLAGS, pack_number(_HIDE_TOS))


def _algorithm(algorithm: Algorithm) -> bytes:
    return structs.ALGORITHM.pack(algorithm.name.encode(), 8 * len(algorithm.key)) + algorithm.key


def _checked(algorithm: Algorithm) -> bytes:
    head = structs.CHECKED_ALGORITHM.pack(algorithm.name.encode(), 8 * len(algorithm.key), algorithm.icv_bits)
    return head + algorithm.key


def _long_replay(wanted: Sa) -> bool:
    """Extended sequence numbers, or a window that the old structure has no room for."""
    return wanted.esn or (not wanted.outbound and wanted.replay_window > _LEGACY_WINDOW)


def _window(size: int) -> bytes:
    words = (size + 31) // 32
    return structs.REPLAY_ESN.pack(words, 0, 0, 0, 0, size) + bytes(4 * words)


def _lifetime(soft: int = 0, hard: int = 0) -> bytes:
    return structs.LIFETIME.pack(*[structs.NO_LIMIT] * 4, soft, hard, 0, 0)


def _spi(key: SaKey) -> bytes:
    return struct.pack("!I", key.spi)


def _mark(mark: int) -> bytes:
    return attribute(ATTR_MARK, structs.MARK.pack(mark, _ALL)) if mark else b""


def policy(wanted: Policy) -> bytes:
    """The body of NEWPOLICY and UPDPOLICY."""
    family = family_of(wanted.destination.network.network_address)
    rest = (wanted.priority, 0, DIRECTIONS[wanted.direction], _ACTIONS[wanted.action], 0, 0)
    body = _policy_info(selector(wanted.source, wanted.destination, wanted.interface), *rest)
    if wanted.templates:
        body += attribute(ATTR_TMPL, b"".join(_templates(wanted.templates, family)))
    return body + _policy_place(wanted)


def policy_id(wanted: Policy) -> bytes:
    """What names a policy in DELPOLICY and GETPOLICY."""
    inner = selector(wanted.source, wanted.destination, wanted.interface)
    return structs.POLICY_ID.pack(inner, 0, DIRECTIONS[wanted.direction]) + _policy_place(wanted)


def socket_policy(family: int, direction: Direction) -> bytes:
    """Of one socket: its packets pass, whatever the policies of the system say."""
    nothing = structs.SELECTOR.pack(*[bytes(16)] * 2, *[bytes(2)] * 4, family, 0, 0, 0, 0, 0)
    return _policy_info(nothing, 0, 0, DIRECTIONS[direction], _ACTIONS[Action.ALLOW], 0, 0)


def _policy_info(inner: bytes, *rest: int) -> bytes:
    body = inner + _lifetime() + bytes(structs.CURRENT.size) + structs.POLICY_REST.pack(*rest)
    return body.ljust(structs.POLICY_SIZE, b"\0")


def _policy_place(wanted: Policy) -> bytes:
    return _mark(wanted.mark) + (attribute(ATTR_IF_ID, pack_number(wanted.if_id)) if wanted.if_id else b"")


def _templates(templates: tuple[Template, ...], family: int) -> Iterator[bytes]:
    """What is around a tunnel is of the tunnel's family."""
    for template in templates:
        if template.destination:
            family = family_of(template.destination)
        ends = [end.packed if end else b"" for end in (template.destination, template.source)]
        name = structs.ID.pack(ends[0], bytes(4), PROTOCOLS[template.protocol])
        mode, optional = _MODES[template.mode], int(template.optional)
        yield structs.TEMPLATE.pack(name, family, ends[1], template.reqid, mode, 0, optional, _ALL, _ALL, _ALL)
