"""A connection's policies, as Linux is to have them: which traffic is protected, trapped, dropped or let through.

Traffic of a tunnel comes and goes by its XFRM interface, whose policies have its if_id; the policies without
if_id see the packets in the clear, and refuse those that pretend to be from the other end (guards). On their way
out packets come to the door of ipsecN first: it is open while there are SAs, else they wait there, and ask for some.
The wall beside it stops what a route leads elsewhere, so that nothing depends on the route alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from cygnet.connection.connection import Address, Type
from cygnet.connection.selector import Selector
from cygnet.kernel import ours
from cygnet.kernel.policy import Action, Direction, Policy, Template
from cygnet.tunnel.route import Route, Span

# Among policies of the same size the tunnel wins over the shunt, and that over the guard; what rests is a guard.
_TUNNEL, _SHUNT, _GUARD = range(3)
_INBOUND = (Direction.IN, Direction.FORWARD)
_WIDEST = 8 * 256 + 8


def priority(source: Selector, destination: Selector, kind: int) -> int:
    """Smaller selectors win: first by their networks, then by protocol and ports."""
    networks = source.network.prefixlen + destination.network.prefixlen
    narrowed = sum(map(bool, (source.protocol, source.port, destination.port)))
    return ours.PRIORITIES.start + 8 * (_WIDEST - 8 * networks - narrowed) + 2 * kind


def protect_inbound(span: Span, reqid: int, if_id: int, mark: int, at_rest: bool = False) -> list[Policy]:
    """What comes must be protected; the guards see to it that nothing comes in the clear."""
    kind, templates = _kind(at_rest), _templates(span, reqid, span.remote, span.local, inbound=True)
    policies = [_policy(way, span, kind, templates=templates, if_id=if_id, mark=mark) for way in _INBOUND]
    return policies + (guards(span) if if_id else [])


def protect_outbound(
    span: Span, reqid: int, if_id: int, mark: int, at_rest: bool = False, interface: int = 0
) -> list[Policy]:
    """What goes is protected; while there is no SA it is held back, and asks for one (the trap)."""
    templates = _outward(span, reqid)
    return [_policy(Direction.OUT, span, _kind(at_rest), Action.ALLOW, templates, if_id, mark, interface)]


def at_home(span: Span) -> list[Policy]:
    """What our own networks send each other, and us, comes in the clear where strangers must not."""
    return [_policy(way, replace(span, theirs=span.ours), _SHUNT) for way in _INBOUND]


def doorway(
    route: Route, index: Callable[[str], int], action: Action = Action.ALLOW, at_rest: bool = False
) -> list[Policy]:
    """The door of a route's ipsecN, ``at_rest``: packets wait at it, BLOCK: it is shut; and the wall beside it.

    Without XFRM interface there is neither. The wall is of the physical interface only, as traffic within our own LAN
    may look the same, and is left out where the box's own packets do. ``index``: Kernel.index.
    """
    span, mark, physical = route.span, route.connection.mark, route.connection.here.interface
    if not route.if_id:
        return []
    templates = _outward(span, route.reqid) if at_rest else ()
    door = _policy(Direction.OUT, span, _kind(at_rest), action, templates, mark=mark, interface=index(route.interface))
    if not physical or (_overlap(span) and span.local in span.ours.network):
        return [door]
    return [door, _policy(Direction.OUT, span, _GUARD, Action.BLOCK, mark=mark, interface=index(physical))]


def shunt(span: Span, type_: Type, if_id: int, mark: int) -> list[Policy]:
    """passthrough lets everything through in the clear; drop and reject stop what goes, and what comes."""
    if type_ is Type.PASSTHROUGH:
        return [_policy(way, span, _SHUNT, mark=mark) for way in Direction]
    stop = _policy(Direction.OUT, span, _SHUNT, action=Action.BLOCK, if_id=if_id, mark=mark)
    return [stop, *guards(span)]


def guards(span: Span) -> list[Policy]:
    """None where the ends overlap (a subnet that is everything): traffic within our own LAN looks the same."""
    return [] if _overlap(span) else [_policy(way, span, _GUARD, action=Action.BLOCK) for way in _INBOUND]


def fates(policies: Iterable[Policy]) -> Iterator[tuple[Policy, str]]:
    """What becomes of each traffic that goes, in FreeS/WAN's words (ipsec_eroute(5)).

    "" where the SAs of that policy's templates have it, if there are any, and otherwise it is a %trap.
    """
    traffics: dict[object, list[Policy]] = {}
    for policy in policies:
        if policy.direction is Direction.OUT:
            traffics.setdefault((policy.source, policy.destination, policy.mark), []).append(policy)
    for found in traffics.values():
        protecting = sorted((one for one in found if one.templates), key=lambda one: -one.interface)
        open_ = any(one.action is Action.ALLOW for one in found)
        if protecting:
            yield protecting[0], "%trap" if protecting[0].interface else ""
        else:
            inside = any(one.if_id and one.action is Action.BLOCK for one in found)
            yield found[0], "%reject" if open_ and inside else "%pass" if open_ else "%drop"


def _overlap(span: Span) -> bool:
    ours, theirs = span.ours.network, span.theirs.network
    return ours.version == theirs.version and ours.overlaps(theirs)


def _kind(at_rest: bool) -> int:
    """Who waits does not take anything from who is up."""
    return _GUARD if at_rest else _TUNNEL


def _outward(span: Span, reqid: int) -> tuple[Template, ...]:
    return _templates(span, reqid, span.local, span.remote, inbound=False)


def _policy(
    way: Direction,
    span: Span,
    kind: int,
    action: Action = Action.ALLOW,
    templates: tuple[Template, ...] = (),
    if_id: int = 0,
    mark: int = 0,
    interface: int = 0,
) -> Policy:
    source, destination = (span.ours, span.theirs) if way is Direction.OUT else (span.theirs, span.ours)
    rank = priority(source, destination, kind)
    return Policy(way, source, destination, rank, action, templates, if_id, mark, interface)


def _templates(span: Span, reqid: int, source: Address, destination: Address, inbound: bool) -> tuple[Template, ...]:
    """Innermost first, as the kernel wants them: the first has the mode, what is around it is transport."""
    templates = []
    for index, protocol in enumerate(span.protocols):
        optional = inbound and protocol == "comp"
        if span.mode == "tunnel" and index == 0:
            templates.append(Template(protocol, "tunnel", reqid, source, destination, optional))
        else:
            templates.append(Template(protocol, "transport", reqid, optional=optional))
    return tuple(templates)
