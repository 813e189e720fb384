"""The firewall at boot: loaded before anything is up, closed if it cannot be, and forwarding that goes with it."""

from __future__ import annotations

import pytest
from scratch import LIBRARY, Box

STOCK, OWN = "usr/lib/cygnet/firewall", "etc/cygnet/firewall.rules"
SWITCHES = ("proc/sys/net/ipv4/ip_forward", "proc/sys/net/ipv6/conf/all/forwarding")
RULES = "# from: 00\n*filter\n:INPUT DROP\n:FORWARD DROP\n:OUTPUT ACCEPT\n-A INPUT -i lo -j ACCEPT\nCOMMIT\n"
# A stand-in for the kernel: what was restored last, if it is whole; -S shows the policies as iptables does.
RESTORE = """cat >"$CYGNET_ROOT/{0}.given"
[ ! -s "$CYGNET_ROOT/{0}.given" ] || [ "$(sed -n '$p' "$CYGNET_ROOT/{0}.given")" = COMMIT ] || exit 1
! grep -q REFUSED "$CYGNET_ROOT/{0}.given" || exit 1
[ ! -s "$CYGNET_ROOT/{0}.given" ] || cp "$CYGNET_ROOT/{0}.given" "$CYGNET_ROOT/{0}.in-force"
"""
SHOW = """sed -n 's/^:\\(INPUT\\|FORWARD\\|OUTPUT\\) \\([A-Z]*\\).*/-P \\1 \\2/p' "$CYGNET_ROOT/{0}.in-force" 2>/dev/null ||
printf -- '-P INPUT ACCEPT\\n-P FORWARD ACCEPT\\n-P OUTPUT ACCEPT\\n'
"""


@pytest.fixture
def firewall(box: Box) -> Box:
    for name in ("iptables", "ip6tables"):
        box.fake(f"{name}-restore", RESTORE.format(name))
        box.fake(name, SHOW.format(name))
    for program in ("sysctl", "ip", "ipsec"):
        box.fake(program)
    (box.fakes / "grep").symlink_to("/bin/grep")
    box.write("etc/ipsec.secrets", "")
    box.write("proc/sys/kernel/random/entropy_avail", "256\n")
    for switch in SWITCHES:
        box.write(switch, "0\n")
    for name, value in (("eth0", "1\n"), ("eth1", "0\n")):
        box.write(f"proc/sys/net/ipv6/conf/{name}/accept_ra", value)
    give(box, STOCK)
    return box


def give(box: Box, folder: str, v4: str = RULES, v6: str = RULES) -> None:
    box.write(f"{folder}/rules.v4", v4)
    box.write(f"{folder}/rules.v6", v6)


def forwards(box: Box) -> list[str]:
    return [box.read(switch) for switch in SWITCHES]


def in_force(box: Box) -> tuple[str, str, str]:
    return box.read("run/cygnet/firewall").strip(), box.read("iptables.in-force"), box.read("ip6tables.in-force")


def test_a_boot_loads_the_images_rules_before_the_network_and_forwards(firewall: Box) -> None:
    firewall.script("start")
    assert in_force(firewall) == ("stock", RULES, RULES)
    names = [call.split()[0] for call in firewall.calls()]
    assert names.index("iptables-restore") < names.index("ip6tables-restore") < names.index("ip")
    assert forwards(firewall) == ["1\n", "1\n"]
    # Forwarding must not make the box deaf to its own router.
    assert firewall.read("proc/sys/net/ipv6/conf/eth0/accept_ra") == "2\n"
    assert firewall.read("proc/sys/net/ipv6/conf/eth1/accept_ra") == "0\n"


def test_an_administrators_confirmed_rules_come_first(firewall: Box) -> None:
    own = RULES.replace("-i lo", "-i eth9")
    give(firewall, OWN, own, own)
    firewall.script("start")
    assert in_force(firewall) == ("own", own, own)
    assert forwards(firewall) == ["1\n", "1\n"]


