"""A connection's policies, as Linux is to have them: which traffic is protected, trapped, dropped or let through.

Traffic of a tunnel comes and goes by its XFRM interface, whose policies have its if_id; the policies without
if_id see the packets in the clear, and refuse those that pretend to be from the other end (guards).
"""

from __future__ import annotations

from cygnet.connection.connection import Address, Type
from cygnet.connection.selector import Selector
from cygnet.kernel import ours
from cygnet.kernel.policy import Action, Direction, Policy, Template
from cygnet.tunnel.route import Span

# Among policies of the same size the tunnel wins over the shunt, and that over the guard. What XFRM does for reject is
# what it does for drop: only the number tells them apart.
_TUNNEL, _REJECT, _SHUNT, _GUARD = range(4)
_INBOUND = (Direction.IN, Direction.FORWARD)
_WIDEST = 8 * 256 + 8


def priority(source: Selector, destination: Selector, kind: int) -> int:
    """Smaller selectors win: first by their networks, then by protocol and ports."""
    networks = source.network.prefixlen + destination.network.prefixlen
    narrowed = sum(map(bool, (source.protocol, source.port, destination.port)))
    return ours.PRIORITIES.start + 8 * (_WIDEST - 8 * networks - narrowed) + 2 * kind


def rejects(policy: Policy) -> bool:
    """Whether it was to be type=reject, and not drop."""
    return (policy.priority - ours.PRIORITIES.start) % 8 // 2 == _REJECT


def protect_inbound(span: Span, reqid: int, if_id: int, mark: int) -> list[Policy]:
    """What comes must be protected; the guards see to it that nothing comes in the clear."""
    templates = _templates(span, reqid, span.remote, span.local, inbound=True)
    policies = [_policy(way, span, _TUNNEL, templates=templates, if_id=if_id, mark=mark) for way in _INBOUND]
    return policies + (guards(span) if if_id else [])


def protect_outbound(span: Span, reqid: int, if_id: int, mark: int) -> list[Policy]:
    """What goes is protected; while there is no SA it is held back, and asks for one (the trap)."""
    templates = _templates(span, reqid, span.local, span.remote, inbound=False)
    return [_policy(Direction.OUT, span, _TUNNEL, templates=templates, if_id=if_id, mark=mark)]


def shunt(span: Span, type_: Type, if_id: int, mark: int) -> list[Policy]:
    """passthrough lets everything through in the clear; drop and reject stop what goes, and what comes."""
    if type_ is Type.PASSTHROUGH:
        return [_policy(way, span, _SHUNT, mark=mark) for way in Direction]
    kind = _REJECT if type_ is Type.REJECT else _SHUNT
    stop = _policy(Direction.OUT, span, kind, action=Action.BLOCK, if_id=if_id, mark=mark)
    return [stop, *guards(span)]


def guards(span: Span) -> list[Policy]:
    """None where the ends overlap (a subnet that is everything): traffic within our own LAN looks the same."""
    if span.ours.network.version == span.theirs.network.version and span.ours.network.overlaps(span.theirs.network):
        return []
    return [_policy(way, span, _GUARD, action=Action.BLOCK) for way in _INBOUND]


def _policy(
    way: Direction,
    span: Span,
    kind: int,
    action: Action = Action.ALLOW,
    templates: tuple[Template, ...] = (),
    if_id: int = 0,
    mark: int = 0,
) -> Policy:
    source, destination = (span.ours, span.theirs) if way is Direction.OUT else (span.theirs, span.ours)
    return Policy(way, source, destination, priority(source, destination, kind), action, templates, if_id, mark)


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
