"""The tunnels as the engine sees them: what a connection has in the kernel in each of FreeS/WAN's routing states.

A routed connection never sends in the clear: without an SA its policy holds the traffic back and asks for one.
A reqid stays with its connection over all rekeyings, so that these only add SAs and remove them, and leave the
policies alone. When the kernel or the updown script refuses halfway, the call leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from cygnet.connection.connection import Address, Auto, Connection, HostKind, Shunt, Type
from cygnet.connection.local import away
from cygnet.connection.selector import Selector
from cygnet.errors import CygnetError
from cygnet.kernel.interface import Kernel, KernelError
from cygnet.kernel.policy import Action, Direction, Policy
from cygnet.kernel.sa import Sa, SaCounters, SaKey
from cygnet.tunnel.associations import inbound_sas, outbound_sas, sa_key
from cygnet.tunnel.book import PolicyBook
from cygnet.tunnel.child import ChildSa
from cygnet.tunnel.paths import Paths
from cygnet.tunnel.policies import at_home, doorway, protect_inbound, protect_outbound, shunt
from cygnet.tunnel.registry import Registry
from cygnet.tunnel.route import SHUNTS, Route, Routing, Span, span_of_child, span_of_connection
from cygnet.updown.call import Occasion, Updown

Undo = list[Callable[[], object]]
_FAILURE = {Shunt.PASSTHROUGH: Type.PASSTHROUGH, Shunt.DROP: Type.DROP, Shunt.REJECT: Type.REJECT}
# Whose traffic can ask for a tunnel.
TRAPPED = (HostKind.ADDRESS, HostKind.OPPORTUNISTIC)
_PRECEDENCE = (Routing.UP, Routing.TRAP, Routing.FAILED, Routing.UNROUTED)


class Tunnels:
    """``if_ids``: physical interface -> its (ipsecN, if_id). ``hide_tos``: hidetos= of config setup."""

    def __init__(
        self,
        kernel: Kernel,
        updown: Updown,
        log: Callable[[str], None],
        if_ids: Mapping[str, tuple[str, int]],
        hide_tos: bool = True,
    ) -> None:
        self._kernel, self._updown, self._log, self._hide_tos = kernel, updown, log, hide_tos
        self._book = PolicyBook(kernel)
        self._paths = Paths(kernel)
        self._registry = Registry(if_ids)

    def inherit(self, blocks: Sequence[Policy]) -> None:
        """Go on stopping what a daemon before us has stopped, until all is routed again, and () says so."""
        self._book.claim(("", "", Direction.OUT), blocks)

    def add(self, connection: Connection) -> None:
        """Make a connection known; nothing is installed yet."""
        self._registry.add(connection)

    def forget(self, connection: Connection) -> None:
        """Remove everything that a connection and its instances have."""
        for route in self._registry.of_connection(connection.name):
            for child in list(route.children):
                self.remove(child)
            self._withdraw(route)
            self._registry.drop(route)
        self._registry.forget(connection)

    def route(self, connection: Connection) -> None:
        """Lay the trap, or the shunt of a connection that is nothing else; then set the route to it."""
        waits = connection.here.default_host and connection.here.subnet and not connection.there.strangers
        if (reason := away(connection)) and not waits:
            raise KernelError(f'cannot route "{connection.name}" yet: {reason}')
        span = span_of_connection(connection)
        if span is None:
            raise KernelError(f'cannot route "{connection.name}": its peer can be anyone, so the peer has to call')
        route = self._registry.find(connection, "", span)
        if route.routing in (Routing.TRAP, Routing.UP):
            return
        self._refuse_rival(route, span)
        with self._all_or_nothing() as undo:
            self._lay(route, partial(self._rest, route), undo)
        route.routing = _at_rest(connection)

    def unroute(self, connection: Connection) -> None:
        """Take the route and the trap away. Refused while the tunnel is up."""
        route = self._registry.get(connection.name)
        if route and route.children:
            raise KernelError(f'cannot unroute "{connection.name}" while it is up: take it down first')
        if route:
            self._withdraw(route)

    def move(self, connection: Connection) -> None:
        """Our own end has changed: what is routed is laid for the new one, and only then the old goes."""
        routes = self._registry.of_connection(connection.name)
        for route in routes:
            self._move(route, replace(connection, there=route.connection.there) if route.instance else connection)
        if not routes and connection.auto in (Auto.ROUTE, Auto.START) and connection.there.kind in TRAPPED:
            self.route(connection)

    def relay(self) -> None:
        """A link may have been away, and what led over it with it: lay it again. Never raises."""
        for route in self._registry.everything():
            if route.path:
                self._attempt(partial(self._paths.keep, route))
            if (route.routed and route.if_id) or _is_for_strangers(route):
                # The doors are at interfaces, which may be others of the same name by now.
                self._attempt(partial(self._again, route))
            if route.routed and (route.connection.type is Type.PASSTHROUGH or (route.if_id and _is_one(route.span))):
                self._attempt(partial(self._call, "route", route))

    def inbound(self, child: ChildSa) -> None:
        """Be ready to receive: inbound SAs, and policies that demand them. From now on nothing leaves in the clear."""
        span = span_of_child(child)
        route = self._registry.find(child.connection, child.instance, span)
        with self._all_or_nothing() as undo:
            undo.append(partial(self._drop_idle, route))
            if not route.children:
                self._refuse_rival(route, span)
            self._add_sas(inbound_sas(child, route.reqid, route.if_id), undo)
            self._claim(route, Direction.IN, protect_inbound(span, *_numbers(route)), undo)
            if route.routing is Routing.UNROUTED and not route.routed:
                self._respan(route, span, undo)
                self._lay(route, partial(self._claim, route, Direction.OUT, self._trap(route)), undo, child.peer_id)
        route.children.append(child)

    def outbound(self, child: ChildSa) -> None:
        """Send by this child from now on."""
        route = self._registry.find(child.connection, child.instance, span_of_child(child))
        if child not in route.children:
            raise KernelError(f'#{child.serial} of "{child.connection.name}" cannot send: it was not made to receive')
        with self._all_or_nothing() as undo:
            self._add_sas(outbound_sas(child, route.reqid, route.if_id, self._hide_tos), undo)
            self._switch(route, child, undo)
        route.routing = Routing.UP
        self._release(child.connection, child.instance)

    def hush(self, child: ChildSa) -> None:
        """Send by this child no more, yet go on receiving: the other end may not have changed over. Never raises."""
        for leg in child.legs:
            self._attempt(partial(self._kernel.delete_sa, sa_key(child, leg, outbound=True)))

    def remove(self, child: ChildSa) -> None:
        """Take a child's SAs away. With the last one the trap is there again; of an instance nothing stays.

        Never raises: what cannot be removed is logged.
        """
        route = self._registry.get(child.connection.name, child.instance)
        if route is None or child not in route.children:
            return
        route.children.remove(child)
        if not route.children and route.routing is Routing.UP:
            self._attempt(partial(self._call, "down", route, child.peer_id))
        self._attempt(partial(self._settle, route))
        for key in _keys(child):
            self._attempt(partial(self._kernel.delete_sa, key))
        if route.instance and not route.children:
            self._withdraw(route)
        self._drop_idle(route)

    def counters(self, child: ChildSa) -> SaCounters | None:
        """Of the inbound SA that protects, the outer one of two; None if it has gone."""
        return self._kernel.query_sa(sa_key(child, child.protecting[0], outbound=False))

    def rehome(self, child: ChildSa, remote: Address, port: int) -> ChildSa:
        """The peer sends from another address or port now: follow it. The new child takes the old one's place."""
        route = self._registry.get(child.connection.name, child.instance)
        if route is None or child not in route.children:
            raise KernelError(f'#{child.serial} of "{child.connection.name}" is not installed')
        moved = replace(child, remote=remote, ports=(child.ports[0], port) if child.ports else None)
        with self._all_or_nothing() as undo:
            for old, new in zip(self._sas(child, route), self._sas(moved, route), strict=True):
                self._move_sa(old, new, undo)
            if route.routing is not Routing.UP:
                self._claim(route, Direction.IN, protect_inbound(span_of_child(moved), *_numbers(route)), undo)
            elif route.span == span_of_child(child):
                self._switch(route, moved, undo)
        route.children[route.children.index(child)] = moved
        return moved

    def owner(self, reqid: int) -> str | None:
        """The name of the connection that an acquire or expire is for."""
        route = self._registry.of_reqid(reqid)
        return route.connection.name if route else None

    def shunt(self, connection: Connection, instance: str, ours: Selector, theirs: Selector, type_: Type) -> None:
        """What is done with the traffic of two hosts for which there is no tunnel."""
        here = connection.here.host or ours.network[0]
        span = Span(ours, theirs, here, theirs.network[0], type_.value, ())
        policies = shunt(span, type_, 0, connection.mark)
        self._book.claim((connection.name, f"{instance} shunt", Direction.OUT), policies)
        self._release(connection)

    def _release(self, connection: Connection, instance: str = "") -> None:
        """Packets between strangers wait at the trap for all, or at that of their pair."""
        for each in dict.fromkeys(("", instance)) if connection.there.strangers else ():
            self._attempt(partial(self._book.renew, (connection.name, each, Direction.OUT)))

    def unshunt(self, connection: Connection, instance: str) -> None:
        """The opposite. Never raises."""
        self._attempt(partial(self._book.claim, (connection.name, f"{instance} shunt", Direction.OUT), ()))

    def failed(self, connection: Connection) -> None:
        """Negotiation failed: what ``failureshunt=`` says is done with the traffic of a routed connection."""
        route, type_ = self._registry.get(connection.name), _FAILURE.get(connection.failure_shunt)
        if route is None or type_ is None or route.children or route.routing is not Routing.TRAP:
            return
        with self._all_or_nothing() as undo:
            self._claim(route, Direction.OUT, self._shunt(route, type_), undo)
            if type_ is Type.PASSTHROUGH:
                self._claim(route, Direction.IN, (), undo)
                self._unset_route(route)
        route.routing = Routing.FAILED

    def routing(self, name: str) -> str:
        """As `ipsec auto --status` prints it; of a %any connection the state of its instances."""
        states = {route.routing for route in self._registry.of_connection(name)} or {Routing.UNROUTED}
        return next(state.value for state in _PRECEDENCE if state in states)

    # The steps, each of which can be undone

    @contextmanager
    def _all_or_nothing(self) -> Iterator[Undo]:
        undo: Undo = []
        try:
            yield undo
        except CygnetError:
            for step in reversed(undo):
                self._attempt(step)
            raise

    def _attempt(self, step: Callable[[], object]) -> None:
        try:
            step()
        except CygnetError as error:
            self._log(str(error))

    def _claim(self, route: Route, way: Direction, policies: Sequence[Policy], undo: Undo) -> None:
        owner = (route.connection.name, route.instance, way)
        before = self._book.claimed(owner)
        self._book.claim(owner, policies)
        undo.append(partial(self._book.claim, owner, before))

    def _sas(self, child: ChildSa, route: Route) -> list[Sa]:
        numbers = (route.reqid, route.if_id)
        return inbound_sas(child, *numbers) + outbound_sas(child, *numbers, self._hide_tos)

    def _add_sas(self, sas: list[Sa], undo: Undo) -> None:
        for sa in sas:
            self._kernel.add_sa(sa)
            undo.append(partial(self._kernel.delete_sa, sa.key))

    def _move_sa(self, old: Sa, new: Sa, undo: Undo) -> None:
        if self._kernel.query_sa(old.key) is None:
            return
        self._kernel.move_sa(old.key, new)
        undo.append(partial(self._kernel.move_sa, new.key, old))

    def _lay(self, route: Route, policies: Callable[[Undo], None], undo: Undo, peer_id: str = "") -> None:
        """What holds packets back goes first, then the route."""
        undo.append(partial(self._paths.release, route))
        policies(undo)
        self._attempt(partial(self._paths.keep, route))
        self._set_route(route, undo, peer_id)

    def _drop_idle(self, route: Route) -> None:
        if route.instance and not route.children:
            self._registry.drop(route)

    def _rest(self, route: Route, undo: Undo) -> None:
        """The policies of a connection without SAs: the trap, or the shunt that it is."""
        connection, span = route.connection, span_of_connection(route.connection) or route.span
        self._respan(route, span, undo)
        if connection.type in SHUNTS:
            self._claim(route, Direction.OUT, self._shunt(route, connection.type), undo)
        else:
            inbound = [] if _is_open(connection) else protect_inbound(span, *_numbers(route), at_rest=True)
            inbound += at_home(span) if inbound and connection.there.strangers else []
            self._claim(route, Direction.IN, inbound, undo)
            self._claim(route, Direction.OUT, self._trap(route), undo)

    def _again(self, route: Route) -> None:
        if route.children and route.routing is Routing.UP:
            self._protect(route, [])
        elif route.routing is Routing.FAILED:
            self._claim(route, Direction.OUT, self._shunt(route, _FAILURE[route.connection.failure_shunt]), [])
        else:
            self._rest(route, [])

    def _protect(self, route: Route, undo: Undo) -> None:
        within = protect_outbound(route.span, *_numbers(route))
        self._claim(route, Direction.IN, protect_inbound(route.span, *_numbers(route)), undo)
        self._claim(route, Direction.OUT, [*within, *doorway(route, self._kernel.index)], undo)

    def _trap(self, route: Route) -> list[Policy]:
        """Strangers are met on the way out only: what the box says to its own hosts is not asked about.

        A pair of them that waits goes before the shunt of clear-or-private.
        """
        strange, everyone = route.connection.there.strangers, _is_for_strangers(route)
        exit_ = self._kernel.index(route.interface) if everyone else 0
        at_rest = everyone or not strange
        within = protect_outbound(route.span, *_numbers(route), at_rest=at_rest, interface=exit_)
        return [*within, *doorway(route, self._kernel.index, at_rest=True)]

    def _shunt(self, route: Route, type_: Type) -> list[Policy]:
        """What is dropped does not come through the door; behind it packets are refused, and their senders told so."""
        made = shunt(route.span, type_, route.if_id, route.connection.mark)
        if type_ is Type.PASSTHROUGH:
            return made
        return [*made, *doorway(route, self._kernel.index, Action.BLOCK if type_ is Type.DROP else Action.ALLOW)]

    def _refuse_rival(self, route: Route, span: Span) -> None:
        """Traffic has one way, and who has it keeps it: two that took it from each other would both lose."""
        if other := self._registry.rival(route, span):
            mine, its = route.connection, other.connection
            raise KernelError(
                f'cannot route "{mine.name}" ({mine.where}): "{its.name}" ({its.where}) has the same traffic, with '
                f"another peer or interface: first take that down, and ipsec auto --unroute {its.name}"
            )

    def _respan(self, route: Route, span: Span, undo: Undo) -> None:
        undo.append(partial(self._registry.respan, route, route.span))
        self._registry.respan(route, span)

    def _switch(self, route: Route, child: ChildSa, undo: Undo) -> None:
        """Let the policies, the route and the firewall follow a child; after a rekeying there is nothing to do."""
        before, span, up = route.span, span_of_child(child), route.routing is Routing.UP
        same = (before.ours, before.theirs) == (span.ours, span.theirs)
        undo.append(partial(self._paths.keep if route.path else self._paths.release, route))
        if up and not same:
            self._attempt(partial(self._call, "down", route, child.peer_id))
        self._respan(route, span, undo)
        self._protect(route, undo)
        if not (up and before.remote == span.remote):
            self._attempt(partial(self._paths.keep, route))
        self._set_route(route, undo, child.peer_id)
        if not (up and same):
            self._call("up", route, child.peer_id)

    def _settle(self, route: Route) -> None:
        """After a child has gone: the policies are for the newest that is left, or at rest, or none."""
        undo: Undo = []
        if route.children and route.routing is Routing.UP:
            self._respan(route, span_of_child(route.children[-1]), undo)
            self._protect(route, undo)
        elif not route.children and route.routing in (Routing.UP, Routing.TRAP):
            route.routing = Routing.TRAP
            self._rest(route, undo)
        elif not route.children and route.routing is Routing.UNROUTED:
            self._withdraw(route)
        elif not route.children and not route.routed:
            self._claim(route, Direction.IN, (), undo)

    def _withdraw(self, route: Route) -> None:
        """No route, no policies. What cannot be undone is logged."""
        self._unset_route(route)
        self._attempt(partial(self._paths.release, route))
        for way in (Direction.OUT, Direction.IN):
            self._attempt(partial(self._claim, route, way, (), []))
        route.routing = Routing.UNROUTED

    def _move(self, route: Route, connection: Connection) -> None:
        before = replace(route)
        self._registry.move(route, connection)
        if route.children or not (route.routed or _is_for_strangers(route)):
            return
        with self._all_or_nothing() as undo:
            undo.append(lambda: _place(route, before))
            self._rest(route, undo)
            if route.interface != before.interface:
                route.routed = None
                self._set_route(route, undo)
                self._unroute(before, before.routed)
        self._attempt(partial(self._paths.keep, route))
        route.routing = _at_rest(connection)

    def _set_route(self, route: Route, undo: Undo, peer_id: str = "") -> None:
        """Unless it stands already. What was routed before goes last, and not if another connection needs it."""
        before = route.routed
        if route.connection.there.strangers:
            return
        if before and before.theirs.holds(route.span.theirs) and not _other_source(before, route.span):
            return
        self._call("prepare", route, peer_id)
        self._call("route", route, peer_id)
        if not before:
            undo.append(partial(self._unset_route, route))
        self._registry.mark_routed(route)
        self._unroute(route, before)

    def _unset_route(self, route: Route) -> None:
        before, route.routed = route.routed, None
        self._unroute(route, before)

    def _unroute(self, route: Route, span: Span | None) -> None:
        if span and self._registry.last_routed(route.interface, span):
            self._attempt(partial(self._call, "unroute", route, span=span))

    def _call(self, verb: str, route: Route, peer_id: str = "", span: Span | None = None) -> None:
        facts = (route.connection, span or route.span, route.interface, route.reqid, peer_id)
        self._updown.run(Occasion(verb, *facts))


def _is_open(connection: Connection) -> bool:
    """Whether strangers may also come in the clear."""
    return connection.there.strangers and connection.failure_shunt in (Shunt.NONE, Shunt.PASSTHROUGH)


def _is_for_strangers(route: Route) -> bool:
    """Whether it is no pair of hosts, but what pairs are made of."""
    return route.connection.there.strangers and not route.instance


def _is_one(span: Span) -> bool:
    """Whether it is one address of ours, which the updown script then names in the route."""
    return span.ours.network.num_addresses == 1


def _other_source(before: Span, now: Span) -> bool:
    return _is_one(before) and _is_one(now) and before.ours.network != now.ours.network


def _place(route: Route, before: Route) -> None:
    route.interface, route.if_id, route.routed = before.interface, before.if_id, before.routed


def _at_rest(connection: Connection) -> Routing:
    return Routing.UP if connection.type in SHUNTS else Routing.TRAP


def _numbers(route: Route) -> tuple[int, int, int]:
    return (route.reqid, route.if_id, route.connection.mark)


def _keys(child: ChildSa) -> list[SaKey]:
    """Outbound first: while it can send, the other end hears it."""
    return [sa_key(child, leg, outbound) for outbound in (True, False) for leg in child.legs]
