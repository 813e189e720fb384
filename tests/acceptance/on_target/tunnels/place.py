"""A place in the scene that says something and hears what is said to it: datagrams that are easily found on the wire."""

from __future__ import annotations

import contextlib
import itertools
import socket
import time

from namespace import Namespace

PORT = 7000
PATTERN = b"\xa5" * 8
SIZE, COUNT = 400, 3
# How long a busy machine may take for a datagram that is to arrive, and how long one is awaited that is not to.
PATIENCE, QUIET = 20.0, 0.1
_numbers = itertools.count(1)
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


class Place:
    """``addresses``: family (4 or 6) -> its own."""

    def __init__(self, four: str, six: str) -> None:
        self.namespace = Namespace()
        self.addresses = {4: four, 6: six}
        self._sockets: dict[str, socket.socket] = {}

    def ear(self, family: int) -> socket.socket:
        """Its socket of a family."""
        address = self.addresses[family]
        if address not in self._sockets:
            with self.namespace.inside():
                self._sockets[address] = socket.socket(_FAMILIES[family], socket.SOCK_DGRAM)
            self._sockets[address].bind((address, PORT))
        return self._sockets[address]

    def say(self, other: Place, family: int, words: bytes) -> None:
        """Send; a kernel that refuses to has lost it."""
        with contextlib.suppress(OSError):
            self.ear(family).sendto(words, (other.addresses[family], PORT))

    def hears(self, family: int, words: bytes, patience: float) -> bool:
        """Whether exactly that arrives; what came late from earlier is no answer."""
        ears, end = self.ear(family), time.monotonic() + patience
        while (left := end - time.monotonic()) > 0:
            ears.settimeout(left)
            with contextlib.suppress(OSError):
                if ears.recv(65535) == words:
                    return True
        return False


def words_of(size: int) -> bytes:
    """The data of a datagram that there is only one of."""
    return next(_numbers).to_bytes(4, "big").ljust(size, PATTERN[:1])


def talk(here: Place, there: Place, family: int, size: int = SIZE, count: int = COUNT) -> tuple[int, int]:
    """Datagrams one after the other, each answered: how many arrived, how many answers came back."""
    arrived = answered = 0
    prepare(here, there, family)
    for _ in range(count):
        words = words_of(size)
        here.say(there, family, words)
        if not there.hears(family, words, PATIENCE):
            break
        arrived += 1
        there.say(here, family, words)
        answered += here.hears(family, words, PATIENCE)
    return arrived, answered


def call(here: Place, there: Place, family: int) -> tuple[int, int]:
    """Datagrams that are not to arrive: how many do, how many answers come back, which is none."""
    prepare(here, there, family)
    called = [words_of(SIZE) for _ in range(COUNT)]
    for words in called:
        here.say(there, family, words)
    return sum(there.hears(family, words, QUIET) for words in called), 0


def prepare(here: Place, there: Place, family: int) -> None:
    """Whoever is called must have ears."""
    for place in (here, there):
        place.ear(family)
