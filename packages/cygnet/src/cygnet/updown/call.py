"""How the updown script is called: FreeS/WAN's verbs and environment, an argument list, never a shell.

pluto(8) has the variables of version 1.1; those from PLUTO_MY_ID on are Openswan's, PLUTO_CONN_TYPE,
PLUTO_PHYSICAL and PLUTO_UNDERLAY our own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from cygnet.connection.connection import Connection
from cygnet.errors import CygnetError
from cygnet.tunnel.route import Span


class UpdownError(CygnetError):
    """The script failed; says which, at what, how, and its last words."""


@dataclass(frozen=True)
class Occasion:
    """One call. ``verb``: prepare, route, unroute, up or down; whether for host or client follows from ``span``.

    ``interface``: where the traffic is to go, an ipsecN or the physical one.
    """

    verb: str
    connection: Connection
    span: Span
    interface: str
    reqid: int
    peer_id: str = ""


class Updown(Protocol):
    """What Tunnels wants of it."""

    def run(self, occasion: Occasion) -> None:
        """Call the script of the connection and wait for it; raises UpdownError."""
