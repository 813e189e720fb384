"""Tunnels that change while they stand: new keys, a peer behind NAT that moves, lifetimes that end."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, ip_address
from typing import TYPE_CHECKING

from connections import NETS, hosts, pair
from cygnet.kernel import sockets
from cygnet.kernel.interface import Event, Expire, KernelError, Mapping
from cygnet.kernel.sa import Algorithm
from cygnet.tunnel.associations import inbound_sas
from wire import NAT_PORT

if TYPE_CHECKING:
    from scene import Scene, Seen

PORTS = {"ports": (NAT_PORT, NAT_PORT)}
MOVED, MOVED_PORT = "192.0.2.9", 61000
SNAT = (
    f"iptables -w -t nat -{{}} POSTROUTING -o eth0 -p udp --sport {NAT_PORT} -j SNAT --to-source {MOVED}:{MOVED_PORT}"
)
# Manual keying of somebody else: reqids that are not ours.
ANOTHERS = {
    "state": f"src 192.0.2.1 dst 192.0.2.77 proto ah spi 0x1000 reqid 9 mode tunnel auth hmac(sha1) 0x{'c9' * 20}",
    "policy": "src 10.1.0.0/24 dst 10.77.0.0/24 dir out tmpl src 192.0.2.1 dst 192.0.2.77 proto ah reqid 9 mode tunnel",
}
IPV4_DESTINATION = slice(30, 34)
# Any of ours.
REQID = 0x7000


def rekeyed(scene: Scene) -> Seen:
    """New keys in the order of a quick mode, and traffic after each step."""
    old, new = pair(NETS), pair(NETS, "chacha20-poly1305")
    scene.install(old)
    scene.know(old, "old ")
    scene.know(new, "new ")
    west, east = scene.west, scene.east
    steps: dict[str, list[Callable[[], object]]] = {
        "both receive": [lambda: east.inbound(new.east), lambda: west.inbound(new.west)],
        "west sends": [lambda: west.outbound(new.west)],
        "east sends": [lambda: east.outbound(new.east)],
        "old removed": [lambda: west.remove(old.west), lambda: east.remove(old.east)],
    }
    seen = {}
    for name, calls in steps.items():
        for call in calls:
            call()
        seen[name] = scene.talk()
    return seen


def encapsulating(scene: Scene) -> list[socket.socket]:
    """What the daemon has for ESP in UDP (RFC 3948): a socket at both ends."""
    made = []
    for gate in (scene.west, scene.east):
        with gate.namespace.inside():
            made.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        made[-1].bind((gate.addresses[4], NAT_PORT))
        sockets.bypass(made[-1])
        sockets.encapsulate(made[-1])
    return made


def in_udp(scene: Scene) -> Seen:
    """ESP in UDP, between networks and between the gateways themselves."""
    held = encapsulating(scene)
    made = scene.up(NETS, **PORTS)
    nets = scene.talk() | {"sas": scene.carried(made)}
    scene.forget(NETS)
    scene.up(hosts(), **PORTS)
    gates = scene.talk(scene.west, scene.east)
    for each in held:
        each.close()
    return {"networks": nets, "hosts": gates}


def moved(scene: Scene) -> Seen:
    """NAT gives east another address and port: west hears of it by the kernel, and follows."""
    held = encapsulating(scene)
    made = scene.up(NETS, **PORTS)
    before = scene.talk()
    scene.east.namespace.ip(f"address add {MOVED}/24 dev eth0")
    scene.east.namespace.run(SNAT.format("A"))
    try:
        # East speaks first; what west answers still goes where east was.
        moving = scene.talk(scene.there, scene.here) | {"to": destinations(scene)}
        heard = mappings(scene.west.events(lambda event: isinstance(event, Mapping)))
        west = scene.west.rehome(made.west, ip_address(heard[0][0]), heard[0][1])
        after = scene.talk(scene.there, scene.here) | {"to": destinations(scene), "sas": scene.west.carried(west)}
        again = mappings(scene.west.kernel.events())
        return {"before": before, "moving": moving, "heard": heard, "after": after, "heard again": again}
    finally:
        scene.east.namespace.run(SNAT.format("D"))
        scene.east.namespace.ip(f"address del {MOVED}/24 dev eth0")
        for each in held:
            each.close()


def mappings(events: list[Event]) -> list[tuple[str, int]]:
    """Where the kernel says that the peer is now."""
    return sorted({(str(event.source), event.source_port) for event in events if isinstance(event, Mapping)})


def destinations(scene: Scene) -> list[str]:
    """Where the packets to east went."""
    frames = [frame for frame in scene.last if scene.name(frame).endswith("to east")]
    return sorted({str(IPv4Address(frame.data[IPV4_DESTINATION])) for frame in frames})


def expiring(scene: Scene) -> Seen:
    """The kernel's own clock: an SA says that its lifetime ends, and that it has ended."""
    short = replace(inbound_sas(pair(NETS).west, REQID, 1)[0], soft_seconds=1, hard_seconds=4)
    scene.west.kernel.add_sa(short)
    heard = scene.west.events(lambda event: isinstance(event, Expire) and event.key == short.key, 2)
    gone = scene.west.kernel.query_sa(short.key) is None
    return {"hard": [event.hard for event in heard], "gone": gone}


def flushed(scene: Scene) -> Seen:
    """What a daemon that was killed left behind goes when the next one starts, and nothing that is another's."""
    scene.up(NETS)
    ours = len(scene.west.traces())
    for thing, words in ANOTHERS.items():
        scene.west.namespace.run(f"ip xfrm {thing} add {words}")
    scene.west.begin()
    left = scene.west.traces()
    for thing in ANOTHERS:
        scene.west.namespace.run(f"ip xfrm {thing} flush")
    return {"ours": ours, "left": left}


def refused(scene: Scene) -> Seen:
    """What the kernel will not have; a sentence each."""
    sa = inbound_sas(pair(NETS, "aes-cbc-hmac-sha256").west, REQID, 1)[0]
    scene.west.kernel.add_sa(sa)
    twice = refusal(lambda: scene.west.kernel.add_sa(sa))
    scene.west.kernel.delete_sa(sa.key)
    unknown = replace(sa, encryption=Algorithm("cbc(swan)", bytes(16)))
    return {"twice": twice, "unknown": refusal(lambda: scene.west.kernel.add_sa(unknown))}


def refusal(attempt: Callable[[], object]) -> str:
    """The sentence, from where the SA is named to where the kernel's own words begin."""
    try:
        attempt()
    except KernelError as error:
        return str(error).partition(" (Requested")[0].partition("192.0.2.1 ")[2]
    return ""


CASES: dict[str, Callable[[Scene], Seen]] = {
    "rekeying-loses-nothing": rekeyed,
    "esp-in-udp": in_udp,
    "a-peer-behind-nat-moves": moved,
    "lifetimes-end-soft-then-hard": expiring,
    "flush-takes-what-is-ours-only": flushed,
    "what-the-kernel-refuses-is-a-sentence": refused,
}
