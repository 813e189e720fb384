"""The serial line while nobody is logged in: how the box is doing, a plain login, and the way to the menu."""

from __future__ import annotations

import shutil

import pytest
from scratch import Box

ADDRESSES = "lo               UNKNOWN        127.0.0.1/8 \n"
WAN = "eth0             UP             203.0.113.5/24 metric 10 \n"
LAN = "eth1.7@eth1      UP             192.168.77.1/24 10.0.0.1/8 \n"
OFFER = "NOT SET UP YET"
PROMPT = "\n? is the menu, Enter shows this again.\nshop1 login: "

SA = "src 192.0.2.1 dst 192.0.2.{peer}\n\tproto esp spi {spi} reqid {reqid} mode tunnel\n\treplay-window 0 \n"
POLICY = """\
src 10.1.0.0/24 dst 10.{peer}.0.0/24 \n\tdir {direction} priority 100 ptype main \n\
\ttmpl src 192.0.2.1 dst {gateway}\n\t\tproto {protocol} reqid {reqid} mode {mode}
"""


@pytest.fixture
def line(box: Box) -> Box:
    (box.fakes / "tr").symlink_to(shutil.which("tr") or "/bin/tr")
    box.write("usr/lib/cygnet/image", "version=1.2\nboard=pc486\n")
    box.write("proc/sys/kernel/osrelease", "6.12.107\n")
    box.write("proc/sys/kernel/hostname", "shop1\n")
    box.write("proc/uptime", "7385.20 1.00\n")
    box.write("proc/loadavg", "0.05 0.10 0.20 1/33 55\n")
    box.write("proc/meminfo", "MemTotal: 45056 kB\nMemFree: 1 kB\nMemAvailable: 21504 kB\n")
    box.fake("date", "echo 2026-11-30 04:15 CET")
    for card in ("eth0", "eth1"):
        (box.root / "sys/class/net" / card).mkdir()
    kernel(box, WAN)
    return box


def kernel(box: Box, addresses: str, states: str = "", policies: str = "") -> None:
    """What `ip` says."""
    for name, text in (("addresses", ADDRESSES + addresses), ("states", states), ("policies", policies)):
        box.write(f"ip-{name}", text)
    box.fake(
        "ip", 'case $* in *state) f=states ;; *policy) f=policies ;; *) f=addresses ;; esac; cat "$CYGNET_ROOT/ip-$f"'
    )


def screen(box: Box) -> list[str]:
    """Its lines, without those that are empty."""
    shown = box.script("screen")
    assert (shown.returncode, shown.stderr) == (0, "")
    return [text for text in shown.stdout.splitlines() if text]


def test_a_new_box_shows_how_it_is_and_offers_the_menu(line: Box) -> None:
    line.write("run/cygnet/ssh-fingerprint", "SHA256:abc\n")
    assert screen(line) == [
        "Cygnet 1.2 on pc486, Linux 6.12.107",
        "  up       2 h 3 min, load 0.05, 21 of 44 MB free, 2026-11-30 04:15 CET",
        "  eth0     203.0.113.5/24 metric 10 (WAN)",
        "  eth1     no address (LAN)",
        "  ssh      SHA256:abc",
        "  NOT SET UP YET. Type ? and Enter: WAN, LAN, password, SSH keys, time.",
    ]


@pytest.mark.parametrize("file", ["etc/cygnet/site.toml", "data/etc/cygnet/network", "etc/cygnet/menu-declined"])
def test_the_offer_ends_with_a_box_that_was_set_up_or_with_a_no(line: Box, file: str) -> None:
    assert OFFER in screen(line)[-1]
    line.write(file, "")
    assert OFFER not in "".join(screen(line))


def test_cards_are_told_by_what_they_are_for(line: Box) -> None:
    line.write("etc/cygnet/network", "WAN=eth0\nWAN_ADDRESS=dhcp\nLAN=eth1\n")
    line.write("sys/class/net/eth0/carrier", "0\n")
    kernel(line, LAN)
    assert screen(line)[2:5] == [
        "  eth1.7   192.168.77.1/24 10.0.0.1/8",
        "  eth0     no cable (WAN)",
        "  eth1     no address (LAN)",
    ]
    line.write("etc/cygnet/network", "WAN=eth9\nLAN=\n")
    assert "  eth9     no such card (WAN)" in screen(line)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(59, "0 min"), (3599, "59 min"), (3600, "1 h 0 min"), (86399, "23 h 59 min"), (90000, "1 d 1 h")],
)
def test_how_long_it_is_up(line: Box, seconds: int, told: str) -> None:
    line.write("proc/uptime", f"{seconds}.00 1.00\n")
    assert f"up       {told}," in screen(line)[1]


def policy(peer: int, **more: object) -> str:
    fields = {
        "direction": "out",
        "gateway": f"192.0.2.{peer}",
        "protocol": "esp",
        "reqid": 16380 + peer,
        "mode": "tunnel",
    }
    return POLICY.format(peer=peer, **{**fields, **more})


def sa(peer: int, spi: str = "0x0000beef") -> str:
    return SA.format(peer=peer, spi=spi, reqid=16380 + peer)


