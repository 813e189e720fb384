"""Real packets against the promises: the rules do in a kernel what the policy says.

Tunnels' packets need a kernel with ESP: they are sent between two boxes, in the acceptance tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

import pytest
from cygnet.cli.promises import Row, table
from cygnet.firewall import render
from cygnet.firewall.policy import Address, Policy
from cygnet.firewall.verdict import Packet, verdict
from firewall_scene import EXAMPLE, STOCK, policy, tables
from firewall_wires import AH, ESP, FIRST_PORT, FROM_BOX, HERE, ICMP, TCP, THERE, UDP, Cable, Fate, Wires

CABLES = {
    "wan": Cable("eth0", "198.51.100", "2001:db8:1"),
    "lan": Cable("eth1", "192.168.77", "2001:db8:77"),
    "guest": Cable("eth2", "10.5.1", "2001:db8:5"),
    "dmz": Cable("br0", "10.5.9", "2001:db8:59"),
    "vpn": Cable("ipsec0", "10.9.0", "2001:db8:9"),
}
SCTP = 132
POLICIES = {"example": EXAMPLE, "stock": STOCK.read_text()}


@pytest.fixture
def wires(namespace: None) -> Iterator[Wires]:
    made = Wires(CABLES)
    yield made
    made.close()


def load(found: Policy) -> None:
    rules = render(found)
    tables("iptables-restore", text=rules["rules.v4"])
    tables("ip6tables-restore", text=rules["rules.v6"])


def concrete(row: Row) -> Packet:
    """A promise with addresses of these cables; ordinary ones where any will do."""
    packet = row.packet
    version = packet.source.version
    here, there = (CABLES.get(name) for name in (packet.origin, packet.target))
    source = row.source or (here.host(version, HERE) if here else there.host(version, 1) if there else "")
    # What has no ports is masqueraded to one peer once: the box itself has another.
    number = THERE if here else FROM_BOX
    destination = row.destination or (there.host(version, number) if there else here.host(version, 1) if here else "")
    return packet._replace(source=ip_address(source), destination=ip_address(destination))


def expected(found: Policy, packet: Packet) -> Fate:
    """What should become of it; a program of the box hears no refusal but by the lack of an answer."""
    said = verdict(found, packet)
    source, destination = str(packet.source), str(packet.destination)
    if said.action == "forward":
        (forward,) = {one.address for one in found.forwards if one.where == said.where}
        return Fate("lan", source, str(forward))
    if said.action == "allow" and packet.target == "box":
        return Fate("box")
    if said.action == "allow":
        masked = packet.source.version == 4 and packet.origin in ("lan", "guest") and packet.target == "wan"
        return Fate(packet.target, CABLES["wan"].host(4, 1) if masked else source, destination)
    return Fate(refused=said.action == "reject" and packet.origin != "box")


def can_be_sent(row: Row) -> bool:
    """IPv6 takes AH for a header of what is behind it; ESP has no ports, so it has one way to one peer; no SCTP here."""
    packet = row.packet
    twice = packet.origin == "box" and packet.protocol in (ESP, AH) and bool(row.destination)
    version_6 = packet.source.version == 6 and packet.protocol == AH
    return "vpn" not in (packet.origin, packet.target) and packet.protocol != SCTP and not twice and not version_6


@pytest.mark.parametrize("name", POLICIES)
def test_every_promise_is_kept(wires: Wires, name: str) -> None:
    found = policy("".join(line for line in POLICIES[name].splitlines(True) if "tables -A" not in line))
    load(found)
    rows = [row for row in table(found) if can_be_sent(row)]
    packets = [concrete(row) for row in rows]
    for address in ("192.168.77.10", "192.168.77.11", "2001:db8:77::10"):
        wires.lead("lan", ip_address(address))
    fates = wires.send(packets)
    wrong = [(packet, fate) for packet, fate in zip(packets, fates, strict=True) if fate != expected(found, packet)]
    assert wrong[:5] == [], f"{len(wrong)} of {len(packets)}"
    assert len({verdict(found, packet).action for packet in packets}) == (4 if name == "example" else 3)


OPEN = "zone lan eth1\nzone vpn {}\nallow vpn lan\nallow vpn box\n"


@pytest.mark.parametrize("interface", ["ipsec+", "ipsec0"])
def test_plaintext_is_never_taken_for_decrypted(wires: Wires, interface: str) -> None:
    """Given an interface that is called ipsec0 and is none, and a policy that lets tunnels in, then nothing comes in."""
    load(policy(OPEN.format(interface)))
    packets = [
        Packet("vpn", target, at("vpn", HERE, version), at("lan", number, version), UDP, 9)
        for version in (4, 6)
        for target, number in (("lan", THERE), ("box", 1))
    ]
    assert wires.send(packets) == [Fate()] * 4


def test_what_comes_back_belongs_to_a_connection(wires: Wires) -> None:
    """Given a question that went out, then its answer comes in, and what nobody asked for does not."""
    load(policy(STOCK.read_text()))
    lan, far, box = at("lan", HERE), at("wan", THERE), at("wan", 1)
    assert wires.send([Packet("lan", "wan", lan, far, UDP, 7)]) == [Fate("wan", str(box), str(far))]
    answers = [Packet("wan", "box", far, box, UDP, FIRST_PORT + number) for number in (1, 0)]
    assert wires.send(answers, from_port=7) == [Fate(), Fate("lan", str(far), str(lan))]


def test_the_wan_may_itself_be_a_private_network(wires: Wires) -> None:
    """Given a name server and a gateway there, then what lines name passes between them and the box, nothing else does."""
    load(policy(STOCK.read_text() + "allow wan box udp 9"))
    near, box = ip_address("10.0.0.9"), at("wan", 1)
    wires.lead("wan", near)
    out = Fate("wan", str(box), str(near))
    asked = [Packet("box", "wan", box, near, UDP, port) for port in (53, 54, 500)]
    assert wires.send(asked) == [out, Fate(), out]
    answers = [Packet("wan", "box", near, box, UDP, FIRST_PORT + number) for number in (0, 1)]
    assert wires.send(answers, from_port=53) == [Fate("box"), Fate()]
    begun = [
        Packet("wan", "box", near, box, protocol, port)
        for protocol, port in ((UDP, 500), (ESP, 0), (ICMP, 8), (TCP, 22))
    ]
    assert wires.send(begun) == [Fate("box")] * 3 + [Fate()]
    assert wires.send([Packet("wan", "box", near, box, UDP, 9)]) == [Fate("box")]
    answers = [Packet("box", "wan", box, near, UDP, port) for port in (FIRST_PORT, FIRST_PORT + 1)]
    assert wires.send(answers, from_port=9) == [out, Fate()]
    # A peer behind a translator knows the box's port, and has any.
    assert wires.send(answers[1:], from_port=4500) == [out]


FAR = {4: "203.0.113.9", 6: "2001:db8:ffff::9"}


@pytest.mark.parametrize("version", FAR)
def test_a_tunnels_connection_never_goes_on_in_clear(wires: Wires, version: int) -> None:
    """Given a question that went into a tunnel to addresses that are nobody's, then its answer is not taken from the WAN.

    And when its route is gone, it is not repeated there in clear, although a new one is free to go.
    """
    load(policy("zone wan eth0\nzone lan eth1\nzone vpn ipsec+\nallow lan vpn\nallow lan wan\nallow box wan"))
    far, lan, own = ip_address(FAR[version]), at("lan", HERE, version), at("wan", 1, version)
    for origin, source in (("lan", lan), ("box", own)):
        assert wires.send([Packet(origin, "vpn", source, far, UDP, 7)]) == [Fate("vpn", str(source), str(far))]
        to = "lan" if origin == "lan" else "box"
        assert wires.send([Packet("wan", to, far, source, UDP, FIRST_PORT)], from_port=7) == [Fate()]
        wires.lead("wan", far)
        again, new = wires.send([Packet(origin, "wan", source, far, UDP, port) for port in (7, 8)])
        assert again == Fate(refused=origin == "lan")
        assert new == Fate("wan", str(source), str(far))


def at(name: str, number: int, version: int = 4) -> Address:
    """An address on a cable."""
    return ip_address(CABLES[name].host(version, number))
