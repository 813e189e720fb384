"""What is known of this box when a configuration is read: addresses, and where its default route goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cygnet.connection.connection import Address


@dataclass(frozen=True)
class Local:
    """This box. ``addresses``: of each physical interface, by its name.

    ``default_*``: of the default route; "" and None without one. A point-to-point link has no gateway.
    """

    addresses: Mapping[str, Sequence[Address]] = field(default_factory=dict)
    default_interface: str = ""
    default_gateway: Address | None = None
    default_address: Address | None = None

    def interface_of(self, address: Address | None) -> str:
        """The interface that has this address, "" if none has."""
        return next((name for name, ours in self.addresses.items() if address in ours), "")
