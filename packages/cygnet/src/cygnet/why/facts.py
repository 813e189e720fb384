"""What is known of one connection when it is judged: all of it gathered before, so that judging is a pure function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import NamedTuple

from cygnet.connection.connection import Connection, Type
from cygnet.why.host import Link, Way
from cygnet.why.netfilter import Firewall, Packet

NEVER = float("inf")


class Event(NamedTuple):
    """How often it was; how many seconds ago it was last, and what it was then."""

    times: int = 0
    ago: float = NEVER
    what: str = ""

    def __str__(self) -> str:
        return f"{self.times}, the last {self.ago:.0f} s ago: {self.what}" if self.times else "none"


def event(text: str) -> Event:
    """As the daemon writes it; what is none never was."""
    times, ago, what = (*text.split(" ", 2), "", "", "")[:3]
    return Event(int(times), float(ago), what) if times.isdecimal() and ago.isdecimal() else Event()


@dataclass(frozen=True)
class Carried:
    """What all SAs of one direction did. ``idle``: seconds since the last packet. ``replayed``, ``failed``: refused."""

    sas: int = 0
    packets: int = 0
    bytes: int = 0
    idle: float = NEVER
    replayed: int = 0
    failed: int = 0

    def __str__(self) -> str:
        last = f", the last {self.idle:.0f} s ago" if self.idle < NEVER else ""
        return f"{self.packets} packets ({self.bytes} bytes){last}"


@dataclass(frozen=True)
class Facts:
    """``daemon``: why it does not answer. ``said``: what it knows, by fact; {} where it has it not loaded.

    ``lacking``: what is wrong with its secrets. ``to_peer``: the way of IKE and ESP, ``homeward`` the one that
    rp_filter looks at, ``to_theirs`` that of the traffic. ``lan``, ``tunnel``: interfaces of the traffic in clear.
    ``outer``, ``inner``: firewall for the boxes' packets, and for the traffic. ``strict``: rp_filter is on.
    ``thrown``: the kernel's counters of what it threw away after decryption, those that are not 0.
    """

    connection: Connection
    daemon: str = ""
    said: Mapping[str, str] = field(default_factory=dict)
    callers: int = 0
    changed: bool = False
    lacking: str = ""
    link: Link = field(default_factory=Link)
    to_peer: Way = field(default_factory=Way)
    homeward: Way = field(default_factory=Way)
    to_theirs: Way = field(default_factory=Way)
    lan: str = ""
    tunnel: str = "ipsec0"
    out: Carried = field(default_factory=Carried)
    back: Carried = field(default_factory=Carried)
    outer: Firewall = field(default_factory=Firewall)
    inner: Firewall = field(default_factory=Firewall)
    nat_traversal: bool = True
    forwards: bool = True
    strict: bool = False
    thrown: str = ""

    sent: Event = field(init=False)
    received: Event = field(init=False)
    notified: Event = field(init=False)
    lost: Event = field(init=False)

    def __post_init__(self) -> None:
        for name in ("sent", "received", "notified", "lost"):
            object.__setattr__(self, name, event(self.said.get(name, "")))

    @property
    def up(self) -> bool:
        """Whether the daemon has keys for it."""
        return "expires" in self.said or bool(self.callers)

    @property
    def tunnels(self) -> bool:
        """Whether its traffic goes through an interface of its own."""
        return self.connection.type is Type.TUNNEL

    @property
    def reason(self) -> str:
        """Why it is not up, in the daemon's words, or the peer's; "" before anybody has asked for it."""
        reason = self.said.get("why", "")
        return self.notified.what if reason.startswith("nobody has asked") else reason

    def boxes_packet(self, way: str, protocol: int, port: int = 0, state: str = "NEW") -> Packet:
        """One between the two boxes: ``way`` INPUT or OUTPUT."""
        here, there = (
            ip_network(end.host) if end.host else None for end in (self.connection.here, self.connection.there)
        )
        name = self.connection.here.interface
        if way == "INPUT":
            return Packet(way, there, here, protocol, port, port, enters=name, state=state)
        return Packet(way, here, there, protocol, port, port, leaves=name, state=state)

    def traffic(self, outward: bool, state: str) -> Packet:
        """One of the traffic, in clear."""
        end = self.connection.here
        ours, theirs = (one.selector.network if one.selector else None for one in (end, self.connection.there))
        if outward:
            way = "FORWARD" if end.subnet else "OUTPUT"
            return Packet(way, ours, theirs, end.protocol, enters=self.lan, leaves=self.tunnel, state=state)
        way = "FORWARD" if end.subnet else "INPUT"
        return Packet(way, theirs, ours, end.protocol, enters=self.tunnel, leaves=self.lan, state=state, ipsec="in")
