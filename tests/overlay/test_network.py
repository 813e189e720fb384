"""/etc/cygnet/network: read strictly, every mistake named, and a plan for `ip` that holds no surprise."""

from __future__ import annotations

import pytest
from scratch import Box

DEFAULT_PLAN = [
    "link set dev lo up",
    "link set dev eth0 up",
    "link set dev eth1 up",
    "address replace 192.168.77.1/24 brd + dev eth1",
]
WRONG = [
    ("WAN_ADDRESS=10.0.0.1", "dhcp, pppoe, none or address/prefix length"),
    ("WAN_ADDRESS=10.0.0.1/24 dev eth1", "dhcp, pppoe, none or address/prefix length"),
    ("WAN=$(reboot)", "an interface name"),
    ("WAN=eth0;reboot", "an interface name"),
    ("LAN=-batch", "an interface name"),
    ("WAN_GATEWAY=10.0.0.1,10.0.0.2", "an IPv4 address"),
    ("LAN_DHCP=192.168.77.9", "first-last IPv4 address"),
    ("DNS=1.1.1.1 8.8.8.8", "IPv4 addresses, comma between"),
    ("DNS=1.1.1.1,", "IPv4 addresses, comma between"),
    ("DNS=*", "IPv4 addresses, comma between"),
    ("NTP=*.example.org", "names or IPv4 addresses"),
    ("DOMAIN=a b", "a domain name"),
    ('WAN="eth0"', "an interface name"),
    ("PATH=/tmp", "one of WAN"),
    ("hello", "KEY=VALUE"),
    ("WAN=eth0.0", "an interface name, or one with a VLAN of 1 to 4094"),
    ("WAN=eth0.4095", "an interface name, or one with a VLAN"),
    ("LAN=eth1.010", "an interface name, or one with a VLAN"),
    ("LAN=eth1.7.8", "an interface name, or one with a VLAN"),
    ("LAN=eth1.", "an interface name, or one with a VLAN"),
    ("LAN_ADDRESS=", "none or address/prefix length"),
    ("LAN2_ADDRESS=dhcp", "none or address/prefix length"),
    ("LAN2_DHCP=10.2.0.1", "first-last IPv4 address"),
    ("LAN9=eth2", "one of WAN"),
    ("LAN1=eth2", "one of WAN"),
    ("SYSLOG=10.0.0.5:0", "a name or IPv4 address, :port"),
    ("SYSLOG=10.0.0.5:514:1", "a name or IPv4 address, :port"),
    ("SYSLOG=-R", "a name or IPv4 address, :port"),
    (" WAN=eth0", "one of WAN"),
]


@pytest.fixture
def network(box: Box) -> Box:
    for name in ("lo", "eth0", "eth1"):
        (box.root / "sys/class/net" / name).mkdir()
    return box


def plan(box: Box, text: str) -> list[str]:
    box.write("etc/cygnet/network", text)
    result = box.shell("base check network", "complain=say; read_network; plan_network")
    assert result.stderr == ""
    return result.stdout.splitlines()


def test_the_file_as_shipped_is_right_and_asks_for_dhcp(network: Box) -> None:
    result = network.shell("base check network", "complain=say; read_network && plan_network")
    assert result.stdout.splitlines() == DEFAULT_PLAN
    assert network.said == ""


def test_fixed_addresses_and_a_router(network: Box) -> None:
    text = "WAN_ADDRESS=192.0.2.2/30\nWAN_GATEWAY=192.0.2.1\nLAN_ADDRESS=none\nNTP=a.example,192.0.2.9"
    assert plan(network, text) == [
        "link set dev lo up",
        "link set dev eth0 up",
        "address replace 192.0.2.2/30 brd + dev eth0",
        "route replace default via 192.0.2.1 dev eth0 onlink",
        "link set dev eth1 up",
    ]
    assert network.said == ""


def test_further_lans(network: Box) -> None:
    (network.root / "sys/class/net/eth2").mkdir()
    text = "LAN2=eth2\nLAN2_ADDRESS=10.2.0.1/24\nLAN8=eth3\nLAN8_ADDRESS=10.8.0.1/24\n"
    assert plan(network, text) == [*DEFAULT_PLAN, "link set dev eth2 up", "address replace 10.2.0.1/24 brd + dev eth2"]
    assert network.said == ""


@pytest.mark.parametrize("text", ["LAN2=eth1\n", "LAN2=eth0\n", "LAN3=eth2.7\nLAN=eth2.7\n"])
def test_two_lans_of_one_interface_are_named(network: Box, text: str) -> None:
    network.write("etc/cygnet/network", text)
    said = network.shell("base check network", 'complain=say; read_network; echo "$?:$lans:$LAN2$LAN3"').stdout
    assert said == "1:LAN:\n"
    assert "has an interface that another one has" in network.said


