"""Host names of a configuration to addresses: each asked for once, and no more once all together took too long."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from ipaddress import ip_address

from cygnet.connection.connection import Address

MAX_NAMES = 200


class Resolver:
    """The system's resolver, which bounds the time of one name; ``seconds`` bounds that of all but the last."""

    def __init__(self, seconds: float = 10.0) -> None:
        self.left = seconds
        self.known: dict[str, list[Address]] = {}

    def __call__(self, name: str) -> Sequence[Address]:
        """Its addresses; none where there are none, or where the time is up."""
        if name not in self.known:
            began = time.monotonic()
            self.known[name] = _look_up(name) if self.left > 0 and len(self.known) < MAX_NAMES else []
            self.left -= time.monotonic() - began
        return self.known[name]


def _look_up(name: str) -> list[Address]:
    try:
        rows = socket.getaddrinfo(name, None, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        return []
    return [ip_address(str(row[4][0]).partition("%")[0]) for row in rows]
