"""How IKE and ESP reach the peers beside the tunnels: a route to each peer in a table that only their packets ask.

Without it a route to the peer itself into ``ipsecN`` (a host-to-host tunnel, or one to everything) would send the
encrypted packets into the tunnel again: Linux does not hold those of an XFRM interface to its physical one.
Packets have a mark for it. The rules for ESP and AH are for what has none: a path MTU that somebody on the way tells
is kept with the route that a bare look-up finds.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

from cygnet.connection.connection import Address
from cygnet.kernel import ours
from cygnet.kernel import route_netlink as rt
from cygnet.kernel.encode import PROTOCOLS, family_of
from cygnet.kernel.netlink import ACK, CREATE, EXCLUSIVE, REPLACE, Netlink, attribute

_TO_TABLE = 1
_RULE_IN, _RULE_PRIORITY, _RULE_MARK, _RULE_TABLE, _RULE_MASK, _RULE_PROTOCOL = 3, 6, 10, 15, 16, 22
_OURSELVES = b"lo\0"
_ABSENT = (errno.ESRCH, errno.ENOENT)


def add(remote: Address, interface: str, gateway: Address | None, owner: ours.Owner = ours.DAEMON) -> None:
    """See Kernel.add_path."""
    with rt.rtnetlink() as netlink, rt.sentence(f"keep a path to {remote} over {interface}"):
        _add_rules(netlink, family_of(remote))
        index = rt.index_of(interface)
        gateway = gateway or _gateway(netlink, remote, index)
        scope = rt.SCOPE_LINK if remote.version == 4 and not gateway else 0
        body = _route(remote, scope, owner) + rt.numbered({rt.OUT: index})
        if gateway:
            body += attribute(rt.GATEWAY, gateway.packed)
        netlink.ask(rt.NEWROUTE, body, ACK | CREATE | REPLACE)


def delete(remote: Address, owner: ours.Owner = ours.DAEMON) -> None:
    """See Kernel.delete_path."""
    with rt.rtnetlink() as netlink, rt.sentence(f"remove the path to {remote}", *_ABSENT):
        netlink.ask(rt.DELROUTE, _route(remote, 255, owner))


def flush(owner: ours.Owner = ours.DAEMON) -> None:
    """All paths of this owner; with the last one of all the rule for them goes, too."""
    what, tolerated = "remove the paths to peers", (*_ABSENT, errno.EAFNOSUPPORT)
    with rt.rtnetlink() as netlink, rt.sentence(what, *tolerated):
        there = [route for route in rt.routes(netlink) if route.table == ours.UNDERLAY_TABLE]
        going = [route.destination for route in there if route.protocol == owner.route_protocol and route.destination]
        steps = [(rt.DELROUTE, _route(remote, 255, owner)) for remote in going]
        if len(going) == len(there):
            steps += [(rt.DELRULE, rule) for family in rt.FAMILIES for rule in _rules(family)]
        for kind, body in steps:
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


def _route(remote: Address, scope: int, owner: ours.Owner) -> bytes:
    """By its metric each owner has a route of its own."""
    family, bits, number = family_of(remote), remote.max_prefixlen, owner.route_protocol
    start = rt.head(family, bits, ours.UNDERLAY_TABLE, number, scope, rt.UNICAST)
    return start + attribute(rt.DESTINATION, remote.packed) + rt.numbered({rt.METRIC: number})


def _gateway(netlink: Netlink, remote: Address, index: int) -> Address | None:
    """Where the routes of this interface lead; None if the peer is next door."""
    body = rt.head(family_of(remote), remote.max_prefixlen) + attribute(rt.DESTINATION, remote.packed)
    answers = netlink.ask(rt.GETROUTE, body + rt.numbered({rt.OUT: index}))
    return rt.read_route(answers[0][1]).gateway if answers else None
