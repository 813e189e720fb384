"""The sockets by which name servers are asked: a new one for each try, with a port by chance (RFC 5452).

A socket is connected, so that the kernel drops what comes from elsewhere.
"""

from __future__ import annotations

import functools
import selectors
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from cygnet.connection.connection import Address
from cygnet.dns.cache import Answer
from cygnet.dns.message import Question
from cygnet.dns.resolver import Done, Resolver
from cygnet.kernel.interface import KernelError

PORT = 53
MOST_SERVERS = 3
LARGEST = 65535
RESOLV_CONF = Path("/etc/resolv.conf")


class Servers(NamedTuple):
    """Name servers, and whether somebody who knows the way to them lets them be believed about signatures."""

    addresses: tuple[Address, ...] = ()
    trusted: bool = False


@dataclass
class _Try:
    made: socket.socket
    stream: bool
    unsent: bytes
    heard: bytearray = field(default_factory=bytearray)


class Lookups(Resolver):
    """A resolver with sockets. What a server on this box says of signatures is believed: the way to it is safe.
    So is any other with `options trust-ad` in the file (resolv.conf(5)).

    ``prepare``: lets a socket pass the policies, so that asking for a key needs none.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        prepare: Callable[[socket.socket], None],
        servers: Path = RESOLV_CONF,
        port: int = PORT,
    ) -> None:
        super().__init__(self, self._believes)
        self._prepare = prepare
        self._selector, self._file, self._port = selector, servers, port
        self._tries: dict[int, _Try] = {}
        self._read: tuple[int, int] | None = None
        self._known = Servers()

    def ask(self, question: Question, done: Done, now: float) -> None:
        """The file with the servers is read again when it has changed."""
        try:
            found = self._file.stat()
            state = (found.st_mtime_ns, found.st_ino)
        except OSError:
            state = None
        if state != self._read or state is None:
            self._read = state
            self._follow(read_servers(self._file))
        super().ask(question, done, now)

    def _believes(self, server: Address) -> bool:
        return server.is_loopback or (self._known.trusted and server in self._known.addresses)

    def _follow(self, found: Servers) -> None:
        """What others have said, or who is believed now differently, counts no more."""
        if found != self._known:
            self._known, self.servers = found, found.addresses
            self.cache.clear()

    def send(self, ticket: int, server: Address, packet: bytes, stream: bool) -> None:
        """See `Transport`."""
        family = socket.AF_INET if server.version == 4 else socket.AF_INET6
        with self._telling(ticket):
            made = socket.socket(family, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM)
            made.setblocking(False)
            self._prepare(made)
            self._tries[ticket] = _Try(made, stream, len(packet).to_bytes(2, "big") * stream + packet)
            with suppress(BlockingIOError):
                made.connect((str(server), self._port))
            self._selector.register(made, selectors.EVENT_WRITE, functools.partial(self._writable, ticket))

    def close(self, ticket: int) -> None:
        """See `Transport`."""
        attempt = self._tries.pop(ticket, None)
        if attempt is None:
            return
        if attempt.made.fileno() in self._selector.get_map():
            self._selector.unregister(attempt.made)
        attempt.made.close()

    def shut(self) -> None:
        """All sockets; nobody is told anything any more."""
        for ticket in list(self._tries):
            self.close(ticket)

    @contextmanager
    def _telling(self, ticket: int) -> Iterator[None]:
        """What goes wrong with a socket ends its try."""
        try:
            yield
        except BlockingIOError:
            pass
        except KernelError as problem:
            self.failed(ticket, str(problem), time.monotonic())
        except OSError as problem:
            self.failed(ticket, problem.strerror or "no answer", time.monotonic())

    def _writable(self, ticket: int, _mask: int) -> None:
        attempt = self._tries[ticket]
        with self._telling(ticket):
            attempt.unsent = attempt.unsent[attempt.made.send(attempt.unsent) :]
            if not attempt.unsent:
                self._selector.modify(attempt.made, selectors.EVENT_READ, functools.partial(self._readable, ticket))

    def _readable(self, ticket: int, _mask: int) -> None:
        attempt = self._tries[ticket]
        with self._telling(ticket):
            data = attempt.made.recv(LARGEST)
            if not attempt.stream:
                self.received(ticket, data, time.monotonic())
                return
            if not data:
                raise ConnectionResetError(0, "it has hung up")
            attempt.heard += data
            whole = 2 + int.from_bytes(attempt.heard[:2], "big")
            if len(attempt.heard) >= max(whole, 3):
                self.received(ticket, bytes(attempt.heard[2:whole]), time.monotonic())


def look_up(asked: Sequence[Question], servers: Path = RESOLV_CONF, port: int = PORT) -> dict[Question, Answer]:
    """Ask, and wait for all answers: for a command, which does nothing else meanwhile."""
    found: dict[Question, Answer] = {}
    with selectors.DefaultSelector() as selector:
        lookups = Lookups(selector, lambda _: None, servers, port)
        for question in asked:
            lookups.ask(question, functools.partial(found.__setitem__, question), time.monotonic())
        while (deadline := lookups.next_deadline()) is not None:
            for key, mask in selector.select(max(deadline - time.monotonic(), 0)):
                key.data(mask)
            lookups.run_timers(time.monotonic())
    return found


def read_servers(file: Path) -> Servers:
    """What a resolv.conf(5) says; what is no address is passed over."""
    found: list[Address] = []
    trusted = False
    try:
        lines = file.read_text("utf-8", "replace")[:LARGEST].splitlines()
    except OSError:
        return Servers()
    for words in map(str.split, lines):
        trusted |= words[:1] == ["options"] and "trust-ad" in words
        if len(words) >= 2 and words[0] == "nameserver":
            try:
                found.append(ip_address(words[1]))
            except ValueError:
                continue
    return Servers(tuple(found[:MOST_SERVERS]), trusted)
