"""A new box, set up by a person at its serial line who reads what it says and types the answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from builder.smoke.box import Box

pytestmark = [pytest.mark.once, pytest.mark.usefixtures("story")]

PHRASE = "a swan on 2 lakes"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f installer@laptop"
SITE = f"""\
format = 1
name = "shop1"
timezone = "Europe/Vienna"

[wan]
interface = "eth0"
vlan = 7
address = "203.0.113.5/24"
gateway = "203.0.113.1"

[[lan]]
interface = "eth1"
address = "10.8.0.1/16"
dhcp = "10.8.1.0-10.8.1.255"

[dns]
servers = ["9.9.9.9", "1.1.1.1"]

[ntp]
off = true

[ssh]
keys = [
    "{KEY}",
]
"""
# What the box asks, and what is answered, typing errors too.
DIALOGUE = [
    ("menu> ", "w"),
    ("or none [eth0]: ", "eth0.7"),
    ("[dhcp]: ", "203.0.113.5/33"),
    ("? dhcp, pppoe, none, or an address", None),
    ("[dhcp]: ", "203.0.113.5/24"),
    ("Router, or none [none]: ", "203.0.114.1"),
    ("? an address in the network of 203.0.113.5/24", None),
    ("Router, or none [none]: ", "203.0.113.1"),
    ("Name servers, comma between, or none [none]: ", "9.9.9.9,1.1.1.1"),
    ("menu> ", "l"),
    ("or none [eth1]: ", ""),
    ("[192.168.77.1/24]: ", "10.8.0.1/16"),
    ("DHCP gives out, as 10.8.0.100-10.8.0.199, or none [none]: ", "10.8.1.0-10.8.1.255"),
    ("menu> ", "n"),
    ("[cygnet]: ", "shop1"),
    ("menu> ", "p"),
    ("New password: ", PHRASE),
    ("Retype password: ", PHRASE),
    ("menu> ", "k"),
    ("Enter: done []: ", KEY[:60] + KEY[61:]),
    ("? one whole line", None),
    ("Enter: done []: ", KEY),
    ("menu> ", "t"),
    ("it is right []: ", ""),
    ("[UTC]: ", "Europe/Viena"),
    ("? a zone that is known, perhaps Europe/Vienna", None),
    ("[UTC]: ", "Europe/Vienna"),
    ("[none]: ", "off"),
    ("menu> ", "?"),
    ("NOT APPLIED", None),
    ("menu> ", "a"),
]


class Person:
    """Reads a serial line and types on it."""

    def __init__(self, line: Any) -> None:
        self._line = line

    def sees(self, text: str, seconds: float = 30) -> str:
        """Waits for it; what came before it."""
        _, before, _, _ = self._line.expect(re.escape(text), timeout=seconds)
        return str(before.decode().replace("\r", ""))

    def types(self, text: str) -> None:
        self._line.sendline(text)

    def answers(self, question: str, answer: str | None, seconds: float = 30) -> str:
        """Waits for a question, and answers it; with None there is nothing to answer."""
        before = self.sees(question, seconds)
        if answer is not None:
            self.types(answer)
        return before


@pytest.fixture(scope="module")
def story(boxes: dict[str, Box]) -> Iterator[dict[str, str]]:
    """What a new box showed while somebody set it up by its menu; it is new again at the end."""
    box, said = boxes["box-b"], {}
    box.log_in()
    box.restart("factory-reset --yes")
    box.hand_over()
    person = Person(box.line)
    said["new"] = person.answers(" login: ", "?")
    said["menu"] = "".join(person.answers(question, answer) for question, answer in DIALOGUE)
    said["applied"] = person.answers("Restart now y/n [y]: ", "", seconds=120)
    # Without what the machine and the kernel say before.
    said["screen"] = person.answers("shop1 login: ", "?", seconds=60).rpartition("\nCygnet ")[2]
    # A password was set: the menu asks for it as the login does.
    person.answers("assword: ", "a guess")
    said["refused"] = person.answers("shop1 login: ", "root")
    person.answers("assword: ", PHRASE)
    said["again"] = person.answers("menu> ", "s")
    said["status"] = person.answers("menu> ", "q")
    # For the tests' plain login.
    person.answers("shop1 login: ", "root")
    person.answers("assword: ", PHRASE)
    person.answers("root@shop1:~# ", "passwd -d root")
    person.answers("root@shop1:~# ", "exit")
    box.log_in()
    yield said
    box.restart("factory-reset --yes")


def test_new_box_offers_its_menu(story: dict[str, str]) -> None:
    """A box without settings says so above its login prompt, and that ? sets it up"""
    assert "NOT SET UP YET. Type ? and Enter" in story["new"]
    assert re.search(r"^  eth1 +192\.168\.77\.1/24 \(LAN\)$", story["new"], re.MULTILINE)


def test_menu_needs_nothing_of_a_terminal(story: dict[str, str]) -> None:
    """What the menu and the screens send is plain lines, no control sequences, and no password"""
    everything = "".join(story.values())
    assert "\x1b" not in everything
    assert PHRASE not in everything
    assert len(story["screen"]) < 960


def test_site_file_is_what_was_typed(story: dict[str, str], box_b: Box) -> None:
    """The menu writes the site file, without the typing errors, and `python -m cygnet_site check` takes it"""
    assert re.search(r"seconds:( \d+)+$", story["applied"], re.MULTILINE)
    lines = box_b.text("cat /etc/cygnet/site.toml").splitlines()
    assert "\n".join(lines[1:]) + "\n" == SITE
    box_b.text("python3 -m cygnet_site check /etc/cygnet/site.toml", timeout=60)
    box_b.text("test -e /data/etc/cygnet/site.toml")
    assert "new" not in box_b.text("ls /etc/cygnet")


def test_network_is_as_asked(box_b: Box) -> None:
    """After the restart addresses, router, name servers, DHCP server, name and time zone are as asked"""
    addresses = box_b.text("ip -br -4 address show up")
    assert re.search(r"^eth0\.7@eth0 +\S+ +203\.0\.113\.5/24 *$", addresses, re.MULTILINE)
    assert re.search(r"^eth1 +\S+ +10\.8\.0\.1/16 *$", addresses, re.MULTILINE)
    assert "via 203.0.113.1 dev eth0.7" in box_b.text("ip route show default")
    assert box_b.text("cat /etc/resolv.conf").split() == ["nameserver", "9.9.9.9", "nameserver", "1.1.1.1"]
    assert box_b.text("hostname") == "shop1"
    assert box_b.text("date +%Z") in ("CET", "CEST")
    assert box_b.text("ls /run/service").split().count("udhcpd") == 1
    assert box_b.text("cat /root/.ssh/authorized_keys") == KEY
    assert box_b.text("stat -c %a /root/.ssh/authorized_keys") == "600"


def test_firewall_follows(box_b: Box) -> None:
    """The firewall that a boot loads is that of the new addresses"""
    status = box_b.wait_for("box status", lambda text: "state: ok" in text, seconds=60)
    assert "firewall: policy" in status


def test_set_up_box_shows_how_it_is(story: dict[str, str]) -> None:
    """From then on the serial line shows how the box is, and no longer offers to set it up"""
    for shown in (story["screen"], story["status"]):
        assert "NOT SET UP YET" not in shown
        assert re.search(r"^  eth0\.7 +203\.0\.113\.5/24 \(WAN\)$", shown, re.MULTILINE)
        assert re.search(r"^  eth1 +10\.8\.0\.1/16 \(LAN\)$", shown, re.MULTILINE)
        assert re.search(r"^  up +\d+ min, load [\d.]+, \d+ of \d+ MB free, ", shown, re.MULTILINE)


def test_menu_asks_for_the_password(story: dict[str, str]) -> None:
    """Once a password is set nobody gets into the menu without it; with it the menu knows what it wrote"""
    assert "Login incorrect" in story["refused"]
    assert "menu>" not in story["refused"]
    assert re.search(r"^  w  WAN +eth0\.7, 203\.0\.113\.5/24 by 203\.0\.113\.1", story["again"], re.MULTILINE)
    assert re.search(r"^  p  password  is set$", story["again"], re.MULTILINE)


def test_box_still_has_a_plain_login(box_b: Box) -> None:
    """A program that waits for the login prompt and types root finds a shell, as on a box without a menu"""
    assert box_b.text("id -u") == "0"
    assert box_b.text("box screen").count("shop1") == 0


def test_power_cut_while_settings_are_written(box_b: Box) -> None:
    """Power that goes while a site file is applied leaves no half: the next boot completes it, and starts with it"""
    box_b.text(
        "sed s/shop1/shop2/ /etc/cygnet/site.toml >/tmp/site.toml && (box apply /tmp/site.toml >/dev/null 2>&1 &)"
    )
    box_b.wait_for("pgrep -f [c]ygnet_site", lambda text: text.isdecimal())
    box_b.text("grep -q shop1 /etc/cygnet/site.toml")
    box_b.switch_off()
    box_b.switch_on()
    Person(box_b.line).sees("They are complete now: restarting.", seconds=180)
    box_b.log_in()
    assert box_b.text("hostname") == "shop2"
    assert "new" not in box_b.text("ls /etc/cygnet")
    box_b.text("grep -q shop2 /etc/cygnet/site.toml")
