"""``ipsec look``: tunnels, SAs and routes at a glance, from the kernel itself, whether the daemon lives or not.

The order is FreeS/WAN's: host and date, eroutes with their packets, ipsecN interfaces, SAs, routes.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from typing import NamedTuple

from cygnet.cli.options import Options, parse
from cygnet.errors import CygnetError
from cygnet.kernel import decode, structs
from cygnet.kernel.encode import ATTR_AEAD, ATTR_AUTH_TRUNC, ATTR_COMP, ATTR_CRYPT, ATTR_TMPL
from cygnet.kernel.netlink import Netlink, Refusal, attributes
from cygnet.kernel.policy import Direction, Policy
from cygnet.kernel.sa import SaCounters, SaKey

USAGE = ("ipsec look",)
OPTIONS: Options = ()
NETLINK_XFRM, GETSA, GETPOLICY = 6, 0x12, 0x15
ALGORITHMS = (ATTR_CRYPT, ATTR_AUTH_TRUNC, ATTR_AEAD, ATTR_COMP)
BLOCK = 1
NETWORK = Path("/sys/class/net")
ROUTES = Path("/proc/net/route")
ROUTE_FLAGS = ((1, "U"), (2, "G"), (4, "H"), (0x200, "!"))
HEADING = "Destination     Gateway         Genmask         Flags   MSS Window  irtt Iface"


class Association(NamedTuple):
    """An SA of the kernel."""

    key: SaKey
    source: str
    reqid: int
    algorithms: str
    counters: SaCounters

    def __str__(self) -> str:
        return f"{self.key.protocol}0x{self.key.spi:x}@{self.key.destination}"


def run(words: list[str]) -> int:
    """The command."""
    parse("ipsec look", USAGE, OPTIONS, words)
    associations = sorted(_associations(), key=str)
    ours = dict(_interfaces())
    print(f"{socket.gethostname()} {time.strftime('%a %b %e %H:%M:%S %Z %Y')}")
    lines = [*eroutes(associations), *(f"{name}->{below}" for name, below in ours.items())]
    lines += [_described(one, int(time.time())) for one in associations]
    shown = {*ours, *(below.partition(" ")[0] for below in ours.values())}
    print("\n".join([*lines, HEADING, *sorted(_routes(shown))]))
    return 0


def _dump(kind: int) -> list[bytes]:
    netlink = Netlink(NETLINK_XFRM, "XFRM")
    try:
        return [body for _, body in netlink.dump(kind, b"")]
    except Refusal as refusal:
        raise CygnetError(f"the kernel does not show its SAs: {refusal.text or 'that takes root'}") from None
    finally:
        netlink.close()


def _associations() -> Iterator[Association]:
    for body in _dump(GETSA):
        key, counters = decode.sa_key(body), decode.counters(body)
        if key is None or counters is None:
            continue
        at = structs.SELECTOR.size + structs.ID.size
        source = ip_address(body[at : at + len(key.destination.packed)])
        found = attributes(body[structs.SA_SIZE :])
        names = [found[kind][:64].rstrip(b"\0").decode("ascii", "replace") for kind in ALGORITHMS if kind in found]
        yield Association(key, str(source), decode.sa_reqid(body), "+".join(names), counters)


def eroutes(associations: list[Association] | None = None) -> list[str]:
    """What is done with which traffic, by which of the SAs (of all, if none are given)."""
    associations = sorted(_associations(), key=str) if associations is None else associations
    found = ((decode.our_policy(body), body) for body in _dump(GETPOLICY))
    return sorted(_eroute(one, body, associations) for one, body in found if one and one.direction is Direction.OUT)


def _eroute(policy: Policy, body: bytes, associations: list[Association]) -> str:
    action, templates = body[structs.POLICY_BARE - 3], attributes(body[structs.POLICY_SIZE :]).get(ATTR_TMPL, b"")
    layers = list(structs.TEMPLATE.iter_unpack(templates[: len(templates) // 64 * 64]))
    serving = [one for one in associations if any(_serves(one, layer, policy) for layer in layers)]
    newest = sorted(serving, key=lambda one: one.counters.added)[-len(layers) :]
    target = " ".join(map(str, newest)) or ("%trap" if layers else "%drop" if action == BLOCK else "%pass")
    packets = f" ({newest[-1].counters.packets})" if newest else ""
    return f"{policy.source!s:18} -> {policy.destination!s:18} => {target}{packets}"


def _serves(one: Association, layer: tuple[object, ...], policy: Policy) -> bool:
    """Whether an SA is of a policy's template: a number of ours, and the peer's address or the traffic's."""
    identity, _, _, reqid, *_ = layer
    packed = one.key.destination.packed
    named = bytes(identity)[: len(packed)] if isinstance(identity, bytes) else b""
    return one.reqid == reqid and (named == packed if any(named) else one.key.destination in policy.destination.network)


def _described(one: Association, now: int) -> str:
    count = one.counters
    used = f" idle={now - count.last_used}" if count.last_used else ""
    life = f"bytes({count.bytes},0,0)addtime({now - count.added},0,0)packets({count.packets},0,0)"
    return f"{one} {one.algorithms}: src={one.source} life(c,s,h)={life}{used}"


def _interfaces() -> Iterator[tuple[str, str]]:
    """ipsecN; what it is on, and its MTU."""
    names = {(path / "ifindex").read_text(): path.name for path in NETWORK.iterdir() if (path / "ifindex").exists()}
    for path in sorted(NETWORK.glob("ipsec*")):
        yield path.name, f"{names.get((path / 'iflink').read_text(), 'NULL')} mtu={(path / 'mtu').read_text().strip()}"


def _routes(interfaces: set[str]) -> Iterator[str]:
    """IPv4 routes by these interfaces, as netstat -rn prints them."""
    for row in ROUTES.read_text().splitlines()[1:]:
        name, target, gateway, flags, _, _, _, mask, mss, window, irtt = row.split()
        if name in interfaces:
            words = "".join(letter for bit, letter in ROUTE_FLAGS if int(flags, 16) & bit)
            addresses = "".join(f"{_address(text)!s:16}" for text in (target, gateway, mask))
            yield f"{addresses}{words:6} {mss:>5} {window:<6} {irtt:>5} {name}"


def _address(text: str) -> IPv4Address:
    """The kernel prints a word of its memory."""
    return IPv4Address(int.from_bytes(bytes.fromhex(text), sys.byteorder))
