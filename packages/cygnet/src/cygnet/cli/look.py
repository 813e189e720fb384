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
from cygnet.kernel.encode import ATTR_AEAD, ATTR_AUTH_TRUNC, ATTR_COMP, ATTR_CRYPT
from cygnet.kernel.netlink import Netlink, Refusal, attributes
from cygnet.kernel.policy import Policy, Template
from cygnet.kernel.sa import SaCounters, SaKey
from cygnet.tunnel.policies import fates

USAGE = ("ipsec look",)
OPTIONS: Options = ()
NETLINK_XFRM, GETSA, GETPOLICY = 6, 0x12, 0x15
ALGORITHMS = (ATTR_CRYPT, ATTR_AUTH_TRUNC, ATTR_AEAD, ATTR_COMP)
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
    lines = [*_eroutes(associations), *(f"{name}->{below}" for name, below in ours.items())]
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


def _eroutes(associations: list[Association]) -> list[str]:
    """What is done with which traffic."""
    found = fates(filter(None, map(decode.our_policy, _dump(GETPOLICY))))
    return sorted(_eroute(policy, word, associations) for policy, word in found)


def _eroute(policy: Policy, word: str, associations: list[Association]) -> str:
    layers = policy.templates
    serving = [one for one in associations if any(_serves(one, layer, policy) for layer in layers)]
    newest = [] if word else sorted(serving, key=lambda one: one.counters.added)[-len(layers) :]
    packets = f" ({newest[-1].counters.packets})" if newest else ""
    target = word or " ".join(map(str, newest)) or "%trap"
    return f"{policy.source!s:18} -> {policy.destination!s:18} => {target}{packets}"


def _serves(one: Association, layer: Template, policy: Policy) -> bool:
    """Whether an SA is of a policy's template: a number of ours, and the peer's address or the traffic's."""
    peer = one.key.destination
    reached = peer == layer.destination if layer.destination else peer in policy.destination.network
    return one.reqid == layer.reqid and bool(one.key.spi) and reached


def _described(one: Association, now: int) -> str:
    count = one.counters
    errors = {"ooo_errs": count.replay_drops, "auth_errs": count.integrity_failures}
    used = f" idle={now - count.last_used}" if count.last_used else ""
    life = f"bytes({count.bytes},0,0)addtime({now - count.added},0,0)packets({count.packets},0,0)"
    found = "".join(f" {name}={number}" for name, number in errors.items() if number)
    return f"{one} {one.algorithms}: src={one.source}{found} life(c,s,h)={life}{used}"


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
