"""PPPoE on the WAN: what pppd is told and tells, and that nobody else learns the password."""

from __future__ import annotations

import shlex

import pytest
from scratch import LIBRARY, Box

ODD = """p"a's\\s word#$(id)%"""


@pytest.fixture
def pppoe(box: Box) -> Box:
    (box.root / "sys/class/net/eth0.7").mkdir()
    box.write("etc/cygnet/network", "WAN=eth0.7\nWAN_ADDRESS=pppoe\n")
    box.write("etc/cygnet/pppoe", f"a@isp.example\n{ODD}\n").chmod(0o644)
    for program in ("pppd", "ip", "logread"):
        box.fake(program)
    return box


def run(box: Box) -> int:
    return box.run([str(box.root / "etc/sv/pppoe/run")]).returncode


def test_pppd_is_told_all_by_a_file_of_root_alone(pppoe: Box) -> None:
    assert run(pppoe) == 0
    options = pppoe.root / "run/cygnet/pppoe.options"
    assert pppoe.calls() == [f"pppd file {options}"]
    assert [path.stat().st_mode & 0o777 for path in (options, pppoe.root / "etc/cygnet/pppoe")] == [0o600, 0o600]
    lines = options.read_text().splitlines()
    # Words as the shell has them are words as pppd has them.
    assert [shlex.split(line) for line in lines[:2]] == [["user", "a@isp.example"], ["password", ODD]]
    assert lines[2:4] == ["plugin pppoe.so", "nic-eth0.7"]
    assert {"persist", "maxfail 0", "ifname ppp0", "noauth"} <= set(lines)
    assert f"ip-up-script {pppoe.root}/{LIBRARY}/ppp-up" in lines


@pytest.mark.parametrize(
    "text", ["", "a@isp\n", "\nword\n", "a@isp\n\n", "a@isp\nwo\x07rd\n", f"a@isp\n{'x' * 256}\n", None]
)
def test_without_user_and_password_it_says_so(pppoe: Box, text: str | None) -> None:
    file = pppoe.write("etc/cygnet/pppoe", text or "")
    if text is None:
        file.unlink()
    assert run(pppoe) == 1
    assert pppoe.calls("pppd") == []
    assert "etc/cygnet/pppoe: " in pppoe.read("dev/kmsg")
    assert "word" not in pppoe.read("dev/kmsg").replace("password", "")


def test_a_boot_names_a_file_that_is_missing(pppoe: Box) -> None:
    (pppoe.root / "etc/cygnet/pppoe").unlink()
    pppoe.fake("sysctl")
    pppoe.script("start")
    assert "etc/cygnet/pppoe: it is missing: write the user's name and the password into it" in pppoe.said
    assert (pppoe.root / "run/service/pppoe").is_symlink()


@pytest.mark.parametrize(
    ("peer", "names", "route", "resolver"),
    [
        ("203.0.113.1", {"DNS1": "192.0.2.53", "DNS2": "192.0.2.54"}, "via 203.0.113.1 dev ppp0 onlink", ["192.0.2.53", "192.0.2.54"]),
        ("0.0.0.0", {"DNS1": "192.0.2.53"}, "dev ppp0", ["192.0.2.53"]),
        ("203.0.113.1", {"DNS1": "192.0.2.53\nsearch x", "DNS2": "0.0.0.0"}, "via 203.0.113.1 dev ppp0 onlink", []),
    ],
)  # fmt: skip
def test_an_address_brings_route_and_name_servers(
    pppoe: Box, peer: str, names: dict[str, str], route: str, resolver: list[str]
) -> None:
    pppoe.script("ppp-up", "ppp0", "eth0.7", "0", "203.0.113.9", peer, **names)
    assert pppoe.calls("ip route") == [f"ip route replace default {route}"]
    assert pppoe.read("run/resolv.conf").splitlines() == [f"nameserver {server}" for server in resolver]
    assert (pppoe.root / "run/resolv.conf").stat().st_mode & 0o777 == 0o644
    assert f"PPPoE on eth0.7: 203.0.113.9, peer {peer}" in pppoe.read("dev/kmsg")


def test_name_servers_of_the_file_come_first(pppoe: Box) -> None:
    pppoe.write("etc/cygnet/network", "WAN_ADDRESS=pppoe\nDNS=198.51.100.1\n")
    pppoe.script("ppp-up", "ppp0", "eth0", "0", "203.0.113.9", "203.0.113.1", DNS1="192.0.2.53")
    assert pppoe.read("run/resolv.conf") == "nameserver 198.51.100.1\n"


def test_an_address_that_none_has_is_refused(pppoe: Box) -> None:
    assert pppoe.script("ppp-up", "ppp0", "eth0", "0", "0.0.0.0", "203.0.113.1").returncode == 1
    assert pppoe.calls("ip") == []


@pytest.mark.parametrize(
    ("address", "log", "expected"),
    [
        ("ppp0 UNKNOWN 203.0.113.9 peer 203.0.113.1/32", "", ["pppoe: up"]),
        ("", "", ["pppoe: down", "problem: PPPoE on eth0.7 is not up"]),
        (
            "",
            "Nov 30 03:00:00 shop daemon.err pppd[77]: Timeout waiting for PADO packets\n"
            "Nov 30 03:01:00 shop daemon.err pppd[77]: PAP authentication failed\n"
            "Nov 30 03:01:01 shop local2.notice pppd[77]: Connection terminated.",
            ["pppoe: down, PAP authentication failed", "problem: PPPoE on eth0.7 is not up: PAP authentication failed"],
        ),
    ],
)
def test_box_status_says_whether_it_is_up(pppoe: Box, address: str, log: str, expected: list[str]) -> None:
    pppoe.fake("ip", f'case "$*" in *"dev ppp0 up"*) echo "{address}" ;; esac' if address else "")
    pppoe.fake("logread", f"cat <<'end'\n{log}\nend")
    pppoe.write("proc/meminfo", "MemTotal: 1 kB\n")
    pppoe.write("proc/mounts", "")
    said = pppoe.run([str(pppoe.root / "usr/sbin/cygnet-status")]).stdout.splitlines()
    assert [line for line in said if "ppp" in line.lower()] == expected
