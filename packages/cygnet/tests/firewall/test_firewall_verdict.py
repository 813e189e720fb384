"""What a policy means, packet by packet."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from cygnet.cli.promises import table
from cygnet.firewall import render
from cygnet.firewall.verdict import Packet, Verdict, verdict
from firewall_scene import EXAMPLE, STOCK, policy

LAN, GUEST, DMZ, OUT, FAR = "192.168.77.9", "10.5.1.9", "10.5.9.4", "203.0.113.9", "10.9.0.9"
LAN6, OUT6 = "2001:db8:77::9", "2001:db8:ffff::9"
TCP, UDP, ICMP, ESP, ICMP6 = 6, 17, 1, 50, 58
PACKETS = [
    # In its order: false sources, forwarded ports, private networks, lines, and what no line is about.
    ("lan", "wan", LAN, OUT, TCP, 9, "allow", 14),
    ("lan", "wan", "192.168.78.9", OUT, TCP, 9, "deny", 2),
    ("lan", "wan", DMZ, OUT, TCP, 9, "deny", 4),
    ("guest", "wan", DMZ, OUT, TCP, 80, "deny", 4),
    ("wan", "box", LAN, OUT, TCP, 22, "deny", 2),
    ("vpn", "lan", LAN, LAN, TCP, 22, "deny", 0),
    ("lan", "wan", LAN6, OUT6, TCP, 9, "allow", 14),
    ("lan", "wan", OUT6, OUT6, TCP, 9, "deny", 2),
    ("lan", "box", "fe80::9", OUT6, UDP, 547, "allow", 21),
    ("wan", "box", OUT, OUT, TCP, 443, "forward", 10),
    ("wan", "box", OUT6, OUT6, TCP, 443, "forward", 12),
    ("wan", "box", OUT, OUT, UDP, 5003, "forward", 11),
    ("wan", "box", "198.51.100.9", OUT, UDP, 5003, "deny", 0),
    ("lan", "wan", LAN, FAR, TCP, 80, "reject", 7),
    ("lan", "wan", LAN, "192.168.1.9", TCP, 80, "allow", 14),
    ("wan", "lan", FAR, LAN, TCP, 80, "deny", 7),
    ("box", "wan", OUT, FAR, TCP, 80, "reject", 7),
    ("box", "wan", OUT, FAR, UDP, 53, "allow", 25),
    ("box", "wan", OUT, "10.0.0.1", ESP, 0, "reject", 7),
    ("box", "wan", OUT, "198.51.100.7", ESP, 0, "allow", 6),
    ("box", "wan", OUT, OUT, TCP, 25, "deny", 26),
    ("box", "wan", OUT, OUT, TCP, 26, "allow", 0),
    ("box", "lan", OUT, LAN, TCP, 25, "allow", 0),
    ("wan", "box", "198.51.100.7", OUT, UDP, 4500, "allow", 6),
    ("wan", "box", "198.51.100.8", OUT, UDP, 4500, "deny", 0),
    ("wan", "box", OUT, OUT, ICMP, 3, "allow", 0),
    ("wan", "box", OUT, OUT, ICMP, 8, "deny", 0),
    ("lan", "box", LAN, OUT, ICMP, 8, "allow", 21),
    ("lan", "box", LAN6, OUT6, ICMP6, 128, "allow", 21),
    ("guest", "wan", GUEST, OUT, TCP, 25, "deny", 13),
    ("guest", "wan", GUEST, OUT, TCP, 8005, "allow", 15),
    ("guest", "wan", GUEST, OUT, TCP, 8011, "deny", 0),
    ("guest", "dmz", GUEST, DMZ, TCP, 23, "reject", 17),
    ("lan", "dmz", LAN, DMZ, TCP, 22, "allow", 18),
    ("lan", "dmz", LAN, "10.5.9.6", TCP, 22, "deny", 0),
    ("vpn", "lan", FAR, LAN, TCP, 22, "allow", 19),
    ("vpn", "lan", "10.8.0.9", LAN, TCP, 22, "deny", 0),
    ("vpn", "guest", FAR, GUEST, TCP, 22, "deny", 0),
]


@pytest.mark.parametrize("row", PACKETS, ids=str)
def test_the_first_line_that_fits_decides(row: tuple[str, str, str, str, int, int, str, int]) -> None:
    origin, target, source, destination, protocol, port, action, line = row
    packet = Packet(origin, target, ip_address(source), ip_address(destination), protocol, port)
    assert verdict(policy(EXAMPLE), packet) == Verdict(action, f"/f:{line}" if line else "")


@pytest.mark.parametrize(
    ("zone", "source", "action"),
    [
        ("zone vpn ipsec+", LAN, "allow"),
        ("zone vpn ipsec+ 10.9.0.0/24", LAN, "deny"),
        ("zone vpn ipsec+ 10.9.0.0/24", FAR, "allow"),
        ("zone vpn ipsec+ eth9", LAN, "deny"),
    ],
)
def test_a_peer_may_have_an_address_of_the_lan_if_its_connection_allows(zone: str, source: str, action: str) -> None:
    """A road warrior with an address of the office: the connection proves it, unless the zone has networks."""
    made = policy(STOCK.read_text().replace("zone vpn ipsec+", zone))
    packet = Packet("vpn", "lan", ip_address(source), ip_address(LAN), TCP, 80)
    assert verdict(made, packet).action == action
    passed = [
        line
        for line in render(made)["rules.v4"].splitlines()
        if line == "-A sources -m policy --dir in --pol ipsec -j RETURN"
    ]
    assert bool(passed) is (zone == "zone vpn ipsec+")


def test_the_table_has_every_pair_of_zones_and_every_port_that_is_named() -> None:
    rows = list(table(policy(EXAMPLE)))
    zones = ("wan", "lan", "guest", "dmz", "vpn", "box")
    assert {(row.packet.origin, row.packet.target) for row in rows} == {
        (a, b) for a in zones for b in zones if (a, b) != ("box", "box")
    }
    asked = {(row.packet.protocol, row.packet.port) for row in rows}
    assert {
        (TCP, 8000),
        (UDP, 5000),
        (UDP, 6000),
        (TCP, 23),
        (ICMP, 8),
        (ICMP6, 128),
        (50, 0),
        (51, 0),
        (TCP, 22),
    } <= asked


def test_a_row_is_a_line_of_words() -> None:
    rows = list(map(str, table(policy(STOCK.read_text()))))
    assert "4\tlan\tbox\ttcp\t22\t-\t-\tallow\t27" in rows
    assert "4\tlan\twan\ttcp\t22\t-\t10.0.0.9\treject\t19" in rows
    assert "6\twan\tlan\tudp\t53\t-\t-\tdeny\t-" in rows
