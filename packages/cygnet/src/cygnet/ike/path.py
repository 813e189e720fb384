"""Between which addresses and ports an exchange goes."""

from __future__ import annotations

from typing import NamedTuple

from cygnet.connection.connection import Address

IKE_PORT = 500
NAT_PORT = 4500


class Path(NamedTuple):
    """Our address and port, the peer's address and port."""

    local: Address
    local_port: int
    remote: Address
    remote_port: int

    def __str__(self) -> str:
        return f"{self.remote}:{self.remote_port}"