def test_vlans_are_made_where_their_interface_is(network: Box) -> None:
    network.fake("ip", 'cat >>"$CYGNET_ROOT/batch"')
    network.write("etc/cygnet/network", "WAN=eth0.7\nLAN=eth1.10\nLAN2=eth1.20\nLAN3=eth5.30\nLAN4=eth1\n")
    (network.root / "sys/class/net/eth1.20").mkdir()
    network.shell("base check network", "complain=say; read_network; make_vlans")
    assert network.read("batch").splitlines() == [
        "link set dev eth0 up",
        "link add link eth0 name eth0.7 type vlan id 7",
        "link set dev eth1 up",
        "link add link eth1 name eth1.10 type vlan id 10",
    ]


def test_no_vlan_costs_no_process(network: Box) -> None:
    network.fake("ip")
    network.shell("base check network", "complain=say; read_network; make_vlans")
    assert network.calls() == []


@pytest.mark.parametrize(
    ("text", "wan"), [("", "eth0"), ("WAN_ADDRESS=pppoe", "ppp0"), ("WAN=eth0.7\nWAN_ADDRESS=pppoe", "ppp0"), ("WAN=\nWAN_ADDRESS=pppoe", "")]
)  # fmt: skip
def test_which_interface_has_the_address(network: Box, text: str, wan: str) -> None:
    network.write("etc/cygnet/network", f"{text}\n")
    assert network.shell("base check network", 'read_network; echo "$wan"').stdout == f"{wan}\n"


def test_an_interface_that_is_not_there_is_left_out(network: Box) -> None:
    (network.root / "sys/class/net/eth1").rmdir()
    assert plan(network, "") == DEFAULT_PLAN[:2]


@pytest.mark.parametrize(("line", "expected"), WRONG)
def test_a_wrong_line_is_named_and_its_default_stays(network: Box, line: str, expected: str) -> None:
    assert plan(network, f"# comment\n{line}\n") == DEFAULT_PLAN
    assert f"/etc/cygnet/network, line 2: expected {expected}" in network.said


def test_what_a_wrong_line_holds_is_not_shown(network: Box) -> None:
    plan(network, "WAN=\x1b[2Jeth0\n")
    assert "\x1b" not in network.said


def test_a_missing_file_means_defaults(network: Box) -> None:
    (network.root / "etc/cygnet/network").unlink()
    assert (
        network.shell("base check network", "complain=say; read_network; plan_network").stdout.splitlines()
        == DEFAULT_PLAN
    )
    assert "missing" in network.said


@pytest.mark.parametrize(
    ("bits", "mask"),
    [(0, "0.0.0.0"), (1, "128.0.0.0"), (20, "255.255.240.0"), (24, "255.255.255.0"), (32, "255.255.255.255")],
)
def test_mask(box: Box, bits: int, mask: str) -> None:
    assert box.shell("base check network", f'mask_of {bits}; echo "$dotted"').stdout == f"{mask}\n"


def serve(box: Box, name: str) -> None:
    """A DHCP server, started as its supervisor does."""
    folder = box.root / "etc/sv" / name
    folder.mkdir(exist_ok=True)
    if name != "udhcpd":
        (folder / "run").symlink_to("../udhcpd/run")
    box.run(["-c", 'cd "$1" && exec ./run', "runsv", str(folder)])


def test_udhcpd_is_told_what_the_file_says(network: Box) -> None:
    network.fake("udhcpd")
    network.write(
        "etc/cygnet/network", "LAN_DHCP=192.168.77.100-192.168.77.199\nDNS=192.0.2.53,192.0.2.54\nDOMAIN=shop.example\n"
    )
    (network.root / "var/lib").mkdir()
    serve(network, "udhcpd")
    assert network.calls("udhcpd") == [f"udhcpd -f -S {network.root}/run/udhcpd.conf"]
    lines = network.read("run/udhcpd.conf").splitlines()
    for line in ("interface eth1", "start 192.168.77.100", "end 192.168.77.199", "option subnet 255.255.255.0"):
        assert line in lines
    assert [line.split() for line in lines if "dns" in line] == [["option", "dns", "192.0.2.53", "192.0.2.54"]]


TWO_LANS = (
    "LAN_DHCP=192.168.77.100-192.168.77.199\nLAN2=eth2\nLAN2_ADDRESS=10.2.0.1/16\nLAN2_DHCP=10.2.9.1-10.2.9.99\n"
    "LAN3=eth3\nLAN3_ADDRESS=10.3.0.1/24\n"
)
LEASES = """# who always gets the same
52:54:00:12:34:56 192.168.77.10 printer
52:54:00:AB:cd:56 10.2.1.10
"""


