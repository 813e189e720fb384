"""What must hold between the keys of a site file, each right by itself."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Interface

from cygnet_site.model import KeyPath, Lan, Site, Wan

Problem = tuple[KeyPath, str]
MAX_DEVICE = 15
# Zones of the stock policy, and words of its language.
RESERVED = ("wan", "vpn", "box", "any", "from", "to", "log", "except")


def problems(site: Site) -> Iterator[Problem]:
    """Where each thing stands, and a sentence."""
    if site.wan:
        yield from _wan(site.wan)
    yield from _devices(site)
    yield from _networks(site)
    for number, lan in enumerate(site.lans):
        yield from _lan(lan, ("lan", number))
    yield from _zones(site)
    yield from _rest(site)


def _wan(wan: Wan) -> Iterator[Problem]:
    fixed = isinstance(wan.address, IPv4Interface)
    if wan.gateway and not fixed:
        yield ("wan", "gateway"), f"wan.gateway is for a fixed address, and wan.address is {wan.address}: leave it out"
    if isinstance(wan.address, IPv4Interface) and wan.gateway == wan.address.ip:
        yield ("wan", "gateway"), f"wan.gateway is the box's own address, {wan.gateway}: write that of the next router"
    if wan.address == "pppoe" and not wan.pppoe:
        yield ("wan", "address"), "PPPoE needs an account: write [wan.pppoe] with user and password"
    if wan.pppoe and wan.address != "pppoe":
        yield ("wan", "pppoe"), 'an account is for PPPoE alone: write address = "pppoe" in [wan], or leave this out'


def _devices(site: Site) -> Iterator[Problem]:
    """Each card, or VLAN on it, is one network."""
    seen: dict[str, KeyPath] = {}
    ports = [(("wan",), site.wan)] if site.wan else []
    for at, port in [*ports, *((("lan", number), lan) for number, lan in enumerate(site.lans))]:
        if len(port.device) > MAX_DEVICE:
            yield (*at, "vlan"), f"{port.device} is longer than the {MAX_DEVICE} characters that Linux has for a name"
        if (other := seen.setdefault(port.device, at)) != at:
            line = site.line(*other, "interface")
            yield (*at, "interface"), f"{port.device} is in use already, at line {line}: take another card or vlan"


def _networks(site: Site) -> Iterator[Problem]:
    """No address is on two networks."""
    known: list[tuple[KeyPath, IPv4Interface]] = [
        (("lan", number, "address"), lan.address) for number, lan in enumerate(site.lans)
    ]
    if site.wan and isinstance(site.wan.address, IPv4Interface):
        known.insert(0, (("wan", "address"), site.wan.address))
    for i, (at, address) in enumerate(known):
        for other, its in known[:i]:
            if address.network.overlaps(its.network):
                yield at, f"{address.network} overlaps {its.network}, at line {site.line(*other)}: networks are apart"


def _lan(lan: Lan, at: KeyPath) -> Iterator[Problem]:
    network, own = lan.address.network, lan.address.ip
    if lan.dhcp:
        first, last = lan.dhcp
        if first not in network or last not in network:
            yield (*at, "dhcp"), f"{lan.dhcp} is not within {network}, the network of this LAN"
        elif first <= own <= last:
            yield (*at, "dhcp"), f"the box's own address, {own}, is among those to give out, {lan.dhcp}"
    seen: dict[str, int] = {}
    for number, lease in enumerate(lan.leases):
        here = (*at, "lease", number)
        if not lan.dhcp:
            yield here, 'a lease needs the DHCP server: write dhcp = "FIRST-LAST" for this LAN'
        if lease.address not in network or lease.address in (own, network.network_address, network.broadcast_address):
            yield (*here, "address"), f"{lease.address} is no machine's address in {network}, the network of this LAN"
        for key, value in (("mac", lease.mac), ("address", str(lease.address)), ("name", lease.name.lower())):
            if value and seen.setdefault(f"{key} {value}", number) != number:
                yield (*here, key), f"{value} is another machine's already: each lease has its own {key}"


def _zones(site: Site) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for number, (_, name, _) in enumerate(site.networks):
        if name in RESERVED:
            yield ("lan", number, "name"), f"{name} means something else in a policy: give this LAN another name"
        elif seen.setdefault(name, number) != number:
            yield ("lan", number), f"another LAN is called {name}: give this one a name of its own"


def _rest(site: Site) -> Iterator[Problem]:
    if site.ntp.off and site.ntp.servers:
        yield ("ntp", "servers"), "ntp.off = true and time servers: leave one of them out"
    if site.dns.dnssec == "servers" and not site.dns.servers:
        yield (
            ("dns", "dnssec"),
            'dnssec = "servers" believes name servers that are named: write servers = [...] beside it',
        )
    given = [name for name in ("policy", "file", "extra") if getattr(site.firewall, name)]
    if len(given) > 1:
        yield ("firewall", given[1]), f"firewall.{given[0]} and firewall.{given[1]}: leave one of them out"
    if site.ssh.sources and (site.firewall.policy or site.firewall.file):
        yield ("ssh", "from"), "ssh.from is for the stock policy: write allow wan box ssh from ... into yours instead"
    if not site.wan:
        for at, is_there in ((("forward",), site.forwards), (("ssh", "from"), site.ssh.sources)):
            if is_there:
                yield at, f"{'.'.join(map(str, at))} is about the WAN, and there is no [wan]: leave it out"
