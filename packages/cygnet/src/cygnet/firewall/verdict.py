"""What becomes of a packet, said from the policy's meaning alone: nothing here knows how rules are made.

So the rules can be held against it, with packets.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from cygnet.firewall.policy import BOX, Address, Line, Policy, owners, within
from cygnet.firewall.services import ICMP, ICMP6, Service

ERRORS = {ICMP: (3, 11, 12), ICMP6: (1, 2, 3, 4)}


class Packet(NamedTuple):
    """The first packet of a connection. ``origin`` and ``target``: a zone, or the box.

    A packet is of the zone whose interface it comes by, if it comes in clear; one that was decrypted is of the tunnels'
    zone. ``port``: where it wants to; of ICMP its type.
    """

    origin: str
    target: str
    source: Address
    destination: Address
    protocol: int
    port: int = 0


class Verdict(NamedTuple):
    """``action``: allow, deny, reject, or forward. ``where``: the line that says so; empty where none does."""

    action: str
    where: str = ""


def verdict(policy: Policy, packet: Packet) -> Verdict:
    """The first of what follows that has a say."""
    said = chain(
        _false_source(policy, packet),
        _forwards(policy, packet),
        _in_clear(policy, packet) if packet.origin != BOX else (),
        _needed(packet),
        (Verdict(line.action, line.where) for line in policy.lines if _fits(line, packet)),
        _in_clear(policy, packet),
    )
    return next(said, Verdict("allow" if packet.origin == BOX else "deny"))


def _false_source(policy: Policy, packet: Packet) -> Iterator[Verdict]:
    """Whoever has a network behind it has all of it, but for smaller ones of others, and nothing else."""
    if packet.origin == BOX or policy.zones[packet.origin].proven:
        return
    home = next((zone for network, zone in owners(policy) if within(packet.source, (network,))), None)
    if home is not None and home.name != packet.origin:
        yield Verdict("deny", home.where)
    if home is None and policy.zones[packet.origin].networks and not packet.source.is_link_local:
        yield Verdict("deny", policy.zones[packet.origin].where)


def _forwards(policy: Policy, packet: Packet) -> Iterator[Verdict]:
    for one in policy.forwards:
        known = not one.sources or within(packet.source, one.sources)
        if known and (one.zone, BOX) == (packet.origin, packet.target) and _served(one.service, packet):
            kept_out = next((own for own in policy.private if own.zone == one.zone and own.holds(packet.source)), None)
            yield Verdict("deny", kept_out.where) if kept_out else Verdict("forward", one.where)


def _in_clear(policy: Policy, packet: Packet) -> Iterator[Verdict]:
    """What passes the box between a zone and a network that is to be reached in tunnels; and what it begins itself."""
    for one in policy.private:
        if one.zone == packet.origin and packet.target != BOX and one.holds(packet.source):
            yield Verdict("deny", one.where)
        if one.zone == packet.target and one.holds(packet.destination):
            yield Verdict("reject", one.where)


def _needed(packet: Packet) -> Iterator[Verdict]:
    if packet.target == BOX and packet.port in ERRORS.get(packet.protocol, ()):
        yield Verdict("allow")


def _fits(line: Line, packet: Packet) -> bool:
    return (
        packet.origin in line.origins
        and packet.target in line.targets
        and any(_served(service, packet) for service in line.services)
        and (not line.sources or within(packet.source, line.sources))
        and (not line.destinations or within(packet.destination, line.destinations))
    )


def _served(service: Service, packet: Packet) -> bool:
    return (
        service.protocol in (0, packet.protocol)
        and service.version in (0, packet.source.version)
        and (not service.ports or any(first <= packet.port <= last for first, last in service.ports))
    )
