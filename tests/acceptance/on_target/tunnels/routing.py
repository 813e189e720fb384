"""What becomes of the hosts' packets while a connection has no SA, and after its SAs are gone; and the firewall."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING

from connections import NETS, between, to_port
from cygnet.connection.connection import Shunt, Type
from cygnet.kernel.interface import Acquire
from place import PORT

if TYPE_CHECKING:
    from scene import Scene, Seen

WIDE = ("10.1.0.0/16", "10.2.0.0/16")
UPDOWN_RULE = "-A ipsec-updown-fwd "
FIREWALL = replace(NETS, here=replace(NETS.here, firewall=True), there=replace(NETS.there, firewall=True))


def trap(scene: Scene) -> Seen:
    """Routed, asked for, up, down, forgotten."""
    scene.route(NETS)
    trapped = scene.call()
    asked = scene.west.events(lambda event: isinstance(event, Acquire))
    owners = [scene.west.owner(event.reqid) for event in asked]
    made = scene.up(NETS)
    up = scene.talk()
    scene.west.remove(made.west)
    scene.east.remove(made.east)
    down = scene.call()
    scene.forget(NETS)
    return {"trapped": trapped, "asked": owners, "up": up, "down": down, "forgotten": scene.talk()}


def guard(scene: Scene) -> Seen:
    """East knows of no tunnel, and sends in clear what west wants to have protected."""
    scene.route(NETS)
    return scene.call(scene.there, scene.here)


def other_port(scene: Scene) -> Seen:
    """A tunnel for one port: what goes to another does not get in, nor out beside it."""
    made = scene.up(to_port(PORT + 1))
    return scene.call() | {"sas": scene.carried(made)}


def passthrough(scene: Scene) -> Seen:
    """A passthrough connection within a wider one that is held back."""
    shunt = between(("10.1.0.0/24", "10.2.0.0/24"), name="shunt", type=Type.PASSTHROUGH, child=())
    shunt = replace(shunt, here=replace(shunt.here, nexthop=ip_address("192.0.2.2")))
    scene.route(between(WIDE, name="wide"))
    before = scene.call()
    scene.route(shunt)
    through = scene.talk()
    scene.west.forget(shunt)
    return {"before": before, "through": through, "after": scene.call()}


def shunted(type_: Type, scene: Scene) -> Seen:
    """A connection that lets nothing through."""
    shunt = replace(NETS, type=type_, child=())
    scene.route(shunt)
    stopped = scene.call()
    scene.west.forget(shunt)
    return {"stopped": stopped, "forgotten": scene.talk()}


def failed(shunt: Shunt, scene: Scene) -> Seen:
    """failureshunt=: a negotiation failed."""
    connection = replace(NETS, failure_shunt=shunt)
    scene.route(connection)
    trapped = scene.call()
    scene.west.failed(connection)
    return {"trapped": trapped, "failed": scene.talk() if shunt is Shunt.PASSTHROUGH else scene.call()}


def with_firewall(scene: Scene) -> Seen:
    """East forwards nothing, and a connection opens it, or does not."""
    scene.east.namespace.run("iptables -w -P FORWARD DROP")
    try:
        made = scene.up(NETS)
        closed = scene.call() | {"packets": scene.east.counters(made.east).packets}
        scene.forget(NETS)
        made = scene.up(FIREWALL)
        opened = scene.talk() | {"packets": scene.east.counters(made.east).packets, "rules": len(rules(scene))}
        scene.forget(FIREWALL)
        return {"closed": closed, "opened": opened, "rules left": len(rules(scene))}
    finally:
        scene.east.namespace.run("iptables -w -P FORWARD ACCEPT")


def rules(scene: Scene) -> list[str]:
    """What the updown script has in east for traffic that is forwarded."""
    return [line for line in scene.east.namespace.run("iptables -w -S").splitlines() if line.startswith(UPDOWN_RULE)]


CASES: dict[str, Callable[[Scene], Seen]] = {
    "a-trap-asks-for-keys-and-leaks-nothing": trap,
    "what-must-be-protected-is-refused-in-clear": guard,
    "another-port-stays-out-of-the-tunnel": other_port,
    "passthrough-within-a-tunnel": passthrough,
    "drop-stops-all": partial(shunted, Type.DROP),
    "reject-stops-all": partial(shunted, Type.REJECT),
    "failureshunt-none-holds": partial(failed, Shunt.NONE),
    "failureshunt-passthrough-lets-through": partial(failed, Shunt.PASSTHROUGH),
    "failureshunt-drop-stops": partial(failed, Shunt.DROP),
    "firewall-opens-for-the-tunnel-only": with_firewall,
}
