"""The menu on the serial line: what a person types, mistakes included, becomes the site file; all of it or nothing."""

from __future__ import annotations

import shutil
import subprocess
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest
from cygnet_site import read_site
from scratch import Box

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
RSA = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAEQCqqqqqqqqqqqqqqqqqqqqq"
APPLY, LATER = "a\n", "n\n"


@pytest.fixture
def menu(box: Box) -> Box:
    """A stock box with two cards; nothing here can touch the machine that runs the test."""
    for card in ("lo", "gre0", "eth0/device", "eth1/device"):
        (box.root / "sys/class/net" / card).mkdir(parents=True)
    for program in ("cmp", "grep", "tr"):
        (box.fakes / program).symlink_to(shutil.which(program) or f"/bin/{program}")
    for program in ("flock", "hwclock", "ipsec", "passwd", "reboot", "stty", "sync"):
        box.fake(program)
    (box.fakes / "sleep").unlink()
    box.fake("sleep", "exec /bin/sleep 0.05")
    # Its clock is never set here.
    (box.fakes / "date").unlink()
    box.fake(
        "date", 'case $* in *-s*) ;; *-19-99*) exit 1 ;; +%s) echo 1764476100 ;; *) echo "2026-11-30 04:15" ;; esac'
    )
    box.fake("python3", 'cp "$4" "$CYGNET_ROOT/applied"')
    return box


def at(box: Box, typed: str) -> subprocess.CompletedProcess[str]:
    done = box.script("menu", typed=typed, IDLE="")
    assert done.stderr == ""
    return done


def made(box: Box) -> str:
    return box.read("etc/cygnet/site.toml")


WAN_TYPOS = [
    ("eth7", "one of eth0 eth1, or none"),
    ("eth0.0", "a network card"),
    ("eth0.4095", "a network card"),
    ("eth0.7.7", "a network card"),
    ("eth0;reboot", "a network card"),
    ("-eth0", "a network card"),
]
ADDRESS_TYPOS = [
    "203.0.113.5",
    "203.0.113.5/33",
    "203.0.113.5/0",
    "203.0.113.5/2 4",
    "203.0.113/24",
    "203.0.113.0/24",
    "203.0.113.255/24",
    "dhpc",
    "$(reboot)/24",
    "203.0.113.5/24\x1b[2J",
    "é",
]
ROUTER_TYPOS = ["203.0.114.1", "203.0.113.5", "203.0.113.0", "203.0.113.255", "203.0.113", "-", "203.0.113.1/24"]
RANGE_TYPOS = [
    ("192.168.77.199-192.168.77.100", "the lower one first"),
    ("192.168.77.100", "the lower one first"),
    ("192.168.77.100-192.168.78.1", "the lower one first"),
    ("192.168.77.200-192.168.77.255", "the lower one first"),
    ("192.168.77.0-192.168.77.9", "the lower one first"),
    ("192.168.77.1-192.168.77.99", "without the box's own, 192.168.77.1"),
]
TIME_TYPOS = ["2026-11-30", "30.11.2026 04:15", "2026-11-30 4:15", "2026-19-99 04:15", "now", "$(reboot)"]
ZONE_TYPOS = ["Europe/", "/etc/shadow", "Europe Vienna", '"', "$(reboot)", "a\\b"]
SERVER_TYPOS = ["pool ntp.org", "a,,b", ",a", "1.2.3", "-p", "$(reboot)"]
NAME_TYPOS = ["", "shop_1", "shop 1", "-shop", "shop.", "shop.example", "$(reboot)", "x" * 64]
KEY_TYPOS = [
    KEY[:-1],
    KEY[:40] + KEY[41:],
    KEY.replace("ssh-ed25519 ", ""),
    KEY.replace("ssh-ed25519", "ssh-dss"),
    KEY.replace("ssh-ed25519", "ssh-rsa"),
    'command="reboot" ' + KEY,
    KEY + ' me"',
    KEY + " $(reboot)",
    RSA[:-1],
    "-----BEGIN OPENSSH PRIVATE KEY-----",
    "7",
]
# What to type before, the typing errors, what to type after.
ENTRIES = [
    pytest.param("w\n", [typo for typo, _ in WAN_TYPOS], ".\n", id="WAN card"),
    pytest.param("w\n\n", ADDRESS_TYPOS, ".\n", id="WAN address"),
    pytest.param("w\n\n203.0.113.5/24\n", ROUTER_TYPOS, ".\n", id="router"),
    pytest.param("w\n\n\n", ["1.1.1.1 8.8.8.8", "1.1.1", "1.1.1.1,", "*", "127.0.0.1"], ".\n", id="name servers"),
    pytest.param("w\n\npppoe\n", ["", "a b", 'a"b', "a\\b"], ".\n", id="account"),
    pytest.param("l\n", ["eth0", "eth2", "eth1."], ".\n", id="LAN card"),
    pytest.param("l\n\n", ["192.168.77.1", "192.168.77.0/24", "dhcp", "none"], ".\n", id="LAN address"),
    pytest.param("l\n\n\n", [typo for typo, _ in RANGE_TYPOS], ".\n", id="LAN range"),
    pytest.param("n\n", NAME_TYPOS[1:], ".\n", id="name"),
    pytest.param("t\n", TIME_TYPOS, ".\n", id="time"),
    pytest.param("t\n\n", ZONE_TYPOS, ".\n", id="zone"),
    pytest.param("t\n\n\n", SERVER_TYPOS, ".\n", id="time servers"),
    pytest.param("k\n", KEY_TYPOS, ".\n", id="key"),
    pytest.param("i\n", ["4", "12", "x"], "\n", id="form of a key"),
]


