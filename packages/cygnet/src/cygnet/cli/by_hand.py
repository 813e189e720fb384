"""What `ipsec spi` and `ipsec eroute` set in the kernel: one SA, or the policies for some traffic, of their options."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TypeVar

from cygnet.cli import service
from cygnet.cli.kernel_view import associations, our_addresses
from cygnet.cli.keyed import SPIS, as_manual, key_bytes, one_suite
from cygnet.cli.options import UsageError, number
from cygnet.cli.said import read_said, said
from cygnet.conf.hosts import protoport
from cygnet.conf.text import read_bounded
from cygnet.conf.values import Scope
from cygnet.connection.connection import Type
from cygnet.connection.local import Local
from cygnet.connection.selector import Selector
from cygnet.crypto.transforms import CIPHERS, INTEGRITIES, WEAK
from cygnet.errors import CygnetError
from cygnet.kernel import ours
from cygnet.kernel.policy import Direction, Policy, Template
from cygnet.kernel.sa import Algorithm, Sa
from cygnet.kernel.xfrm import Xfrm
from cygnet.tunnel.policies import priority, shunt
from cygnet.tunnel.route import Span

LONGEST_KEY = 4096
LARGEST_WINDOW = 64
SHUNTS = {"%pass": Type.PASSTHROUGH, "%drop": Type.DROP, "%reject": Type.REJECT}
SHUNTS |= dict.fromkeys(("%passthrough", "%passthrough4", "%passthrough6"), Type.PASSTHROUGH)
_R = TypeVar("_R")


def kernel() -> Xfrm:
    """What is set through it, `ipsec setup stop` takes away."""
    made = Xfrm(lambda _: None, ours.MANUAL)
    service.mark_by_hand()
    return made


def sa(command: str, given: dict[str, str]) -> Sa:
    """With keys from files or standard input."""
    key = read_said(command, given)
    option = f"--{key.protocol}"
    if option not in given or key.spi not in SPIS:
        raise UsageError(f"{command}: {said(key)} takes {option} ALGORITHM, and an SPI up to 0x{SPIS[-1]:x}")
    source = _sound(command, "--src", lambda: ip_address(given.get("--src", "")))
    suite = _sound(command, option, lambda: one_suite(given[option], key.protocol))
    if WEAK & {suite.encryption, suite.integrity}:
        print(f"{command}: WARNING: {said(key)} is weak: {suite}", file=sys.stderr)

    def secret(option: str, bits: int, algorithm: str) -> bytes:
        text = _read(given.get(option, "-"))
        return _sound(command, option, lambda: key_bytes(text.strip(), bits, algorithm))

    cipher, row = CIPHERS.get(suite.encryption), INTEGRITIES[suite.integrity]
    return Sa(
        source,
        key,
        ours.MANUAL_REQIDS.start + key.spi,
        "tunnel" if given.keys() & {"--ip4", "--ip6"} else "transport",
        outbound=key.destination not in our_addresses(),
        encryption=Algorithm(cipher.kernel, secret("--enckey", suite.key_bits, cipher.name)) if cipher else None,
        integrity=Algorithm(row.kernel, secret("--authkey", 8 * row.size, row.name), row.icv_bits),
        replay_window=number(command, "--replay_window", given.get("--replay_window", "0"), range(LARGEST_WINDOW + 1)),
    )


def ends(command: str, given: dict[str, str]) -> tuple[Selector, Selector]:
    """Whose packets, to whom."""
    scope = Scope(Local(), Path(), lambda _: ())

    def end(side: str) -> Selector:
        words = f"{given.get('--transport-proto', '')}/{given.get(f'{side}-port', '')}"
        return Selector(ip_network(given.get(side, ""), strict=False), *protoport(words, scope))

    source, destination = (_sound(command, side, partial(end, side)) for side in ("--src", "--dst"))
    return source, destination


def policies(command: str, given: dict[str, str]) -> list[Policy]:
    """For an SA that is there, by its direction; or a shunt."""
    (source, destination), word = ends(command, given), given.get("--said", "")
    if word in ("%trap", "%hold"):
        raise UsageError(f"{command}: {word} is the daemon's: ipsec auto --route CONNECTION")
    if word in SHUNTS:
        span = Span(source, destination, source.network[0], destination.network[0], word, ())
        return as_manual(shunt(span, SHUNTS[word], 0, 0))
    key = read_said(command, given)
    found = next((one for one in associations() if one.key == key and one.reqid in ours.MANUAL_REQIDS), None)
    if found is None:
        raise CygnetError(f"there is no {said(key)} that was set by hand: ipsec spi makes one")
    outer = (found.source, key.destination) if found.mode == "tunnel" else (None, None)
    template = Template(key.protocol, found.mode, found.reqid, *outer)
    ways = (Direction.IN, Direction.FORWARD) if key.destination in our_addresses() else (Direction.OUT,)
    rank = priority(source, destination, 0)
    return as_manual([Policy(way, source, destination, rank, templates=(template,)) for way in ways])


def _read(place: str) -> str:
    """A line of standard input, or a file that is closed to others."""
    if place == "-":
        return sys.stdin.readline(LONGEST_KEY)
    return read_bounded(Path(place), LONGEST_KEY, private=True).decode("latin-1")


def _sound(command: str, option: str, read: Callable[[], _R]) -> _R:
    try:
        return read()
    except ValueError as error:
        raise UsageError(f"{command}: {option}: {error}") from None
