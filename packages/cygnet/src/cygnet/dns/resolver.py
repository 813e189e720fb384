"""A stub resolver that never waits: a question now, an answer later; bounded in number and in time.

Each try has a number and a port of its own (RFC 5452); what does not answer the question is ignored, and a server
that is slow, dead or lying costs its own tries. The transport has the sockets; here are packets and a clock.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from cygnet.connection.connection import Address
from cygnet.dns.cache import TROUBLE, Answer, Cache
from cygnet.dns.message import NO_ERROR, NO_SUCH_NAME, RCODES, TYPES, BadReply, Question, Reply, parse, query
from cygnet.dns.names import BadName, to_text

# Seconds that a server is given; each server is asked so many times, one after the other.
PATIENCE = (1.5, 3.0, 6.0)
TCP_PATIENCE = 6.0
MOST_AT_ONCE, MOST_WAITING = 50, 500
# Answers to one try that are no answers: guesses, or a server that is out of its mind.
MOST_BAD = 8
Done = Callable[[Answer], None]


class Transport(Protocol):
    """Sends from a new socket with a port by chance; what comes back there goes to `Resolver.received`."""

    def send(self, ticket: int, server: Address, packet: bytes, stream: bool) -> None:
        """By UDP, or as a ``stream`` by TCP. What goes wrong is told to `Resolver.failed`, later."""

    def close(self, ticket: int) -> None:
        """Nothing more is wanted on this ticket."""


@dataclass
class _Lookup:
    question: Question
    done: list[Done]
    tries: list[tuple[Address, float]]
    ticket: int = 0
    number: int = 0
    server: Address | None = None
    stream: bool = False
    deadline: float = 0.0
    bad: int = 0
    problem: str = "there is no name server in /etc/resolv.conf"


class Resolver:
    """``trusted``: whether a server's word that it checked the signatures counts; the way to it must be safe, too."""

    def __init__(self, transport: Transport, trusted: Callable[[Address], bool]) -> None:
        self.servers: Sequence[Address] = ()
        self.cache = Cache()
        self._transport, self._trusted = transport, trusted
        self._active: dict[int, _Lookup] = {}
        self._asked: dict[Question, _Lookup] = {}
        self._waiting: list[_Lookup] = []
        self._tickets = 0

    def ask(self, question: Question, done: Done, now: float) -> None:
        """Find records; ``done`` is called once, at once if the answer is known."""
        known = self.cache.get(question, now)
        if known:
            done(known)
        elif question in self._asked:
            self._asked[question].done.append(done)
        elif len(self._asked) >= MOST_AT_ONCE + MOST_WAITING:
            done(Answer(problem="is not looked up: too many look-ups wait already", certain=False))
        else:
            tries = [(server, patience) for patience in PATIENCE for server in self.servers]
            self._asked[question] = lookup = _Lookup(question, [done], tries)
            self._waiting.append(lookup)
            self._begin(now)

    def received(self, ticket: int, packet: bytes, now: float) -> None:
        """Something came on a ticket's socket."""
        lookup = self._active.get(ticket)
        if lookup is None:
            return
        try:
            reply = parse(packet, lookup.number, lookup.question)
        except (BadReply, BadName) as problem:
            lookup.bad += 1
            if lookup.bad >= MOST_BAD or lookup.stream:
                self._next(lookup, f"{problem}, says the name server {lookup.server}", now)
            return
        self._take(lookup, reply, now)

    def failed(self, ticket: int, problem: str, now: float) -> None:
        """A ticket's socket is of no use any more."""
        if lookup := self._active.get(ticket):
            self._next(lookup, f"the name server {lookup.server} cannot be asked: {problem}", now)

    def next_deadline(self) -> float | None:
        """When `run_timers` wants to be called, None if not at all."""
        return min((lookup.deadline for lookup in self._active.values()), default=None)

    def run_timers(self, now: float) -> None:
        """Give up on servers that have not answered."""
        for lookup in [one for one in self._active.values() if one.deadline <= now]:
            self._next(lookup, f"the name server {lookup.server} does not answer", now)

    def _begin(self, now: float) -> None:
        while self._waiting and len(self._active) < MOST_AT_ONCE:
            lookup = self._waiting.pop(0)
            self._next(lookup, lookup.problem, now)

    def _take(self, lookup: _Lookup, reply: Reply, now: float) -> None:
        if reply.truncated and not lookup.stream and lookup.server:
            self._send(lookup, lookup.server, TCP_PATIENCE, True, now)
        elif reply.truncated or reply.rcode not in (NO_ERROR, NO_SUCH_NAME):
            said = "an answer that is cut short" if reply.truncated else RCODES.get(reply.rcode, f"rcode {reply.rcode}")
            self._next(lookup, f"the name server {lookup.server} says {said}", now)
        else:
            authentic = reply.authentic and lookup.server is not None and self._trusted(lookup.server)
            problem = "" if reply.data else "does not exist"
            self._end(lookup, Answer(reply.data, authentic, problem), reply.ttl, now)

    def _next(self, lookup: _Lookup, problem: str, now: float) -> None:
        """The next try; without one what was wrong with the last is the answer."""
        lookup.problem = problem
        if lookup.tries:
            server, patience = lookup.tries.pop(0)
            self._send(lookup, server, patience, False, now)
        else:
            self._end(lookup, Answer(problem=f"cannot be looked up: {problem}", certain=False), TROUBLE, now)

    def _send(self, lookup: _Lookup, server: Address, patience: float, stream: bool, now: float) -> None:
        self._drop(lookup)
        self._tickets += 1
        lookup.ticket, lookup.number, lookup.server = self._tickets, int.from_bytes(os.urandom(2), "big"), server
        lookup.stream, lookup.deadline, lookup.bad = stream, now + patience, 0
        self._active[lookup.ticket] = lookup
        self._transport.send(lookup.ticket, server, query(lookup.number, lookup.question), stream)

    def _drop(self, lookup: _Lookup) -> None:
        if self._active.pop(lookup.ticket, None):
            self._transport.close(lookup.ticket)

    def _end(self, lookup: _Lookup, answer: Answer, ttl: float, now: float) -> None:
        self._drop(lookup)
        del self._asked[lookup.question]
        self.cache.put(lookup.question, answer, ttl, now)
        for done in lookup.done:
            done(answer)
        self._begin(now)


def subject(question: Question) -> str:
    """What a problem is about: "TXT of 1.2.0.192.in-addr.arpa"."""
    return f"{TYPES.get(question.type, question.type)} of {to_text(question.name)}"
