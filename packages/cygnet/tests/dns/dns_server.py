"""A name server that is none: zones as text, answers written by dnspython, which is not what reads them."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
from cygnet.connection.connection import Address
from cygnet.dns.cache import Answer
from cygnet.dns.message import Question
from cygnet.dns.names import from_text
from cygnet.dns.resolver import Resolver

SOA = "example.org. 900 IN SOA ns.example.org. admin.example.org. 1 3600 600 86400 300"
FIRST, SECOND = IPv4Address("192.0.2.53"), IPv4Address("198.51.100.53")
Reply = Callable[[dns.message.Message], dns.message.Message | bytes | None]


def asked(name: str, kind: str) -> Question:
    return Question(from_text(name), int(dns.rdatatype.from_text(kind)))


def answering(*lines: str, rcode: str = "NOERROR", ad: bool = False, authority: str = "") -> Reply:
    """Always these records."""

    def reply(query: dns.message.Message) -> dns.message.Message:
        made = dns.message.make_response(query, recursion_available=True)
        made.set_rcode(dns.rcode.from_text(rcode))
        made.flags = (made.flags & ~dns.flags.AD) | (dns.flags.AD if ad else 0)
        made.answer = [rrset(line) for line in lines]
        made.authority = [rrset(authority)] if authority else []
        return made

    return reply


def rrset(line: str) -> dns.rrset.RRset:
    name, ttl, *rest = line.split(None, 4)
    return dns.rrset.from_text(name, int(ttl), *rest)


def silent(_: dns.message.Message) -> None:
    return None


class Lab:
    """A resolver, the servers that it asks, and a clock. ``servers``: what each says; ``asked``: (server, TCP)."""

    def __init__(self, servers: dict[Address, Reply], trusted: bool = False) -> None:
        self.resolver = Resolver(self, lambda _: trusted)
        self.resolver.servers = list(servers)
        self.servers, self.now = servers, 1000.0
        self.asked: list[tuple[Address, bool]] = []
        self.ports: list[int] = []
        self._queue: list[tuple[int, Address, bytes, bool]] = []
        self.open: set[int] = set()

    def send(self, ticket: int, server: Address, packet: bytes, stream: bool) -> None:
        self.open.add(ticket)
        self.asked.append((server, stream))
        self._queue.append((ticket, server, packet, stream))

    def close(self, ticket: int) -> None:
        self.open.discard(ticket)

    def ask(self, name: str, kind: str) -> list[Answer]:
        found: list[Answer] = []
        self.resolver.ask(asked(name, kind), found.append, self.now)
        return found

    def run(self, seconds: float = 60.0) -> None:
        """Servers answer at once; time passes when nothing else can happen."""
        end = self.now + seconds
        while self._queue or (due := self.resolver.next_deadline() or end) < end:
            if self._queue:
                self._answer(*self._queue.pop(0))
            else:
                self.now = due
                self.resolver.run_timers(self.now)

    def _answer(self, ticket: int, server: Address, packet: bytes, stream: bool) -> None:
        made = self.servers[server](dns.message.from_wire(packet))
        if made is None:
            return
        if isinstance(made, dns.message.Message):
            made = made.to_wire(max_size=65535 if stream else 1232, prefer_truncation=True)
        self.resolver.received(ticket, made, self.now)
