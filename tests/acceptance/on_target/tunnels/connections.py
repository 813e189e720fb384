"""The connections of the cases, as ipsec.conf would have them, and pairs of SAs for both ends that fit together."""

import itertools
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network

from cygnet.connection.connection import Connection, End, HostKind, Type
from cygnet.connection.proposal import ChildProposal
from cygnet.tunnel.child import ChildSa, Leg

OUTSIDE = {4: ("192.0.2.1", "192.0.2.2"), 6: ("2001:db8::1", "2001:db8::2")}
INSIDE = {4: ("10.1.0.0/24", "10.2.0.0/24"), 6: ("2001:db8:1::/64", "2001:db8:2::/64")}
# Protocol, encryption, integrity, bytes of all keys and salt, how many of them are the cipher's.
SUITES = {
    "aes-cbc-hmac-sha256": ("esp", "aes", "sha2_256", 48, 16),
    "aes-gcm": ("esp", "aes_gcm", "", 20, 20),
    "chacha20-poly1305": ("esp", "chacha20poly1305", "", 36, 36),
    "ah-hmac-sha1": ("ah", "", "sha1", 20, 0),
}
LIFETIME = 3600.0
_serials = itertools.count(1)


def between(inside: tuple[str, str], outside: int = 4, name: str = "net", **changes: object) -> Connection:
    """Between two networks; "" is the gateway itself."""
    west, east = (
        End(side, host=ip_address(host), subnet=ip_network(net) if net else None, interface="eth0")
        for side, host, net in zip(("left", "right"), OUTSIDE[outside], inside, strict=True)
    )
    return replace(Connection(name, west, east, child=(ChildProposal("aes", 128, "sha2_256"),)), **changes)


def hosts(outside: int = 4, **changes: object) -> Connection:
    """Between the gateways themselves."""
    return between(("", ""), outside, "host", **changes)


NETS = between(INSIDE[4])
# Of which the address is not known before it calls; it is east's then.
CALLER = NETS.there.host
ANYONE = replace(NETS, there=replace(NETS.there, host=None, kind=HostKind.ANY))
TRANSPORT = hosts(type=Type.TRANSPORT)


def to_port(port: int) -> Connection:
    """Between the networks, yet only what goes to one UDP port, and comes from it."""
    return replace(NETS, here=replace(NETS.here, protocol=17), there=replace(NETS.there, protocol=17, port=port))


def turned(connection: Connection) -> Connection:
    """The same seen from the other end."""
    return replace(connection, here=connection.there, there=connection.here)


@dataclass(frozen=True)
class Pair:
    """What both ends have negotiated, each as it sees it."""

    west: ChildSa
    east: ChildSa

    @property
    def names(self) -> dict[int, str]:
        """What the SAs that are seen on the wire are called."""
        leg = self.west.legs[-1]
        return {leg.spi_out: "to east", leg.spi_in: "to west"}


def pair(
    connection: Connection, suite: str = "aes-gcm", around: str = "", compress: bool = False,
    remote: Connection | None = None, **changes: object,
) -> Pair:  # fmt: skip
    """New keys and SPIs for both ends. ``around``: a second suite; ``remote``: what east thinks the connection is."""
    serial, suites = next(_serials), [suite, *([around] if around else [])]
    west = _child(serial, connection, _legs(serial, suites, compress, east=False), changes)
    east = _child(serial, remote or turned(connection), _legs(serial, suites, compress, east=True), changes)
    return Pair(west, east)


def _child(serial: int, connection: Connection, legs: list[Leg], changes: dict[str, object]) -> ChildSa:
    here, there, mode = connection.here, connection.there, connection.type.value
    remote = there.host or CALLER
    made = ChildSa(serial, connection, here.host, remote, mode, tuple(legs), here.selector, there.selector, LIFETIME)
    return replace(made, instance="" if there.host else str(remote), **changes)


def _legs(serial: int, suites: list[str], compress: bool, east: bool) -> list[Leg]:
    """Innermost first."""
    legs = [Leg("comp", *_both(0x4000 + (serial << 4), east))] if compress else []
    for layer, suite in enumerate(suites, 1):
        protocol, encryption, integrity, size, split = SUITES[suite]
        seeds = _both(7 * serial + 2 * layer, east)
        keys = [bytes((seed + 3 * place) & 0xFF for place in range(size)) for seed in seeds]
        spis = _both(0xC9000000 + (layer << 16) + (serial << 4), east)
        legs.append(Leg(protocol, *spis, encryption, integrity, *keys, split))
    return legs


def _both(number: int, east: bool) -> tuple[int, int]:
    """Two numbers, of what comes in and what goes out; none is the same with its bytes the other way round."""
    return (number + 2, number + 1) if east else (number + 1, number + 2)
