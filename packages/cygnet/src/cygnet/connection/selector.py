"""What traffic an SA is for: addresses, protocol, port (RFC 4301, section 4.4.1.1)."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Network = IPv4Network | IPv6Network


@dataclass(frozen=True)
class Selector:
    """One side of the traffic. ``protocol`` and ``port`` 0 mean any."""

    network: Network
    protocol: int = 0
    port: int = 0

    def holds(self, other: Selector) -> bool:
        """Whether all of ``other``'s traffic is within this one's."""
        return (
            self.network.version == other.network.version
            and other.network.subnet_of(self.network)  # type: ignore[arg-type]
            and self.protocol in (0, other.protocol)
            and self.port in (0, other.port)
        )

    def __str__(self) -> str:
        """As FreeS/WAN writes it: 10.1.0.0/24:17/1701, the suffix only where it narrows."""
        return f"{self.network}:{self.protocol}/{self.port or '%any'}" if self.protocol else str(self.network)


def host_selector(host: IPv4Address | IPv6Address) -> Selector:
    """All traffic of one host."""
    return Selector(ip_network(host))
