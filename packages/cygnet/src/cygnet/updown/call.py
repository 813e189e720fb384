"""How the updown script is called: FreeS/WAN's verbs and environment, an argument list, never a shell.

pluto(8) has the variables of version 1.1; PLUTO_MY_ID and its kind are Openswan's, PLUTO_CONN_TYPE is our own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from cygnet.connection.connection import Connection
from cygnet.connection.selector import Selector
from cygnet.errors import CygnetError
from cygnet.tunnel.route import Span

_VERSION = "1.1"
_LONGEST = 256
_HARMLESS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,:@/=_+-#%")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


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


def full_verb(occasion: Occasion) -> str:
    """As the script gets it: up-client, prepare-host-v6."""
    span = occasion.span
    whole = span.ours.network.prefixlen == span.ours.network.max_prefixlen
    client = "host" if whole and span.ours.network.network_address == span.local else "client"
    return f"{occasion.verb}-{client}" + ("-v6" if span.local.version == 6 else "")


def environment(occasion: Occasion, path: str = PATH) -> dict[str, str]:
    """All that the script is told, and nothing else: the daemon's own environment stays out."""
    connection, span = occasion.connection, occasion.span
    here, there = connection.here, connection.there
    facts: dict[str, object] = {
        "VERSION": _VERSION,
        "VERB": full_verb(occasion),
        "CONNECTION": connection.name,
        "CONN_TYPE": span.mode,
        "INTERFACE": occasion.interface,
        "NEXT_HOP": here.nexthop or span.remote,
        "REQID": occasion.reqid,
        "ME": span.local,
        "MY_ID": here.identity or "",
        "MY_SOURCEIP": here.source_ip or "",
        "PEER": span.remote,
        "PEER_ID": occasion.peer_id or there.identity or "",
        "PEER_CA": there.ca,
        "METRIC": connection.metric or "",
        "MTU": connection.mtu or "",
        **_client("MY", span.ours),
        **_client("PEER", span.theirs),
    }
    return {"PATH": path} | {f"PLUTO_{name}": harmless(str(value)) for name, value in facts.items()}


def _client(side: str, selector: Selector) -> dict[str, object]:
    return {
        f"{side}_CLIENT": selector.network,
        f"{side}_CLIENT_NET": selector.network.network_address,
        f"{side}_CLIENT_MASK": selector.network.netmask,
        f"{side}_PROTOCOL": selector.protocol,
        f"{side}_PORT": selector.port,
    }


def harmless(text: str) -> str:
    """No character that a shell, a terminal or a log could take for more than itself; not too long."""
    return "".join(c if c in _HARMLESS else "_" for c in text[:_LONGEST])