def test_a_time_zone_is_one_that_the_box_knows(menu: Box) -> None:
    table = "usr/lib/python3/dist-packages/cygnet_site/timezones"
    menu.write(
        table,
        "Asia/Vientiane <+07>-7\nEurope/Rome CET-1CEST\nEurope/Vienna CET-1CEST\nEurope/Vilnius EET-2EEST\nUTC UTC0\n",
    )
    said = at(menu, "t\n\nRome\nEurpoe/Vilnius\nEurope/Viena\nEurope/vi\nCET-1CEST,M3.5.0,M10.5.0/3\n\n").stdout
    assert "  ? a zone that is known, perhaps Europe/Rome\n" in said
    assert "  ? a zone that is known, perhaps Europe/Vilnius\n" in said
    assert "  ? a zone that is known, perhaps Europe/Vienna\n" in said
    assert "  ? a zone that is known, perhaps Europe/Vienna Europe/Vilnius\n" in said
    assert "zone CET-1CEST,M3.5.0,M10.5.0/3" in said


@pytest.mark.parametrize(("before", "typos", "after"), ENTRIES)
def test_every_typing_error_is_told_and_asked_again(menu: Box, before: str, typos: list[str], after: str) -> None:
    menu.write("etc/ipsec.secrets", ": RSA {}")
    said = at(menu, before + "".join(f"{typo}\n" for typo in typos) + after + "?\n").stdout
    assert said.count("\n  ? ") + said.count("]:   ? ") == len(typos), said
    assert "nothing was changed" in said.rpartition("apply")[2]
    assert menu.calls("reboot") == [] and not (menu.root / "applied").exists()


@pytest.mark.parametrize(
    ("before", "typo", "told"),
    [("w\n", *row) for row in WAN_TYPOS] + [("l\n\n\n", *row) for row in RANGE_TYPOS],
)
def test_the_remedy_is_named(menu: Box, before: str, typo: str, told: str) -> None:
    assert f"  ? {told}" in at(menu, f"{before}{typo}\n.\n").stdout or told in at(menu, f"{before}{typo}\n.\n").stdout


def test_a_whole_box_is_described(menu: Box) -> None:
    # Given a new box, when somebody goes through every entry,
    said = at(
        menu,
        "w\neth0.7\n203.0.113.5/24\n203.0.113.1\n9.9.9.9,1.1.1.1\n"
        "l\n\n10.8.0.1/16\n10.8.1.0-10.8.1.255\n"
        "n\nshop1\n"
        f"k\n{KEY} me@desk\n"
        "t\n2026-11-30 04:20\nEurope/Vienna\na.ntp.example,192.0.2.9\n" + APPLY + "y\n",
    ).stdout
    # then the site file says so, as every program understands it,
    site = read_site(menu.root / "etc/cygnet/site.toml")
    assert (site.name, site.timezone) == ("shop1", "Europe/Vienna")
    assert site.wan is not None
    assert (site.wan.device, site.wan.address, site.wan.gateway) == (
        "eth0.7",
        IPv4Interface("203.0.113.5/24"),
        IPv4Address("203.0.113.1"),
    )
    assert [(lan.device, lan.address, str(lan.dhcp)) for lan in site.lans] == [
        ("eth1", IPv4Interface("10.8.0.1/16"), "10.8.1.0-10.8.1.255")
    ]
    assert site.dns.servers == (IPv4Address("9.9.9.9"), IPv4Address("1.1.1.1"))
    assert site.ntp.servers == ("a.ntp.example", "192.0.2.9")
    assert site.ssh.keys == (f"{KEY} me@desk",)
    # the clock was set at once, the file applied, and the box restarts.
    assert menu.calls("date -s") == ["date -s 2026-11-30 04:20"]
    assert menu.read("applied") == made(menu)
    assert menu.calls("python3")[-1].endswith("-m cygnet_site apply " + str(menu.root / "etc/cygnet/site.toml.new"))
    assert menu.calls("reboot") == ["reboot "]
    assert "Restarting." in said


