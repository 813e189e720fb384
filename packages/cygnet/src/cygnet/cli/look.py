"""``ipsec look``: tunnels, SAs and routes at a glance, from the kernel itself, whether the daemon lives or not.

The order is FreeS/WAN's: host and date; which traffic goes where (in brackets the packets that went); ipsecN
interfaces; SAs with what they have carried; routes. ipsec_policy(8) says what %trap, %pass and %drop are.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

from cygnet.cli.options import Options, parse
from cygnet.kernel.policy import Policy
from cygnet.tunnel.policies import fates
from cygnet.why import xfrm
from cygnet.why.xfrm import Association

USAGE = ("ipsec look",)
OPTIONS: Options = ()
ROUTES = Path("/proc/net/route")
ROUTE_FLAGS = ((1, "U"), (2, "G"), (4, "H"), (0x200, "!"))
HEADING = "Destination     Gateway         Genmask         Flags   MSS Window  irtt Iface"


def run(words: list[str]) -> int:
    """The command."""
    parse("ipsec look", USAGE, OPTIONS, words)
    associations = xfrm.associations()
    ours = dict(_interfaces())
    print(f"{socket.gethostname()} {time.strftime('%a %b %e %H:%M:%S %Z %Y')}")
    lines = [*eroutes(associations), *(f"{name}->{below}" for name, below in ours.items())]
    lines += [_described(one, int(time.time())) for one in associations]
    shown = {*ours, *(below.partition(" ")[0] for below in ours.values())}
    print("\n".join([*lines, HEADING, *sorted(_routes(shown))]))
    return 0


def eroutes(associations: list[Association] | None = None) -> list[str]:
    """What is done with which traffic, by which of the SAs (of all, if none are given)."""
    known = xfrm.associations() if associations is None else associations
    return sorted(_eroute(policy, word, known) for policy, word in fates(xfrm.policies()))


def _eroute(policy: Policy, word: str, associations: list[Association]) -> str:
    """What is done with which traffic."""
    return f"{policy.source!s:18} -> {policy.destination!s:18} => {word or xfrm.target(policy, associations)}"


def _described(one: Association, now: int) -> str:
    count = one.counters
    errors = {"ooo_errs": count.replay_drops, "auth_errs": count.integrity_failures}
    used = f" idle={now - count.last_used}" if count.last_used else ""
    life = f"bytes({count.bytes},0,0)addtime({now - count.added},0,0)packets({count.packets},0,0)"
    found = "".join(f" {name}={number}" for name, number in errors.items() if number)
    return f"{one} {one.algorithms}: src={one.source}{found} life(c,s,h)={life}{used}"


def _interfaces() -> Iterator[tuple[str, str]]:
    """ipsecN; what it is on, and its MTU."""
    from cygnet.cli.tncfg import attached

    for name, below, mtu, _ in attached():
        yield name, f"{below} mtu={mtu}"


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
