"""What a policy is, once its text is read: zones, lines in their order, and what is done beside them.

A line decides the first packet of a connection; what belongs to a connection that was let in goes through. The first
line that fits decides. What no line fits is dropped, and what the box itself begins goes out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import NamedTuple

from cygnet.firewall.services import Service

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
VERSIONS = (4, 6)
BOX = "box"
TUNNELS = "ipsec+"


class Zone(NamedTuple):
    """Interfaces, and the networks behind them: none, or all that there are."""

    name: str
    interfaces: tuple[str, ...]
    networks: tuple[Network, ...]
    where: str
    text: str

    @property
    def decrypted(self) -> bool:
        """Whether it is what comes out of tunnels and goes into them, by whichever interface."""
        return TUNNELS in self.interfaces

    @property
    def proven(self) -> bool:
        """Whether its sources are those that connections allow: a peer may have one of the LAN if that was agreed."""
        return self.interfaces == (TUNNELS,) and not self.networks


class Line(NamedTuple):
    """``allow``, ``deny`` (dropped) or ``reject`` (answered): from any of ``origins`` to any of ``targets``.

    ``sources`` and ``destinations``: empty is everyone. ``raw``: arguments of a rule of iptables (4) or ip6tables (6).
    """

    action: str
    origins: tuple[str, ...]
    targets: tuple[str, ...]
    services: tuple[Service, ...]
    sources: tuple[Network, ...]
    destinations: tuple[Network, ...]
    log: bool
    where: str
    text: str


class Forward(NamedTuple):
    """A port of the box that is another host's: ``address``, and ``port`` (0: the same)."""

    zone: str
    service: Service
    sources: tuple[Network, ...]
    address: Address
    port: int
    log: bool
    where: str
    text: str


class Private(NamedTuple):
    """Networks that are reached over a zone in tunnels only: never by it in clear, in either direction."""

    zone: str
    networks: tuple[Network, ...]
    excepted: tuple[Network, ...]
    where: str
    text: str

    def holds(self, address: Address) -> bool:
        """Whether an address is one of these."""
        return within(address, self.networks) and not within(address, self.excepted)


class Masquerade(NamedTuple):
    """What comes from one zone goes out to another with the box's address; in IPv4."""

    origin: str
    target: str
    where: str
    text: str


class Raw(NamedTuple):
    """A rule in the words of iptables(8), for the chain INPUT, FORWARD or OUTPUT."""

    version: int
    chain: str
    words: tuple[str, ...]
    where: str
    text: str


class Policy(NamedTuple):
    """``digest``: what it was made from. ``console_only``: nobody is to reach the box by SSH."""

    zones: dict[str, Zone]
    lines: Sequence[Line]
    forwards: Sequence[Forward]
    private: Sequence[Private]
    masquerades: Sequence[Masquerade]
    raw: Sequence[Raw]
    console_only: bool
    digest: str
    source: str


def within(address: Address, networks: tuple[Network, ...]) -> bool:
    """Whether an address is in any of them."""
    return any(address in network for network in networks if network.version == address.version)


def of_version(networks: tuple[Network, ...], version: int) -> list[Network]:
    """Those of IPv4, or of IPv6."""
    return [network for network in networks if network.version == version]


def owners(policy: Policy) -> Iterator[tuple[Network, Zone]]:
    """Networks with the zones they are in, the smallest first: the first that holds an address is where it belongs."""
    found = [(network, zone) for zone in policy.zones.values() for network in zone.networks]
    return iter(sorted(found, key=lambda one: (-one[0].prefixlen, one[0].version, one[0].network_address.packed)))
