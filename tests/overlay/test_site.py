"""What is rendered for a site file is what the box's own scripts read: they complain of nothing, and do what it says."""

from __future__ import annotations

from pathlib import Path

import pytest
from cygnet_site import read_site
from cygnet_site.render import render
from scratch import SHELLS, Box

SITE = """
format = 1
name = "shop1"
timezone = "America/Sao_Paulo"
[wan]
interface = "eth0"
vlan = 7
address = "pppoe"
[wan.pppoe]
user = "shop1@isp.example"
password = { file = "password" }
[[lan]]
interface = "eth1"
address = "192.168.77.1/24"
dhcp = "192.168.77.100-192.168.77.199"
[[lan.lease]]
mac = "52:54:00:12:34:56"
address = "192.168.77.10"
name = "printer"
[[lan.lease]]
mac = "52:54:00:AB:CD:EF"
address = "192.168.77.11"
[[lan]]
interface = "eth1"
vlan = 10
address = "10.9.0.1/24"
[dns]
servers = ["192.0.2.1", "192.0.2.2"]
domain = "shop1.example.org"
dnssec = "servers"
[ntp]
servers = ["pool.ntp.org", "192.0.2.3"]
[syslog]
server = "log.example.org:5514"
"""
PRINT = 'printf "%s\\n" "$WAN" "$WAN_ADDRESS" "$LAN2" "$LAN2_ADDRESS" "$LAN_DHCP" "$DNS" "$DOMAIN" "$DNSSEC" "$NTP" "$SYSLOG" "$lans"'


@pytest.fixture
def made(box: Box, tmp_path: Path) -> Box:
    """A box with the files of the site."""
    password = tmp_path / "password"
    password.touch(0o600)
    password.write_text('pass "word" \\\n')
    file = tmp_path / "shop1.toml"
    file.write_text(SITE)
    for name, content in render(read_site(file)).items():
        box.write(name, content.content.decode())
    return box


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[-1])
def test_the_network(made: Box, shell: tuple[str, ...]) -> None:
    done = made.shell("base check network", f"complain=say; read_network || echo WRONG; {PRINT}", shell=shell)
    assert done.stdout.splitlines() == [
        "eth0.7", "pppoe", "eth1.10", "10.9.0.1/24", "192.168.77.100-192.168.77.199", "192.0.2.1,192.0.2.2",
        "shop1.example.org", "servers", "pool.ntp.org,192.0.2.3", "log.example.org:5514", "LAN LAN2",
    ]  # fmt: skip
    assert made.said == ""


def test_leases_and_account(made: Box) -> None:
    code = 'complain=say; read_network; read_leases echo; read_pppoe && echo "$user" && echo "$password"'
    assert made.shell("base check network pppoe", code).stdout.splitlines() == [
        "LAN 52:54:00:12:34:56 192.168.77.10",
        "LAN 52:54:00:ab:cd:ef 192.168.77.11",
        "shop1@isp.example",
        'pass "word" \\',
    ]
    assert made.said == ""


def test_the_time_zone_and_the_name(made: Box) -> None:
    done = made.shell(
        "base check clock",
        'first_line "$R/etc/TZ"; is_time_zone "$line" && echo "$line"; first_line "$R/etc/hostname"; is_name "$line" && echo "$line"',
    )
    assert done.stdout.splitlines() == ["<-03>3", "shop1"]


def test_the_rules_are_those_of_the_policy_and_the_network(made: Box) -> None:
    """Else the box would make them anew at every boot, which takes Python."""
    made.fakes.joinpath("sha256sum").symlink_to("/usr/bin/sha256sum")
    code = "complain=say; is_stale && echo stale; exit 0"
    assert made.shell("base check network firewall", code).stdout == ""
    made.write("etc/cygnet/network", made.read("etc/cygnet/network").replace("10.9.0.1", "10.8.0.1"))
    assert made.shell("base check network firewall", code).stdout == "stale\n"
