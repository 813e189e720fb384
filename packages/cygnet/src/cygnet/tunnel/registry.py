"""Which connections there are, and their reqids, interfaces and routes: memory only, no kernel."""

from __future__ import annotations

from collections.abc import Mapping

from cygnet.connection.connection import Connection, Type
from cygnet.connection.local import DEFAULT_ROUTE
from cygnet.connection.selector import Network
from cygnet.index import Index
from cygnet.kernel import ours
from cygnet.kernel.interface import KernelError
from cygnet.tunnel.route import Route, Span

# Connections whose traffic does not go through an XFRM interface.
_DIRECT = (Type.TRANSPORT, Type.PASSTHROUGH)


class Registry:
    """``if_ids``: physical interface, or %defaultroute for any other -> its (ipsecN, if_id)."""

    def __init__(self, if_ids: Mapping[str, tuple[str, int]]) -> None:
        self._if_ids = if_ids
        self._names: dict[str, dict[str, Route]] = {}
        self._reqids: dict[int, Route] = {}
        self._there: Index[Route] = Index(lambda route: (route.span.theirs.network,))
        self._last_reqid = ours.REQIDS.start - 1
        self._routed: dict[tuple[str, Network], int] = {}

    def add(self, connection: Connection) -> None:
        """Make a connection known."""
        self._names.setdefault(connection.name, {})

    def forget(self, connection: Connection) -> None:
        """The opposite."""
        self._names.pop(connection.name, None)

    def get(self, name: str, instance: str = "") -> Route | None:
        """The route of a connection or instance, if it has one."""
        return self._names.get(name, {}).get(instance)

    def of_connection(self, name: str) -> list[Route]:
        """All of its instances."""
        return list(self._names.get(name, {}).values())

    def of_reqid(self, reqid: int) -> Route | None:
        """Whose it is."""
        return self._reqids.get(reqid)

    def find(self, connection: Connection, instance: str, span: Span) -> Route:
        """The route of a connection or instance, made if need be."""
        found = self.get(connection.name, instance)
        if found:
            return found
        interface, if_id = self._interface(connection, span)
        route = Route(connection, instance, self._new_reqid(), interface, if_id, span)
        self._names.setdefault(connection.name, {})[instance] = route
        self._reqids[route.reqid] = route
        self._there.add(route)
        return route

    def everything(self) -> list[Route]:
        """All routes."""
        return list(self._reqids.values())

    def move(self, route: Route, connection: Connection) -> None:
        """Its connection is another now, perhaps by another interface; while it is by none, things stay as they are."""
        if connection.here.interface:
            route.interface, route.if_id = self._interface(connection, route.span)
        route.connection = connection

    def respan(self, route: Route, span: Span) -> None:
        """It is between other hosts or networks now."""
        route.span = span
        self._there.add(route)

    def drop(self, route: Route) -> None:
        """Forget a route."""
        self._names[route.connection.name].pop(route.instance, None)
        self._reqids.pop(route.reqid, None)
        self._there.discard(route)

    def rival(self, route: Route, wanted: Span) -> Route | None:
        """Who has the route to that network by another interface, or is up for the same traffic with another peer.

        Strangers are in nobody's way.
        """
        for other in self._there.at(wanted.theirs.network) if not route.connection.there.strangers else ():
            span, strange = other.span, other.connection.there.strangers
            same_name = other.connection.name == route.connection.name
            if strange or same_name:
                continue
            elsewhere = other.interface != route.interface and "transport" not in (span.mode, wanted.mode)
            same = (span.ours, span.theirs) == (wanted.ours, wanted.theirs) and span.remote != wanted.remote
            if (elsewhere and other.routed) or (same and other.children):
                return other
        return None

    def mark_routed(self, route: Route) -> None:
        """A route to its destination stands."""
        route.routed = route.span
        key = (route.interface, route.span.theirs.network)
        self._routed[key] = self._routed.get(key, 0) + 1

    def last_routed(self, interface: str, span: Span) -> bool:
        """A connection needs that route no more; whether nobody else does either."""
        key = (interface, span.theirs.network)
        self._routed[key] -= 1
        if self._routed[key]:
            return False
        del self._routed[key]
        return True

    def _interface(self, connection: Connection, span: Span) -> tuple[str, int]:
        physical = connection.here.interface
        if connection.type in _DIRECT or span.mode == "transport" or connection.there.strangers:
            return (physical, 0)
        if found := self._if_ids.get(physical) or self._if_ids.get(DEFAULT_ROUTE):
            return found
        if len(self._if_ids) == 1:
            return next(iter(self._if_ids.values()))
        place = f"on {physical}" if physical else "on an unknown interface"
        raise KernelError(
            f'"{connection.name}" is {place}, which has no ipsecN: name it in interfaces= of config setup'
        )

    def _new_reqid(self) -> int:
        """The least recently freed, so that late events of a forgotten connection find nobody."""
        for step in range(1, len(ours.REQIDS) + 1):
            reqid = ours.REQIDS[(self._last_reqid + step - ours.REQIDS.start) % len(ours.REQIDS)]
            if reqid not in self._reqids:
                self._last_reqid = reqid
                return reqid
        raise KernelError(f"there are {len(ours.REQIDS)} tunnels already, and no number for another")
