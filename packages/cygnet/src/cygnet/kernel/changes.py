"""What the kernel tells of links, addresses and default routes when they come and go (rtnetlink(7)). Not what they are:
links.py reads that, once it is quiet again.
"""

from __future__ import annotations

from itertools import islice

from cygnet.kernel.netlink import NetlinkEvents
from cygnet.kernel.route_netlink import DELROUTE, MAIN, NEWROUTE, read_route

_NETLINK_ROUTE = 0
_GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400  # links; addresses and routes of IPv4, and of IPv6
_MOST = 256


class Changes:
    """A socket that hears of them."""

    def __init__(self) -> None:
        self._lost = False
        self._events = NetlinkEvents(_NETLINK_ROUTE, "rtnetlink", _GROUPS, self._overrun)

    def fileno(self) -> int:
        """Readable when there is something."""
        return self._events.fileno()

    def close(self) -> None:
        """Give the socket back."""
        self._events.close()

    def heard(self) -> bool:
        """Whether anything came that may matter; reads a bounded number, the rest is for the next call."""
        matter = [_matters(kind, body) for kind, body in islice(self._events.receive(), _MOST)]
        lost, self._lost = self._lost, False
        return lost or any(matter)

    def _overrun(self) -> None:
        self._lost = True


def _matters(kind: int, body: bytes) -> bool:
    """Of routes only those to everything: a router may have many others that come and go."""
    if kind not in (NEWROUTE, DELROUTE):
        return True
    route = read_route(body)
    return route.table == MAIN and not route.bits
