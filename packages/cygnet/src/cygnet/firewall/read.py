"""The text of a policy: one statement a line, words with blanks between, ``#`` begins a comment.

::

    zone NAME INTERFACE... [NETWORK...]                 vpn is "ipsec+"; $WAN, $LAN, $LAN2 ...: /etc/cygnet/network
    allow|deny|reject ZONES ZONES [SERVICE...] [from NETWORK...] [to NETWORK...] [log]
    ike ZONE [from NETWORK...]                          IKE, ESP and AH with the box itself
    tunnel-only ZONE NETWORK... [except NETWORK...]     never over that zone in clear
    masquerade ZONE ZONE
    forward ZONE SERVICE to ADDRESS[:PORT] [from NETWORK...] [log]
    iptables|ip6tables -A INPUT|FORWARD|OUTPUT ...      a rule as it is
    console-only                                        nobody is to reach the box by SSH

ZONES are names with commas between, ``box`` for the box itself, ``any`` for every zone. Zones may be used before
they are defined; all other lines count in their order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import NamedTuple

from cygnet.firewall.policy import BOX, Address, Forward, Line, Masquerade, Network, Policy, Private, Raw, Zone
from cygnet.firewall.services import EVERYTHING, IKE, NAMES, TCP, UDP, ports, services
from cygnet.firewall.settings import FirewallError, Settings, is_interface, read_bytes, read_settings

MOST_STATEMENTS = 1000
MOST_PROBLEMS = 50
ANY = "any"
CHAINS = ("INPUT", "FORWARD", "OUTPUT")
PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:,/+-_!%")


class Statement(NamedTuple):
    """A line: its first word, the others, and where it stands."""

    verb: str
    words: list[str]
    where: str
    text: str


def read(path: Path, network: Path) -> Policy:
    """The policy of a box. FirewallError has a line for each thing that is wrong."""
    return parse(read_bytes(path), str(path), read_settings(network))


def parse(data: bytes, name: str, settings: Settings) -> Policy:
    """A policy from its text; ``name`` is what errors call it."""
    text = data.decode("utf-8", "replace")
    reader = _Reader(settings)
    statements = [
        Statement(words[0], words[1:], f"{name}:{number}", " ".join(words))
        for number, line in enumerate(text.splitlines(), 1)
        if (words := line.partition("#")[0].split())
    ]
    if len(statements) > MOST_STATEMENTS:
        raise FirewallError(f"{name}: more than {MOST_STATEMENTS} statements")
    zones = [one for one in statements if one.verb == "zone"]
    for statement in [*zones, *(one for one in statements if one.verb != "zone")]:
        reader.take(statement)
    if not reader.zones and not reader.problems:
        reader.problems.append(f"{name}: there is no zone; begin with one such as: zone wan $WAN")
    if reader.problems:
        raise FirewallError("\n".join(reader.problems[:MOST_PROBLEMS]))
    digest = hashlib.sha256(data + settings.text().encode()).hexdigest()
    found = reader.zones, reader.lines, reader.forwards, reader.private, reader.masquerades, reader.raw
    return Policy(*found, reader.console_only, digest, name)


class _Reader:
    """Statements become parts of the policy, or problems."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.problems: list[str] = []
        self.zones: dict[str, Zone] = {}
        self.lines: list[Line] = []
        self.forwards: list[Forward] = []
        self.private: list[Private] = []
        self.masquerades: list[Masquerade] = []
        self.raw: list[Raw] = []
        self.console_only = False

    def take(self, statement: Statement) -> None:
        """One statement; what is wrong with it goes to ``problems``."""
        try:
            if any(not char.isprintable() for char in statement.text):
                raise ValueError("this line has characters that cannot be printed")
            if statement.verb not in _VERBS:
                raise ValueError(f"{statement.verb[:40]} is no statement{_hint(statement.verb, list(_VERBS))}")
            _VERBS[statement.verb](self, statement)
        except ValueError as problem:
            self.problems.append(f"{statement.where}: {problem}")

    def zone(self, one: Statement) -> None:
        if not one.words:
            raise ValueError("write zone, a name, its interfaces and perhaps its networks")
        name, *words = one.words
        if not (name.isascii() and name.replace("-", "").isalnum() and name.islower() and len(name) <= 16):
            raise ValueError(f"{name[:40]} is no name for a zone: letters a to z, digits and hyphens, 16 at most")
        if name in (BOX, ANY) or name in _WORDS:
            raise ValueError(f"{name} has a meaning of its own: give the zone another name")
        if name in self.zones:
            raise ValueError(f"zone {name} is defined already, at {self.zones[name].where}")
        plain = self._expand(words)
        interfaces = tuple(word for word in plain if not _is_network(word))
        networks = self._networks([word for word in plain if _is_network(word)])
        if not interfaces and not any(word.startswith("$") and not word.endswith("_ADDRESS") for word in words):
            raise ValueError(f"zone {name} has no interface")
        zone = Zone(name, interfaces, networks, one.where, one.text)
        self._claim(zone)
        self.zones[name] = zone

    def _claim(self, zone: Zone) -> None:
        """Interfaces and networks are of one zone only."""
        for i, interface in enumerate(zone.interfaces):
            if not is_interface(interface.removesuffix("+")) or interface == "lo":
                raise ValueError(
                    f"{interface[:40]} is no interface: a name such as eth1, eth1.10, or ipsec+ for all ipsecN"
                )
            if any(_overlap(interface, other) for other in zone.interfaces[:i]):
                raise ValueError(f"interface {interface} stands here twice")
            for other in self.zones.values():
                if any(_overlap(interface, its) for its in other.interfaces):
                    raise ValueError(f"interface {interface} is of zone {other.name} already, at {other.where}")
        for network in zone.networks:
            for other in self.zones.values():
                if network in other.networks:
                    raise ValueError(f"network {network} is of zone {other.name} already, at {other.where}")

    def line(self, one: Statement) -> None:
        parts = _clauses(one.words, "from", "to", "log")
        if len(parts[""]) < 2:
            raise ValueError(f"write {one.verb}, from which zone, to which zone")
        origins, targets, *what = parts[""]
        if origins == targets == BOX:
            raise ValueError("what the box says to itself always passes")
        ends = self._zone_names(origins), self._zone_names(targets)
        networks = self._networks(parts.get("from", [])), self._networks(parts.get("to", []))
        self.lines.append(Line(one.verb, *ends, services(what), *networks, "log" in parts, one.where, one.text))

    def ike(self, one: Statement) -> None:
        """Two lines: in and out."""
        parts = _clauses(one.words, "from")
        zone, peers = self._one_zone(parts[""], one.verb), self._networks(parts.get("from", []))
        self.lines += [
            Line("allow", (zone,), (BOX,), IKE, peers, (), False, one.where, one.text),
            Line("allow", (BOX,), (zone,), IKE, (), peers, False, one.where, one.text),
        ]

    def tunnel_only(self, one: Statement) -> None:
        parts = _clauses(one.words, "except")
        zone = self._one_zone(parts[""][:1], one.verb)
        if self.zones[zone].decrypted:
            raise ValueError(f"{zone} is tunnels: write the zone in which nothing is to go in clear, such as wan")
        if other := next((other for other in self.private if other.zone == zone), None):
            raise ValueError(f"tunnel-only {zone} is there already, at {other.where}: write one line of both")
        networks = self._networks(parts[""][1:])
        if not networks:
            raise ValueError(f"write which networks: tunnel-only {zone} 10.0.0.0/8")
        self.private.append(Private(zone, networks, self._networks(parts.get("except", [])), one.where, one.text))

    def masquerade(self, one: Statement) -> None:
        if len(one.words) != 2:
            raise ValueError("write masquerade, from which zone, to which zone")
        origin, target = (self._one_zone([word], one.verb) for word in one.words)
        if self.zones[target].decrypted:
            raise ValueError(f"what goes into a tunnel is never masqueraded, and {target} is tunnels")
        self.masquerades.append(Masquerade(origin, target, one.where, one.text))

    def forward(self, one: Statement) -> None:
        parts = _clauses(one.words, "to", "from", "log")
        zone, whither = self._one_zone(parts[""][:1], one.verb), parts.get("to", [])
        if len(whither) != 1:
            raise ValueError("write to whom, one address: forward wan tcp 443 to 192.168.77.10:8443")
        address, port = _host_port(whither[0])
        found = [service for service in services(parts[""][1:]) if service != EVERYTHING]
        if not found or any(service.protocol not in (TCP, UDP) or not service.ports for service in found):
            raise ValueError("write which ports are forwarded, of tcp or udp: forward wan tcp 443 to ADDRESS")
        if port and any(len(service.ports) > 1 or service.ports[0][0] != service.ports[0][1] for service in found):
            raise ValueError(
                "several ports cannot become one: leave out the port of the address, or write a line for each"
            )
        sources = self._networks(parts.get("from", []))
        for service in (service._replace(version=address.version) for service in found):
            self.forwards.append(Forward(zone, service, sources, address, port, "log" in parts, one.where, one.text))

    def rule(self, one: Statement) -> None:
        if any(not PLAIN.issuperset(word) for word in one.words):
            raise ValueError("quotes and other special characters have no place in a rule here")
        if len(one.words) < 4 or one.words[0] not in ("-A", "--append") or one.words[1] not in CHAINS:
            raise ValueError(f"write {one.verb} -A and one of {', '.join(CHAINS)}, then what the rule is for")
        if "-t" in one.words or "--table" in one.words:
            raise ValueError("a rule here is of the table filter only")
        version = 6 if one.verb == "ip6tables" else 4
        self.raw.append(Raw(version, one.words[1], tuple(one.words[2:]), one.where, one.text))

    def console(self, one: Statement) -> None:
        if one.words:
            raise ValueError("console-only stands alone")
        self.console_only = True

    def _zone_names(self, text: str) -> tuple[str, ...]:
        names = list(self.zones) if text == ANY else text.split(",")
        for name in names:
            if name not in self.zones and name != BOX:
                raise ValueError(f"there is no zone {name[:40]}{_hint(name, [*self.zones, BOX, ANY])}")
        return tuple(dict.fromkeys(names))

    def _one_zone(self, words: list[str], verb: str) -> str:
        if len(words) != 1 or words[0] in (BOX, ANY) or "," in words[0]:
            raise ValueError(f"write {verb} and one zone")
        return self._zone_names(words[0])[0]

    def _expand(self, words: list[str]) -> list[str]:
        """Without ``$NAME``."""
        found: list[str] = []
        for word in words:
            if word.startswith("$") and word[1:] not in self.settings.values:
                known = "$WAN, $LAN, $LAN2 to $LAN8, and each with _ADDRESS"
                raise ValueError(f"{word[:40]} is not known: {known}, are taken from /etc/cygnet/network")
            found += self.settings.words(word[1:]) if word.startswith("$") else [word]
        return found

    def _networks(self, words: list[str]) -> tuple[Network, ...]:
        return tuple(dict.fromkeys(_network(word) for word in self._expand(words)))


