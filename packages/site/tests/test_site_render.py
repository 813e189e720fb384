"""From a site file to the files of a box: what each of them says, who may read it, and where an error was written."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from cygnet.firewall.settings import read_settings
from cygnet_site import SiteError
from cygnet_site.model import Site
from cygnet_site.render import directories, render

Read = Callable[[str], Site]
Wrong = Callable[[str], list[str]]
Secret = Callable[..., Path]
OVERLAY = Path(__file__).resolve().parents[3] / "overlay"
STOCK = '[wan]\ninterface = "eth0"\n[[lan]]\ninterface = "eth1"\naddress = "192.168.77.1/24"\n'
PPPOE = (
    '[wan]\ninterface = "eth0"\nvlan = 7\naddress = "pppoe"\n[wan.pppoe]\nuser = "a@isp"\npassword = { file = "pw" }\n'
)
SECOND = '[[lan]]\ninterface = "eth1"\nvlan = 10\naddress = "10.9.0.1/24"\n'


def public_key(kind: str, *fields: bytes) -> str:
    data = b"".join(struct.pack(">I", len(field)) + field for field in (kind.encode(), *fields))
    return f"{kind} {base64.b64encode(data).decode()}"


ED25519 = public_key("ssh-ed25519", bytes(32))
RSA = public_key("ssh-rsa", b"\1\0\1", b"\0" + bytes([200] * 256))


def lines(text: bytes) -> list[str]:
    """What counts."""
    return [line for line in text.decode().splitlines() if line and not line.startswith("#")]


def test_a_site_that_says_no_more_than_the_stock_image_has_its_firewall(site: Read) -> None:
    made = render(site(STOCK))["etc/cygnet/firewall"].content
    assert lines(made) == lines((OVERLAY / "etc/cygnet/firewall").read_bytes())


def test_the_plain_files(site: Read) -> None:
    made = render(site('timezone = "Europe/Vienna"\n' + STOCK))
    assert made["etc/hostname"].content == b"shop1\n"
    assert made["etc/hosts"].content.splitlines()[1] == b"127.0.1.1\tshop1"
    assert made["etc/TZ"].content == b"CET-1CEST,M3.5.0,M10.5.0/3\n"
    assert set(made) == {"etc/hostname", "etc/hosts", "etc/TZ", "etc/cygnet/network", "etc/cygnet/firewall",
                         "etc/cygnet/firewall.rules/firewall", "etc/cygnet/firewall.rules/rules.v4",
                         "etc/cygnet/firewall.rules/rules.v6"}  # fmt: skip
    assert {file.mode for file in made.values()} == {0o644}


def test_the_network(site: Read) -> None:
    text = (
        '[wan]\ninterface = "eth0"\naddress = "203.0.113.5/24"\ngateway = "203.0.113.1"\n'
        '[[lan]]\ninterface = "eth1"\naddress = "192.168.77.1/24"\ndhcp = "192.168.77.100-192.168.77.199"\n'
        + SECOND
        + '[dns]\nservers = ["192.0.2.1", "192.0.2.2"]\ndomain = "a.example"\ndnssec = "box"\n'
        '[ntp]\nservers = ["b.example", "192.0.2.3"]\n[syslog]\nserver = "10.0.0.5:514"\n'
    )
    assert lines(render(site(text))["etc/cygnet/network"].content) == [
        "WAN=eth0",
        "WAN_ADDRESS=203.0.113.5/24",
        "WAN_GATEWAY=203.0.113.1",
        "LAN=eth1",
        "LAN_ADDRESS=192.168.77.1/24",
        "LAN_DHCP=192.168.77.100-192.168.77.199",
        "LAN2=eth1.10",
        "LAN2_ADDRESS=10.9.0.1/24",
        "LAN2_DHCP=",
        "DNS=192.0.2.1,192.0.2.2",
        "DOMAIN=a.example",
        "DNSSEC=box",
        "NTP=b.example,192.0.2.3",
        "SYSLOG=10.0.0.5:514",
    ]


def test_a_box_without_any_network(site: Read) -> None:
    made = render(site("[ntp]\noff = true"))
    assert lines(made["etc/cygnet/network"].content) == [
        "WAN=", "WAN_ADDRESS=none", "WAN_GATEWAY=", "LAN=", "LAN_ADDRESS=none", "LAN_DHCP=", "DNS=", "DOMAIN=",
        "NTP=off",
    ]  # fmt: skip
    assert lines(made["etc/cygnet/firewall"].content) == ["zone vpn ipsec+", "allow vpn box ping", "console-only"]


def test_rules_come_with_the_policy_and_say_what_they_are_from(site: Read, tmp_path: Path) -> None:
    """As the box asks at each boot: text and settings are those that the rules were made from."""
    from cygnet.firewall.read import parse

    made = render(site(STOCK + SECOND))
    text = made["etc/cygnet/firewall"].content
    assert made["etc/cygnet/firewall.rules/firewall"].content == text
    network = tmp_path / "network"
    network.write_bytes(made["etc/cygnet/network"].content)
    digest = parse(text, "firewall", read_settings(network)).digest
    for version in (4, 6):
        rules = made[f"etc/cygnet/firewall.rules/rules.v{version}"].content.decode()
        assert rules.startswith(f"# from: {digest}\n")
    assert " -i eth1.10 " in made["etc/cygnet/firewall.rules/rules.v4"].content.decode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[ssh]\nfrom = ["198.51.100.0/24", "192.0.2.7"]', "allow wan box ssh from 198.51.100.0/24 192.0.2.7/32"),
        ('[firewall]\nextra = "allow vpn box ntp"', "allow vpn box ntp"),
        ('[[forward]]\nservice = "https"\nto = "192.168.77.11"', "forward wan https to 192.168.77.11"),
        (
            '[[forward]]\nservice = "tcp 8443"\nto = "192.168.77.11:443"\nfrom = ["192.0.2.0/24"]',
            "forward wan tcp 8443 to 192.168.77.11:443 from 192.0.2.0/24",
        ),
    ],
)
def test_what_a_site_adds_to_the_policy(site: Read, text: str, expected: str) -> None:
    assert expected in lines(render(site(STOCK + text))["etc/cygnet/firewall"].content)


def test_a_policy_of_ones_own(site: Read, tmp_path: Path) -> None:
    policy = "zone wan $WAN\nzone lan $LAN $LAN_ADDRESS\nallow lan box ssh\n"
    (tmp_path / "policy").write_text(policy)
    for text in ('[firewall]\nfile = "policy"\n', f'[firewall]\npolicy = """\n{policy}"""\n'):
        assert render(site(STOCK + text))["etc/cygnet/firewall"].content.decode() == policy


def test_secrets_are_for_roots_eyes_only(site: Read, secret: Secret) -> None:
    secret("pw", "pass word\n")
    secret("a.secrets", ': PSK "hunter2"')
    secret("b.secrets", '192.0.2.1 192.0.2.2 : PSK "hunter3"\n')
    secret("gate.key", "a key")
    made = render(
        site(PPPOE + '[ipsec]\nsecrets = [{ file = "a.secrets" }, { file = "b.secrets" }]\n'
             'private-keys = [{ file = "gate.key" }]\ncerts = ["gate.key"]')
    )  # fmt: skip
    assert made["etc/cygnet/pppoe"] == (b"a@isp\npass word\n", 0o600, True)
    assert made["etc/ipsec.secrets"] == (b': PSK "hunter2"\n192.0.2.1 192.0.2.2 : PSK "hunter3"\n', 0o600, True)
    assert made["etc/ipsec.d/private/gate.key"] == (b"a key", 0o600, True)
    assert made["etc/ipsec.d/certs/gate.key"] == (b"a key", 0o644, False)
    assert directories(made)["etc/ipsec.d/private"] == 0o700
    assert b"WAN=eth0.7\nWAN_ADDRESS=pppoe\n" in made["etc/cygnet/network"].content
    assert b" -i ppp0 " in made["etc/cygnet/firewall.rules/rules.v4"].content


@pytest.mark.parametrize(
    ("mode", "text", "told"),
    [
        (0o644, "pw", "pw: others may read it (mode 644), so it is not used: chmod 600 pw"),
        (0o640, "pw", "pw: others may read it (mode 640), so it is not used: chmod 600 pw"),
        (0o600, "", "pw: a password is one line of printable ASCII, of 255 at most"),
        (0o600, "one\ntwo\n", "pw: a password is one line of printable ASCII, of 255 at most"),
        (0o600, "pässword\n", "pw: a password is one line of printable ASCII, of 255 at most"),
        (0o600, "a\0b", "pw: holds NUL bytes, so it is no text"),
        (0o600, "x" * (2 << 20), "pw: is larger than 1048576 bytes"),
    ],
)
def test_a_secret_that_cannot_be_used(wrong: Wrong, secret: Secret, mode: int, text: str, told: str) -> None:
    secret("pw", text, mode)
    assert wrong(PPPOE) == [f"shop1.toml:9: {told}"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "pw: there is no such file: make it (umask 077; then write it), or name another; names are relative to"),
        (
            '[firewall]\nfile = "x"',
            "4: x: there is no such file: make it, or name another; names are relative to shop1",
        ),
        ('[ssh]\nkey-files = [\n"x",\n]', "5: x: there is no such file"),
        ('[ipsec]\nfiles = ["x"]', "4: x: there is no such file"),
        ('[ipsec]\nfiles = ["."]', "4: a file cannot be called '.conf' on the box: letters, digits, dots, hyphens"),
        ('[ipsec]\ncerts = ["a b"]', "4: a file cannot be called 'a b' on the box: letters, digits, dots, hyphens"),
    ],
)
def test_a_file_that_is_not_there(wrong: Wrong, text: str, told: str) -> None:
    (found,) = wrong(text or PPPOE)
    assert told in found


def test_two_files_for_one_place(wrong: Wrong, secret: Secret) -> None:
    secret("a/hub.conf", "")
    secret("b/hub.conf", "")
    assert wrong('[ipsec]\nfiles = [\n"a/hub.conf",\n"b/hub.conf"]') == [
        "shop1.toml:6: another file would be /etc/ipsec.d/hub.conf on the box, too: give one of them another name"
    ]


def test_keys_of_ssh(site: Read, tmp_path: Path) -> None:
    (tmp_path / "ops.pub").write_text(f"# who may\n\n{RSA} ops@example.org\n{ED25519}\n")
    made = render(site(f'[ssh]\nkeys = ["  {ED25519}   a b "]\nkey-files = ["ops.pub"]'))["root/.ssh/authorized_keys"]
    assert made.content.decode().splitlines() == [f"{ED25519} a b", f"{RSA} ops@example.org"]
    assert made.mode == 0o600
    assert directories(["root/.ssh/authorized_keys"]) == {"root": 0o700, "root/.ssh": 0o700}


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("", "a public key begins with its type, such as ssh-ed25519: write the line of a .pub file"),
        ("ssh-dss AAAA", "a public key begins with its type"),
        ("from=x " + ED25519, "a public key begins with its type"),
        ("ssh-ed25519", "this ssh-ed25519 key is damaged, or cut short: write the whole line of a .pub file"),
        (public_key("ssh-ed25519"), "this ssh-ed25519 key is damaged, or cut short"),
        (ED25519[:-8], "this ssh-ed25519 key is damaged, or cut short"),
        (ED25519[:-1] + "!", "this ssh-ed25519 key is damaged, or cut short"),
        (ED25519.replace("ssh-ed25519 ", "ssh-rsa "), "this ssh-rsa key is damaged, or cut short"),
        ("-----BEGIN OPENSSH PRIVATE KEY----- hunter2", "this is a private key, which belongs on your own machine"),
        (f"{ED25519}\\n{RSA}", "a public key is one line"),
    ],
)
def test_a_key_of_ssh_that_is_none(wrong: Wrong, tmp_path: Path, key: str, told: str) -> None:
    (found,) = wrong(f'[ssh]\nkeys = [\n"{key}"]')
    assert found.startswith(f"shop1.toml:5: {told}")
    assert "hunter2" not in found
    if key and "\\n" not in key:
        (tmp_path / "x.pub").write_text(f"\n{key}\n")
        assert wrong('[ssh]\nkey-files = ["x.pub"]') == [found.replace("shop1.toml:5", "x.pub:2")]


def test_a_file_of_keys_without_a_key(wrong: Wrong, tmp_path: Path) -> None:
    (tmp_path / "x.pub").write_text("# nobody\n")
    assert wrong('[ssh]\nkey-files = ["x.pub"]') == ["shop1.toml:4: x.pub: there is no key in it"]


def test_ipsec_of_a_site(site: Read, tmp_path: Path) -> None:
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub/hub.conf").write_text("conn hub\n\tauto=ignore")
    made = render(
        site('[ipsec]\nconfig = """\nversion 2\nconfig setup\n"""\nfiles = ["hub/hub.conf"]\n'
             '[ipsec.policies]\nprivate-or-clear = ["0.0.0.0/0"]\nclear = ["192.0.2.0/24", "198.51.100.7"]')
    )  # fmt: skip
    assert made["etc/ipsec.conf"].content == b"version 2\nconfig setup\n\ninclude ipsec.d/hub.conf\n"
    assert made["etc/ipsec.d/hub.conf"].content == b"conn hub\n\tauto=ignore\n"
    assert made["etc/ipsec.d/policies/private-or-clear"].content == b"0.0.0.0/0\n"
    assert made["etc/ipsec.d/policies/clear"].content == b"192.0.2.0/24\n198.51.100.7/32\n"


def test_files_alone_have_a_beginning_before_them(site: Read, tmp_path: Path) -> None:
    (tmp_path / "hub.conf").write_text("conn hub\n\tauto=ignore\n")
    made = render(site('[ipsec]\nfiles = ["hub.conf"]'))
    assert made["etc/ipsec.conf"].content.decode() == (
        "version 2\n\nconfig setup\n\tinterfaces=%defaultroute\n\ninclude ipsec.d/hub.conf\n"
    )


@pytest.mark.parametrize("zone", ["Europe/Wien", "../../etc/passwd", "/etc/localtime", "", "Europe", "\\u001b[2J"])
def test_a_time_zone_that_nobody_knows(wrong: Wrong, zone: str) -> None:
    (found,) = wrong(f'timezone = "{zone}"')
    assert found.startswith("shop1.toml:3: ")
    assert "is no time zone that is known here" in found or "is not a time zone such as Europe/Vienna or" in found


def test_nothing_is_read_before_it_is_rendered(site: Read) -> None:
    read = site(PPPOE)
    with pytest.raises(SiteError, match="pw: there is no such file"):
        render(read)
