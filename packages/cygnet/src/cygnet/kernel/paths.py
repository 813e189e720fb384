"""How IKE and ESP reach the peers beside the tunnels: a route to each peer in a table that only their packets ask.

Without it a route to the peer itself into ``ipsecN`` (a host-to-host tunnel, or one to everything) would send the
encrypted packets into the tunnel again: Linux does not hold those of an XFRM interface to its physical one.
Packets have a mark for it. The rules for ESP and AH are for what has none: a path MTU that somebody on the way tells
is kept with the route that a bare look-up finds.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Container, Iterator

from cygnet.connection.connection import Address
from cygnet.kernel import ours
from cygnet.kernel import route_netlink as rt
from cygnet.kernel.encode import PROTOCOLS, family_of
from cygnet.kernel.netlink import ACK, CREATE, EXCLUSIVE, REPLACE, Netlink, attribute

_TO_TABLE = 1
_RULE_IN, _RULE_PRIORITY, _RULE_MARK, _RULE_TABLE, _RULE_MASK, _RULE_PROTOCOL = 3, 6, 10, 15, 16, 22
_OURSELVES = b"lo\0"
_ABSENT = (errno.ESRCH, errno.ENOENT)


def add(remote: Address, interface: str, gateway: Address | None) -> None:
    """See Kernel.add_path."""
    with rt.rtnetlink() as netlink, rt.sentence(f"keep a path to {remote} over {interface}"):
        _add_rules(netlink, family_of(remote))
        index = rt.index_of(interface)
        gateway = gateway or _gateway(netlink, remote, index)
        body = _route(remote, rt.SCOPE_LINK if remote.version == 4 and not gateway else 0) + rt.numbered(
            {rt.OUT: index}
        )
        if gateway:
            body += attribute(rt.GATEWAY, gateway.packed)
        netlink.ask(rt.NEWROUTE, body, ACK | CREATE | REPLACE)


def delete(remote: Address) -> None:
    """See Kernel.delete_path."""
    _keep(lambda path: path != remote)


def flush(needed: Container[Address] = ()) -> None:
    """All paths, but those to whom is ``needed``."""
    _keep(lambda path: path in needed)


def _keep(wanted: Callable[[Address], bool]) -> None:
    """No other paths; with the last one its rule goes, too."""
    what, tolerated = "remove the paths to peers", (*_ABSENT, errno.EAFNOSUPPORT)
    with rt.rtnetlink() as netlink, rt.sentence(what, *tolerated):
        ours_now = (route.destination for route in rt.routes(netlink) if route.table == ours.UNDERLAY_TABLE)
        there = [remote for remote in ours_now if remote]
        going = [(rt.DELROUTE, _route(remote, 255)) for remote in there if not wanted(remote)]
        if len(going) == len(there):
            going += [(rt.DELRULE, rule) for family in rt.FAMILIES for rule in _rules(family)]
        for kind, body in going:
            with rt.sentence(what, *tolerated):
                netlink.ask(kind, body)


def _add_rules(netlink: Netlink, family: int) -> None:
    for rule in _rules(family):
        with rt.sentence("add the rules for packets outside the tunnels", errno.EEXIST):
            netlink.ask(rt.NEWRULE, rule, ACK | CREATE | EXCLUSIVE)


def _rules(family: int) -> Iterator[bytes]:
    numbers = {_RULE_PRIORITY: ours.UNDERLAY_RULE, _RULE_TABLE: ours.UNDERLAY_TABLE}
    start = rt.head(family, table=ours.UNDERLAY_TABLE, kind=_TO_TABLE) + rt.numbered(numbers)
    yield start + rt.numbered({_RULE_MARK: ours.UNDERLAY_MARK, _RULE_MASK: ours.UNDERLAY_MARK})
    for protocol in (PROTOCOLS["esp"], PROTOCOLS["ah"]):
        yield start + attribute(_RULE_IN, _OURSELVES) + attribute(_RULE_PROTOCOL, bytes([protocol]))


def _route(remote: Address, scope: int) -> bytes:
    bits = remote.max_prefixlen
    start = rt.head(family_of(remote), bits, ours.UNDERLAY_TABLE, rt.STATIC, scope, rt.UNICAST)
    return start + attribute(rt.DESTINATION, remote.packed)


def _gateway(netlink: Netlink, remote: Address, index: int) -> Address | None:
    """Where the routes of this interface lead; None if the peer is next door."""
    body = rt.head(family_of(remote), remote.max_prefixlen) + attribute(rt.DESTINATION, remote.packed)
    answers = netlink.ask(rt.GETROUTE, body + rt.numbered({rt.OUT: index}))
    return rt.read_route(answers[0][1]).gateway if answers else None