_VERBS: dict[str, Callable[[_Reader, Statement], None]] = {
    "zone": _Reader.zone,
    "allow": _Reader.line,
    "deny": _Reader.line,
    "reject": _Reader.line,
    "ike": _Reader.ike,
    "tunnel-only": _Reader.tunnel_only,
    "masquerade": _Reader.masquerade,
    "forward": _Reader.forward,
    "iptables": _Reader.rule,
    "ip6tables": _Reader.rule,
    "console-only": _Reader.console,
}
_WORDS = ("from", "to", "log", "except")


def _clauses(words: list[str], *keys: str) -> dict[str, list[str]]:
    """Words by the key before them; those at the beginning have none (""). ``log`` takes none."""
    found: dict[str, list[str]] = {"": []}
    now = ""
    for word in words:
        if word in _WORDS and word not in keys:
            raise ValueError(f"{word} has no place in this statement")
        if word in found and word:
            raise ValueError(f"{word} stands here twice")
        if word in keys:
            now = word
            found[now] = []
        elif now == "log":
            raise ValueError(f"{word[:40]} stands after log, which is the last word")
        else:
            found[now].append(word)
    for key in found:
        if key not in ("", "log") and not found[key]:
            raise ValueError(f"after {key} there is nothing")
    return found


def _is_network(word: str) -> bool:
    """Whether it is meant as one; an interface has neither slash nor colon, and is no address."""
    return "/" in word or ":" in word or (word.count(".") == 3 and word.replace(".", "").isdecimal())


