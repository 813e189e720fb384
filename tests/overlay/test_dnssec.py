"""DNSSEC= in /etc/cygnet/network: whom this box asks, whom it believes, and what unbound is told."""

from __future__ import annotations

import re

import pytest
from scratch import Box

ANCHOR = ". IN DS 20326 8 2 E06D44B8\n"
HEAD = "WAN_ADDRESS=192.0.2.1/24\n"


@pytest.fixture
def unbound(box: Box) -> Box:
    """An image with unbound."""
    box.write("usr/sbin/unbound", "").chmod(0o755)
    box.write("usr/share/dns/root.ds", ANCHOR)
    for program in ("unbound", "sv", "chown"):
        box.fake(program)
    box.fake("ip", 'case "$*" in *-batch*) cat >>"$CYGNET_ROOT/batch" ;; esac')
    # As BusyBox has it: whether both are there, and the same.
    box.fake("cmp", '[ -r "$2" ] && [ -r "$3" ] && [ "$(cat "$2")" = "$(cat "$3")" ]')
    return box


def resolver(box: Box, text: str, servers: str = "") -> list[str]:
    """/etc/resolv.conf once somebody has named servers."""
    box.write("etc/cygnet/network", HEAD + text)
    said = box.shell("base check network", 'complain=say; read_network; write_resolver "$1" ""', servers)
    assert said.stderr == ""
    return box.read("run/resolv.conf").splitlines()


def start(box: Box) -> dict[str, list[str]]:
    """The service; what it tells unbound: values by name."""
    assert box.run([str(box.root / "etc/sv/unbound/run")]).returncode == 0
    assert box.calls("unbound") == [f"unbound -d -p -c {box.root}/run/cygnet/unbound.conf"]
    told: dict[str, list[str]] = {}
    for name, value in re.findall(r"^ *([a-z-]+): ?(.*)$", box.read("run/cygnet/unbound.conf"), re.MULTILINE):
        told.setdefault(name, []).append(value.strip('"'))
    return told


@pytest.mark.parametrize(
    ("text", "named", "expected"),
    [
        ("", "192.0.2.53", ["nameserver 192.0.2.53"]),
        ("DNSSEC=\nDNS=9.9.9.9\n", "192.0.2.53", ["nameserver 9.9.9.9"]),
        ("DNSSEC=box\n", "192.0.2.53 192.0.2.54", ["nameserver 127.0.0.1"]),
        ("DNSSEC=servers\nDNS=192.0.2.5,192.0.2.6\n", "192.0.2.53", ["nameserver 192.0.2.5", "nameserver 192.0.2.6", "options trust-ad"]),
        # Whom DHCP names is never believed.
        ("DNSSEC=servers\n", "192.0.2.53", ["nameserver 192.0.2.53"]),
    ],
)  # fmt: skip
def test_whom_this_box_asks_and_believes(unbound: Box, text: str, named: str, expected: list[str]) -> None:
    assert resolver(unbound, text, named) == expected
    assert (unbound.root / "run/service/unbound").is_symlink() is (expected == ["nameserver 127.0.0.1"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("DNSSEC=yes\n", "line 2: expected box, which needs an image with unbound, or servers"),
        ("DNSSEC=servers\n", "DNSSEC=servers believes those that DNS names, and it names none"),
    ],
)
def test_what_cannot_be_is_named(unbound: Box, text: str, said: str) -> None:
    resolver(unbound, text, "192.0.2.53")
    assert said in unbound.said


def test_an_image_without_unbound_says_so(box: Box) -> None:
    assert resolver(box, "DNSSEC=box\n", "192.0.2.53") == ["nameserver 192.0.2.53"]
    assert "expected box, which needs an image with unbound" in box.said


def test_it_is_started_anew_when_its_servers_change(unbound: Box) -> None:
    # Given a box whose provider has named no server yet, nothing runs.
    resolver(unbound, "DNSSEC=box\n", "")
    assert not (unbound.root / "run/service/unbound").exists()
    # When it does, unbound runs; the same once more changes nothing, another one does.
    resolver(unbound, "DNSSEC=box\n", "192.0.2.53")
    (unbound.root / "run/service/unbound").unlink()
    (unbound.root / "run/service/unbound").mkdir()
    resolver(unbound, "DNSSEC=box\n", "192.0.2.53")
    assert unbound.calls("sv") == []
    resolver(unbound, "DNSSEC=box\n", "192.0.2.54")
    assert unbound.calls("sv") == [f"sv restart {unbound.root}/run/service/unbound"]
    assert unbound.read("run/cygnet/name-servers") == "192.0.2.54\n"


def test_unbound_serves_this_box_and_asks_its_servers(unbound: Box) -> None:
    resolver(unbound, "DNSSEC=box\nDNS=192.0.2.5,192.0.2.6\n")
    told = start(unbound)
    assert told["interface"] == ["127.0.0.1"]
    assert told["forward-addr"] == ["192.0.2.5", "192.0.2.6"]
    assert (told["name"], told["username"]) == (["."], ["unbound"])
    folder = str(unbound.root / "data/unbound")
    assert (told["chroot"], told["auto-trust-anchor-file"]) == ([folder], [f"{folder}/root.key"])
    assert "domain-insecure" not in told
    assert "unbound:x:53:53:" in unbound.read("etc/passwd")


@pytest.mark.parametrize(
    ("servers", "taken"),
    [("", []), ("off", []), ("192.0.2.9", []), ("time.example,192.0.2.9,b.example", ["time.example", "b.example"])],
)
def test_time_servers_are_found_whatever_the_clock_says(unbound: Box, servers: str, taken: list[str]) -> None:
    resolver(unbound, f"DNSSEC=box\nDNS=192.0.2.5\nNTP={servers}\n")
    assert start(unbound).get("domain-insecure", []) == taken


def test_questions_go_past_the_policies_of_ipsec(unbound: Box) -> None:
    resolver(unbound, "DNSSEC=box\nDNS=192.0.2.5\n")
    start(unbound)
    assert unbound.read("batch").splitlines() == [
        f"xfrm policy update {end} 192.0.2.5/32 proto {protocol} {port} 53 dir {way} priority 1"
        for protocol in ("udp", "tcp")
        for end, port, way in (("dst", "dport", "out"), ("src", "sport", "in"))
    ]


def test_the_roots_keys_are_kept_until_an_image_brings_others(unbound: Box) -> None:
    resolver(unbound, "DNSSEC=box\nDNS=192.0.2.5\n")
    start(unbound)
    assert unbound.read("data/unbound/root.key") == ANCHOR
    assert (unbound.root / "data/unbound").stat().st_mode & 0o777 == 0o700
    # What unbound has learned outlives the next start,
    unbound.write("data/unbound/root.key", "learned\n")
    unbound.write("calls", "")
    start(unbound)
    assert unbound.read("data/unbound/root.key") == "learned\n"
    # and neither an image with other keys, nor a file that power cuts have emptied.
    for change in ({"usr/share/dns/root.ds": "new\n"}, {"data/unbound/root.key": ""}):
        for file, text in change.items():
            unbound.write(file, text)
        unbound.write("calls", "")
        start(unbound)
        assert unbound.read("data/unbound/root.key") == "new\n"


def test_a_clock_that_was_set_makes_it_think_again(unbound: Box) -> None:
    unbound.script("ntp-event", "step", stratum="3")
    assert unbound.calls("sv") == []
    (unbound.root / "run/service/unbound").mkdir()
    unbound.script("ntp-event", "step", stratum="3")
    assert unbound.calls("sv") == [f"sv restart {unbound.root}/run/service/unbound"]