DAMAGED = {
    "a line that is refused": (RULES.replace("-i lo", "-i lo REFUSED"), RULES),
    "the other family's": (RULES, RULES.replace("-i lo", "-i lo REFUSED")),
    "cut short": (RULES[: len(RULES) // 2], RULES),
    "empty": ("", ""),
    "one empty": (RULES, ""),
    "open": (RULES.replace("FORWARD DROP", "FORWARD ACCEPT"), RULES),
}


@pytest.mark.parametrize("folder", [STOCK, OWN])
@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_rules_close_the_box_and_are_said(firewall: Box, case: str, folder: str) -> None:
    give(firewall, folder, *DAMAGED[case])
    firewall.script("start")
    kind, v4, v6 = in_force(firewall)
    assert kind == "fallback"
    for rules in (v4, v6):
        assert ":FORWARD DROP" in rules
        assert "-A FORWARD" not in rules
    assert f"RULES IN /{folder} CANNOT BE USED" in firewall.said


def test_rules_that_are_not_there_close_the_box(firewall: Box) -> None:
    (firewall.root / STOCK / "rules.v6").unlink()
    firewall.script("start")
    assert in_force(firewall)[0] == "fallback"


def test_the_fallback_lets_in_what_repairs_it(firewall: Box) -> None:
    firewall.write("etc/cygnet/network", "WAN=ppp0\nLAN=br0\n")
    give(firewall, STOCK, "", "")
    firewall.script("start")
    accepted = [line for line in in_force(firewall)[1].splitlines() if line.startswith("-A")]
    assert accepted == [
        "-A INPUT -i lo  -j ACCEPT",
        "-A OUTPUT -o lo  -j ACCEPT",
        "-A INPUT -i br0 -p tcp --dport 22 -j ACCEPT",
        "-A OUTPUT -o br0 -p tcp --sport 22 -j ACCEPT",
        "-A INPUT -i ppp0 -p udp -m multiport --dports 500,4500 -j ACCEPT",
        "-A OUTPUT -o ppp0 -p udp -m multiport --sports 500,4500 -j ACCEPT",
        "-A INPUT -i ppp0 -p esp -j ACCEPT",
        "-A OUTPUT -o ppp0 -p esp -j ACCEPT",
        "-A INPUT -i ppp0 -p ah -j ACCEPT",
        "-A OUTPUT -o ppp0 -p ah -j ACCEPT",
        "-A INPUT -i ppp0 -p udp --sport 67 --dport 68 -j ACCEPT",
        "-A OUTPUT -o ppp0 -p udp --sport 68 --dport 67 -j ACCEPT",
    ]


def test_a_box_without_a_wan_or_lan_has_no_rule_for_it(firewall: Box) -> None:
    firewall.write("etc/cygnet/network", "WAN=\nLAN=\n")
    give(firewall, STOCK, "", "")
    firewall.script("start")
    assert " -i -" not in in_force(firewall)[1]
    assert " -i lo" in in_force(firewall)[1]


def test_without_any_firewall_nothing_is_forwarded(firewall: Box) -> None:
    for name in ("iptables", "ip6tables"):
        firewall.fake(f"{name}-restore", "exit 1")
    firewall.script("start")
    assert firewall.read("run/cygnet/firewall") == "none\n"
    assert forwards(firewall) == ["0\n", "0\n"]


def test_where_there_are_connections_the_daemon_says_when_to_forward(firewall: Box) -> None:
    # Given a box with a connection, when it boots, then it does not forward yet,
    firewall.write("etc/ipsec.conf", "version 2\nconn office\n\tauto=start\n")
    firewall.script("start")
    assert forwards(firewall) == ["0\n", "0\n"]
    # but the daemon is told how to say that its routes stand;
    firewall.run([str(firewall.root / "etc/sv/ipsec/run")])
    [call] = firewall.calls("ipsec pluto")
    assert call == f"ipsec pluto --forwarding {firewall.root}/{LIBRARY}/forwarding"
    firewall.script("forwarding", "on")
    assert forwards(firewall) == ["1\n", "1\n"]
    # when it takes them away, all settings are those of the file.
    firewall.script("forwarding", "off")
    assert firewall.calls("sysctl")[-1] == f"sysctl -e -q -p {firewall.root}/etc/sysctl.conf"


def test_forwarding_is_not_turned_on_without_a_firewall(firewall: Box) -> None:
    assert firewall.script("forwarding", "on").returncode == 1
    assert forwards(firewall) == ["0\n", "0\n"]
    assert firewall.script("forwarding", "sideways").returncode == 2


STATUS = [
    ("stock", True, "firewall: stock", ""),
    ("own", True, "firewall: own", ""),
    ("fallback", True, "firewall: fallback", "closed fallback is in force"),
    ("stock", False, "firewall: none", "no firewall is in force"),
]


@pytest.mark.parametrize(("kind", "loaded", "line", "problem"), STATUS)
def test_box_status_says_which_firewall_is_in_force(
    firewall: Box, kind: str, loaded: bool, line: str, problem: str
) -> None:
    firewall.write("proc/meminfo", "MemTotal: 1 kB\n")
    firewall.write("proc/mounts", "")
    firewall.write("run/cygnet/firewall", kind + "\n")
    if loaded:
        for name in ("iptables", "ip6tables"):
            firewall.write(f"{name}.in-force", RULES)
    said = firewall.run([str(firewall.root / "usr/sbin/cygnet-status")]).stdout.splitlines()
    assert line in said
    assert "forwarding: off" in said
    problems = [one for one in said if one.startswith("problem: ") and "firewall" in one]
    assert [problem in one for one in problems] == ([True] if problem else [])
