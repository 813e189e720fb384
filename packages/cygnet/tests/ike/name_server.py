"""A name server on the simulated network: records as a zone file has them, answers written by dnspython."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
from cygnet.connection.connection import Address
from cygnet.dns.resolver import Resolver

ADDRESS = ip_address("192.0.2.53")
# Seconds until an answer comes.
DELAY = 0.2


@dataclass
class NameServer:
    """``records``: (name, type) -> data. ``authentic``: it says that it has checked signatures. ``dead``: it is silent.

    ``asked``: what was asked so far.
    """

    records: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    authentic: bool = False
    dead: bool = False
    asked: list[tuple[str, str]] = field(default_factory=list)

    def answer(self, packet: bytes) -> bytes | None:
        """To a question."""
        query = dns.message.from_wire(packet)
        name, kind = query.question[0].name, query.question[0].rdtype
        self.asked.append((name.to_text(True), kind.name))
        made = dns.message.make_response(query)
        made.flags = made.flags & ~dns.flags.AD | (dns.flags.AD if self.authentic else 0)
        found = self.records.get(self.asked[-1])
        if found:
            made.answer = [dns.rrset.from_text_list(name, 300, "IN", kind, found)]
        else:
            made.set_rcode(dns.rcode.NXDOMAIN)
            made.authority = [
                dns.rrset.from_text(name, 300, "IN", "SOA", "ns.example.org. who.example.org. 1 2 3 4 300")
            ]
        return None if self.dead else made.to_wire()


@dataclass
class Wire:
    """Between a box and its name server. ``later``: does something after some seconds."""

    server: NameServer
    later: Callable[[float, Callable[[], object]], object]
    now: Callable[[], float]

    def resolver(self) -> Resolver:
        """Of one box."""
        self.made = Resolver(self, lambda _: True)
        self.made.servers = [ADDRESS]
        return self.made

    def send(self, ticket: int, _server: Address, packet: bytes, _stream: bool) -> None:
        answer = self.server.answer(packet)
        if answer is not None:
            self.later(DELAY, lambda: self.made.received(ticket, answer, self.now()))

    def close(self, _ticket: int) -> None:
        pass
