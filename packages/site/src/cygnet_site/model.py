"""What a site file says, as values; and what it may say: each field is a key of its table, with kind and meaning.

Reader and JSON schema both walk over these classes. A field's name with hyphens is the key, unless it says another.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import Any, NamedTuple

from cygnet_site import kinds
from cygnet_site.kinds import Endpoint, Kind, Listed, Range, Secret
from cygnet_site.lines import Lines
from cygnet_site.lines import Path as KeyPath

FORMAT = 1
MOST_LANS = 8


class Table(NamedTuple):
    """A table of the file, read into a class of this module."""

    of: type


class Tables(NamedTuple):
    """An array of tables."""

    of: type
    most: int = kinds.MOST_ITEMS


class Named(NamedTuple):
    """A table whose keys are names of the user's own, of a kind; their values are all of one kind."""

    name: Kind
    value: Kind | Listed


def key(kind: Kind | Listed | Table | Tables | Named, meaning: str, default: Any = MISSING, name: str = "") -> Any:
    """A field that stands in the file. Without a default the table must have it."""
    metadata = {"kind": kind, "meaning": meaning, "name": name}
    if isinstance(default, dict | list):
        return field(default_factory=type(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Pppoe:
    """The account at the provider."""

    user: str = key(kinds.words(r"[!-~]{1,255}", "a user name without blanks"), "user name at the provider")
    password: Secret = key(kinds.SECRET, "file whose first line is the password")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Port:
    """A network card, or a VLAN on one."""

    interface: str = key(kinds.INTERFACE, "the network card, such as eth0")
    vlan: int | None = key(kinds.VLAN, "the VLAN on it; without it untagged", None)

    @property
    def device(self) -> str:
        """As the box calls it: eth0, eth0.7."""
        return f"{self.interface}.{self.vlan}" if self.vlan else self.interface


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Wan(Port):
    """The line to the Internet. Without this table the box has none."""

    address: str | IPv4Interface = key(
        Kind(lambda value: _wan_address(value), {"anyOf": [{"enum": ["dhcp", "pppoe", "none"]}, kinds.PREFIX.schema]}),
        "dhcp, pppoe, none, or a fixed address with its prefix length",
        "dhcp",
    )
    gateway: IPv4Address | None = key(kinds.ADDRESS, "the router, with a fixed address", None)
    pppoe: Pppoe | None = key(Table(Pppoe), 'the account, with address = "pppoe"', None)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Lease:
    """A machine on a LAN that always has the same address."""

    mac: str = key(kinds.MAC, "the machine's hardware address")
    address: IPv4Address = key(kinds.ADDRESS, "the address it gets")
    name: str = key(kinds.HOST, "what it is called", "")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Lan(Port):
    """A network behind the box."""

    name: str = key(
        kinds.words("[a-z][a-z0-9-]{0,15}", "a name of a zone: letters a to z, digits, hyphens; 16 at most"),
        "the firewall's zone; without it lan, lan2, lan3 ...",
        "",
    )
    address: IPv4Interface = key(kinds.PREFIX, "the box's own address there, with its prefix length")
    dhcp: Range | None = key(kinds.RANGE, "addresses to give out, first-last; without it no DHCP server", None)
    leases: tuple[Lease, ...] = key(Tables(Lease), "machines with an address of their own", (), "lease")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Dns:
    """Name servers; without them those that DHCP or PPPoE names."""

    servers: tuple[IPv4Address, ...] = key(Listed(kinds.ADDRESS), "IPv4 addresses of name servers", ())
    domain: str = key(kinds.DOMAIN, "the search domain", "")
    dnssec: str = key(
        kinds.choice("box", "servers"), "who checks signatures: the box (an image with unbound), or these servers", ""
    )


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Ntp:
    """Time servers; without them those that DHCP names."""

    servers: tuple[str, ...] = key(Listed(kinds.SERVER), "host names or IPv4 addresses of time servers", ())
    off: bool = key(kinds.FLAG, "true: the box asks nobody for the time", False)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Syslog:
    """Where the box sends its log beside keeping it."""

    server: Endpoint = key(kinds.ENDPOINT, "host name or IPv4 address, perhaps with :PORT")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Ssh:
    """Who may log in as root over SSH."""

    keys: tuple[str, ...] = key(Listed(kinds.TEXT), "public keys, a line of authorized_keys each", ())
    key_files: tuple[str, ...] = key(Listed(kinds.FILE), "files with such lines", ())
    sources: tuple[IPv4Network, ...] = key(
        Listed(kinds.NETWORK), "networks on the WAN from which SSH is answered; LANs always may", (), "from"
    )


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Firewall:
    """Who may talk to whom; without policy and file: the stock policy with a zone for each LAN."""

    policy: str = key(kinds.TEXT, "the whole policy, in the language of docs/firewall.md", "")
    file: str = key(kinds.FILE, "or a file with it", "")
    extra: str = key(kinds.TEXT, "lines for behind the stock policy", "")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Forward:
    """A port of the WAN that leads to a machine behind the box."""

    service: str = key(
        kinds.words(r"[a-z0-9-]+(?: [0-9,-]+)?", "a service such as https, tcp 8443 or udp 5000-5010"),
        "a service, or tcp or udp and its ports",
    )
    to: Endpoint = key(kinds.TARGET, "the machine, perhaps with another port: 192.168.77.11:443")
    sources: tuple[IPv4Network, ...] = key(Listed(kinds.NETWORK), "for these networks alone", (), "from")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Ipsec:
    """Connections, in ipsec.conf(5)'s words, and the secrets that they need."""

    config: str = key(kinds.TEXT, "text of ipsec.conf", "")
    files: tuple[str, ...] = key(Listed(kinds.FILE), "files with connections, included behind it", ())
    secrets: tuple[Secret, ...] = key(Listed(kinds.SECRET), "files in the format of ipsec.secrets", ())
    certs: tuple[str, ...] = key(Listed(kinds.FILE), "certificates, for leftcert", ())
    ca_certs: tuple[str, ...] = key(Listed(kinds.FILE), "certificates of authorities", ())
    crls: tuple[str, ...] = key(Listed(kinds.FILE), "lists of certificates that are called back", ())
    private_keys: tuple[Secret, ...] = key(Listed(kinds.SECRET), "private keys, for RSA NAME in the secrets", ())
    policies: dict[str, tuple[IPv4Network, ...]] = key(
        Named(kinds.words("[a-zA-Z][a-zA-Z0-9._-]*", "a policy group's name"), Listed(kinds.NETWORK)),
        "policy groups: to whom each applies",
        {},
    )


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Site:
    """A box. ``path`` is its file, ``lines`` where each key stands there."""

    path: Path
    lines: Lines
    format: int = key(kinds.number(FORMAT, FORMAT, f"a format that this program knows: write {FORMAT}"), "always 1")
    name: str = key(kinds.HOST, "the host name")
    timezone: str = key(kinds.ZONE, "the time zone, such as Europe/Vienna", "UTC")
    wan: Wan | None = key(Table(Wan), "the line to the Internet", None)
    lans: tuple[Lan, ...] = key(Tables(Lan, MOST_LANS), "the networks behind the box", (), "lan")
    dns: Dns = key(Table(Dns), "name servers", Dns())
    ntp: Ntp = key(Table(Ntp), "time servers", Ntp())
    syslog: Syslog | None = key(Table(Syslog), "where the log goes", None)
    ssh: Ssh = key(Table(Ssh), "who may log in", Ssh())
    firewall: Firewall = key(Table(Firewall), "who may talk to whom", Firewall())
    forwards: tuple[Forward, ...] = key(Tables(Forward), "ports of the WAN that lead inside", (), "forward")
    ipsec: Ipsec = key(Table(Ipsec), "connections and secrets", Ipsec())

    @property
    def networks(self) -> list[tuple[str, str, Lan]]:
        """Each LAN, behind what it is called in the box's network file (LAN, LAN2 ...) and its zone."""
        keys = ["LAN", *(f"LAN{number}" for number in range(2, MOST_LANS + 1))]
        return [(name, lan.name or name.lower(), lan) for name, lan in zip(keys, self.lans, strict=False)]

    @property
    def folder(self) -> Path:
        """What names of files are relative to."""
        return self.path.parent

    def line(self, *path: str | int) -> int:
        """Where a key stands: line("lan", 0, "dhcp")."""
        return self.lines.of(path)


def _wan_address(value: Any) -> str | IPv4Interface:
    if value in ("dhcp", "pppoe", "none"):
        return str(value)
    try:
        address: IPv4Interface = kinds.PREFIX.read(value)
    except ValueError:
        what = "dhcp, pppoe, none, or an IPv4 address with its prefix length such as 203.0.113.5/24"
        raise ValueError(f"{kinds.shown(value)} is not {what}") from None
    return address


__all__ = [
    "Dns",
    "Firewall",
    "Forward",
    "Ipsec",
    "KeyPath",
    "Lan",
    "Lease",
    "Ntp",
    "Port",
    "Pppoe",
    "Site",
    "Ssh",
    "Syslog",
    "Wan",
]
