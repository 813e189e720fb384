"""What this box has now: addresses, and where its default route goes; and what a connection makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from cygnet.connection.connection import Address, Connection, End

DEFAULT_ROUTE = "%defaultroute"


@dataclass(frozen=True)
class Local:
    """This box. ``addresses``: of each physical interface, by its name.

    ``default_*``: of the default route; "" and None without one. A point-to-point link has no gateway.
    """

    addresses: Mapping[str, Sequence[Address]] = field(default_factory=dict)
    default_interface: str = ""
    default_gateway: Address | None = None
    default_address: Address | None = None

    def interface_of(self, address: Address | None) -> str:
        """The interface that has this address, "" if none has."""
        return next((name for name, ours in self.addresses.items() if address in ours), "")


def follow(connection: Connection, local: Local) -> Connection:
    """The connection as it is with what this box has now: which end is here; its address, router and interface."""
    here, there = _settled(connection.here, local), _settled(connection.there, local)
    if there.interface and not here.interface and not here.default_host:
        here, there = there, here
    if here.host and there.host and here.host.version != there.host.version:
        here = replace(here, host=None, nexthop=None, interface="")
    return replace(connection, here=here, there=there)


def _settled(end: End, local: Local) -> End:
    """%defaultroute is what it was as long as this box has that address, and the default route goes nowhere else."""
    interface, default = local.interface_of(end.host), local.default_interface
    if end.default_host and not (interface and default in ("", interface)):
        found = local.default_address
        return replace(end, host=found, nexthop=local.default_gateway, interface=default if found else "")
    hop = local.default_gateway if default and (end.default_host or end.default_hop) else end.nexthop
    return replace(end, nexthop=hop, interface=interface)


def away(connection: Connection) -> str:
    """What a connection waits for, in words; "" while an end of it is this box."""
    here, there = connection.here, connection.there
    if here.interface:
        return ""
    if here.default_host:
        return "there is no default route now that would say which address %defaultroute is"
    hosts = [str(end.host) for end in (here, there) if end.host]
    return f"this box has no address {' or '.join(hosts)} now"
