"""What is wrong with a policy although each of its lines is right: lines that clash, lines that nothing reaches, a
policy that nobody could change any more.

A line is a set of blocks in a space of six dimensions: from, to, version, what for, source, destination. What is left
of it without those before it is what it decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_network
from itertools import product
from typing import NamedTuple

from cygnet.firewall.policy import BOX, VERSIONS, Address, Network, Policy, of_version, owners
from cygnet.firewall.services import EVERYTHING, IKE, TCP, Service

Interval = tuple[int, int]
Block = tuple[Interval, ...]
DIMENSIONS = range(6)
SSH = 22
PORTS = 1 << 16
ALL = {4: ip_network("0.0.0.0/0"), 6: ip_network("::/0")}
# Sources that are of no network and of every interface.
LINK_LOCAL = tuple(map(ip_network, ("0.0.0.0/32", "::/128", "fe80::/10")))


class Entry(NamedTuple):
    """What decides: ``action``, the statement, and what it is about. ``implied``: it is a line's side effect."""

    action: str
    where: str
    text: str
    blocks: tuple[Block, ...]
    implied: bool = False

    def __str__(self) -> str:
        return f"{self.where} ({self.text})"


class Findings(NamedTuple):
    """Sentences: ``clashes`` are refused, ``notes`` are to be known."""

    clashes: list[str]
    notes: list[str]


def check(policy: Policy, before: Policy | None = None, client: Address | None = None, port: int = SSH) -> Findings:
    """Look at the lines; ``before`` is the policy in force, ``client`` who is at the box by SSH now."""
    found = Findings([], [])
    entries = list(_entries(policy))
    for i, entry in enumerate(entries):
        if not entry.implied:
            _judge(entry, entries[:i], found)
    if policy.raw:
        found.notes.append(f"{policy.raw[0].where}: rules of iptables go before all lines, and are not looked into")
    ike = [line for line in policy.lines if line.services == IKE]
    if ike and not any(name.startswith("ipsec") for zone in policy.zones.values() for name in zone.interfaces):
        found.notes.append(
            f"{ike[0].where} ({ike[0].text}): no zone is ipsec+, so what comes out of tunnels is dropped"
        )
    if not policy.console_only and not any(one.chain == "INPUT" for one in policy.raw):
        found.clashes.extend(_locked_out(policy, before, client, port))
    return found


def _judge(entry: Entry, before: list[Entry], found: Findings) -> None:
    """Whether a line decides anything; if not, who decides instead."""
    takers = _takers(entry.blocks, before)
    if takers is None:
        return
    if not entry.blocks:
        found.notes.append(f"{entry}: it is about nothing: a zone without interface, or networks of IPv4 with IPv6")
        return
    alone = [one for one in before if not one.implied and not _less(list(entry.blocks), one.blocks)]
    named = alone[:1] or [one for one in takers if not one.implied] or takers
    names = " and ".join(map(str, named))
    if all(one.action == entry.action or (one.implied and entry.action != "allow") for one in named):
        found.notes.append(f"{entry}: nothing reaches it, as it says no more than {names}: leave it out")
    else:
        found.clashes.append(
            f"{entry}: nothing reaches it, as it clashes with {names}: change the order, or one of them"
        )


def _locked_out(policy: Policy, before: Policy | None, client: Address | None, port: int) -> Iterator[str]:
    """Why nobody could come in by SSH to change the policy again."""
    letting, kept_out = _ssh(policy, client, port)
    if letting:
        return
    who = f"you, at {client}," if client else "any zone"
    begin = f"{policy.source}: it locks {who} out: the box is not reached by SSH (tcp {port}) any more"
    if kept_out:
        names = " and ".join(map(str, _takers(kept_out[0].blocks, kept_out[1:]) or ()))
        yield f"{begin}, as {kept_out[0]} clashes with {names}"
    elif before and (had := _ssh(before, client, port)[0]):
        yield f"{begin}, as {had} of the policy in force has gone"
    else:
        yield f"{begin}; write a line such as: allow lan box ssh, or console-only if that is meant"


def _ssh(policy: Policy, client: Address | None, port: int) -> tuple[Entry | None, list[Entry]]:
    """The first line that lets SSH in; else one that would, followed by those before it."""
    space = _Space(policy)
    asked = (ip_network(client),) if client else ()
    wanted = list(space.blocks(space.zones, [BOX], (Service(TCP, ((port, port),)),), asked))
    entries = list(_entries(policy))
    left = wanted
    for entry in entries:
        now = _less(left, entry.blocks)
        if now != left and entry.action == "allow":
            return entry, []
        left = now
    for i, entry in enumerate(entries):
        if entry.action == "allow" and (meant := _common(entry.blocks, wanted)):
            return None, [entry._replace(blocks=tuple(meant)), *entries[:i]]
    return None, []