def test_every_lan_has_a_dhcp_server_of_its_own(network: Box) -> None:
    for program in ("sysctl", "ip", "udhcpd"):
        network.fake(program)
    (network.root / "sys/class/net/eth2").mkdir()
    (network.root / "var/lib").mkdir()
    network.write("etc/cygnet/network", TWO_LANS)
    network.write("etc/cygnet/leases", LEASES)
    network.script("start")
    assert str((network.root / "run/service/udhcpd2").readlink()) == "/etc/sv/udhcpd2"
    for name in ("udhcpd", "udhcpd2"):
        serve(network, name)
    lines = network.read("run/udhcpd2.conf").splitlines()
    assert lines[:4] == ["interface eth2", "start 10.2.9.1", "end 10.2.9.99", "lease_file /var/lib/udhcpd2.leases"]
    assert {"pidfile /run/udhcpd2.pid", "option subnet 255.255.0.0", "option router 10.2.0.1"} <= set(lines)
    assert [line for line in lines if "static" in line] == ["static_lease 52:54:00:AB:cd:56 10.2.1.10"]
    assert "static_lease 52:54:00:12:34:56 192.168.77.10" in network.read("run/udhcpd.conf").splitlines()
    assert "/etc/cygnet/leases" not in network.said


@pytest.mark.parametrize(
    "line",
    [
        "52:54:00:12:34 192.168.77.10",
        "52:54:00:12:34:5g 192.168.77.10",
        "52:54:00:12:34::6 192.168.77.10",
        "525:4:00:12:34:56 192.168.77.10",
        "52:54:00:12:34:56:78 192.168.77.10",
        "52:54:00:12:34:56 192.168.77.300",
        "52:54:00:12:34:56",
        "52:54:00:12:34:56 192.168.77.10 a_name",
        "52:54:00:12:34:56 192.168.77.10 printer ink",
        "192.168.77.10 52:54:00:12:34:56",
        "52:54:00:12:34:56 172.16.0.1",
        # A LAN that gives out no addresses.
        "52:54:00:12:34:56 10.3.0.10",
    ],
)
def test_a_wrong_lease_is_named_and_left_out(network: Box, line: str) -> None:
    network.write("etc/cygnet/network", TWO_LANS)
    network.write("etc/cygnet/leases", f"# one\n{line}\n52:54:00:12:34:57 192.168.77.11\n")
    said = network.shell("base check network", "complain=say; read_network; read_leases echo").stdout
    assert said == "LAN 52:54:00:12:34:57 192.168.77.11\n"
    assert "etc/cygnet/leases, line 2: expected " in network.said
    assert network.said.count("\n") == 1


def test_a_lan_without_range_has_no_dhcp_server(network: Box) -> None:
    for program in ("sysctl", "ip"):
        network.fake(program)
    for name in ("eth2", "eth3"):
        (network.root / "sys/class/net" / name).mkdir()
    network.write("etc/cygnet/network", TWO_LANS.replace("LAN2_ADDRESS=10.2.0.1/16", "LAN2_ADDRESS=none"))
    network.script("start")
    running = {path.name for path in (network.root / "run/service").iterdir()}
    assert {name for name in running if "udhcpd" in name} == {"udhcpd"}


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("", "syslogd -n -C64"),
        ("SYSLOG=\n", "syslogd -n -C64"),
        ("SYSLOG=10.0.0.5\n", "syslogd -n -C64 -L -R 10.0.0.5"),
        ("SYSLOG=log.example.org:5140\n", "syslogd -n -C64 -L -R log.example.org:5140"),
        ("SYSLOG=-L\n", "syslogd -n -C64"),
    ],
)
def test_the_log_goes_to_a_server_if_there_is_one(network: Box, text: str, call: str) -> None:
    network.fake("syslogd")
    network.write("etc/cygnet/network", text)
    assert network.run([str(network.root / "etc/sv/syslogd/run")]).stderr == ""
    assert network.calls() == [call]


@pytest.mark.parametrize(
    ("text", "services"),
    [
        ("", {"udhcpc"}),
        ("WAN_ADDRESS=pppoe", {"pppoe"}),
        ("WAN=eth7\nWAN_ADDRESS=pppoe", set()),
        ("WAN_ADDRESS=192.0.2.2/24", set()),
        ("WAN_ADDRESS=none\nLAN_DHCP=192.168.77.5-192.168.77.9", {"udhcpd"}),
        ("NTP=pool.ntp.org", {"udhcpc", "ntpd"}),
        ("NTP=off", {"udhcpc"}),
    ],
)
def test_only_configured_services_run(network: Box, text: str, services: set[str]) -> None:
    network.write("etc/cygnet/network", text)
    for program in ("sysctl", "ip"):
        network.fake(program)
    network.script("start")
    running = {path.name for path in (network.root / "run/service").iterdir()}
    assert running == {"syslogd", "klogd", "sshd", "timekeeper"} | services


def test_time_servers_of_the_file_come_before_those_of_dhcp(network: Box) -> None:
    network.fake("ntpd")
    network.write("run/cygnet/ntp-servers", "192.0.2.1\n")
    network.run([str(network.root / "etc/sv/ntpd/run")])
    network.write("etc/cygnet/network", "NTP=a.example,b.example\n")
    network.run([str(network.root / "etc/sv/ntpd/run")])
    assert [call.split("ntp-event ")[1] for call in network.calls("ntpd")] == [
        "-p 192.0.2.1",
        "-p a.example -p b.example",
    ]
