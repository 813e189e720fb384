"""Interfaces, routes, and the kernel's settings for both."""

from __future__ import annotations

from collections.abc import Iterator

from cygnet.cli.verify.scene import Finding, Problem, Scene
from cygnet.connection.connection import Connection, HostKind
from cygnet.why.host import Way

LEAST_MTU = 576
STRICT = 1


def findings(scene: Scene) -> Iterator[Finding]:
    """From the cards to the peers."""
    yield from _interfaces(scene)
    yield from _routes(scene)
    for version, switch in ((4, "ipv4/ip_forward"), (6, "ipv6/conf/all/forwarding")):
        behind = [one for one in scene.tunnels if one.here.subnet and one.here.subnet.version == version]
        if behind and not scene.configuration.setup.forward_control:
            off = Problem(f"/proc/sys/net/{switch} is 0", f"sysctl -w net.{switch.replace('/', '.')}=1")
            yield Finding(f"IPv{version} forwarding, for the subnets", () if scene.switch(switch) else (off,))
    yield Finding("rp_filter leaves the peers' packets alone", tuple(_rp_filter(scene)))


def _interfaces(scene: Scene) -> Iterator[Finding]:
    pairs = scene.pairs
    if not pairs and scene.tunnels:
        text = "no interface has an ipsecN: there is no default route, or interfaces=%none"
        yield Finding("Interfaces for tunnels", (Problem(text, 'write interfaces="ipsec0=eth0", with your card'),))
    for virtual, physical in pairs:
        yield Finding(f"Interface {virtual} on {physical}", tuple(_pair(scene, virtual, physical)))


def _pair(scene: Scene, virtual: str, physical: str) -> Iterator[Problem]:
    below, above = scene.links.get(physical), scene.links.get(virtual)
    if below is None:
        yield Problem(f"there is no interface {physical}", "correct interfaces= of config setup (ip link lists them)")
        return
    if scene.pid and above is None:
        yield Problem(f"there is no {virtual}, though Pluto runs", "ipsec setup restart; its log says why")
    for name, link in ((physical, below), (virtual, above)):
        if link and not link.up:
            yield Problem(f"{name} is down", f"ip link set {name} up")
    if not below.carrier:
        yield Problem(f"nothing is plugged into {physical}", "look at the cable and what is at its other end")
    if not scene.local.addresses.get(physical):
        yield Problem(f"{physical} has no address", "set one, or look at DHCP, then: ipsec auto --ready")
    if above and not LEAST_MTU <= above.mtu <= below.mtu:
        text = f"the MTU of {virtual} is {above.mtu}, that of {physical} {below.mtu}"
        remedy = f"take overridemtu= out of config setup, or ip link set {virtual} mtu {below.mtu}"
        yield Problem(text, remedy, grave=False)


def _routes(scene: Scene) -> Iterator[Finding]:
    if not scene.local.default_interface:
        remedy = "set a default route, if the peers are not all next door"
        yield Finding("Default route", (Problem("there is none", remedy, grave=False),))
    peers = {one.there.host: one for one in scene.connections if one.there.host}
    yield Finding("Routes to the peers", tuple(problem for one in peers.values() for problem in _route(scene, one)))


def _route(scene: Scene, connection: Connection) -> Iterator[Problem]:
    """To the peer itself. One into a tunnel is no matter: IKE and ESP have their own path."""
    peer, hop, ours = connection.there.host, connection.here.nexthop, connection.here.interface
    way = scene.way(peer) if peer else Way()
    if way.problem:
        text = f"{peer} cannot be reached: {way.problem}"
        yield Problem(text, f"ip route add {peer} via ROUTER, or a default route")
    elif ours and way.interface != ours and not way.interface.startswith("ipsec"):
        text = f"{peer} is reached by {way.interface}, {connection.here.side}={connection.here.host} is on {ours}"
        yield Problem(text, f"ip route add {peer} via ROUTER dev {ours}, or write the other address")
    router = scene.way(hop) if hop and hop != peer else Way()
    if router.problem or router.gateway:
        text = f"{connection.where}: {connection.here.side}nexthop={hop} is not next door"
        yield Problem(text, f"leave {connection.here.side}nexthop= out, or write the router on {ours or 'its wire'}")


def _rp_filter(scene: Scene) -> Iterator[Problem]:
    """A peer that is itself in the tunnel has its route into ipsecN, so its ESP seems to come the wrong way."""
    inside = [one for one in scene.tunnels if _peer_in_tunnel(one)]
    for name in sorted({one.here.interface for one in inside if one.here.interface}):
        if max(scene.switch(f"ipv4/conf/{each}/rp_filter") for each in ("all", name)) == STRICT:
            names = ", ".join(one.name for one in inside if one.here.interface == name)
            text = f"{name} is strict: what comes from peers that are themselves in the tunnel is dropped ({names})"
            yield Problem(text, f"sysctl -w net.ipv4.conf.{name}.rp_filter=2")


def _peer_in_tunnel(connection: Connection) -> bool:
    end = connection.there
    if end.subnet is None or end.host is None:
        return end.subnet is None and end.kind in (HostKind.ADDRESS, HostKind.ANY)
    return end.host in end.subnet