def _takers(blocks: Iterable[Block], before: Sequence[Entry]) -> list[Entry] | None:
    """Which entries take all of it; None if something is left, which is found without looking at every piece."""
    cuts = [(taken, entry) for entry in before for taken in entry.blocks]
    takers = set()
    pieces = [(block, 0) for block in blocks]
    while pieces:
        block, i = pieces.pop()
        while i < len(cuts) and not _meet(block, cuts[i][0]):
            i += 1
        if i == len(cuts):
            return None
        taken, entry = cuts[i]
        takers.add(str(entry))
        pieces += [(piece, i + 1) for piece in _without(block, taken)]
    return list({str(entry): entry for entry in before if str(entry) in takers}.values())


def _less(blocks: list[Block], taken: Iterable[Block]) -> list[Block]:
    for one in taken:
        blocks = [piece for block in blocks for piece in (_without(block, one) if _meet(block, one) else (block,))]
    return blocks


def _common(blocks: Iterable[Block], others: list[Block]) -> list[Block]:
    return [
        tuple((max(a[0], b[0]), min(a[1], b[1])) for a, b in zip(one, other, strict=True))
        for one, other in product(blocks, others)
        if _meet(one, other)
    ]


def _meet(one: Block, other: Block) -> bool:
    # Called the most by far; what the collector tracks, a generator or a zip, is dear where TLS traps (MIPS 24K).
    for i in DIMENSIONS:  # noqa: SIM110
        if one[i][0] > other[i][1] or other[i][0] > one[i][1]:
            return False
    return True


def _without(block: Block, other: Block) -> Iterator[Block]:
    """A block less another that it meets: pieces that have nothing in common."""
    for i, (low, high) in enumerate(other):
        first, last = block[i]
        if first < low:
            yield (*block[:i], (first, low - 1), *block[i + 1 :])
        if last > high:
            yield (*block[:i], (high + 1, last), *block[i + 1 :])
        block = (*block[:i], (max(first, low), min(last, high)), *block[i + 1 :])


def _entries(policy: Policy) -> Iterator[Entry]:
    """All that decides, in its order."""
    space = _Space(policy)
    yield from space.false_sources()
    for one in policy.forwards:
        blocks = space.blocks([one.zone], [BOX], [one.service], one.sources)
        yield Entry(f"forward to {one.address} {one.port}", one.where, one.text, tuple(blocks))
    yield from space.private()
    for line in policy.lines:
        blocks = space.blocks(line.origins, line.targets, line.services, line.sources, line.destinations)
        yield Entry(line.action, line.where, line.text, tuple(blocks))


class _Space:
    """Numbers for zones, services and addresses."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.zones = [zone.name for zone in policy.zones.values() if zone.interfaces]
        self.ends = [*self.zones, BOX]

    def blocks(
        self,
        origins: Iterable[str],
        targets: Iterable[str],
        services: Iterable[Service] = (EVERYTHING,),
        sources: tuple[Network, ...] = (),
        destinations: tuple[Network, ...] = (),
    ) -> Iterator[Block]:
        """No network: everyone."""
        for version in VERSIONS:
            known = [_ports(one) for one in services if one.version in (0, version)]
            yield from product(
                self._numbers(origins),
                self._numbers(targets),
                [(version, version)],
                [interval for intervals in known for interval in intervals],
                _addresses(sources, version),
                _addresses(destinations, version),
            )

    def false_sources(self) -> Iterator[Entry]:
        """Addresses that come from elsewhere than where they are; the smallest network that holds one is that."""
        known = list(self.blocks(self.zones, self.ends, sources=LINK_LOCAL))
        for network, zone in owners(self.policy):
            others = [name for name in self.zones if name != zone.name and not self.policy.zones[name].proven]
            blocks = _less(list(self.blocks(others, self.ends, sources=(network,))), known)
            yield Entry("deny", zone.where, zone.text, tuple(blocks), True)
            known += self.blocks(self.zones, self.ends, sources=(network,))
        for zone in self.policy.zones.values():
            if zone.networks and zone.interfaces:
                blocks = _less(list(self.blocks([zone.name], self.ends)), known)
                yield Entry("deny", zone.where, zone.text, tuple(blocks), True)

    def private(self) -> Iterator[Entry]:
        """What passes the box in clear and should be in a tunnel."""
        for one in self.policy.private:
            goes = _less(
                list(self.blocks(self.zones, [one.zone], destinations=one.networks)),
                self.blocks(self.zones, [one.zone], destinations=one.excepted) if one.excepted else (),
            )
            came = _less(
                list(self.blocks([one.zone], self.zones, sources=one.networks)),
                self.blocks([one.zone], self.zones, sources=one.excepted) if one.excepted else (),
            )
            yield Entry("deny", one.where, one.text, (*goes, *came), True)

    def _numbers(self, names: Iterable[str]) -> list[Interval]:
        return [(self.ends.index(name),) * 2 for name in names if name in self.ends]


def _ports(service: Service) -> list[Interval]:
    """A protocol and a port as one number."""
    if not service.protocol:
        return [(0, 256 * PORTS - 1)]
    base = service.protocol * PORTS
    return [(base + first, base + last) for first, last in service.ports or ((0, PORTS - 1),)]


def _addresses(networks: tuple[Network, ...], version: int) -> list[Interval]:
    found = of_version(networks, version) if networks else [ALL[version]]
    return [(int(one.network_address), int(one.broadcast_address)) for one in found]