def test_tunnels_are_those_that_the_kernel_has(line: Box) -> None:
    line.write("run/pluto/pluto.ctl", "")
    block = "src 10.9.0.0/24 dst 10.1.0.0/24 \n\tdir out action block priority 100 ptype main \n"
    inbound = policy(2, direction="in")
    bundle = policy(4).rstrip("\n") + "\n\ttmpl src 0.0.0.0 dst 0.0.0.0\n\t\tproto ah reqid 16384 mode transport\n"
    host = policy(5, gateway="0.0.0.0", mode="transport").replace("10.5.0.0/24", "192.0.2.5/32")
    # The third has an SA that only waits for one, the last has somebody else's.
    kernel(
        line,
        WAN,
        sa(2) + sa(3, "0x00000000") + sa(4) + sa(5),
        block + inbound + policy(2) + policy(3) + bundle + host + policy(6),
    )
    shown = screen(line)
    assert shown[shown.index("  ipsec    3 of 5 tunnels up") + 1 : -1] == [
        "    up     10.1.0.0/24 - 10.2.0.0/24 by 192.0.2.2",
        "    down   10.1.0.0/24 - 10.3.0.0/24 by 192.0.2.3",
        "    up     10.1.0.0/24 - 10.4.0.0/24 by 192.0.2.4",
        "    up     10.1.0.0/24 - 192.0.2.5/32 by 192.0.2.5",
        "    down   10.1.0.0/24 - 10.6.0.0/24 by 192.0.2.6",
    ]


def test_a_hub_does_not_fill_a_slow_line(line: Box) -> None:
    line.write("run/pluto/pluto.ctl", "")
    kernel(line, WAN, sa(30), "".join(policy(peer) for peer in range(2, 32)))
    shown = screen(line)
    assert "  ipsec    1 of 30 tunnels up" in shown
    assert len(shown) == 15
    assert "and 22 more" in shown[-2]


def test_without_the_daemon_nothing_is_asked_about_tunnels(line: Box) -> None:
    assert not any("tunnels" in text for text in screen(line))
    assert line.calls("ip") == ["ip -br -4 address show up"]


def test_a_damaged_data_partition_is_told(line: Box) -> None:
    line.write("run/cygnet/boot", "data=tmpfs\n")
    assert "  DATA PARTITION NOT USABLE: settings are lost at the next boot" in screen(line)


def door(box: Box, typed: str) -> tuple[str, list[str]]:
    """What it shows, and how login was called."""
    box.fake("login", 'echo "menu=${CYGNET_MENU:-no}" >>"$CYGNET_ROOT/calls"')
    shown = box.script("door", typed=typed)
    assert shown.stderr == ""
    return shown.stdout, box.calls("login") + box.calls("menu=")


@pytest.mark.parametrize(
    ("typed", "called"),
    [
        ("root\n", ["login -- root", "menu=no"]),
        ("?\n", ["login -p -- root", "menu=1"]),
        ("? \n", ["login -- ? ", "menu=no"]),
        ("-f root\n", ["login -- -f root", "menu=no"]),
        ("$(reboot)\n", ["login -- $(reboot)", "menu=no"]),
        ("rox\bot\n", ["login -- root", "menu=no"]),
        ("\b\broot\n", ["login -- root", "menu=no"]),
        ("\x1b\x00root\x07\n", ["login -- root", "menu=no"]),
        ("", []),
        ("half a na", []),
    ],
)
def test_whatever_is_typed_is_a_login_but_for_the_question_mark(line: Box, typed: str, called: list[str]) -> None:
    assert door(line, typed)[1] == called


def test_a_program_finds_its_login_prompt_and_enter_shows_the_screen_again(line: Box) -> None:
    shown, called = door(line, "\n\nroot\n")
    assert shown.endswith(PROMPT)
    assert shown.count(PROMPT) == shown.count("Cygnet 1.2 on pc486") == 3
    assert called == ["login -- root", "menu=no"]


def test_getty_makes_the_line_ready_and_asks_for_no_name(line: Box) -> None:
    line.fake("getty")
    line.write("run/cygnet/boot", "boot-seconds=3\n")
    line.script("console", "ttyS0", "9600")
    assert line.calls("getty") == [f"getty -L -n -i -l {line.root}/usr/lib/cygnet/door 9600 ttyS0 dumb"]


def test_the_first_screen_waits_for_the_network_but_not_for_ever(line: Box) -> None:
    line.fake("getty")
    (line.fakes / "sleep").unlink()
    line.fake("sleep", 'echo boot-seconds=3 >"$CYGNET_ROOT/run/cygnet/boot"')
    line.script("console", "ttyS0", "9600")
    assert [call.split()[0] for call in line.calls()] == ["sleep", "getty"]
    (line.root / "run/cygnet/boot").unlink()
    line.fake("sleep")
    line.script("console", "ttyS0", "9600")
    assert len(line.calls("sleep")) == 11


def test_a_screen_takes_less_than_a_second_at_9600_baud(line: Box) -> None:
    line.write("run/pluto/pluto.ctl", "")
    line.write("run/cygnet/ssh-fingerprint", "SHA256:" + "x" * 43 + "\n")
    kernel(line, WAN + LAN, "", "".join(policy(peer) for peer in range(100, 200)))
    shown = line.script("screen").stdout
    assert len(shown) < 960
    # A dumb terminal: nothing but lines.
    assert shown.replace("\n", "").isascii() and shown.replace("\n", "").isprintable()
    assert max(map(len, shown.splitlines())) < 80
