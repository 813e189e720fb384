"""What ipsec auto --status says: each connection, its SAs, and in words why one is not up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cygnet.connection.connection import Connection, End, Type, fingerprint
from cygnet.connection.local import away
from cygnet.errors import CygnetError
from cygnet.ike.live import Child, Live
from cygnet.tunnel.route import Routing

if TYPE_CHECKING:
    from cygnet.ike.engine import Engine
    from cygnet.ike.v1.sa import IsakmpSa


def status(engine: Engine) -> list[str]:
    """Lines of text, the connections first, then what is going on."""
    lines = []
    for live in engine.roster.everyone():
        lines += _connection(engine, live)
    lines += engine.strangers.status()
    lines.append("")
    for sa in engine.isakmp.sas:
        lines.append(_isakmp(engine, sa))
    for live in engine.roster.everyone():
        lines += [_child(engine, live, child) for child in live.children]
    if len(engine.half_open):
        lines.append(f"{len(engine.half_open)} half-open negotiations")
    return lines


def why(engine: Engine, live: Live) -> dict[str, str]:
    """Facts of one connection for ``ipsec why``, those that are not there left out; times in seconds from now.

    Of sent, received, notified and lost: how often, how long ago, what.
    """
    sas = engine.isakmp.sas.at(live) + engine.isakmp.good_for(live)
    sa = max(sas, key=lambda sa: sa.serial, default=None)
    quicks = [one for one in engine.children.under_way(live) if one.live is live]
    waiting = quicks[-1] if quicks else engine.isakmp.main_mode(sa) if sa else None
    newest, contact = live.newest, live.contact
    facts = {
        "name": f"{live.connection.name}{live.instance}",
        "digest": fingerprint(live.connection),
        "routing": engine.tunnels.routing(live.connection.name),
        "wanted": "yes" if live.wanted else "",
        "tries": str(live.tries),
        "retry": f"{live.retry.when - engine.now:.0f}" if live.retry else "",
        "why": live.why,
        "expires": f"{newest.born + newest.sa.lifetime - engine.now:.0f}" if newest else "",
        "path": str(sa.path) if sa else "",
        "phase1": ("established" if sa.established else sa.state) if sa else "",
        "phase2": quicks[-1].state if quicks else "",
        "copies": str(waiting.copies or "") if waiting else "",
        "nat": ("here " * sa.behind_nat + "there" * sa.peer.behind_nat).strip() if sa else "",
    }
    for event, (count, when, what) in contact.events.items() if contact else ():
        facts[event] = f"{count} {engine.now - when:.0f} {what}"
    return {fact: value for fact, value in facts.items() if value}


def _connection(engine: Engine, live: Live) -> list[str]:
    connection = live.connection
    routing = engine.tunnels.routing(connection.name)
    owner = f"#{live.newest.sa.serial}" if live.newest else "#0"
    ends, fate = f"{_end(connection.here)}...{_end(connection.there)}", _fate(connection, routing)
    lines = [f"{live.label}: {ends}; {routing}; eroute owner: {owner}{fate}"]
    if live.instance:
        return lines
    tries = connection.keying_tries or "%forever"
    lines.append(
        f"{live.label}:   ike_life: {connection.ike_lifetime:.0f}s; ipsec_life: {connection.key_life:.0f}s; "
        f"rekey_margin: {connection.rekey_margin:.0f}s; rekey_fuzz: {connection.rekey_fuzz:.0%}; keyingtries: {tries}"
    )
    lines.append(f"{live.label}:   policy: {_policy(connection)}; interface: {connection.here.interface or '?'}")
    reason = away(connection)
    if live.newest is None and (reason or live.why):
        lines.append(f"{live.label}:   not up: {f'it waits: {reason}' if reason else live.why}")
    return lines


def _fate(connection: Connection, routing: str) -> str:
    """What becomes of traffic for which there is no SA, in ipsec_eroute(5)'s words."""
    shunts = {Type.DROP.value: "; %drop", Type.REJECT.value: "; %reject", Type.PASSTHROUGH.value: "; %pass"}
    match routing:
        case Routing.TRAP.value:
            return "; %trap"
        case Routing.FAILED.value:
            return shunts.get(connection.failure_shunt.value, "")
        case Routing.UP.value:
            return shunts.get(connection.type.value, "")
    return ""


def _end(end: End) -> str:
    host = str(end.host) if end.host else end.kind.value
    identity = f"[{end.id}]" if end.id else ""
    behind = f"{end.subnet}===" if end.subnet else ""
    narrowed = f":{end.protocol}/{end.port or '%any'}" if end.protocol else ""
    return f"{behind}{host}{identity}{narrowed}"


def _policy(connection: Connection) -> str:
    flags = {
        connection.auth_by.value.upper(): True,
        connection.type.value.upper(): True,
        "PFS": connection.pfs,
        "COMPRESS": connection.compress,
        "DONTREKEY": not connection.rekey,
        f"weak: {', '.join(connection.weak)}": bool(connection.weak),
    }
    return "+".join(word for word, set_ in flags.items() if set_)


def _isakmp(engine: Engine, sa: IsakmpSa) -> str:
    if not sa.established:
        return f"#{sa.serial}: {sa.live.label} {sa.path}: {sa.state}"
    left = sa.born + sa.lifetime - engine.now
    offer = f"; {sa.offer.proposal}" if sa.offer else ""
    natted = "; NAT between" if sa.behind_nat or sa.peer.behind_nat else ""
    text = f"#{sa.serial}: {sa.live.label} {sa.path}: {sa.state} (ISAKMP SA established); "
    return f"{text}expires in {left:.0f}s{offer}{natted}"


def _child(engine: Engine, live: Live, child: Child) -> str:
    state = "STATE_QUICK_I2" if child.initiator else "STATE_QUICK_R2"
    newest = "; newest IPSEC; eroute owner" if child is live.newest else ""
    left = child.born + child.sa.lifetime - engine.now
    text = f"#{child.sa.serial}: {live.label} {state} (IPsec SA established); expires in {left:.0f}s{newest}; "
    for leg in child.sa.protecting:
        text += f"{leg.protocol}.{leg.spi_out:x}@{child.sa.remote} {leg.protocol}.{leg.spi_in:x}@{child.sa.local} "
        text += f"{leg.suite} "
    text += child.sa.mode
    try:
        counters = engine.tunnels.counters(child.sa)
    except CygnetError as error:
        return f"{text}; {error}"
    return f"{text}; in {counters.packets} packets {counters.bytes} bytes" if counters else f"{text}; not in the kernel"
