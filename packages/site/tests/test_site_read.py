"""A site file is read strictly: whatever is wrong is told by its line, what it is and what to do."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest
from cygnet_site import SiteError, read_site
from cygnet_site.kinds import Endpoint, Range, Secret
from cygnet_site.model import Site
from cygnet_site.read import parse
from hypothesis import given, settings
from hypothesis import strategies as st

Wrong = Callable[[str], list[str]]
WAN = '[wan]\ninterface = "eth0"\n'
FIXED = WAN + 'address = "203.0.113.5/24"\n'
LAN = '[[lan]]\ninterface = "eth1"\naddress = "192.168.77.1/24"\n'
DHCP = LAN + 'dhcp = "192.168.77.100-192.168.77.199"\n'
LEASE = '[[lan.lease]]\nmac = "52:54:00:12:34:56"\naddress = "192.168.77.10"\n'
IN_USE = "eth1 is in use already, at line 4: take another card or vlan"

# What stands from line 3 on, and what is said.
WRONG = [
    # keys
    ("nane = 1", "3: the file has no key nane; did you mean name?"),
    (WAN + 'adress = "dhcp"', "5: [wan] has no key adress; did you mean address?"),
    (LAN + "[lan.x]", "6: [lan] has no key x: there is interface, vlan, name, address, dhcp, lease"),
    ("[wan]", "3: [wan] lacks interface: the network card, such as eth0"),
    ('[[lan]]\ninterface = "eth1"', "3: [lan] lacks address: the box's own address there, with its prefix length"),
    ("wan = 1", "3: wan is a table: write [wan] and its keys below"),
    ('[lan]\ninterface = "eth1"', "3: lan is a list: write [[lan]], with two brackets"),
    ('lan = ["eth1"]', "3: lan is a table: write [lan] and its keys below"),
    ('[dns]\nservers = "192.0.2.1"', "4: dns.servers is a list: write servers = [ ... ]"),
    ("[ipsec]\npolicies = 1", "4: ipsec.policies is a table: write [ipsec.policies] and its keys below"),
    # values
    ('[wan]\ninterface = "eth 0"', '4: wan.interface: "eth 0" is not the name of a network card, such as eth0'),
    (
        '[wan]\ninterface = "eth0.7"',
        '4: wan.interface: "eth0.7" is not the name of a network card, such as eth0 (a VLAN',
    ),
    (WAN + 'vlan = "7"', '5: wan.vlan: "7" is not a VLAN: write a number from 1 to 4094, without quotes'),
    (WAN + "vlan = true", "5: wan.vlan: True is not a VLAN"),
    (WAN + "vlan = 4095", "5: wan.vlan: 4095 is not a VLAN"),
    ('[wan]\ninterface = "ipsec0"', '4: wan.interface: "ipsec0" is not the name of a network card'),
    ('[wan]\ninterface = "averylongname1"\nvlan = 100', "5: averylongname1.100 is longer than the 15 characters"),
    (
        WAN + 'address = "203.0.113.5"',
        '5: wan.address: "203.0.113.5" is not dhcp, pppoe, none, or an IPv4 address with',
    ),
    (WAN + 'address = "203.0.113.0/24"', '5: wan.address: "203.0.113.0/24" is not dhcp, pppoe'),
    (WAN + 'address = "203.0.113.255/24"', '5: wan.address: "203.0.113.255/24" is not dhcp, pppoe'),
    (WAN + 'address = "203.0.113.5/33"', '5: wan.address: "203.0.113.5/33" is not dhcp, pppoe'),
    (WAN + 'address = "127.0.0.1/8"', '5: wan.address: "127.0.0.1/8" is not dhcp, pppoe'),
    (WAN + "address = 5", "5: wan.address: 5 is not dhcp, pppoe"),
    (FIXED + 'gateway = "203.0.113.256"', '6: wan.gateway: "203.0.113.256" is not an IPv4 address that a machine can'),
    (FIXED + 'gateway = "224.0.0.1"', '6: wan.gateway: "224.0.0.1" is not an IPv4 address that a machine can have'),
    (LAN + 'dhcp = "192.168.77.9"', '6: lan.dhcp: "192.168.77.9" is not two IPv4 addresses, the lower one first'),
    (LAN + 'dhcp = "192.168.77.9-192.168.77.8"', '6: lan.dhcp: "192.168.77.9-192.168.77.8" is not two IPv4 addresses'),
    (LAN + 'name = "Guest"', '6: lan.name: "Guest" is not a name of a zone: letters a to z, digits, hyphens'),
    (DHCP + LEASE.replace("56", "5g"), '8: lan.lease.mac: "52:54:00:12:34:5g" is not a hardware address such as'),
    ('[dns]\nservers = [\n  "192.0.2.1",\n  "::1",\n]', '6: dns.servers: "::1" is not an IPv4 address that a machine'),
    ('[dns]\ndomain = "-x"', '4: dns.domain: "-x" is not a domain name such as shop.example.org'),
    ('[ntp]\nservers = ["1.2.3"]', '4: ntp.servers: "1.2.3" is not a host name or an IPv4 address'),
    ('[ntp]\noff = "true"', '4: ntp.off: "true" is not true or false, without quotes'),
    ('[syslog]\nserver = "10.0.0.5:70000"', '4: syslog.server: "10.0.0.5:70000" is not a host name or IPv4 address'),
    ('[syslog]\nserver = "10.0.0.5:"', '4: syslog.server: "10.0.0.5:" is not a host name or IPv4 address'),
    ('[firewall]\npolicy = "a\\u001bb"', "4: firewall.policy: this text has characters that cannot be printed"),
    ("[firewall]\npolicy = 1", '4: firewall.policy: this is no text: write it between """ and """'),
    ('[[forward]]\nservice = "tcp;"\nto = "10.0.0.1"', '4: forward.service: "tcp;" is not a service such as https'),
    ('[[forward]]\nservice = "https"\nto = "web"', '5: forward.to: "web" is not an IPv4 address with or without port'),
    ('[ipsec.policies]\n"a/b" = []', '4: ipsec.policies.a/b: "a/b" is not a policy group\'s name'),
    (
        '[ipsec.policies]\nclear = ["10.0.0.1/8"]',
        '4: ipsec.policies.clear: "10.0.0.1/8" is not an IPv4 network without',
    ),
    # secrets are never shown
    (
        FIXED + '[wan.pppoe]\nuser = "a"\npassword = "hunter2"',
        '8: wan.pppoe.password: a secret never stands in this file: write { file = "NAME" }, a file that only you can',
    ),
    ('[ipsec]\nsecrets = ["hunter2"]', "4: ipsec.secrets: a secret never stands in this file"),
    ('[ipsec]\nsecrets = [{ file = "a", hunter2 = 1 }]', "4: ipsec.secrets: a secret never stands in this file"),
    ('[ipsec]\nsecrets = [{ file = "a\\nb" }]', '4: ipsec.secrets: "a?b" is not the name of a file'),
    # between the keys
    (WAN + 'gateway = "203.0.113.1"', "5: wan.gateway is for a fixed address, and wan.address is dhcp: leave it out"),
    (FIXED + 'gateway = "203.0.113.5"', "6: wan.gateway is the box's own address, 203.0.113.5: write that of the next"),
    (WAN + 'address = "pppoe"', "5: PPPoE needs an account: write [wan.pppoe] with user and password"),
    (
        FIXED + '[wan.pppoe]\nuser = "a"\npassword = { file = "b" }',
        '6: an account is for PPPoE alone: write address = "pppoe" in [wan], or leave this out',
    ),
    (LAN + LAN.replace("77", "78"), f"7: {IN_USE}"),
    (WAN.replace("eth0", "eth1") + LAN, f"6: {IN_USE}"),
    (
        LAN + '[[lan]]\ninterface = "eth2"\naddress = "192.168.0.1/16"',
        "8: 192.168.0.0/16 overlaps 192.168.77.0/24, at line 5: networks are apart",
    ),
    (FIXED + LAN.replace("192.168.77", "203.0.113"), "8: 203.0.113.0/24 overlaps 203.0.113.0/24, at line 5"),
    (LAN + 'dhcp = "192.168.78.5-192.168.78.9"', "6: 192.168.78.5-192.168.78.9 is not within 192.168.77.0/24"),
    (LAN + 'dhcp = "192.168.77.1-192.168.77.9"', "6: the box's own address, 192.168.77.1, is among those to give out"),
    (LAN + LEASE, '6: a lease needs the DHCP server: write dhcp = "FIRST-LAST" for this LAN'),
    (DHCP + LEASE.replace(".10", ".1"), "9: 192.168.77.1 is no machine's address in 192.168.77.0/24"),
    (DHCP + LEASE.replace("168.77", "168.7"), "9: 192.168.7.10 is no machine's address in 192.168.77.0/24"),
    (DHCP + LEASE.replace(".10", ".255"), "9: 192.168.77.255 is no machine's address in 192.168.77.0/24"),
    (DHCP + LEASE + LEASE.replace(".10", ".11"), "11: 52:54:00:12:34:56 is another machine's already: each lease has"),
    (DHCP + LEASE + LEASE.replace("56", "57"), "12: 192.168.77.10 is another machine's already"),
    (LAN + 'name = "vpn"', "6: vpn means something else in a policy: give this LAN another name"),
    (
        LAN + 'name = "lan2"\n[[lan]]\ninterface = "eth2"\naddress = "10.0.0.1/8"',
        "7: another LAN is called lan2: give this one a name of its own",
    ),
    ('[ntp]\noff = true\nservers = ["a"]', "5: ntp.off = true and time servers: leave one of them out"),
    ('[dns]\ndnssec = "servers"', '4: dnssec = "servers" believes name servers that are named'),
    ('[firewall]\npolicy = "zone a b"\nfile = "c"', "5: firewall.policy and firewall.file: leave one of them out"),
    (
        WAN + '[firewall]\nfile = "a"\n[ssh]\nfrom = ["192.0.2.0/24"]',
        "8: ssh.from is for the stock policy: write allow wan box ssh from ... into yours instead",
    ),
    ('[[forward]]\nservice = "https"\nto = "10.0.0.1"', "3: forward is about the WAN, and there is no [wan]"),
    ('[ssh]\nfrom = ["10.0.0.0/8"]', "4: ssh.from is about the WAN, and there is no [wan]: leave it out"),
]

# Whole files.
NO_SITE = [
    ("", "1: the file lacks format: always 1"),
    ('format = 1\nname = "a"\nname = "b"', "3: this is no TOML: cannot overwrite a value; see https://toml.io"),
    ('format = 1\nname = "a', "2: this is no TOML: "),
    ("format = 1\nname = ", "2: this is no TOML: "),
    ('format = 2\nname = "a"\nnew = 1', "1: format 2 is newer than this program, which reads 1: take a newer Cygnet"),
    ('format = "1"\nname = "a"', '1: format: "1" is not a format that this program knows: write 1'),
    ('format = 0\nname = "a"', "1: format: 0 is not a format that this program knows: write 1"),
    ("format = " + "9" * 5000, "1: this is no TOML: "),
    ("a = " + "[" * 5000, "1: brackets within brackets, more than anybody needs: nothing is read"),
    ('format = 1\nname = "shop_1"', '2: name: "shop_1" is not a host name: letters, digits and hyphens, 63 at most'),
    ('format = 1\nname = "a\\u001b[2J"', '2: name: "a?[2J" is not a host name'),
]


@pytest.mark.parametrize(("text", "told"), WRONG, ids=[told for _, told in WRONG])
def test_what_is_wrong_is_told_by_its_line(wrong: Wrong, text: str, told: str) -> None:
    found = wrong(text)
    assert len(found) == 1, found
    assert found[0].startswith(f"shop1.toml:{told}")
    assert "hunter2" not in found[0]


@pytest.mark.parametrize(("text", "told"), NO_SITE, ids=[told for _, told in NO_SITE])
def test_a_text_that_is_no_site_file(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(SiteError) as error:
        parse(text.encode(), Path("shop1.toml"))
    assert error.value.problems[0].startswith(f"shop1.toml:{told}")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b'format = 1\nname = "\xff"', "2: this is no UTF-8: save the file as UTF-8"),
        (b"\x00", "1: this is no TOML: "),
    ],
)
def test_bytes_that_are_no_text(data: bytes, told: str) -> None:
    with pytest.raises(SiteError) as error:
        parse(data, Path("shop1.toml"))
    assert str(error.value).startswith(f"shop1.toml:{told}")


def test_a_file_that_is_not_there_or_too_large(tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_text("#" * (2 << 20))
    for path, told in (("nothing", "there is no such file"), (".", "this is no file"), ("large", "is larger than")):
        with pytest.raises(SiteError, match=told) as error:
            read_site(tmp_path / path)
        assert str(error.value).startswith(f"{tmp_path / path}: ")


def test_all_that_is_wrong_is_told_at_once(wrong: Wrong) -> None:
    assert wrong('[wan]\nvlan = 0\n[dns]\nservers = ["a", "b"]\nx = 1') == [
        "shop1.toml:3: [wan] lacks interface: the network card, such as eth0",
        "shop1.toml:4: wan.vlan: 0 is not a VLAN: write a number from 1 to 4094, without quotes",
        'shop1.toml:6: dns.servers: "a" is not an IPv4 address that a machine can have, such as 192.0.2.1',
        'shop1.toml:6: dns.servers: "b" is not an IPv4 address that a machine can have, such as 192.0.2.1',
        "shop1.toml:7: [dns] has no key x: there is servers, domain, dnssec",
    ]


def test_more_wrong_than_anybody_reads_is_cut(wrong: Wrong) -> None:
    assert len(wrong(f"[dns]\nservers = {[str(number) for number in range(900)]}")) == 50
    assert wrong(f"[dns]\nservers = {['192.0.2.1'] * 1001}") == [
        "shop1.toml:4: there are more than 1000 of dns.servers: leave some out"
    ]


def test_nine_lans_are_too_many(wrong: Wrong) -> None:
    lans = "".join(f'[[lan]]\ninterface = "eth{n}"\naddress = "10.{n}.0.1/16"\n' for n in range(9))
    assert wrong(lans) == ["shop1.toml:27: there are more than 8 of lan: leave some out"]


def test_everything_that_a_site_can_say(site: Callable[[str], Site]) -> None:
    text = (
        WAN
        + 'vlan = 7\naddress = "pppoe"\n[wan.pppoe]\nuser = "a@isp"\npassword = { file = "secrets/pppoe" }\n'
        + DHCP
        + LEASE.upper().replace("LAN.LEASE", "lan.lease").replace("MAC", "mac").replace("ADDRESS", "address")
        + '[syslog]\nserver = "log.example.org:5514"\n[ntp]\noff = true\n'
        + '[ssh]\nkeys = ["a"]\nkey-files = ["ops.pub"]\nfrom = ["198.51.100.7"]\n'
    )
    read = site(text)
    assert read.wan is not None and read.wan.pppoe is not None
    assert (read.wan.device, read.wan.address) == ("eth0.7", "pppoe")
    assert read.wan.pppoe.password == Secret("secrets/pppoe")
    (lan,) = read.lans
    assert lan.address == IPv4Interface("192.168.77.1/24")
    assert lan.dhcp == Range(IPv4Address("192.168.77.100"), IPv4Address("192.168.77.199"))
    assert lan.leases[0].mac == "52:54:00:12:34:56"
    assert read.syslog is not None and read.syslog.server == Endpoint("log.example.org", 5514)
    assert read.ntp.off and read.ssh.key_files == ("ops.pub",)
    assert str(read.ssh.sources[0]) == "198.51.100.7/32"
    assert read.line("ssh", "from") == text[: text.index("from")].count("\n") + 3


@settings(max_examples=300, deadline=None)
@given(st.text('[]{}="\n #.a1\\', max_size=60) | st.binary(max_size=40).map(lambda data: data.decode("latin1")))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    for data in (text.encode(), b'format = 1\nname = "a"\n' + text.encode(), text.encode("latin1", "replace")):
        try:
            parse(data, Path("x.toml"))
        except SiteError as error:
            assert all(line.startswith("x.toml:") for line in error.problems)
