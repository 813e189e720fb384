"""A policy as input of iptables-restore and ip6tables-restore: whole tables, the same text for the same policy.

INPUT, FORWARD and the other built-in chains only lead to chains of ours. So what others put beside (the updown script
for leftfirewall=yes, an administrator) stays when a policy is loaded anew, and so do the chains ``user-*``. The tables
come in the order that leaks nothing: what changes addresses is there before anything passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

from cygnet.firewall.policy import BOX, TUNNELS, VERSIONS, Forward, Line, Network, Policy, Zone, of_version, owners
from cygnet.firewall.services import AH, EVERYTHING, ICMP, ICMP6, IKE, Service

TABLES = ("raw", "mangle", "nat", "filter")
CHAINS = {"INPUT": "to-box", "FORWARD": "through", "OUTPUT": "from-box"}
USER_CHAINS = ("user-input", "user-forward", "user-output")
# Of packets that are to be masqueraded; another bit than the daemon's own (kernel/ours.py).
MASQUERADE = "0x20000000/0x20000000"
CLEAR_IN, CLEAR_OUT = "-m policy --dir in --pol none", "-m policy --dir out --pol none"
TUNNEL_IN, TUNNEL_OUT = "-m policy --dir in --pol ipsec", "-m policy --dir out --pol ipsec"
ANSWER = "-m conntrack --ctstate ESTABLISHED --ctdir REPLY "
LIMIT = "-m limit --limit 6/minute --limit-burst 12"
REJECT = {4: "REJECT --reject-with icmp-admin-prohibited", 6: "REJECT --reject-with icmp6-adm-prohibited"}
TARGETS = {"allow": "ACCEPT", "deny": "DROP", "reject": "refuse"}
# Without these nothing works for long: errors of ICMP, and neighbours, routers and multicast groups of IPv6.
NEEDED_ICMP = {4: (3, 11, 12), 6: (1, 2, 3, 4, 130, 131, 132, 133, 134, 135, 136, 143)}
ICMP_TYPE = {ICMP: "--icmp-type", ICMP6: "--icmpv6-type"}
ECHO_REPLY = {8: 0, 128: 129}
# The names that iptables knows without a file of them.
PROTOCOL_NAMES = {1: "icmp", 6: "tcp", 17: "udp", 50: "esp", 51: "ah", 58: "ipv6-icmp", 132: "sctp"}
# What IPComp leaves as it was arrives as a tunnel's packet in ESP, before it is opened.
INNER = (4, 41)


def render(policy: Policy) -> dict[str, str]:
    """``rules.v4`` and ``rules.v6``. The first line says what they were made from (SHA-256)."""
    return {f"rules.v{version}": _Family(policy, version).text() for version in VERSIONS}


class _Family:
    """The rules of one version of IP."""

    def __init__(self, policy: Policy, version: int) -> None:
        self.policy, self.version = policy, version
        self.zones = policy.zones

    def text(self) -> str:
        tables = {"raw": self.raw(), "mangle": self.mangle(), "nat": self.nat(), "filter": self.filter()}
        lines = [f"# from: {self.policy.digest}"]
        for name in TABLES:
            lines += [f"*{name}", *tables[name], "COMMIT"]
        return "\n".join(lines) + "\n"

    def raw(self) -> list[str]:
        """Sources that cannot be: the smallest network that holds one says by which zone it comes."""
        rules = ["-A sources -i lo -j RETURN"]
        if self.version == 6:
            rules += ["-A sources -s fe80::/10 -j RETURN", "-A sources -s ::/128 -p ipv6-icmp -j RETURN"]
        else:
            rules.append("-A sources -s 0.0.0.0/32 -p udp --sport 68 --dport 67 -j RETURN")
        for network, zone in owners(self.policy):
            if network.version == self.version:
                rules += [f"-A sources -s {network} {match}-j RETURN" for match in self.came(zone.name)]
                rules.append(f"-A sources -s {network} {_note(zone.where)}-j spoofed")
        for zone in self.zones.values():
            if zone.networks:
                rules += [f"-A sources {match}{_note(zone.where)}-j spoofed" for match in self.came(zone.name)]
        return [
            *_chains("sources", "spoofed"),
            "-A PREROUTING -j sources",
            *rules,
            *_logged("spoofed", "spoofed", "DROP"),
        ]

    def mangle(self) -> list[str]:
        """TCP fits the path: here, and nowhere else. What is to be masqueraded is known here by where it came from."""
        rules = ["-A passing -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu"]
        for one in self.policy.masquerades if self.version == 4 else ():
            for came, goes in product(self.came(one.origin), self.goes(one.target)):
                rules.append(f"-A passing {came}{goes}{_note(one.where)}-j MARK --set-xmark {MASQUERADE}")
        return [*_chains("passing"), "-A FORWARD -j passing", *rules]

    def nat(self) -> list[str]:
        rules = []
        for one in self.policy.forwards:
            for came, source in product(self.came(one.zone), self.addresses("-s", one.sources)):
                if one.address.version == self.version:
                    rules.append(
                        f"-A forwards {came}{source}{_service(one.service, self.version)}-m addrtype --dst-type LOCAL "
                        f"{_note(one.where)}-j DNAT --to-destination {_destination(one)}"
                    )
        return [
            *_chains("forwards", "masquerade"),
            "-A PREROUTING -j forwards",
            "-A POSTROUTING -j masquerade",
            *rules,
            f"-A masquerade {TUNNEL_OUT} -j ACCEPT",
            *([f"-A masquerade -m mark --mark {MASQUERADE} -j MASQUERADE"] if self.version == 4 else []),
        ]

    def filter(self) -> list[str]:
        known, lost = "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "-m conntrack --ctstate INVALID -j DROP"
        return [
            ":INPUT DROP [0:0]",
            ":FORWARD DROP [0:0]",
            ":OUTPUT ACCEPT [0:0]",
            *_chains("to-box", "through", "from-box", *USER_CHAINS, "refuse", "log-allow", "log-deny", "log-reject"),
            *_chains("clear-to-box", "clear-in", "clear-out", "unproven", "came-clear", "goes-clear"),
            *(f"-A {builtin} -j {chain}" for builtin, chain in CHAINS.items()),
            "-A to-box -i lo -j ACCEPT",
            "-A to-box -j clear-to-box",
            f"-A to-box {known}",
            *(f"-A to-box {match}-j ACCEPT" for match in self.needed()),
            f"-A to-box {lost}",
            *(f"-A to-box -p {number} {TUNNEL_IN} -j ACCEPT" for number in INNER),
            "-A to-box -j user-input",
            *self.lines("to-box"),
            "-A to-box -m addrtype ! --dst-type LOCAL -j DROP",
            *_limited("to-box"),
            "-A through -j clear-in",
            "-A through -j clear-out",
            f"-A through {known}",
            f"-A through {lost}",
            "-A through -j user-forward",
            *self.forwarded(),
            *self.lines("through"),
            *_limited("through"),
            "-A from-box -j user-output",
            *self.lines("from-box"),
            *self.exempt("from-box", "ACCEPT", asks=True, back=True),
            "-A from-box -j clear-out",
            *self.private("clear-in", "-s", self.came, "came-clear"),
            *self.private("clear-out", "-d", self.goes, "goes-clear"),
            *self.private("clear-to-box", "-s", self.came, "unproven"),
            *(f"-A unproven {match}-j RETURN" for match in self.needed()),
            *self.exempt("unproven", "RETURN", asks=True, back=False),
            *self.exempt("unproven", "RETURN", asks=False, back=True),
            "-A unproven -j came-clear",
            *_logged("came-clear", "came in clear", "DROP"),
            *_logged("goes-clear", "not in clear", REJECT[self.version]),
            "-A refuse -p tcp -j REJECT --reject-with tcp-reset",
            f"-A refuse -j {REJECT[self.version]}",
            *_logged("log-allow", "allowed", "ACCEPT"),
            *_logged("log-deny", "denied", "DROP"),
            *_logged("log-reject", "rejected", "refuse"),
        ]

    def lines(self, chain: str) -> Iterator[str]:
        """The policy's own lines, those of them that this chain is for."""
        for raw in self.policy.raw:
            if raw.version == self.version and CHAINS[raw.chain] == chain:
                yield f"-A {chain} {' '.join(raw.words)} {_note(raw.where).rstrip()}"
        for line in self.policy.lines:
            for origin, target in product(line.origins, line.targets):
                if _chain(origin, target) == chain:
                    yield from self.line(chain, line, origin, target)

    def line(self, chain: str, line: Line, origin: str, target: str) -> Iterator[str]:
        """The rules of one line from one zone to one."""
        jump = f"log-{line.action}" if line.log else TARGETS[line.action]
        for match in self.matches(line, origin, target):
            yield f"-A {chain} {match}{_note(line.where)}-j {jump}"

    def matches(self, line: Line, origin: str, target: str, back: bool = False) -> Iterator[str]:
        """A match for each way, service and pair of networks; ``back``: for the answers."""
        came, goes = (target, origin) if back else (origin, target)
        sources, destinations = (line.destinations, line.sources) if back else (line.sources, line.destinations)
        side = "sport" if back else "dport"
        services = [
            _service(one, self.version, "port" if one == IKE[0] and origin == BOX else side)
            for one in line.services
            if one.version in (0, self.version)
        ]
        parts = self.addresses("-s", sources), self.addresses("-d", destinations), services
        for match in product(self.came(came), self.goes(goes), *parts):
            yield "".join(match) + (ANSWER if back else "")

    def exempt(self, chain: str, jump: str, asks: bool, back: bool) -> Iterator[str]:
        """What lines allow between the box itself and a zone that is for tunnels else; ``asks``: the zone begins."""
        for one in self.policy.private:
            ends = (one.zone, BOX) if asks else (BOX, one.zone)
            for line in self.policy.lines:
                if line.action == "allow" and ends[0] in line.origins and ends[1] in line.targets:
                    for match in self.matches(line, *ends, back):
                        yield f"-A {chain} {match}{_note(line.where)}-j {jump}"

    def forwarded(self) -> Iterator[str]:
        """What nat sent on: by its new address, and only what came to the box's own."""
        for one in self.policy.forwards:
            if one.address.version == self.version:
                ports = ((one.port, one.port),) if one.port else one.service.ports
                service = _service(one.service._replace(ports=ports), self.version)
                for came, source in product(self.came(one.zone), self.addresses("-s", one.sources)):
                    yield (
                        f"-A through {came}{source}-d {one.address} {service}-m conntrack "
                        f"--ctstate DNAT {_note(one.where)}-j {'log-allow' if one.log else 'ACCEPT'}"
                    )

    def private(self, chain: str, side: str, way: Callable[[str], list[str]], jump: str) -> Iterator[str]:
        """Networks that are reached in tunnels only, at the chain where they would come or go in clear."""
        for one in self.policy.private:
            for match in way(one.zone):
                for network in of_version(one.excepted, self.version):
                    yield f"-A {chain} {side} {network} {match}-j RETURN"
                for network in of_version(one.networks, self.version):
                    yield f"-A {chain} {side} {network} {match}{_note(one.where)}-j {jump}"

    def came(self, name: str) -> list[str]:
        """Matches for what comes from a zone. A tunnel's packet is known by having been decrypted, not by a name."""
        return _ways(self.zones.get(name), "-i", CLEAR_IN, TUNNEL_IN)

    def goes(self, name: str) -> list[str]:
        """Matches for what goes to a zone: into ipsecN, which encrypts or drops, or with a policy that encrypts."""
        return _ways(self.zones.get(name), "-o", CLEAR_OUT, TUNNEL_OUT)

    def needed(self) -> list[str]:
        """Matches for the ICMP without which nothing works for long."""
        number = ICMP6 if self.version == 6 else ICMP
        return [_service(Service(number, ((kind, kind),)), self.version) for kind in NEEDED_ICMP[self.version]]

    def addresses(self, side: str, networks: tuple[Network, ...]) -> list[str]:
        """Matches for networks; none at all, if there are only those of the other version."""
        return [f"{side} {network} " for network in of_version(networks, self.version)] if networks else [""]


