"""A provider's router between the boxes: of its two networks the one towards box-b takes smaller packets.

    box-a 192.0.2.1 ==== WAN ==== provider 192.0.2.254 -- 192.0.2.2 box-b

The boxes notice nothing of it: it answers for their addresses (proxy ARP).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from offices import PLAIN_ROUTE_METRIC, Offices, wan_of

PATH = 1400
PROVIDER = "192.0.2.254"


@contextlib.contextmanager
def provider(made: Offices, near: tuple[str, ...], far: tuple[str, ...]) -> Iterator[None]:
    """A router in a namespace of box-b, that has its wire; box-b has a cable to it instead.

    ``near``, ``far``: networks behind box-a and box-b, plain routes to which there are everywhere.
    """
    box, wan = made.b.box, wan_of(made.b.box)
    its = "ip netns exec provider sysctl -q -w"
    box.all_of(
        "ip netns add provider",
        f"{its} net.ipv6.conf.default.disable_ipv6=1",
        f"ip link set {wan} netns provider",
        f"ip link add {wan} type veth peer name inner netns provider",
        f"sysctl -q -w net.ipv6.conf.{wan}.disable_ipv6=1",
        f"ip link set {wan} up mtu {PATH}",
        f"ip address add {made.b.wan}/24 dev {wan}",
        *(f"ip route add {net} via {made.a.wan} metric {PLAIN_ROUTE_METRIC}" for net in near),
        *(f"ip -n provider link set {link} up" for link in ("lo", wan, f"inner mtu {PATH}")),
        f"ip -n provider address add {PROVIDER}/32 dev lo",
        *(f"{its} net.ipv4.conf.{link}.proxy_arp=1 net.ipv4.neigh.{link}.proxy_delay=0" for link in (wan, "inner")),
        f"{its} net.ipv4.ip_forward=1",
        f"ip -n provider route add {made.a.wan} dev {wan}",
        f"ip -n provider route add {made.b.wan} dev inner",
        *(f"ip -n provider route add {net} via {made.a.wan}" for net in near),
        *(f"ip -n provider route add {net} via {made.b.wan}" for net in far),
    )
    yield
    box.all_of(
        f"ip link del {wan}",
        f"ip -n provider link set {wan} netns 1",
        "ip netns del provider",
        f"ip link set {wan} up",
        f"ip address add {made.b.wan}/24 dev {wan}",
        f"ip route add {made.a.lan} via {made.a.wan} metric {PLAIN_ROUTE_METRIC}",
    )


@contextlib.contextmanager
def no_firewall(made: Offices) -> Iterator[None]:
    """What the boxes' firewalls would stop is left to IPsec."""
    for side, _ in made.both:
        side.box.all_of(
            "iptables-save >/tmp/rules",
            "for table in $(sed -n 's/^[*]//p' /tmp/rules); do iptables -w -t $table -F; done",
            *(f"iptables -w -P {chain} ACCEPT" for chain in ("INPUT", "FORWARD", "OUTPUT")),
        )
    yield
    for side, _ in made.both:
        side.box.text("iptables-restore -w </tmp/rules")
