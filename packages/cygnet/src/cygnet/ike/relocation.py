"""This box at another address: what was between the old one and its peers ends, and what was up comes up from the new.

A peer that is called again is not told that the old SAs end: INITIAL-CONTACT says so when there are new ones, and until
then its packets must go somewhere else than in clear. Routes and traps stay all the while.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from cygnet.connection.connection import Auto, Connection
from cygnet.connection.local import Local, away, follow
from cygnet.ike.live import Live

if TYPE_CHECKING:
    from cygnet.ike.engine import Engine


def moved(engine: Engine, local: Local) -> None:
    """Look at every connection with what this box has now."""
    lives = [(live, follow(live.connection, local)) for live in engine.roster.lives.values()]
    changed = [(live, new) for live, new in lives if new != live.connection]
    elsewhere = [(live, new) for live, new in changed if _place(new) != _place(live.connection)]
    eager = [live for live, _ in elsewhere if _is_to_be_up(live)]
    # Of what has waited nothing is old: a peer may have called since the address is back.
    for live, new in [(live, new) for live, new in elsewhere if not away(live.connection)]:
        engine.take_down(live.connection.name, _story(new), tell_peer=live not in eager)
    for _, new in changed:
        for one in engine.roster.family(new.name):
            one.connection = replace(one.connection, here=new.here) if one.instance else new
        engine.guard(partial(engine.tunnels.move, new))
    engine.tunnels.relay()
    for live in [one for one, _ in lives if one.retry]:
        engine.initiation.negotiate(live)
    for live, new in elsewhere:
        engine.log(f"{live.label}: {_story(new)}")
        live.wanted = live in eager
        if live.wanted and live.newest is None:
            engine.guard(partial(engine.initiation.start, live, None))


def _place(connection: Connection) -> tuple[object, ...]:
    """What SAs and their interface depend on."""
    return connection.here.side, connection.here.host, connection.here.interface


def _story(new: Connection) -> str:
    reason = away(new)
    return f"waits: {reason}" if reason else f"this box is at {new.here.host} ({new.here.interface}) now"


def _is_to_be_up(live: Live) -> bool:
    """Also what the peer had brought up, for it does not know where to call now, and what had been given up."""
    given_up = live.connection.auto is Auto.START and live.tries > 0
    return live.wanted or given_up or bool(live.children)
