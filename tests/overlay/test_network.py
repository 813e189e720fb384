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
    ("WAN_ADDRESS=10.0.0.1", "dhcp, none or address/prefix length"),
    ("WAN_ADDRESS=10.0.0.1/24 dev eth1", "dhcp, none or address/prefix length"),
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


def test_udhcpd_is_told_what_the_file_says(network: Box) -> None:
    network.fake("udhcpd")
    network.write(
        "etc/cygnet/network", "LAN_DHCP=192.168.77.100-192.168.77.199\nDNS=192.0.2.53,192.0.2.54\nDOMAIN=shop.example\n"
    )
    (network.root / "var/lib").mkdir()
    network.run([str(network.root / "etc/sv/udhcpd/run")])
    lines = network.read("run/udhcpd.conf").splitlines()
    for line in ("interface eth1", "start 192.168.77.100", "end 192.168.77.199", "option subnet 255.255.255.0"):
        assert line in lines
    assert [line.split() for line in lines if "dns" in line] == [["option", "dns", "192.0.2.53", "192.0.2.54"]]


@pytest.mark.parametrize(
    ("text", "services"),
    [
        ("", {"udhcpc"}),
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
