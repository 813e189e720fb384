"""A connection as ipsec.conf(5) describes it, seen from this box: ``here`` and ``there``.

conf/ makes these; nobody changes them afterwards.
"""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address, ip_network
from pathlib import Path

from cygnet.connection.identity import Identity
from cygnet.connection.proposal import ChildProposal, IkeProposal
from cygnet.connection.selector import Network, Selector

Address = IPv4Address | IPv6Address


class Auto(enum.Enum):
    """What is done with a connection at start (``auto=``)."""

    IGNORE = "ignore"
    MANUAL = "manual"
    ADD = "add"
    ROUTE = "route"
    START = "start"


class Type(enum.Enum):
    """``type=``: two that are negotiated, three that are plain policies."""

    TUNNEL = "tunnel"
    TRANSPORT = "transport"
    PASSTHROUGH = "passthrough"
    DROP = "drop"
    REJECT = "reject"


class AuthBy(enum.Enum):
    """``authby=``."""

    RSASIG = "rsasig"
    SECRET = "secret"  # noqa: S105
    EITHER = "secret|rsasig"
    NEVER = "never"


class Shunt(enum.Enum):
    """``failureshunt=``: what becomes of packets whose tunnel could not be negotiated."""

    NONE = "none"
    PASSTHROUGH = "passthrough"
    DROP = "drop"
    REJECT = "reject"


class DpdAction(enum.Enum):
    """``dpdaction=``: what is done when the peer is dead."""

    NONE = "none"
    HOLD = "hold"
    CLEAR = "clear"
    RESTART = "restart"


class HostKind(enum.Enum):
    """How ``left=`` names the host when it is no plain address."""

    ADDRESS = "address"
    ANY = "%any"
    OPPORTUNISTIC = "%opportunistic"
    GROUP = "%group"
    OPPORTUNISTIC_GROUP = "%opportunisticgroup"


@dataclass(frozen=True)
class End:
    """One end. ``side`` is "left" or "right", as the file has it.

    ``host``: None where ``kind`` is not ADDRESS.  ``name``: the DNS name that ``host`` was found by, or "".
    ``nexthop``: None for %direct.  ``subnet``: None is the host itself.
    ``id``: None where it follows from the host's address.  ``public_keys``: RFC 3110 blobs of rsasigkey=.
    ``cert``: path of the certificate, None without.  ``ca``: subject of the CA asked for, "" for any.
    ``default_host``, ``default_hop``: ``host`` and ``nexthop`` are what the default route says (%defaultroute).
    ``interface``: name of the physical interface that ``host`` is on (only of ``here``), "" while it is on none.
    """

    side: str
    kind: HostKind = HostKind.ADDRESS
    host: Address | None = None
    name: str = ""
    nexthop: Address | None = None
    subnet: Network | None = None
    subnet_within: Network | None = None
    protocol: int = 0
    port: int = 0
    id: Identity | None = None
    public_keys: tuple[bytes, ...] = ()
    keys_from_dns: bool = False
    cert: Path | None = None
    send_cert: str = "ifasked"
    ca: str = ""
    updown: str = ""
    firewall: bool = False
    source_ip: Address | None = None
    default_host: bool = False
    default_hop: bool = False
    interface: str = ""

    @property
    def strangers(self) -> bool:
        """Whether it is for whoever has a key in the DNS."""
        return self.kind is HostKind.OPPORTUNISTIC

    @property
    def identity(self) -> Identity | None:
        """The id, or the host's address; None for a host that can be anyone."""
        return self.id or (Identity.address(self.host) if self.host else None)

    @property
    def selector(self) -> Selector | None:
        """The traffic of this end; None for a host that can be anyone."""
        network = self.subnet or (host_network(self.host) if self.host else None)
        return Selector(network, self.protocol, self.port) if network else None


@dataclass(frozen=True)
class Connection:
    """One conn, whole: every parameter has its default filled in. Times in seconds.

    ``keying_tries`` 0 is %forever.  ``ike`` and ``child`` in order of preference.  ``pfs_groups``: group
    numbers for quick mode in order of preference, () where the phase 1 group serves.
    ``dnssec``: keys from the DNS count only if their signatures were checked.
    ``weak``: names of weak transforms that this connection names itself, logged when used.
    ``where``: file:line of the conn, for messages.  ``mtu``, ``metric``, ``mark`` 0: not set.
    """

    name: str
    here: End
    there: End
    auto: Auto = Auto.IGNORE
    type: Type = Type.TUNNEL
    auth_by: AuthBy = AuthBy.RSASIG
    ike: tuple[IkeProposal, ...] = ()
    child: tuple[ChildProposal, ...] = ()
    pfs: bool = True
    pfs_groups: tuple[int, ...] = ()
    compress: bool = False
    ike_lifetime: float = 3600.0
    key_life: float = 28800.0
    rekey_margin: float = 540.0
    rekey_fuzz: float = 1.0
    keying_tries: int = 0
    rekey: bool = True
    dpd_action: DpdAction = DpdAction.HOLD
    dpd_delay: float = 0.0
    dpd_timeout: float = 120.0
    force_encaps: bool = False
    fragmentation: bool = True
    replay_window: int = 32
    failure_shunt: Shunt = Shunt.NONE
    dnssec: bool = False
    mtu: int = 0
    metric: int = 0
    mark: int = 0
    weak: tuple[str, ...] = ()
    where: str = ""


@dataclass(frozen=True)
class Setup:
    """``config setup``: what holds for the daemon. ``interfaces``: (ipsecN, physical or %defaultroute) pairs.

    ``rp_filter``: what the physical interfaces' is set to, None leaves it. ``crl_check_interval`` 0: never.
    ``pluto`` False: the daemon is not started. ``pluto_wait``: starting waits for each ``auto=start``.
    ``manual_start``: connections keyed by hand that are to be up. ``debug``: words of plutodebug=.
    ``ignored``: parameters that were accepted and mean nothing on XFRM, name -> where (file:line).
    """

    interfaces: tuple[tuple[str, str], ...] = ()
    unique_ids: bool = True
    nat_traversal: bool = True
    keep_alive: float = 20.0
    forward_control: bool = False
    prepluto: str = ""
    postpluto: str = ""
    syslog: str = "daemon.error"
    override_mtu: int = 0
    hide_tos: bool = True
    virtual_private: tuple[Network, ...] = ()
    strict_crl: bool = False
    port: int = 500
    rp_filter: int | None = 0
    crl_check_interval: float = 0.0
    no_cr_send: bool = False
    debug: tuple[str, ...] = ("none",)
    pluto: bool = True
    pluto_wait: bool = False
    manual_start: tuple[str, ...] = ()
    ignored: dict[str, str] = field(default_factory=dict)


def fingerprint(connection: Connection) -> str:
    """Changes with what the file says of a connection: not with its place there, with names, or where this box is."""
    ends = sorted((connection.here, connection.there), key=lambda end: end.side)
    ends = [replace(end, interface="", id=None if end.cert else end.id) for end in ends]
    ends = [replace(end, host=None) if end.name or end.default_host else end for end in ends]
    ends = [replace(end, nexthop=None) if end.default_host or end.default_hop else end for end in ends]
    text = repr(replace(connection, here=ends[0], there=ends[1], where=""))
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:16]


def host_network(host: Address) -> Network:
    """The network that is one host."""
    return ip_network(host)
