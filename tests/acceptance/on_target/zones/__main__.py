"""Runs on the boxes: sends a packet for each promise of `ipsec firewall --table`, and tells what came out where.

python3 zones.pyz PLAN TABLE: of PLAN's zones, which are places on this box, it sends for those and hears in those.
It hears as soon as /tmp/zones.ready is there, sends when /tmp/zones.go is, says /tmp/zones.sent, and ends at /tmp/zones.stop,
with a line for each thing seen: number of the row, zone, "refused" or "packet", source, port.  What should have been seen is not
known here: that stands in test_box_firewall.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import sys
import time
from pathlib import Path

from packets import AH, ESP, ICMP, ICMP6, TCP, UDP, Sight, build, read, read_body

EVERYTHING, OUTGOING = 3, 4
ETHERTYPES = {4: b"\x08\x00", 6: b"\x86\xdd"}
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
PROTOCOLS = {"icmp": ICMP, "tcp": TCP, "udp": UDP, "esp": ESP, "ah": AH, "icmpv6": ICMP6}
BOX = "box"
ME = bytes.fromhex("020000000001")
# Hosts of a zone: who begins, and who is asked. In the WAN everybody is there: a connection that is translated keeps
# no other from its answers.
ASKS, ASKED = "10", "11"
WAN = "wan"
SIGNS = "/tmp/zones."


class Zone:
    """An interface in a network namespace, behind which the box is."""

    def __init__(self, namespace: str, interface: str, box: str) -> None:
        self._box = bytes.fromhex(box.replace(":", ""))
        with inside(namespace):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EVERYTHING))
            self.socket.bind((interface, EVERYTHING))

    def send(self, packet: bytes, _to: str) -> None:
        """By the box, whatever its address says."""
        self.socket.send(self._box + ME + ETHERTYPES[packet[0] >> 4] + packet)

    def hear(self) -> tuple[Sight | None, str]:
        frame, (_, _, kind, *_) = self.socket.recvfrom(65535)
        if kind == OUTGOING or frame[12:14] not in ETHERTYPES.values():
            return None, ""
        version = frame[14] >> 4
        source = frame[26:30] if version == 4 else frame[22:38]
        return read(frame[14:]), socket.inet_ntop(FAMILIES[version], source)


class Ear:
    """What the box itself gets of a protocol: no more than its firewall has let in."""

    def __init__(self, version: int, protocol: int) -> None:
        self._version, self._protocol = version, protocol
        self.socket = socket.socket(FAMILIES[version], socket.SOCK_RAW, protocol)

    def hear(self) -> tuple[Sight | None, str]:
        packet, (source, *_) = self.socket.recvfrom(65535)
        return (read(packet) if self._version == 4 else read_body(self._protocol, packet)), source


class Mouth:
    """The box itself, beginning something. A firewall that refuses is told at once."""

    def __init__(self) -> None:
        self._sockets = {
            version: socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW) for version, family in FAMILIES.items()
        }

    def send(self, packet: bytes, to: str) -> None:
        with contextlib.suppress(PermissionError):
            self._sockets[packet[0] >> 4].sendto(packet, (to, 0))


@contextlib.contextmanager
def inside(namespace: str):
    """What is opened meanwhile is of a namespace; "" is this one."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY) if namespace else home
    os.setns(there, os.CLONE_NEWNET)
    try:
        yield
    finally:
        os.setns(home, os.CLONE_NEWNET)


class Scene:
    """All that a plan is about. ``seen``: one line for each."""

    def __init__(self, plan: dict) -> None:
        self._hosts, self._own = plan["hosts"], plan["own"]
        self._mouths: dict[str, Zone | Mouth] = {name: Zone(*place) for name, place in plan["zones"].items()}
        ears: list[tuple[str, Zone | Ear]] = list(self._mouths.items())
        if plan["box"]:
            self._mouths[BOX] = Mouth()
            ears += [(BOX, Ear(version, number)) for version in FAMILIES for number in PROTOCOLS.values()]
        self._ears = {ear.socket.fileno(): (name, ear) for name, ear in ears}
        self.seen: dict[str, None] = {}

    def send(self, number: int, line: str) -> None:
        """The packet of a row, if its origin is a place of ours."""
        version, origin, target, kind, port, source, destination, *_ = line.split("\t")
        if origin not in self._mouths:
            return
        six = version == "6"
        source = source.strip("-") or (self._own[target][six] if origin == BOX else self._hosts[origin][six] + ASKS)
        asked = str(20 + number % 200) if target == WAN else ASKED
        to = destination.strip("-") or (self._own[origin][six] if target == BOX else self._hosts[target][six] + asked)
        packet = build(number, source, to, PROTOCOLS.get(kind) or int(kind), int(port))
        self._mouths[origin].send(packet, to)

    def hear(self, seconds: float) -> None:
        """Whatever comes, until nothing has for so long."""
        while ready := select.select(list(self._ears), [], [], seconds)[0]:
            for file in ready:
                name, ear = self._ears[file]
                sight, source = ear.hear()
                if sight:
                    what = "refused" if sight.refused else "packet"
                    self.seen[f"{sight.number} {name} {what} {source} {sight.port}"] = None


def main(plan: str, table: str) -> None:
    scene = Scene(json.loads(Path(plan).read_text()))
    _, *rows = Path(table).read_text().splitlines()
    Path(SIGNS + "ready").touch()
    while not Path(SIGNS + "go").exists():
        time.sleep(0.05)
    for number, row in enumerate(rows):
        scene.send(number, row)
        scene.hear(0)
    Path(SIGNS + "sent").touch()
    while not Path(SIGNS + "stop").exists():
        scene.hear(0.2)
    print("\n".join(scene.seen))


main(*sys.argv[1:])
