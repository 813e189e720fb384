"""What a policy promises, packet by packet, for programs: rows that a test compares with real packets."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from itertools import product
from typing import NamedTuple

from cygnet.firewall.policy import BOX, VERSIONS, Address, Network, Policy, of_version
from cygnet.firewall.services import AH, ICMP, ICMP6, TCP, UDP, Service
from cygnet.firewall.verdict import ERRORS, Packet, Verdict, verdict

# Kinds of packets that every table has, beside those that its policy names.
USUAL = (Service(TCP, ((22, 22),)), Service(TCP, ((80, 80),)), Service(UDP, ((53, 53),)), Service(UDP, ((9, 9),)))
PINGS = {4: Service(ICMP, ((8, 8),), 4), 6: Service(ICMP6, ((128, 128),), 6)}
NAMES = {ICMP: "icmp", TCP: "tcp", UDP: "udp", 50: "esp", AH: "ah", ICMP6: "icmpv6"}
# Addresses of nobody's network, for zones that are not told theirs (RFC 5737, RFC 3849).
ELSEWHERE = {4: ip_address("203.0.113.9"), 6: ip_address("2001:db8:ffff::9")}


class Row(NamedTuple):
    """A promise. ``source`` and ``destination``: empty where any ordinary address of the zone will do."""

    packet: Packet
    source: str
    destination: str
    verdict: Verdict

    def __str__(self) -> str:
        """Tab-separated: version, from, to, protocol, port, source, destination, verdict, line."""
        p = self.packet
        kind = NAMES.get(p.protocol, str(p.protocol))
        ends = self.source or "-", self.destination or "-"
        said = self.verdict.action, self.verdict.where.rpartition(":")[2] or "-"
        return "\t".join([str(p.source.version), p.origin, p.target, kind, str(p.port), *ends, *said])


HEADING = "ip\tfrom\tto\tprotocol\tport\tsource\tdestination\tverdict\tline"


def table(policy: Policy) -> Iterator[Row]:
    """From everywhere to everywhere, whatever the policy names; with the addresses that its lines name, too."""
    names = [*(zone.name for zone in policy.zones.values() if zone.interfaces), BOX]
    for version, origin, target in product(VERSIONS, names, names):
        if origin == target == BOX:
            continue
        kinds = [kind for kind in _kinds(policy, version) if kind.version in (0, version)]
        for service, (source, destination) in product(kinds, _ends(policy, origin, target, version)):
            here = source or _ordinary(policy, origin, version)
            there = destination or _ordinary(policy, target, version)
            packet = Packet(origin, target, here, there, service.protocol, service.ports[0][0] if service.ports else 0)
            yield Row(packet, str(source or ""), str(destination or ""), verdict(policy, packet))


def _kinds(policy: Policy, version: int) -> list[Service]:
    """A packet for each port that is named, the first of a range, and the usual ones."""
    services = [service for line in policy.lines for service in line.services]
    services += [one.service for one in policy.forwards]
    named = [
        service._replace(ports=(ports[:1] * 2,))
        for service in services
        for ports in service.ports
        if service.protocol not in ERRORS
    ]
    bare = [service for service in services if service.protocol not in (0, TCP, UDP, *ERRORS)]
    return list(dict.fromkeys([*USUAL, PINGS[version], *named, *bare]))


def _ends(policy: Policy, origin: str, target: str, version: int) -> Iterator[tuple[Address | None, Address | None]]:
    """Any ordinary addresses (None), and one for each network that a line names for these zones."""
    nobody: tuple[Network, ...] = ()
    pairs = [(nobody, nobody)]
    pairs += [
        (one.sources, one.destinations) for one in policy.lines if origin in one.origins and target in one.targets
    ]
    for one in policy.private:
        for networks in (one.networks, one.excepted):
            pairs += [(networks, nobody)] if one.zone == origin else [(nobody, networks)] if one.zone == target else []
    found = ((_host(sources, version), _host(destinations, version)) for sources, destinations in pairs)
    yield from dict.fromkeys(found)


def _ordinary(policy: Policy, name: str, version: int) -> Address:
    zone = policy.zones.get(name)
    return (_host(zone.networks, version) if zone else None) or ELSEWHERE[version]


def _host(networks: tuple[Network, ...], version: int) -> Address | None:
    """A host of the first, not the first in it: that is often the box."""
    found = of_version(networks, version)
    return found[0].network_address + min(9, found[0].num_addresses - 1) if found else None
