"""The words of a policy: what each statement means, and what is said of those that mean nothing."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from cygnet.firewall import read
from cygnet.firewall.policy import Zone
from cygnet.firewall.services import EVERYTHING, IKE, Service
from cygnet.firewall.settings import FirewallError
from firewall_scene import EXAMPLE, NETWORK, STOCK, policy

LAN = ip_network("192.168.77.0/24")


def test_zones_are_interfaces_and_the_networks_behind_them() -> None:
    found = policy(
        "zone wan $WAN\nzone lan $LAN eth2.10 $LAN_ADDRESS 2001:db8::/64  # and more\nzone vpn ipsec+\n"
    ).zones
    assert found["wan"] == Zone("wan", ("eth0",), (), "/f:1", "zone wan $WAN")
    assert found["lan"][1:3] == (("eth1", "eth2.10"), (LAN, ip_network("2001:db8::/64")))
    assert [zone.decrypted for zone in found.values()] == [False, False, True]


def test_what_a_box_has_not_leaves_a_zone_without_interface() -> None:
    found = policy("zone lan $LAN $LAN_ADDRESS\nallow lan box", LAN="", LAN_ADDRESS="none")
    assert found.zones["lan"][1:3] == ((), ())


def test_further_lans_and_a_wan_by_pppoe() -> None:
    values = {"WAN": "eth0.7", "WAN_ADDRESS": "pppoe", "LAN2": "eth1.20", "LAN2_ADDRESS": "10.2.0.1/16"}
    text = "zone wan $WAN $WAN_ADDRESS\nzone lan2 $LAN2 $LAN2_ADDRESS\nzone lan3 $LAN3 $LAN3_ADDRESS\n"
    found = policy(text, **values).zones
    assert found["wan"][1:3] == (("ppp0",), ())
    assert found["lan2"][1:3] == (("eth1.20",), (ip_network("10.2.0.0/16"),))
    assert found["lan3"][1:3] == ((), ())
    assert policy("zone wan $WAN", WAN="", WAN_ADDRESS="pppoe").zones["wan"][1] == ()


LINES = [
    ("allow lan wan", ("lan",), ("wan",), (EVERYTHING,)),
    ("deny lan,guest wan tcp 80,443", ("lan", "guest"), ("wan",), (Service(6, ((80, 80), (443, 443))),)),
    ("reject any box tcp", ("wan", "lan", "guest", "vpn"), ("box",), (Service(6),)),
    ("allow lan box ssh udp 5000-5010", ("lan",), ("box",), (Service(6, ((22, 22),)), Service(17, ((5000, 5010),)))),
    ("allow box wan dns", ("box",), ("wan",), (Service(6, ((53, 53),)), Service(17, ((53, 53),)))),
    ("allow vpn lan esp gre", ("vpn",), ("lan",), (Service(50), Service(47))),
]
ZONES = "zone wan eth0\nzone lan eth1\nzone guest eth2\nzone vpn ipsec+\n"


@pytest.mark.parametrize(("text", "origins", "targets", "services"), LINES)
def test_a_line_says_from_where_to_where_and_what_for(
    text: str, origins: tuple[str, ...], targets: tuple[str, ...], services: tuple[Service, ...]
) -> None:
    (line,) = policy(ZONES + text).lines
    assert line[:4] == (text.split()[0], origins, targets, services)
    assert (line.where, line.text) == ("/f:5", text)


def test_a_line_is_narrowed_by_networks_on_both_sides_and_may_be_logged() -> None:
    (line,) = policy(ZONES + "allow lan wan ping from 10.1.0.7 2001:db8::/64 to 192.0.2.0/24 log").lines
    assert line.sources == (ip_network("10.1.0.7/32"), ip_network("2001:db8::/64"))
    assert (line.destinations, line.log) == ((ip_network("192.0.2.0/24"),), True)


def test_ike_goes_both_ways() -> None:
    inward, outward = policy(ZONES + "ike wan from 198.51.100.7").lines
    peers = (ip_network("198.51.100.7/32"),)
    assert inward[1:6] == (("wan",), ("box",), IKE, peers, ())
    assert outward[1:6] == (("box",), ("wan",), IKE, (), peers)


def test_a_port_is_forwarded_to_another_or_to_the_same() -> None:
    first, second, third = policy(
        ZONES + "forward wan tcp 443 to 10.0.0.7:8443\nforward wan dns to [2001:db8::1]:5353"
    ).forwards
    assert (first.zone, first.service, first.address, first.port) == (
        "wan",
        Service(6, ((443, 443),), 4),
        ip_address("10.0.0.7"),
        8443,
    )
    assert [(one.service.protocol, str(one.address), one.port) for one in (second, third)] == [
        (6, "2001:db8::1", 5353),
        (17, "2001:db8::1", 5353),
    ]
    assert policy(ZONES + "forward wan udp 1-9 to 2001:db8::1").forwards[0].port == 0


def test_the_stock_policy_and_the_example_are_read(tmp_path: Path) -> None:
    network = tmp_path / "network"
    network.write_text(NETWORK.replace("eth1", "lan7"))
    stock = read(STOCK, network)
    assert stock.zones["lan"].interfaces == ("lan7",)
    example = policy(EXAMPLE)
    counts = [len(part) for part in example[:6]]
    assert counts == [5, 16, 3, 1, 2, 2]


def test_the_digest_changes_with_text_and_settings_and_nothing_else() -> None:
    text = "zone lan $LAN\n"
    assert policy(text).digest == policy(text).digest
    assert len({policy(text).digest, policy(text + "#").digest, policy(text, LAN="eth7").digest}) == 3


BAD = [
    ("", "/f: there is no zone; begin with one such as: zone wan $WAN"),
    ("permit lan wan", "/f:1: permit is no statement: there is zone, allow,"),
    ("alow lan wan", "/f:1: alow is no statement; did you mean allow?"),
    ("zone", "/f:1: write zone, a name, its interfaces"),
    ("zone Lan eth0", "/f:1: Lan is no name for a zone"),
    ("zone -- eth0", "/f:1: -- is no name for a zone"),
    ("zone box eth0", "/f:1: box has a meaning of its own"),
    ("zone from eth0", "/f:1: from has a meaning of its own"),
    ("zone a", "/f:1: zone a has no interface"),
    ("zone a 10.0.0.0/8", "/f:1: zone a has no interface"),
    ("zone a $WLAN", "/f:1: $WLAN is not known: $WAN, $LAN,"),
    ("zone a lo", "/f:1: lo is no interface"),
    ("zone a +", "/f:1: + is no interface"),
    ("zone a eth0;reboot", "/f:1: eth0;reboot is no interface"),
    ("zone a averyverylonginterface", "/f:1: averyverylonginterface is no interface"),
    ("zone a eth0 eth0", "/f:1: interface eth0 stands here twice"),
    ("zone a eth0\nzone a eth1", "/f:2: zone a is defined already, at /f:1"),
    ("zone a eth0\nzone b eth0", "/f:2: interface eth0 is of zone a already, at /f:1"),
    ("zone a eth+\nzone b eth7", "/f:2: interface eth7 is of zone a already, at /f:1"),
    ("zone a eth1.10\nzone b eth1.+", "/f:2: interface eth1.+ is of zone a already, at /f:1"),
    ("zone a eth+\nzone b et+", "/f:2: interface et+ is of zone a already, at /f:1"),
    ("zone a eth0 10.0.0.0/8\nzone b eth1 10.0.0.0/8", "/f:2: network 10.0.0.0/8 is of zone a already, at /f:1"),
    ("zone a eth0 10.0.0.1/8", "/f:1: 10.0.0.1/8 is no network: write 10.0.0.0/8"),
    ("zone a eth0 10.0.0.0/33", "/f:1: 10.0.0.0/33 is no network: write one such as"),
    ("zone a eth0 10.0.0.256", "/f:1: 10.0.0.256 is no network"),
    ("zone a eth0 2001:db8:::/64", "/f:1: 2001:db8:::/64 is no network"),
    ("allow", "/f:5: write allow, from which zone, to which zone"),
    ("allow lan", "/f:5: write allow, from which zone, to which zone"),
    ("allow lna wan", "/f:5: there is no zone lna; did you mean lan?"),
    ("allow lan internet", "/f:5: there is no zone internet: there is wan, lan, guest, vpn, box, any"),
    ("allow lan,xyz wan", "/f:5: there is no zone xyz"),
    ("allow box box", "/f:5: what the box says to itself always passes"),
    ("allow lan wan shh", "/f:5: there is no service shh; did you mean ssh?"),
    ("allow lan wan tcp 0", "/f:5: 0 is no port: a number from 1 to 65535"),
    ("allow lan wan tcp 65536", "/f:5: 65536 is no port"),
    ("allow lan wan tcp 80,", "/f:5:  is no port"),
    ("allow lan wan tcp 90-80", "/f:5: the range 90-80 ends before it begins"),
    ("allow lan wan tcp 80-", "/f:5: 80- is no port"),
    ("allow lan wan tcp 80 443", "/f:5: 443 stands after no protocol: write tcp 443 or udp 443"),
    ("allow lan wan 80", "/f:5: 80 stands after no protocol"),
    (
        "allow lan wan tcp " + ",".join(map(str, range(1, 17))),
        "/f:5: 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16 is more than 15 ports",
    ),
    ("allow lan wan tcp ²", "/f:5: there is no service ²"),
    ("allow lan wan from", "/f:5: after from there is nothing"),
    ("allow lan wan from lan", "/f:5: lan is no network: write one such as 10.1.0.0/24"),
    ("allow lan wan to 10.0.0.7 ssh", "/f:5: ssh is no network; services stand before the networks"),
    ("allow lan wan to 10.0.0.0/8 to 11.0.0.0/8", "/f:5: to stands here twice"),
    ("allow lan wan log ssh", "/f:5: ssh stands after log"),
    ("allow lan wan except 10.0.0.0/8", "/f:5: except has no place in this statement"),
    ("ike", "/f:5: write ike and one zone"),
    ("ike wan,lan", "/f:5: write ike and one zone"),
    ("ike box", "/f:5: write ike and one zone"),
    ("ike wan from east.example.org", "/f:5: east.example.org is no network"),
    ("tunnel-only wan", "/f:5: write which networks: tunnel-only wan 10.0.0.0/8"),
    ("tunnel-only 10.0.0.0/8", "/f:5: there is no zone 10.0.0.0/8"),
    ("tunnel-only vpn 10.0.0.0/8", "/f:5: vpn is tunnels: write the zone"),
    ("tunnel-only wan 10.0.0.0/8\ntunnel-only wan 11.0.0.0/8", "/f:6: tunnel-only wan is there already, at /f:5"),
    ("masquerade lan", "/f:5: write masquerade, from which zone, to which zone"),
    ("masquerade lan vpn", "/f:5: what goes into a tunnel is never masqueraded"),
    ("masquerade any wan", "/f:5: write masquerade and one zone"),
    ("forward wan tcp 80", "/f:5: write to whom, one address"),
    ("forward wan to 10.0.0.1", "/f:5: write which ports are forwarded"),
    ("forward wan ping to 10.0.0.1", "/f:5: write which ports are forwarded"),
    ("forward wan tcp 80 to web", "/f:5: web is no address with a port"),
    ("forward wan tcp 80 to 10.0.0.1:x", "/f:5: x is no port"),
    ("forward wan tcp 80 to 10.0.0.1:80-81", "/f:5: 80-81 is not one port"),
    ("forward wan tcp 80,81 to 10.0.0.1:80", "/f:5: several ports cannot become one"),
    ("forward wan tcp 80 to 10.0.0.1 from", "/f:5: after from there is nothing"),
    ("iptables -I FORWARD -j ACCEPT", "/f:5: write iptables -A and one of INPUT, FORWARD, OUTPUT"),
    ("iptables -A PREROUTING -j ACCEPT", "/f:5: write iptables -A and one of"),
    ("iptables -A INPUT -t nat -j ACCEPT", "/f:5: a rule here is of the table filter only"),
    ('iptables -A INPUT -m comment --comment "a b"', "/f:5: quotes and other special characters"),
    ("console-only please", "/f:5: console-only stands alone"),
    ("allow lan wan \x1b[2J", "/f:5: this line has characters that cannot be printed"),
]


@pytest.mark.parametrize(("text", "sentence"), BAD)
def test_what_is_wrong_is_said_with_its_place(text: str, sentence: str) -> None:
    with pytest.raises(FirewallError) as problem:
        policy(text if text.startswith("zone") or not sentence.startswith(("/f:5", "/f:6")) else ZONES + text)
    assert str(problem.value).startswith(sentence)
    assert "\n" not in str(problem.value)


def test_all_that_is_wrong_is_said_at_once_but_not_without_end() -> None:
    with pytest.raises(FirewallError) as problem:
        policy("zone lan eth1\nallow lan wna\nallow lan box shh\n")
    assert [line.split(": ")[0] for line in str(problem.value).splitlines()] == ["/f:2", "/f:3"]
    with pytest.raises(FirewallError) as problem:
        policy("nonsense\n" * 999)
    assert len(str(problem.value).splitlines()) == 50
    with pytest.raises(FirewallError, match="/f: more than 1000 statements"):
        policy("nonsense\n" * 1001)


SETTINGS = [
    ("WAN=eth 0", r"network:1: WAN= is an interface name, one with a VLAN \(eth0.7\), or empty"),
    ("DNS=x\nLAN_ADDRESS=192.168.77.1", "network:2: LAN_ADDRESS= is none or address/prefix length"),
    ("WAN_ADDRESS=dhcpp", "network:1: WAN_ADDRESS= is dhcp, pppoe, none or address/prefix length"),
    ("LAN_ADDRESS=dhcp", "network:1: LAN_ADDRESS= is none"),
    ("LAN_ADDRESS=pppoe", "network:1: LAN_ADDRESS= is none"),
    ("LAN8=eth1.4095", "network:1: LAN8= is an interface name"),
    ("LAN2=eth1.07", "network:1: LAN2= is an interface name"),
    ("LAN2=eth1.7.8", "network:1: LAN2= is an interface name"),
    ("LAN2=eth1.", "network:1: LAN2= is an interface name"),
    ("LAN2_ADDRESS=10.2.0.1", "network:1: LAN2_ADDRESS= is none"),
]


@pytest.mark.parametrize(("text", "sentence"), SETTINGS)
def test_settings_that_are_wrong_are_not_guessed(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "network").write_text(text)
    with pytest.raises(FirewallError, match=sentence):
        read(STOCK, tmp_path / "network")


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    for name, data in (("none", None), ("binary", b"zone\0"), ("huge", b"#" * 2_000_000)):
        if data is not None:
            (tmp_path / name).write_bytes(data)
        with pytest.raises(FirewallError, match=f"{name}: (cannot be read: No such file|this is no text file)"):
            read(tmp_path / name, tmp_path / name)
