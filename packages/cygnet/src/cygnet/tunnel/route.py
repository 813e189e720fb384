"""One routed connection, or one instance of a %any connection: what is in the kernel for it, and since when.

The states are FreeS/WAN's, named as `ipsec auto --status` prints them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from ipaddress import ip_network

from cygnet.connection.connection import Address, Connection, Type
from cygnet.connection.selector import Selector
from cygnet.tunnel.child import ChildSa

SHUNTS = (Type.PASSTHROUGH, Type.DROP, Type.REJECT)


class Routing(enum.Enum):
    """Who takes the traffic of a connection."""

    UNROUTED = "unrouted"
    TRAP = "prospective erouted"
    UP = "erouted"
    FAILED = "fail erouted"


@dataclass(frozen=True)
class Span:
    """What is between two gateways: the traffic, the outer addresses, the protocols innermost first."""

    ours: Selector
    theirs: Selector
    local: Address
    remote: Address
    mode: str
    protocols: tuple[str, ...]


@dataclass(eq=False)
class Route:
    """A connection in the kernel. ``children``: those installed, oldest first; ``if_id`` 0 is no XFRM interface.

    ``span``: what its policies are for now. ``routed``: for what the updown script has set a route.
    ``path``: the peer that has a path beside the tunnels for its sake.
    """

    connection: Connection
    instance: str
    reqid: int
    interface: str
    if_id: int
    span: Span
    routing: Routing = Routing.UNROUTED
    routed: Span | None = None
    path: Address | None = None
    children: list[ChildSa] = field(default_factory=list)


def span_of_child(child: ChildSa) -> Span:
    """What a negotiated child spans."""
    protocols = tuple(leg.protocol for leg in child.legs)
    return Span(child.ours, child.theirs, child.local, child.remote, child.mode, protocols)


def span_of_connection(connection: Connection) -> Span | None:
    """What a connection will span; None while it lacks an address that the peer will bring.

    The local address may still be unspecified: until it comes, there is nothing but the trap.
    """
    here, there = connection.here, connection.there
    if there.strangers and there.host is None and here.host and here.selector:
        everyone = Selector(there.subnet or ip_network("0.0.0.0/0" if here.host.version == 4 else "::/0"))
        return Span(here.selector, everyone, here.host, everyone.network[0], "transport", ("esp",))
    if not (here.selector and there.selector):
        return None
    if connection.type in SHUNTS:
        local, remote = (here.host or here.selector.network[0]), (there.host or there.selector.network[0])
        return Span(here.selector, there.selector, local, remote, connection.type.value, ())
    if not there.host:
        return None
    local = here.host or type(there.host)(0)
    protocols = tuple(layer.protocol for layer in connection.child[0].layers) if connection.child else ("esp",)
    return Span(here.selector, there.selector, local, there.host, connection.type.value, protocols)
