"""Host names of a configuration to addresses: each looked up once, all of them within a bounded time."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from ipaddress import ip_address

from cygnet.connection.connection import Address

Resolve = Callable[[str], Sequence[Address]]
MAX_NAMES = 200


class Resolver:
    """The system's resolver. ``each`` and ``total``: seconds that are waited at most."""

    def __init__(self, each: float = 5.0, total: float = 20.0) -> None:
        self.each = each
        self.left = total
        self.known: dict[str, list[Address]] = {}

    def __call__(self, name: str) -> Sequence[Address]:
        """Its addresses; none where there are none, or where the time is up."""
        if name not in self.known:
            self.known[name] = []
            if self.left > 0 and len(self.known) <= MAX_NAMES:
                self._look_up(name)
        return self.known[name]

    def _look_up(self, name: str) -> None:
        found: list[Address] = []

        def ask() -> None:
            try:
                rows = socket.getaddrinfo(name, None, type=socket.SOCK_DGRAM)
            except (OSError, UnicodeError):
                return
            found.extend(ip_address(str(row[4][0]).partition("%")[0]) for row in rows)

        began = time.monotonic()
        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        thread.join(min(self.each, self.left))
        self.left -= time.monotonic() - began
        self.known[name] = list(found)
