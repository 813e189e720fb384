"""``ipsec look``: tunnels, SAs and routes at a glance, from the kernel itself, whether the daemon lives or not.

The order is FreeS/WAN's: host and date, eroutes with their packets, ipsecN interfaces, SAs, routes (ipsec_look(8)).
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

from cygnet.cli.options import Options, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cygnet.cli.kernel_view import Eroute

USAGE = ("ipsec look",)
OPTIONS: Options = ()
ROUTES = Path("/proc/net/route")
ROUTE_FLAGS = ((1, "U"), (2, "G"), (4, "H"), (0x200, "!"))
HEADING = "Destination     Gateway         Genmask         Flags   MSS Window  irtt Iface"


def run(words: list[str]) -> int:
    """The command."""
    parse("ipsec look", USAGE, OPTIONS, words)
    from cygnet.cli.kernel_view import associations, described, eroutes, our_addresses
    from cygnet.cli.tncfg import attached

    found, interfaces, here = associations(), list(attached()), our_addresses()
    print(f"{socket.gethostname()} {time.strftime('%a %b %e %H:%M:%S %Z %Y')}")
    lines = [
        *map(_eroute, eroutes(found)),
        *(f"{name}->{below} mtu={mtu}({mtu})->{mtu2}" for name, below, mtu, mtu2 in interfaces),
    ]
    lines += [described(one, here) for one in found if one.key.spi]
    shown = {name for virtual, physical, *_ in interfaces for name in (virtual, physical)}
    print("\n".join([*lines, HEADING, *sorted(_routes(shown))]))
    return 0


def _eroute(one: Eroute) -> str:
    packets = f" ({one.packets})" if one.group else ""
    return f"{one.source!s:18} -> {one.destination!s:18} => {one.word or ' '.join(map(str, one.group))}{packets}"


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
