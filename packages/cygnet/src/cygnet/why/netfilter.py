"""What the packet filter does with a packet: ``iptables-save -c`` read strictly, and its chains walked (iptables(8)).

A condition that is not understood here is neither true nor false: its rule may have decided, and is kept as a doubt.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network

from cygnet.connection.selector import Network, Selector
from cygnet.errors import CygnetError

MOST_BYTES = 1 << 20
SECONDS = 20
DEEPEST = 32
PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "esp": 50, "ah": 51, "ipv6-icmp": 58, "icmpv6": 58, "sctp": 132}
TOO_BIG = {"3/4", "fragmentation-needed", "3", "destination-unreachable", "2", "packet-too-big", "any"}
DECIDES = ("ACCEPT", "DROP", "REJECT")
TRANSLATES = ("SNAT", "MASQUERADE", "NETMAP")
# Which chains a packet meets on its way, those that only translate addresses aside.
WAYS = {
    "INPUT": ("raw PREROUTING", "mangle PREROUTING", "mangle INPUT", "filter INPUT"),
    "FORWARD": (
        "raw PREROUTING", "mangle PREROUTING", "mangle FORWARD", "filter FORWARD", "mangle POSTROUTING",
    ),
    "OUTPUT": ("raw OUTPUT", "mangle OUTPUT", "filter OUTPUT", "mangle POSTROUTING"),
}  # fmt: skip
RULE = re.compile(r"\[(\d{1,20}):(\d{1,20})\] -A (\S+) ?(.*)")
CHAIN = re.compile(r":(\S+) (\S+) \[(\d{1,20}):\d{1,20}\]")


class NetfilterError(CygnetError):
    """The packet filter cannot be looked at; says why."""


@dataclass(frozen=True)
class Packet:
    """A packet, or all packets of a kind: a field that is not known, 0 or None, makes conditions on it doubtful.

    ``way``: one of WAYS. ``enters``, ``leaves``: interfaces. ``state``: as conntrack has it.
    ``ipsec``: "in" if it came out of IPsec, "out" if a policy for it was found already. ``icmp``: "frag-needed" or "".
    """

    way: str
    source: Network | None = None
    destination: Network | None = None
    protocol: int = 0
    port: int = 0
    source_port: int = 0
    enters: str = ""
    leaves: str = ""
    state: str = "NEW"
    ipsec: str = ""
    icmp: str = ""


@dataclass(frozen=True)
class Rule:
    """One rule, or the policy of a chain where ``words`` is (). ``packets``: how many it has met."""

    program: str
    table: str
    chain: str
    target: str
    packets: int
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        """A command that would add it."""
        return self.command("-A" if self.words else "-P")

    def command(self, verb: str) -> str:
        """The command of iptables that does ``verb`` (-D takes it away)."""
        table = [] if self.table == "filter" else ["-t", self.table]
        text = shlex.join([self.program, *table, verb, self.chain, *(self.words or (self.target,))])
        return "".join(c if c.isprintable() else "?" for c in text)


@dataclass(frozen=True)
class Verdict:
    """What becomes of a packet. ``rule``: what stops it, if anything does. ``doubts``: rules that may decide before."""

    rule: Rule | None = None
    doubts: Sequence[Rule] = ()

    @property
    def passes(self) -> bool:
        """Whether it goes through; rules that may let it pass, and have let something pass, count for it."""
        spared = any(one.target == "ACCEPT" and one.packets for one in self.doubts)
        return self.rule is None or spared


@dataclass(frozen=True)
class Firewall:
    """``chains``: "table chain" -> its rules. ``policies``: what is done at its end. Empty where there are no rules."""

    chains: Mapping[str, Sequence[Rule]] = field(default_factory=dict)
    policies: Mapping[str, Rule] = field(default_factory=dict)

    def verdict(self, packet: Packet) -> Verdict:
        """Whether a packet gets through, and by which rule not."""
        doubts: list[Rule] = []
        for chain in WAYS[packet.way]:
            found = self._walk(chain, packet, DECIDES, doubts, DEEPEST) or self.policies.get(chain)
            if found and found.target != "ACCEPT":
                return Verdict(found, doubts)
        return Verdict(None, doubts)

    def translation(self, packet: Packet) -> Rule | None:
        """The rule that gives a packet another source address on its way out, if one surely does."""
        found = self._walk("nat POSTROUTING", packet, (*DECIDES, *TRANSLATES), [], DEEPEST)
        return found if found and found.target in TRANSLATES else None

    def _walk(self, chain: str, packet: Packet, ends: Sequence[str], doubts: list[Rule], depth: int) -> Rule | None:
        """The rule that decides in a chain, None where it returns."""
        table = chain.partition(" ")[0]
        for rule in self.chains.get(chain, ()) if depth else ():
            fits = matches(rule, packet)
            if fits is False:
                continue
            if rule.target in ends and fits:
                return rule
            if rule.target in ends:
                doubts.append(rule)
            elif rule.target == "RETURN" and fits:
                return None
            elif f"{table} {rule.target}" in self.chains:
                inner: list[Rule] = []
                found = self._walk(f"{table} {rule.target}", packet, ends, inner, depth - 1)
                doubts += inner
                if found and fits:
                    return found
                doubts += [found] if found else []
                if fits and "-g" in rule.words:
                    return None
        return None


def matches(rule: Rule, packet: Packet) -> bool | None:
    """Whether a rule is for a packet, None where that cannot be said."""
    words, doubtful, negated, direction = list(rule.words), False, False, ""
    while words:
        option = words.pop(0)
        if option in ("-j", "-g"):
            break
        if option == "!":
            negated = True
            continue
        value = words.pop(0) if words and words[0] not in ("!", "-j", "-g") else ""
        if option in ("-m", "--comment", "--dir"):
            direction = value if option == "--dir" else direction
            continue
        fits = _fits(option, value, packet, direction)
        if fits is negated:
            return False
        doubtful |= fits is None
        negated = False
    return None if doubtful else True


def _fits(option: str, value: str, packet: Packet, direction: str) -> bool | None:
    match option:
        case "-i" | "-o":
            name = packet.enters if option == "-i" else packet.leaves
            return (name.startswith(value[:-1]) if value.endswith("+") else name == value) if name else None
        case "-s" | "-d":
            return _within(packet.source if option == "-s" else packet.destination, value)
        case "-p":
            number = int(value) if value.isdecimal() else PROTOCOLS.get(value, -1)
            return None if number < 0 or not packet.protocol else number in (0, packet.protocol)
        case "--dport" | "--dports":
            return _port(packet.port, value)
        case "--sport" | "--sports":
            return _port(packet.source_port, value)
        case "--ctstate" | "--state":
            return packet.state in value.split(",")
        case "--icmp-type" | "--icmpv6-type":
            return value in TOO_BIG if packet.icmp else None
        case "--pol":
            return (value == "ipsec") == (packet.ipsec == direction)
    return None


def _within(mine: Network | None, value: str) -> bool | None:
    try:
        named = ip_network(value, strict=False)
    except ValueError:
        return None
    if mine is None or named.version != mine.version or not named.overlaps(mine):
        return None if mine is None else False
    return True if Selector(named).holds(Selector(mine)) else None


def _port(mine: int, value: str) -> bool | None:
    ranges = [one.partition(":") for one in value.split(",")]
    if not mine or not all(low.isdecimal() and (high.isdecimal() or not high) for low, _, high in ranges):
        return None
    return any(int(low) <= mine <= int(high or low) for low, _, high in ranges)


def parse(text: str, program: str = "iptables") -> Firewall:
    """What ``iptables-save -c`` prints. Raises NetfilterError for anything else."""
    chains: dict[str, list[Rule]] = {}
    policies: dict[str, Rule] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if not line or line[0] == "#" or line == "COMMIT":
            continue
        if line[0] == "*":
            table = line[1:]
        elif found := CHAIN.fullmatch(line):
            chains[f"{table} {found[1]}"] = []
            if found[2] in DECIDES:
                policies[f"{table} {found[1]}"] = Rule(program, table, found[1], found[2], int(found[3]))
        elif (found := RULE.fullmatch(line)) and f"{table} {found[3]}" in chains:
            words = _words(found[4])
            at = next((at + 1 for at, word in enumerate(words) if word in ("-j", "-g")), len(words))
            target = words[at] if at < len(words) else ""
            chains[f"{table} {found[3]}"].append(Rule(program, table, found[3], target, int(found[1]), words))
        else:
            raise NetfilterError(f"line {number} of {program}-save -c is not understood")
    return Firewall(chains, policies)


def _words(text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError:
        return tuple(text.split())


def read(version: int = 4) -> Firewall:
    """The packet filter of this box, for IPv4 or IPv6. Raises NetfilterError where it cannot be looked at."""
    import subprocess

    program = "iptables" if version == 4 else "ip6tables"
    try:
        done = subprocess.run(
            [f"{program}-save", "-c"], stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise NetfilterError(f"{program}-save: {getattr(problem, 'strerror', 'no answer')}") from None
    if done.returncode or len(done.stdout) > MOST_BYTES:
        reason = done.stderr.decode("ascii", "replace").strip()[:200] or "more than 1 MB of rules"
        raise NetfilterError(f"{program}-save: {reason}")
    return parse(done.stdout.decode("utf-8", "replace"), program)