def test_enter_keeps_what_the_box_has(menu: Box) -> None:
    menu.write(
        "etc/cygnet/network",
        "WAN=eth0.5\nWAN_ADDRESS=192.0.2.9/28\nWAN_GATEWAY=192.0.2.1\nDNS=192.0.2.3\nDNSSEC=servers\n"
        "DOMAIN=a.example\nNTP=off\n",
    )
    menu.write("etc/hostname", "old\n")
    at(menu, "w\n\n\n\n\nl\n\n\n\nn\n\nt\n\n\n\n" + APPLY + LATER)
    site = read_site(menu.root / "etc/cygnet/site.toml")
    assert site.wan is not None
    assert (site.name, site.wan.device, str(site.wan.address), str(site.wan.gateway)) == (
        "old",
        "eth0.5",
        "192.0.2.9/28",
        "192.0.2.1",
    )
    assert (site.lans[0].device, site.lans[0].dhcp, site.dns.domain, site.ntp.off) == ("eth1", None, "a.example", True)
    assert (list(map(str, site.dns.servers)), site.dns.dnssec) == (["192.0.2.3"], "servers")
    assert menu.calls("reboot") == []


SITES = [
    pytest.param("", id="nothing"),
    pytest.param("w\nnone\n\nl\nnone\n", id="no network"),
    pytest.param("w\n\nnone\n\n", id="a WAN without address"),
    pytest.param("w\neth1.4094\npppoe\na@isp\nsecret\nsecret\n\nl\neth1\n\n\n", id="PPPoE"),
    pytest.param(f"k\n{KEY} me\nk\n{RSA}\n", id="keys"),
    pytest.param("t\n\nCET-1CEST,M3.5.0,M10.5.0/3\noff\n", id="time"),
    pytest.param("w\n\n203.0.113.5/31\n203.0.113.4\n1.1.1.1\n", id="a link of two"),
]


@pytest.mark.parametrize("typed", SITES)
def test_what_was_written_is_read_again(menu: Box, typed: str) -> None:
    # Given a site file that the menu wrote, and that is one for the programs,
    at(menu, typed + APPLY + LATER)
    before = made(menu)
    read_site(menu.root / "etc/cygnet/site.toml")
    # when nothing is asked but to write it again, then it is the same.
    (menu.root / "applied").unlink()
    at(menu, APPLY + LATER)
    assert made(menu) == before == menu.read("applied")


def test_a_dot_gives_up_a_whole_entry(menu: Box) -> None:
    at(menu, "w\neth1\n10.0.0.1/8\n.\nl\neth1.3\n10.9.0.1/24\n.\nt\n\nEurope/Rome\n.\n" + APPLY + LATER)
    site = read_site(menu.root / "etc/cygnet/site.toml")
    assert site.wan is not None
    assert (site.wan.device, site.wan.address, site.lans[0].device, site.timezone) == ("eth0", "dhcp", "eth1", "UTC")


def test_networks_are_kept_apart(menu: Box) -> None:
    said = at(menu, "w\n\n192.168.0.5/16\n203.0.113.5/24\n\n\nl\n\n203.0.113.200/25\n.\n").stdout
    assert "apart from that of the LAN, 192.168.77.1/24" in said
    assert "apart from that of the WAN, 203.0.113.5/24" in said


def test_the_password_goes_nowhere_but_to_passwd(menu: Box) -> None:
    assert "NONE: this line lets everybody in" in at(menu, "p\n").stdout
    assert menu.calls("passwd") == ["passwd root"]
    menu.write("etc/shadow", "root:$6$x$y:20000:0:99999:7:::\n")
    assert "password  is set" in at(menu, "").stdout