def _ways(zone: Zone | None, side: str, clear: str, tunnel: str) -> list[str]:
    """A match for each interface; for the box itself one that says nothing."""
    if zone is None:
        return [""]
    plain = [f"{side} {name} {clear} " for name in zone.interfaces if not name.startswith("ipsec")]
    named = [f"{side} {name} " for name in zone.interfaces if name.startswith("ipsec")]
    if side == "-i":
        named = [
            f"{'' if name == TUNNELS else f'-i {name} '}{tunnel} " for name in zone.interfaces if name[:5] == "ipsec"
        ]
    elif zone.decrypted:
        named.append(f"{tunnel} ")
    return named + plain


def _chain(origin: str, target: str) -> str:
    if target == BOX:
        return "" if origin == BOX else "to-box"
    return "from-box" if origin == BOX else "through"


def _service(service: Service, version: int, side: str = "dport") -> str:
    """A match for it: for packets towards it (dport), for answers (sport), or for both (port)."""
    number, ports = service.protocol, service.ports
    if service == EVERYTHING:
        return ""
    if number == AH and version == 6:
        return "-m ah "
    protocol = f"-p {PROTOCOL_NAMES.get(number, number)} "
    if not ports:
        return protocol
    if number in ICMP_TYPE:
        asked = ports[0][0]
        return f"{protocol}{ICMP_TYPE[number]} {ECHO_REPLY.get(asked, asked) if side == 'sport' else asked} "
    written = [f"{first}:{last}" if last > first else str(first) for first, last in ports]
    if len(written) == 1 and side != "port":
        return f"{protocol}--{side} {written[0]} "
    return f"{protocol}-m multiport --{side}s {','.join(written)} "


def _destination(one: Forward) -> str:
    host = f"[{one.address}]" if one.address.version == 6 and one.port else str(one.address)
    return f"{host}:{one.port}" if one.port else host


def _note(where: str) -> str:
    """Where in the policy a rule comes from, for whoever reads the rules."""
    return f"-m comment --comment line:{where.rpartition(':')[2]} "


def _chains(*names: str) -> list[str]:
    return [f":{name} - [0:0]" for name in names]


def _limited(chain: str) -> list[str]:
    return [f'-A {chain} {LIMIT} -j LOG --log-prefix "firewall dropped {chain}: "']


def _logged(chain: str, word: str, jump: str) -> list[str]:
    return [f'-A {chain} {LIMIT} -j LOG --log-prefix "firewall {word}: "', f"-A {chain} -j {jump}"]
