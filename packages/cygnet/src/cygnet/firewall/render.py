"""A policy as input of iptables-restore and ip6tables-restore: whole tables, the same text for the same policy.

INPUT, FORWARD and the other built-in chains only lead to chains of ours. So what others put beside (the updown script
for leftfirewall=yes, an administrator) stays when a policy is loaded anew, and so do the chains ``user-*``. The tables
come in the order that leaks nothing: what changes addresses is there before anything passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

from cygnet.firewall.policy import BOX, TUNNELS, VERSIONS, Forward, Line, Network, Policy, Zone, of_version, owners
from cygnet.firewall.services import AH, EVERYTHING, ICMP, ICMP6, IKE, TCP, UDP, Service

TABLES = ("raw", "mangle", "nat", "filter")
CHAINS = {"INPUT": "to-box", "FORWARD": "through", "OUTPUT": "from-box"}
USER_CHAINS = ("user-input", "user-forward", "user-output")
# Marks, other bits than the daemon's own (kernel/ours.py): of packets that are to be masqueraded; of connections whose
# first packet came by a tunnel, or went into one.
MASQUERADE, CAME, WENT = (f"{bit:#010x}/{bit:#010x}" for bit in (1 << 29, 1 << 28, 1 << 27))
CLEAR_IN, CLEAR_OUT = "-m policy --dir in --pol none", "-m policy --dir out --pol none"
TUNNEL_IN, TUNNEL_OUT = "-m policy --dir in --pol ipsec", "-m policy --dir out --pol ipsec"
KNOWN = "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
LOST = "-m conntrack --ctstate INVALID -j DROP"
NOTED = "-m conntrack --ctstate NEW {} -j CONNMARK --set-xmark {}"
LIMIT = "-m limit --limit 6/minute --limit-burst 12"
REJECT = {4: "REJECT --reject-with icmp-admin-prohibited", 6: "REJECT --reject-with icmp6-adm-prohibited"}
TARGETS = {"allow": "ACCEPT", "deny": "DROP", "reject": "refuse"}
# Without these nothing works for long: errors of ICMP, and neighbours, routers and multicast groups of IPv6.
NEEDED_ICMP = {4: (3, 11, 12), 6: (1, 2, 3, 4, 130, 131, 132, 133, 134, 135, 136, 143)}
ICMP_TYPE = {ICMP: "--icmp-type", ICMP6: "--icmpv6-type"}
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
        if any(zone.proven for zone in self.zones.values()):
            rules.append(f"-A sources {TUNNEL_IN} -j RETURN")
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
        """TCP fits the path: here, and nowhere else. What is seen here alone is noted: where from, by which way."""
        rules = [
            "-A passing -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu",
            *(f"-A {chain} {NOTED.format(TUNNEL_IN, CAME)}" for chain in ("arriving", "passing")),
            *(
                f"-A {chain} {NOTED.format(into, WENT)}"
                for chain, into in product(("leaving", "passing"), (f"-o {TUNNELS}", TUNNEL_OUT))
            ),
        ]
        for one in self.policy.masquerades if self.version == 4 else ():
            for came, goes in product(self.came(one.origin), self.goes(one.target)):
                rules.append(f"-A passing {came}{goes}{_note(one.where)}-j MARK --set-xmark {MASQUERADE}")
                # A packet that waited at a trap comes out of it unknown, and would keep its own address.
                rules.append(f"-A POSTROUTING {goes}-m mark --mark {MASQUERADE} {CLEAR_OUT} {LOST}")
        chains = {"INPUT": "arriving", "FORWARD": "passing", "OUTPUT": "leaving"}
        return [*_chains(*chains.values()), *(f"-A {name} -j {chain}" for name, chain in chains.items()), *rules]

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
        return [
            ":INPUT DROP [0:0]",
            ":FORWARD DROP [0:0]",
            ":OUTPUT ACCEPT [0:0]",
            *_chains("to-box", "through", "from-box", *USER_CHAINS, "refuse", "log-allow", "log-deny", "log-reject"),
            *_chains("strays-in", "strays-out", "clear-in", "clear-out", "came-clear", "goes-clear"),
            *(f"-A {builtin} -j {chain}" for builtin, chain in CHAINS.items()),
            "-A to-box -i lo -j ACCEPT",
            "-A to-box -j strays-in",
            f"-A to-box {KNOWN}",
            *(f"-A to-box {match}-j ACCEPT" for match in self.needed()),
            f"-A to-box {LOST}",
            *(f"-A to-box -p {number} {TUNNEL_IN} -j ACCEPT" for number in INNER),
            "-A to-box -j user-input",
            *self.lines("to-box"),
            "-A to-box -m addrtype ! --dst-type LOCAL -j DROP",
            *_limited("to-box"),
            *(f"-A through -j {chain}" for chain in ("strays-in", "strays-out", "clear-in", "clear-out")),
            f"-A through {KNOWN}",
            f"-A through {LOST}",
            "-A through -j user-forward",
            *self.forwarded(),
            *self.lines("through"),
            *_limited("through"),
            "-A from-box -j strays-out",
            f"-A from-box {KNOWN}",
            "-A from-box -j user-output",
            *self.lines("from-box"),
            "-A from-box -j clear-out",
            *_strays("strays-in", CLEAR_IN, CAME, WENT, "came-clear"),
            *_strays("strays-out", f"! -o {TUNNELS} {CLEAR_OUT}", WENT, CAME, "goes-clear"),
            *self.private("clear-in", "-s", self.came, "came-clear"),
            *self.private("clear-out", "-d", self.goes, "goes-clear"),
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
        """A rule for each way, service and pair of networks."""
        jump = f"log-{line.action}" if line.log else TARGETS[line.action]
        # A peer behind a translator has another port than its own, and knows ours.
        services = [
            _service(one, self.version, either=one == IKE[0] and origin == BOX)
            for one in line.services
            if one.version in (0, self.version)
        ]
        parts = self.addresses("-s", line.sources), self.addresses("-d", line.destinations), services
        for match in product(self.came(origin), self.goes(target), *parts):
            yield f"-A {chain} {''.join(match)}{_note(line.where)}-j {jump}"

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


def _service(service: Service, version: int, either: bool = False) -> str:
    """A match for packets to it; ``either``: or from it."""
    number, ports = service.protocol, service.ports
    if service == EVERYTHING:
        return ""
    if number == AH and version == 6:
        return "-m ah "
    protocol = f"-p {PROTOCOL_NAMES.get(number, number)} "
    if not ports:
        return protocol
    if number in ICMP_TYPE:
        return f"{protocol}{ICMP_TYPE[number]} {ports[0][0]} "
    written = [f"{first}:{last}" if last > first else str(first) for first, last in ports]
    if len(written) == 1 and number in (TCP, UDP):
        return f"{protocol}--dport {written[0]} "
    return f"{protocol}-m multiport --{'ports' if either else 'dports'} {','.join(written)} "


def _destination(one: Forward) -> str:
    host = f"[{one.address}]" if one.address.version == 6 and one.port else str(one.address)
    return f"{host}:{one.port}" if one.port else host


def _note(where: str) -> str:
    """Where in the policy a rule comes from, for whoever reads the rules."""
    return f"-m comment --comment line:{where.rpartition(':')[2]} "


def _strays(chain: str, clear: str, forth: str, back: str, jump: str) -> list[str]:
    """What is in clear of a connection that is a tunnel's: no packet goes on beside it, and none is put into it."""
    for_each = ((forth, "ORIGINAL"), (back, "REPLY"))
    return [
        f"-A {chain} -m connmark --mark {mark} -m conntrack --ctdir {way} {clear} -j {jump}" for mark, way in for_each
    ]


def _chains(*names: str) -> list[str]:
    return [f":{name} - [0:0]" for name in names]


def _limited(chain: str) -> list[str]:
    return [f'-A {chain} {LIMIT} -j LOG --log-prefix "firewall dropped {chain}: "']


def _logged(chain: str, word: str, jump: str) -> list[str]:
    return [f'-A {chain} {LIMIT} -j LOG --log-prefix "firewall {word}: "', f"-A {chain} -j {jump}"]
