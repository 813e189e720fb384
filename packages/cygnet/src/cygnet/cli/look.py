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
    associations = list(_associations())
    interfaces = dict(_interfaces())
    print(f"{socket.gethostname()} {time.strftime('%a %b %e %H:%M:%S %Z %Y')}")
    lines = [*_eroutes(associations), *(f"{ours}->{below}" for ours, below in interfaces.items())]
    lines += [_described(one) for one in sorted(associations, key=str)]
    print(
        "\n".join([*lines, HEADING, *_routes({*interfaces, *(text.partition(" ")[0] for text in interfaces.values())})])
    )
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
    """What is done with which traffic, the narrowest first."""
    found = []
    for body in _dump(GETPOLICY):
        policy = decode.our_policy(body)
        if policy and policy.direction is Direction.OUT:
            found.append(
                (str(policy.source.network), str(policy.destination.network), _eroute(policy, body, associations))
            )
    return [line for _, _, line in sorted(found)]


def _eroute(policy: Policy, body: bytes, associations: list[Association]) -> str:
    action, templates = body[structs.POLICY_BARE - 3], attributes(body[structs.POLICY_SIZE :]).get(ATTR_TMPL, b"")
    named = [
        structs.TEMPLATE.unpack_from(templates, at)[3] for at in range(0, len(templates) - 63, structs.TEMPLATE.size)
    ]
    serving = [one for one in associations if one.reqid in named and _outward(one)]
    newest = sorted(serving, key=lambda one: one.counters.added)[-len(named) :] if named else []
    target = " ".join(map(str, newest)) or ("%trap" if named else "%drop" if action == BLOCK else "%pass")
    packets = f" ({newest[-1].counters.packets})" if newest else ""
    return f"{policy.source!s:18} -> {policy.destination!s:18} => {target}{packets}"


def _outward(one: Association) -> bool:
    """Whether its source is an address of this host."""
    probe = socket.socket(socket.AF_INET6 if ":" in one.source else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        probe.bind((one.source, 0))
    except OSError:
        return False
    finally:
        probe.close()
    return True


def _described(one: Association) -> str:
    now = int(time.time())
    way = "out" if _outward(one) else "in"
    used = f" idle={now - one.counters.last_used}" if one.counters.last_used else ""
    life = f"bytes({one.counters.bytes},0,0)addtime({now - one.counters.added},0,0)packets({one.counters.packets},0,0)"
    return f"{one} {one.algorithms}: dir={way} src={one.source} life(c,s,h)={life}{used}"


def _interfaces() -> Iterator[tuple[str, str]]:
    """ipsecN and what it is on, with its MTU."""
    names = {path.name: path for path in sorted(NETWORK.iterdir())}
    numbers = {(path / "ifindex").read_text().strip(): name for name, path in names.items()}
    for name, path in names.items():
        if name.startswith("ipsec"):
            below = numbers.get((path / "iflink").read_text().strip(), "NULL")
            yield name, f"{below} mtu={(path / 'mtu').read_text().strip()}"


def _routes(interfaces: set[str]) -> list[str]:
    """IPv4 routes by these interfaces, as netstat -rn prints them."""
    lines = []
    for row in ROUTES.read_text().splitlines()[1:]:
        name, target, gateway, flags, _, _, _, mask, *rest = row.split()
        if name in interfaces:
            words = "".join(letter for bit, letter in ROUTE_FLAGS if int(flags, 16) & bit)
            addresses = "".join(f"{_address(text)!s:16}" for text in (target, gateway, mask))
            lines.append(f"{addresses}{words:6} {rest[0]:>5} {rest[1]:<6} {rest[2]:>5} {name}")
    return sorted(lines)


def _address(text: str) -> IPv4Address:
    """The kernel prints a word of memory."""
    return IPv4Address(int.from_bytes(bytes.fromhex(text), sys.byteorder))