def test_the_providers_password_is_in_a_file_of_its_own(menu: Box) -> None:
    said = at(menu, "w\n\npppoe\na@isp\nsesame\nseasme\nsesame\nsesame\n\n" + APPLY + LATER).stdout
    secret = menu.root / "etc/cygnet/secrets/pppoe"
    assert secret.read_text() == "sesame\n"
    assert (secret.stat().st_mode & 0o777, secret.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert "two different texts" in said
    assert "sesame" not in said + made(menu) + menu.read("calls") + menu.read("dev/kmsg")
    assert menu.calls("stty") == ["stty -echo", "stty echo"] * 2 + ["stty echo"]


def test_a_key_is_removed_by_its_number(menu: Box) -> None:
    menu.write("root/.ssh/authorized_keys", f"# mine\n{KEY} me@desk\n{RSA} old\n")
    said = at(menu, "k\n1\n" + APPLY + LATER).stdout
    assert "  1  ssh-ed25519 me@desk\n  2  ssh-rsa old\n" in said
    assert read_site(menu.root / "etc/cygnet/site.toml").ssh.keys == (f"{RSA} old",)
    # Of the last one nothing is left, though a site file without keys says nothing about them.
    at(menu, "k\n1\n" + APPLY + LATER)
    assert read_site(menu.root / "etc/cygnet/site.toml").ssh.keys == ()
    assert menu.read("root/.ssh/authorized_keys") == ""


def test_keys_that_the_menu_does_not_know_are_told_and_never_lost_unasked(menu: Box) -> None:
    file = menu.write("root/.ssh/authorized_keys", f'from="10.0.0.1" {KEY}\n')
    said = at(menu, "k\n\n" + APPLY + LATER).stdout
    assert "1 lines of" in said
    assert file.read_text() == f'from="10.0.0.1" {KEY}\n'


def test_a_policy_of_ones_own_stays(menu: Box) -> None:
    menu.write("data/etc/cygnet/firewall", "zone wan $WAN\n")
    at(menu, APPLY + LATER)
    assert read_site(menu.root / "etc/cygnet/site.toml").firewall.file == "firewall"


SOMEBODYS = [
    pytest.param("site.toml", 'format = 1\nname = "hub"\n# by hand\n', id="a comment"),
    pytest.param("site.toml", 'format = 1\nname = "hub"\n\n[syslog]\nserver = "10.0.0.1"\n', id="another table"),
    pytest.param("site.toml", "\x1b[2J", id="no TOML"),
    pytest.param("site.toml", "", id="empty"),
    pytest.param("network", "LAN2=eth2\nLAN2_ADDRESS=10.2.0.1/24\n", id="more LANs"),
    pytest.param("network", "SYSLOG=10.0.0.5\n", id="a log server"),
    pytest.param("leases", "52:54:00:12:34:56 192.168.77.9\n", id="leases"),
]


@pytest.mark.parametrize(("name", "text"), SOMEBODYS)
def test_what_says_more_than_the_menu_can_is_left_alone(menu: Box, name: str, text: str) -> None:
    menu.write(f"etc/cygnet/{name}", text)
    said = at(menu, "n\nshop2\na\np\nq\ny\n").stdout
    assert "say more than this menu can" in said.replace("says", "say")
    assert "WAN" not in said.partition("menu> ")[0]
    assert menu.read(f"etc/cygnet/{name}") == text
    assert (menu.calls("python3"), menu.calls("passwd")) == ([], ["passwd root"])


def test_a_file_that_the_checker_refuses_changes_nothing(menu: Box) -> None:
    at(menu, "n\nold\n" + APPLY + LATER)
    before = made(menu)
    menu.fake("python3", 'echo "site.toml:4: no such zone: write Europe/Vienna" >&2; exit 1')
    said = at(menu, "t\n\nEurope/Viena\n\n" + APPLY + "q\ny\n").stdout
    assert "site.toml:4: no such zone: write Europe/Vienna\nNothing was changed" in said
    assert made(menu) == before
    assert not list((menu.root / "etc/cygnet").glob("*.new*"))


def test_a_full_data_partition_is_found_before_anything_is_written(menu: Box) -> None:
    menu.fake("mv", "exit 1")
    assert "The data partition is full.\nNothing was changed" in at(menu, APPLY + "q\ny\n").stdout
    assert made(menu) == "" and menu.calls("python3") == []
    assert not list((menu.root / "etc/cygnet").glob("*.new*"))


def boot(box: Box) -> None:
    for program in ("sysctl", "ip", "iptables", "ip6tables", "iptables-restore", "ip6tables-restore"):
        box.fake(program)
    box.write("proc/sys/kernel/random/entropy_avail", "256\n")
    box.write("etc/ipsec.secrets", "")
    box.script("start")


def test_a_power_cut_leaves_the_old_file_and_the_next_boot_goes_on(menu: Box) -> None:
    # Given a box with a site file, and power that went while the next one was being laid,
    menu.write("etc/cygnet/site.toml", "old\n")
    menu.fake("python3", 'kill -9 "$PPID"')
    menu.write("run/cygnet/new", "new\n")
    menu.script("site-apply", str(menu.root / "run/cygnet/new"))
    assert (made(menu), menu.read("etc/cygnet/site.toml.new")) == ("old\n", "new\n")
    # when it boots, then the work is done again to its end, and once.
    menu.fake("python3", 'cp "$4" "$CYGNET_ROOT/applied"')
    boot(menu)
    boot(menu)
    assert (made(menu), menu.read("applied"), menu.calls("reboot")) == ("new\n", "new\n", ["reboot "])
    assert not (menu.root / "etc/cygnet/site.toml.new").exists()


def test_a_boot_goes_on_only_with_work_that_was_begun(menu: Box) -> None:
    menu.write("etc/cygnet/site.toml", "old\n")
    boot(menu)
    assert menu.calls("python3") == []


def test_a_half_written_file_that_is_refused_at_boot_is_forgotten(menu: Box) -> None:
    menu.write("etc/cygnet/site.toml", "old\n")
    menu.write("etc/cygnet/site.toml.new", "half")
    menu.fake("python3", "exit 1")
    boot(menu)
    assert (made(menu), menu.calls("reboot")) == ("old\n", [])
    assert not (menu.root / "etc/cygnet/site.toml.new").exists()


def test_leaving_asks_about_what_is_not_applied_and_about_the_offer(menu: Box) -> None:
    declined = menu.root / "etc/cygnet/menu-declined"
    # Enter stays with what was typed; the end of the line keeps the offer.
    said = at(menu, "n\nshop1\nq\n\n?\n").stdout
    assert "NOT APPLIED: what was changed" in said and not declined.exists()
    assert at(menu, "n\nshop1\nq\ny\ny\n").returncode == 0
    assert made(menu) == "" and not declined.exists()
    at(menu, "q\nn\n")
    assert declined.exists()
    # It was declined, and is not asked about again.
    assert "Offer" not in at(menu, "q\n").stdout


def test_nobody_answers(menu: Box) -> None:
    done = at(menu, "n\nshop1\nw\n")
    assert (done.returncode, made(menu)) == (1, "")
    assert done.stdout.endswith("Nobody answers: the menu ends.\n")


def test_two_people_do_not_fill_in_one_form(menu: Box) -> None:
    menu.fake("flock", "exit 1")
    assert "Somebody else is in the menu" in at(menu, "w\n").stdout


def test_noise_is_told_with_what_would_help(menu: Box) -> None:
    said = at(menu, "W\nww\n\x07\n\xff\nx\n").stdout
    assert said.count("? shows what there is") == 4


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ("1\n", "ipsec showhostkey --left"),
        ("2\n", "ipsec showhostkey --ipseckey"),
        ("3\n\n", "ipsec showhostkey --txt @cygnet"),
        ("3\n203.0.113.5\n", "ipsec showhostkey --txt 203.0.113.5"),
        ("3\n-x\n@a b\n@gate.example\n", "ipsec showhostkey --txt @gate.example"),
    ],
)
def test_the_keys_of_a_box_are_shown(menu: Box, typed: str, asked: str) -> None:
    menu.write("run/cygnet/ssh-fingerprint", "SHA256:abc\n")
    assert "IPsec key not made yet" in at(menu, "i\n").stdout
    menu.write("etc/ipsec.secrets", ": RSA {}")
    menu.fake("ipsec", "echo a-key")
    said = at(menu, f"i\n{typed}").stdout
    assert "SSH   SHA256:abc\n" in said and "seconds: 1\na-key\n" in said
    assert menu.calls("ipsec") == [asked]


def test_box_names_the_ways_in(box: Box) -> None:
    assert "screen | menu | apply [FILE]" in box.run([str(box.root / "usr/sbin/box")]).stderr


def test_a_file_of_ones_own_is_applied(menu: Box, tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text("mine\n")
    assert "Written to" in menu.script("site-apply", str(mine)).stdout
    assert made(menu) == "mine\n"
    assert "There is no file" in menu.script("site-apply", "/nowhere").stderr