def _network(word: str) -> Network:
    try:
        return ip_network(word)
    except ValueError:
        pass
    try:
        meant = f": write {ip_network(word, strict=False)}"
    except ValueError:
        meant = ": write one such as 10.1.0.0/24, 10.1.0.7 or 2001:db8:1::/64"
        meant = "; services stand before the networks" if word in NAMES else meant
    raise ValueError(f"{word[:60]} is no network{meant}")


def _host_port(text: str) -> tuple[Address, int]:
    """192.168.77.10, 192.168.77.10:8443, 2001:db8::10, [2001:db8::10]:8443."""
    host, port = text, ""
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    try:
        address = ip_address(host)
    except ValueError:
        raise ValueError(f"{text[:60]} is no address with a port: 192.168.77.10:8443, [2001:db8::10]:8443") from None
    found = ports(port) if port else ((0, 0),)
    if len(found) != 1 or found[0][0] != found[0][1]:
        raise ValueError(f"{port[:40]} is not one port")
    return address, found[0][0]


def _overlap(one: str, other: str) -> bool:
    """Whether there can be an interface that both names mean."""
    first, second = one.removesuffix("+"), other.removesuffix("+")
    return one == other or (one != first and second.startswith(first)) or (other != second and first.startswith(second))


def _hint(word: str, known: list[str]) -> str:
    from difflib import get_close_matches

    found = get_close_matches(word[:64], known, 1)
    return f"; did you mean {found[0]}?" if found else f": there is {', '.join(known)}"
