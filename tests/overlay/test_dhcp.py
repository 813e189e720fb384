"""dhcp-event: whatever a server on the wire says, only sane addresses reach `ip` and resolv.conf."""

from __future__ import annotations

import pytest
from scratch import Box

LEASE = {
    "interface": "eth0",
    "ip": "192.0.2.15",
    "mask": "24",
    "router": "192.0.2.1",
    "dns": "192.0.2.53",
    "domain": "shop.example",
}
HOSTILE = [
    "$(touch owned)",
    "`touch owned`",
    "; touch owned",
    "x\nnameserver-6.6.6.6",
    "192.0.2.1\nroute add default via 6.6.6.6",
    "* ?",
    "/etc/passwd",
    "-batch",
    "\x1b[2J",
    "a" * 300,
    "127.0.0.1",
    "255.255.255.255",
    "",
]


@pytest.fixture
def wire(box: Box) -> Box:
    box.fake("ip", 'case $* in *-batch*) cat >>"$CYGNET_ROOT/batch" ;; esac')
    box.fake("sv")
    return box


def event(box: Box, name: str, **offer: str) -> list[str]:
    """Runs the script for one event; the `ip` commands that it gave."""
    box.write("batch", "")
    result = box.script("dhcp-event", name, **offer)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    return box.read("batch").splitlines()


def test_a_lease_sets_address_route_and_names(wire: Box) -> None:
    assert event(wire, "bound", **LEASE) == [
        "address replace 192.0.2.15/24 brd + dev eth0",
        "route replace default via 192.0.2.1 dev eth0 onlink",
    ]
    assert wire.read("run/resolv.conf") == "search shop.example\nnameserver 192.0.2.53\n"


def test_a_new_address_replaces_the_old_one(wire: Box) -> None:
    event(wire, "bound", **LEASE)
    commands = event(wire, "bound", **{**LEASE, "ip": "192.0.2.99"})
    assert commands[:2] == ["address del 192.0.2.15/24 dev eth0", "address replace 192.0.2.99/24 brd + dev eth0"]


def test_losing_the_lease_takes_only_its_own_address(wire: Box) -> None:
    # Given an interface that somebody gave an address by hand and that has no lease,
    # then the first deconfig leaves it alone,
    assert event(wire, "deconfig", interface="eth0") == ["link set dev eth0 up"]
    # and after a lease only the lease's address goes.
    event(wire, "bound", **LEASE)
    assert event(wire, "deconfig", interface="eth0") == ["address del 192.0.2.15/24 dev eth0", "link set dev eth0 up"]
    assert event(wire, "deconfig", interface="eth0") == ["link set dev eth0 up"]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_address_changes_nothing(wire: Box, text: str) -> None:
    assert event(wire, "bound", **{**LEASE, "ip": text}) == []
    assert wire.read("run/resolv.conf") == ""


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("key", ["mask", "router", "dns", "domain", "ntpsrv"])
def test_a_hostile_option_is_left_out(wire: Box, key: str, text: str) -> None:
    commands = event(wire, "bound", **{**LEASE, key: text})
    assert set(commands) <= {
        "address replace 192.0.2.15/24 brd + dev eth0",
        "address replace 192.0.2.15/32 brd + dev eth0",
        "route replace default via 192.0.2.1 dev eth0 onlink",
    }
    names = wire.read("run/resolv.conf").splitlines()
    # A word of the string may be a fine name or address by itself; a line never is.
    assert all(line.split()[0] in {"search", "nameserver"} and len(line.split()) == 2 for line in names)
    assert "6.6.6.6" not in " ".join(commands)
    assert not list(wire.root.rglob("owned"))


@pytest.mark.parametrize("name", ["", "../etc", "eth0;id", "-f", "eth0 lo", "e" * 40])
def test_a_strange_interface_name_is_refused(wire: Box, name: str) -> None:
    assert wire.script("dhcp-event", "bound", **{**LEASE, "interface": name}).returncode == 1
    assert wire.calls("ip") == []


def test_at_most_three_name_servers(wire: Box) -> None:
    event(wire, "bound", **{**LEASE, "dns": "192.0.2.1 junk 192.0.2.2 127.0.0.1 192.0.2.3 192.0.2.4", "domain": ""})
    assert wire.read("run/resolv.conf").split() == [
        "nameserver",
        "192.0.2.1",
        "nameserver",
        "192.0.2.2",
        "nameserver",
        "192.0.2.3",
    ]


def test_names_of_the_file_come_before_those_of_dhcp(wire: Box) -> None:
    wire.write("etc/cygnet/network", "DNS=198.51.100.1\nDOMAIN=own.example\n")
    event(wire, "bound", **LEASE)
    assert wire.read("run/resolv.conf") == "search own.example\nnameserver 198.51.100.1\n"


def test_a_router_that_is_the_box_itself_is_no_router(wire: Box) -> None:
    assert len(event(wire, "bound", **{**LEASE, "router": LEASE["ip"]})) == 1


def test_time_servers_start_ntpd_once_and_restart_it_when_they_change(wire: Box) -> None:
    event(wire, "bound", **LEASE, ntpsrv="192.0.2.123")
    assert (wire.root / "run/service/ntpd").is_symlink()
    (wire.root / "run/service/ntpd").unlink()
    (wire.root / "run/service/ntpd").mkdir()
    event(wire, "renew", **LEASE, ntpsrv="192.0.2.123")
    assert wire.calls("sv") == []
    event(wire, "renew", **LEASE, ntpsrv="192.0.2.124")
    assert len(wire.calls("sv restart")) == 1


@pytest.mark.parametrize("setting", ["NTP=off", "NTP=pool.ntp.org"])
def test_time_servers_of_dhcp_do_not_count_when_the_file_speaks(wire: Box, setting: str) -> None:
    wire.write("etc/cygnet/network", setting + "\n")
    event(wire, "bound", **LEASE, ntpsrv="192.0.2.123")
    assert not (wire.root / "run/service/ntpd").is_symlink()
