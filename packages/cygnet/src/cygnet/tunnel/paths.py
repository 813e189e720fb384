"""Which peers need a path beside the tunnels, and since they are shared, when one is needed no more."""

from __future__ import annotations

from cygnet.connection.connection import Address
from cygnet.kernel.interface import Kernel
from cygnet.tunnel.route import Route


class Paths:
    """Counts who uses each."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._users: dict[Address, int] = {}

    def keep(self, route: Route) -> None:
        """To the peer that a tunnel has now; the one to its last peer goes if nobody else needs it."""
        remote, physical = route.span.remote, route.connection.here.interface
        if not route.if_id or not route.span.protocols or not physical:
            return
        hop = route.connection.here.nexthop
        direct = hop is None or hop == remote or hop.version != remote.version
        self._kernel.add_path(remote, physical, None if direct else hop)
        if route.path != remote:
            self._users[remote] = self._users.get(remote, 0) + 1
            self.release(route)
            route.path = remote

    def release(self, route: Route) -> None:
        """The tunnel needs none."""
        if route.path is None:
            return
        left = self._users[route.path] - 1
        remote, route.path = route.path, None
        if left:
            self._users[remote] = left
            return
        del self._users[remote]
        self._kernel.delete_path(remote)
