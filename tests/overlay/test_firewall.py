"""The firewall at boot: loaded before anything is up, closed if it cannot be, and forwarding that goes with it."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys

import pytest
from scratch import LIBRARY, OVERLAY, Box

PLACE = "etc/cygnet/firewall.rules"
SWITCHES = ("proc/sys/net/ipv4/ip_forward", "proc/sys/net/ipv6/conf/all/forwarding")
POLICY, NETWORK = "zone lan $LAN $LAN_ADDRESS\n", "WAN_ADDRESS=192.0.2.1/24\nLAN=br0\n"
# Of both, as `python -m cygnet.firewall` has it.
DIGEST = hashlib.sha256(
    f"{POLICY}WAN=eth0\nLAN=br0\nWAN_ADDRESS=192.0.2.1/24\nLAN_ADDRESS=192.168.77.1/24\n".encode()
).hexdigest()
RULES = (
    f"# from: {DIGEST}\n*filter\n:INPUT DROP\n:FORWARD DROP\n:OUTPUT ACCEPT\n:to-box -\n"
    "-A INPUT -j to-box\n-A to-box -i lo -j ACCEPT\nCOMMIT\n"
)
MORE = "WAN=eth0.7\nWAN_ADDRESS=pppoe\nLAN2=eth1.20\nLAN2_ADDRESS=10.2.0.1/16\nLAN8=eth9\nLAN3_ADDRESS=10.3.0.1/24\n"
# A stand-in for the kernel: what was restored last, if it is whole; -S shows the policies as iptables does.
RESTORE = """cat >"$CYGNET_ROOT/{0}.given"
[ ! -s "$CYGNET_ROOT/{0}.given" ] || [ "$(sed -n '$p' "$CYGNET_ROOT/{0}.given")" = COMMIT ] || exit 1
! grep -q REFUSED "$CYGNET_ROOT/{0}.given" || exit 1
[ ! -s "$CYGNET_ROOT/{0}.given" ] || cp "$CYGNET_ROOT/{0}.given" "$CYGNET_ROOT/{0}.in-force"
"""
SHOW = """case "$*" in *to-box) exec grep -e '-A to-box' "$CYGNET_ROOT/{0}.in-force" ;; esac
case "$*" in *INPUT) exec grep -e '-A INPUT' "$CYGNET_ROOT/{0}.in-force" ;; esac
sed -n 's/^:\\(INPUT\\|FORWARD\\|OUTPUT\\) \\([A-Z]*\\).*/-P \\1 \\2/p' "$CYGNET_ROOT/{0}.in-force" 2>/dev/null ||
printf -- '-P INPUT ACCEPT\\n-P FORWARD ACCEPT\\n-P OUTPUT ACCEPT\\n'
"""


@pytest.fixture
def firewall(box: Box) -> Box:
    for name in ("iptables", "ip6tables"):
        box.fake(f"{name}-restore", RESTORE.format(name))
        box.fake(name, SHOW.format(name))
    for program in ("sysctl", "ip", "ipsec"):
        box.fake(program)
    for program in ("cmp", "grep", "sha256sum"):
        (box.fakes / program).symlink_to(str(shutil.which(program)))
    box.write("etc/cygnet/firewall", POLICY)
    box.write("etc/cygnet/network", NETWORK)
    box.write(f"{PLACE}/firewall", POLICY)
    box.write("etc/ipsec.secrets", "")
    box.write("proc/sys/kernel/random/entropy_avail", "256\n")
    for switch in SWITCHES:
        box.write(switch, "0\n")
    for name, value in (("eth0", "1\n"), ("eth1", "0\n")):
        box.write(f"proc/sys/net/ipv6/conf/{name}/accept_ra", value)
    give(box)
    return box


def give(box: Box, v4: str = RULES, v6: str = RULES) -> None:
    box.write(f"{PLACE}/rules.v4", v4)
    box.write(f"{PLACE}/rules.v6", v6)


def forwards(box: Box) -> list[str]:
    return [box.read(switch) for switch in SWITCHES]


def in_force(box: Box) -> list[str]:
    return [box.read(f"{name}.in-force") for name in ("iptables", "ip6tables")]


def status(box: Box) -> list[str]:
    box.write("proc/meminfo", "MemTotal: 1 kB\n")
    box.write("proc/mounts", "")
    said = box.run([str(box.root / "usr/sbin/cygnet-status")]).stdout.splitlines()
    return [line for line in said if "firewall" in line or "forward" in line]


def test_a_boot_loads_the_rules_before_the_network_and_forwards(firewall: Box) -> None:
    firewall.script("start")
    assert in_force(firewall) == [RULES, RULES]
    names = [call.split()[0] for call in firewall.calls()]
    assert names.index("iptables-restore") < names.index("ip6tables-restore") < names.index("ip")
    assert forwards(firewall) == ["1\n", "1\n"]
    # Forwarding must not make the box deaf to its own router.
    assert firewall.read("proc/sys/net/ipv6/conf/eth0/accept_ra") == "2\n"
    assert firewall.read("proc/sys/net/ipv6/conf/eth1/accept_ra") == "0\n"


DAMAGED = {
    "a line that is refused": (RULES.replace("-i lo", "-i lo REFUSED"), RULES),
    "the other family's": (RULES, RULES.replace("-i lo", "-i lo REFUSED")),
    "cut short": (RULES[: len(RULES) // 2], RULES),
    "empty": ("", ""),
    "one empty": (RULES, ""),
    "open": (RULES.replace("FORWARD DROP", "FORWARD ACCEPT"), RULES),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_rules_close_the_box_and_are_said(firewall: Box, case: str) -> None:
    give(firewall, *DAMAGED[case])
    firewall.script("start")
    for rules in in_force(firewall):
        assert ":FORWARD DROP" in rules
        assert "-A through" not in rules
    assert "RULES IN /etc/cygnet/firewall.rules CANNOT BE USED" in firewall.said
    # An administrator is to see it: nothing is mended behind his back.
    assert firewall.calls("ipsec firewall") == []
    assert status(firewall)[0] == "firewall: fallback"
    assert "could not be loaded" in status(firewall)[-1]


def test_rules_that_are_not_there_close_the_box(firewall: Box) -> None:
    (firewall.root / PLACE / "rules.v6").unlink()
    firewall.script("start")
    assert status(firewall)[0] == "firewall: fallback"


def test_the_fallback_lets_in_what_repairs_it(firewall: Box) -> None:
    firewall.write("etc/cygnet/network", "WAN=eth0\nWAN_ADDRESS=pppoe\nLAN=br0\n")
    give(firewall, "", "")
    firewall.script("start")
    accepted = [line for line in in_force(firewall)[0].splitlines() if line.endswith("ACCEPT")]
    assert accepted == [
        "-A to-box -i lo -m comment --comment closed-fallback -j ACCEPT",
        "-A from-box -o lo  -j ACCEPT",
        "-A to-box -i br0 -p tcp --dport 22 -j ACCEPT",
        "-A from-box -o br0 -p tcp --sport 22 -j ACCEPT",
        "-A to-box -i ppp0 -p udp -m multiport --dports 500,4500 -j ACCEPT",
        "-A from-box -o ppp0 -p udp -m multiport --sports 500,4500 -j ACCEPT",
        "-A to-box -i ppp0 -p esp -j ACCEPT",
        "-A from-box -o ppp0 -p esp -j ACCEPT",
        "-A to-box -i ppp0 -p ah -j ACCEPT",
        "-A from-box -o ppp0 -p ah -j ACCEPT",
        "-A to-box -i ppp0 -p udp --dport 68 -j ACCEPT",
        "-A from-box -o ppp0 -p udp --dport 67 -j ACCEPT",
    ]


def test_a_box_without_a_wan_or_lan_has_no_rule_for_it(firewall: Box) -> None:
    firewall.write("etc/cygnet/network", "WAN=\nLAN=\n")
    give(firewall, "", "")
    firewall.script("start")
    assert " -i -" not in in_force(firewall)[0]
    assert " -i lo" in in_force(firewall)[0]


def test_without_any_firewall_nothing_is_forwarded(firewall: Box) -> None:
    for name in ("iptables", "ip6tables"):
        firewall.fake(f"{name}-restore", "exit 1")
    firewall.script("start")
    assert forwards(firewall) == ["0\n", "0\n"]
    assert status(firewall)[:3] == [
        "firewall: none",
        "forwarding: off",
        "problem: no firewall is in force: ipsec firewall --apply",
    ]


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


def test_a_changed_network_is_followed_by_the_next_boot(firewall: Box) -> None:
    firewall.script("start")
    assert firewall.calls("ipsec") == []
    firewall.write("etc/cygnet/network", NETWORK + "LAN_ADDRESS=10.1.0.1/24\n")
    assert "was changed and is not in force" in status(firewall)[-1]
    firewall.script("start")
    assert firewall.calls("ipsec") == ["ipsec firewall --apply --confirm"]


def test_the_stock_rules_are_those_of_the_stock_files(firewall: Box) -> None:
    """Given rules that the real program made, then the box takes them for its own, until a file changes."""
    for name in ("firewall", "network"):
        shutil.copy(OVERLAY / "etc/cygnet" / name, firewall.root / "etc/cygnet" / name)
    words = [sys.executable, "-m", "cygnet.firewall", "firewall", "network", "firewall.rules"]
    environment = {"PYTHONPATH": str(OVERLAY.parent / "packages/cygnet/src")}
    subprocess.run(words, cwd=firewall.root / "etc/cygnet", env=environment, check=True)
    assert firewall.shell("base check network firewall", "is_stale").returncode == 1
    firewall.write("etc/cygnet/network", firewall.read("etc/cygnet/network") + MORE)
    assert firewall.shell("base check network firewall", "is_stale").returncode == 0
    # Both readers say the same of it.
    subprocess.run(words, cwd=firewall.root / "etc/cygnet", env=environment, check=True)
    assert firewall.shell("base check network firewall", "is_stale").returncode == 1


def test_a_changed_policy_waits_for_its_administrator(firewall: Box) -> None:
    firewall.write("etc/cygnet/firewall", POLICY + "allow any any\n")
    firewall.script("start")
    assert in_force(firewall) == [RULES, RULES]
    assert firewall.calls("ipsec") == []
    assert "was changed and is not in force: ipsec firewall --apply" in status(firewall)[-1]


@pytest.mark.parametrize(
    ("rules", "pending", "kind", "problem"),
    [
        (RULES, False, "policy", ""),
        (RULES, True, "trial", ""),
        (RULES.replace("to-box", "mine"), False, "other", "are not those of /etc/cygnet/firewall"),
        (RULES.replace("-A to-box -i lo -j ACCEPT\n", ""), False, "other", "are not those of /etc/cygnet/firewall"),
        (RULES.replace("-A INPUT -j to-box\n", ""), False, "other", "are not those of /etc/cygnet/firewall"),
        (RULES.replace("INPUT DROP", "INPUT ACCEPT"), False, "none", "no firewall is in force"),
    ],
)
def test_box_status_asks_the_kernel(firewall: Box, rules: str, pending: bool, kind: str, problem: str) -> None:
    for name in ("iptables", "ip6tables"):
        firewall.write(f"{name}.in-force", rules)
    for switch in SWITCHES:
        firewall.write(switch, "1\n")
    if pending:
        firewall.write("run/cygnet/firewall/pending/until", "1")
    said = status(firewall)
    assert said[:2] == [f"firewall: {kind}", "forwarding: on"]
    assert [problem in line for line in said[2:]] == ([True] if problem else [])


def test_box_status_says_why_nothing_is_forwarded(firewall: Box) -> None:
    firewall.write("etc/ipsec.conf", "version 2\nconn office\n\tauto=start\n")
    firewall.script("start")
    assert "until IPsec has laid its routes" in status(firewall)[-1]
