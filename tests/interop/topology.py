"""The networks of the tests: two ends on a wire, or one of them behind a router that translates addresses.

Documentation addresses (RFC 5737) on the wires, one private network behind each end.
"""

from __future__ import annotations

from pathlib import Path

from network import Namespaces, Node

WEST, EAST = "192.0.2.1", "192.0.2.2"
WEST_NET, EAST_NET = "10.1.0.0/24", "10.2.0.0/24"
WEST_HOST, EAST_HOST = "10.1.0.1", "10.2.0.1"
# Behind the router: its own address, and of whom it hides.
HIDING, HIDDEN = "198.51.100.1", "198.51.100.2"
NAT_PORTS = range(20000, 30000)
# Other ports too, so that nobody finds the peer at 500 and 4500.
RULES = """table ip nat {{
  chain postrouting {{
    type nat hook postrouting priority 100;
    oifname "wan" udp sport {{ 500, 4500 }} masquerade to :{first}-{last}
  }}
}}
"""


def joined(network: Namespaces) -> tuple[Node, Node]:
    """West and east on one wire, each with a host's address behind it."""
    west, east = _with_host(network, "west", WEST_HOST), _with_host(network, "east", EAST_HOST)
    network.wire((west, "wan", f"{WEST}/24"), (east, "wan", f"{EAST}/24"))
    return west, east


def translated(network: Namespaces, tree: Path, folder: Path) -> tuple[Node, Node]:
    """One that is HIDDEN behind a router whose address is WEST, and east. ``tree`` has nft(8)."""
    hidden, east = _with_host(network, "hidden", WEST_HOST), _with_host(network, "east", EAST_HOST)
    router = network.node("router")
    network.wire((router, "wan", f"{WEST}/24"), (east, "wan", f"{EAST}/24"))
    network.wire((hidden, "wan", f"{HIDDEN}/24"), (router, "lan", f"{HIDING}/24"))
    hidden.ip(f"route add default via {HIDING}")
    router.write("/proc/sys/net/ipv4/ip_forward", "1")
    folder.mkdir()
    (folder / "nat.nft").write_text(RULES.format(first=NAT_PORTS[0], last=NAT_PORTS[-1]))
    router.text(*router.root(tree, folder), "/usr/sbin/nft", "-f", "/run/nat.nft")
    return hidden, east


def _with_host(network: Namespaces, name: str, host: str) -> Node:
    node = network.node(name)
    node.ip(f"address add {host}/32 dev lo")
    return node
