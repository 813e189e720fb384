"""Where the facts come from: the daemon's lines, the kernel's SAs and routes, files; and the command around it all."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from cygnet.cli import main
from cygnet.conf import Configuration, load
from cygnet.connection.connection import AuthBy, Connection, Setup, Type, fingerprint
from cygnet.connection.identity import Identity, IdType
from cygnet.connection.local import Local
from cygnet.connection.secret import PresharedKey, Secrets
from cygnet.connection.selector import Selector
from cygnet.control import client
from cygnet.kernel import links, ours
from cygnet.kernel.netlink import Refusal
from cygnet.kernel.policy import Direction, Policy, Template
from cygnet.kernel.sa import SaCounters, SaKey
from cygnet.why import gather, host, netfilter, xfrm
from cygnet.why.facts import NEVER, Event, event
from cygnet.why.gather import Box
from cygnet.why.host import Link, Way
from cygnet.why.xfrm import Association

WEST, EAST = ip_address("192.0.2.1"), ip_address("192.0.2.2")
LOCAL = Local({"eth0": (WEST,), "eth1": (ip_address("10.1.0.1"),)})
CONFIG = """version 2
config setup
\tinterfaces="ipsec0=eth0"
conn west
\tauthby=secret
\tleft=192.0.2.1
\tleftsubnet=10.1.0.0/24
\tright=192.0.2.2
\trightsubnet=10.2.0.0/24
conn spare
\talso=west
\tauto=ignore
conn bad
\tleft=192.0.2.1
\tright=192.0.2.256
\tauto=add
"""
SECRETS = '192.0.2.1 192.0.2.2 : PSK "a secret for two"\n'
SAID = [
    "secrets 100", "name west", "routing erouted", "expires 28000", "tries 0", "sent 5 2 quick mode, encrypted, 76 bytes",
    "name road[1] 192.0.2.9", "expires 7", "name old", "why nobody",
]  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "ipsec.conf").write_text(CONFIG)
    (tmp_path / "ipsec.secrets").write_text(SECRETS)
    (tmp_path / "ipsec.secrets").chmod(0o600)
    os.utime(tmp_path / "ipsec.secrets", (1e9, 1e9))
    return tmp_path


@pytest.fixture
def west(place: Path) -> Connection:
    return load(place / "ipsec.conf", LOCAL).connections["west"]


def answers(monkeypatch: pytest.MonkeyPatch, *lines: str, status: int = 0) -> None:
    def ask(_words: object, show: Callable[[int, str], None], _base: str) -> int:
        for line in lines:
            show(0, line)
        return status

    monkeypatch.setattr(client, "ask", ask)


def test_the_daemons_lines_are_facts_of_each_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, *SAID)
    why, read, said = gather.ask_daemon("/run/pluto/pluto")
    assert (why, read, sorted(said)) == ("", 100.0, ["old", "road[1] 192.0.2.9", "west"])
    assert said["west"]["sent"] == "5 2 quick mode, encrypted, 76 bytes"
    assert said["road[1] 192.0.2.9"] == {"expires": "7"}


def test_a_daemon_that_is_not_there_or_too_old_is_a_fact_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert gather.ask_daemon(str(tmp_path / "pluto"))[0].startswith("Pluto is not running (no ")
    answers(monkeypatch, "there is no request 'why'", status=30)
    assert gather.ask_daemon("")[0] == "the daemon does not answer: there is no request 'why'"


@pytest.mark.parametrize("text", ["", "many", "3", "-3 1 x", "3 soon x", "1 1e9 x"])
def test_an_event_that_is_none_never_was(text: str) -> None:
    assert event(text) == Event()


def association(spi: int, destination: Any, reqid: int = 0x4000, protocol: str = "esp", **counts: int) -> Association:
    counters = replace(SaCounters(bytes=100, packets=2, added=1, last_used=0), **counts)
    return Association(SaKey(destination, protocol, spi), "", reqid, "", counters)


def policies(theirs: str = "10.2.0.0/24", reqid: int = 0x4000) -> list[Policy]:
    ends = Selector(ip_network("10.1.0.0/24")), Selector(ip_network(theirs))
    return [Policy(Direction.OUT, *ends, 1, templates=(Template("esp", "tunnel", reqid, WEST, EAST),))]


def test_what_the_sas_of_a_connection_have_carried_and_nobody_elses(west: Connection, monkeypatch: Any) -> None:
    monkeypatch.setattr(gather.time, "time", lambda: 1030.0)
    box = Box(
        LOCAL,
        Configuration(Setup(), {}, []),
        associations=[
            association(1, EAST, last_used=1000),
            association(2, EAST, packets=5, last_used=1020),
            association(3, WEST, replay_drops=3, integrity_failures=4),
            association(4, EAST, reqid=0x4001, packets=99),
            association(5, EAST, protocol="comp", packets=99),
            association(0, EAST, packets=99),
            association(6, EAST, protocol="ah", packets=7),
        ],
        policies=policies() + policies("10.3.0.0/24", 0x4001),
    )
    out, back = (gather.carried(box, west, outward=outward) for outward in (True, False))
    assert (out.sas, out.packets, out.bytes, out.idle) == (2, 7, 200, 10)
    assert (back.sas, back.packets, back.idle, back.replayed, back.failed) == (1, 2, NEVER, 3, 4)
    assert gather.carried(replace(box, policies=()), west, outward=True).sas == 0


EASTS = Identity.address(EAST)
NEEDS = [
    ({}, (), '/etc/ipsec.secrets needs `192.0.2.1 192.0.2.2 : PSK "..."`, alike at both ends, then'),
    ({}, (PresharedKey((), b"x"),), ""),
    ({}, (PresharedKey((EASTS,), b"x"),), "/etc/ipsec.secrets needs `192.0.2.1"),
    ({"auth_by": AuthBy.RSASIG}, (PresharedKey((), b"x"),), "/etc/ipsec.secrets needs the RSA key of 192.0.2.1 ("),
    ({"auth_by": AuthBy.EITHER}, (PresharedKey((), b"x"),), ""),
    ({"auth_by": AuthBy.NEVER}, (), ""),
]


@pytest.mark.parametrize(("changes", "keys", "begins"), NEEDS)
def test_what_the_secrets_lack_is_the_line_that_is_missing(
    west: Connection, changes: Any, keys: Any, begins: str
) -> None:
    said = gather.lacking(replace(west, **changes), Secrets(keys))
    assert said.startswith(begins)
    assert bool(said) is bool(begins)


def test_a_file_of_secrets_that_has_changed_or_may_be_read_by_others(place: Path, west: Connection) -> None:
    secrets = place / "ipsec.secrets"
    assert gather.read_secrets(secrets, 100)[1] == ""
    assert gather.read_secrets(secrets, NEVER)[1] == ""
    os.utime(secrets)
    assert gather.read_secrets(secrets, 100)[1].endswith(
        "has changed since the daemon read it: `ipsec auto --rereadsecrets`."
    )
    secrets.chmod(0o644)
    assert "chmod 600" in gather.lacking(west, gather.read_secrets(secrets, 100)[0])
    secrets.unlink()
    assert "then `ipsec auto --rereadsecrets`" in gather.read_secrets(secrets, 100)[1]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "bad",
            'right=192.0.2.256: 192.0.2.256 is no address; conn "bad" is left out: mend that, then `ipsec auto --replace bad`.',
        ),
        ("old", "it is loaded and stands no longer in the file: `ipsec auto --delete old`"),
        ("wset", "there is no such connection in the file; did you mean west?."),
        ("nobody", "there is no such connection in the file: "),
    ],
)
def test_a_name_that_is_not_in_the_file(place: Path, name: str, said: str) -> None:
    box = Box(LOCAL, load(place / "ipsec.conf", LOCAL), said=gather.by_name(SAID))
    assert said in gather.missing(box, name)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "ipsec0"),
        ({"type": Type.TRANSPORT}, "eth0"),
    ],
)
def test_where_the_traffic_is_in_clear(west: Connection, changes: Any, expected: str) -> None:
    def tunnel(connection: Connection, *pairs: tuple[str, str]) -> str:
        local = replace(LOCAL, default_interface="eth0")
        return gather.tunnel_of(connection, Box(local, Configuration(Setup(interfaces=pairs), {}, [])))

    assert tunnel(replace(west, **changes), ("ipsec1", "ppp0"), ("ipsec0", "eth0")) == expected
    assert tunnel(replace(west, **changes), ("ipsec1", "ppp0"), ("ipsec0", "%defaultroute")) == expected
    assert tunnel(west, ("ipsec3", "ppp0")) == "ipsec3"


def test_a_fingerprint_is_of_what_the_conn_says_not_of_its_line(west: Connection) -> None:
    assert fingerprint(replace(west, where="elsewhere:9")) == fingerprint(west)
    assert fingerprint(replace(west, pfs=False)) != fingerprint(west)
    certified = replace(west, here=replace(west.here, cert=Path("west.pem")))
    named = replace(certified.here, id=Identity(IdType.FQDN, b"west"))
    assert fingerprint(replace(certified, here=named)) == fingerprint(certified)
    moved = replace(west, here=replace(west.here, default_host=True, default_hop=True))
    elsewhere = replace(moved, here=moved.there, there=replace(moved.here, host=EAST, nexthop=EAST, interface="ppp0"))
    assert fingerprint(elsewhere) == fingerprint(moved)
    dynamic = replace(west, there=replace(west.there, name="east.example.org"))
    assert fingerprint(replace(dynamic, there=replace(dynamic.there, host=WEST))) == fingerprint(dynamic)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files as Linux has them in /sys and /proc."""
    for name, flags, carrier, number in (("eth0", 0x1003, "1", 2), ("eth1", 0x1002, None, 3), ("ipsec0", 0x81, "1", 9)):
        folder = tmp_path / "net" / name
        folder.mkdir(parents=True)
        texts = {"flags": hex(flags), "carrier": carrier, "mtu": "1500", "ifindex": str(number)}
        for file, text in texts.items():
            if text is not None:
                (folder / file).write_text(f"{text}\n")
    (tmp_path / "net/bonding_masters").write_text("")
    (tmp_path / "xfrm_stat").write_text("XfrmInError \t0\nXfrmInNoPols\t7\nXfrmInNoStates 9\nhalf\n")
    for switch in ("ipv4/ip_forward", "ipv4/conf/all/rp_filter"):
        (tmp_path / switch).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / switch).write_text("1\n")
    monkeypatch.setattr(host, "INTERFACES", tmp_path / "net")
    monkeypatch.setattr(host, "SWITCHES", tmp_path)
    monkeypatch.setattr(host, "COUNTERS", tmp_path)
    return tmp_path


def test_interfaces_switches_and_counters_are_read_from_linux_own_files(machine: Path) -> None:
    assert host.links() == {"eth0": Link(), "eth1": Link(up=False), "ipsec0": Link()}
    assert (host.switch("ipv4/ip_forward"), host.switch("ipv6/conf/all/forwarding")) == (1, 0)
    assert host.counters() == {"XfrmInNoPols": 7, "XfrmInNoStates": 9}


def test_the_way_of_a_packet_is_asked_of_the_real_kernel() -> None:
    assert host.way(ip_address("127.0.0.1")).interface == "lo"
    assert host.way(ip_address("127.0.0.1"), ours.UNDERLAY_MARK).interface == "lo"
    assert str(Way("eth0", EAST)) == "by eth0 via 192.0.2.2"


def test_an_address_without_a_way_is_a_fact(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise Refusal(errno.ENETUNREACH, "")

    monkeypatch.setattr(host.rt.Netlink, "ask", refuse)
    assert host.way(EAST) == Way(problem=os.strerror(errno.ENETUNREACH))


@pytest.fixture
def ask_why(place: Path, machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Callable[..., tuple[str, int]]:
    """The whole command, on a machine of files, with a daemon that says SAID."""
    ways = {EAST: Way("eth0"), ip_address("10.2.0.254"): Way("ipsec0"), ip_address("10.1.0.254"): Way("eth1")}
    loaded = load(place / "ipsec.conf", LOCAL).connections["west"]
    answers(monkeypatch, *SAID[:2], f"digest {fingerprint(loaded)}", *SAID[2:])
    monkeypatch.setenv("IPSEC_CONFS", str(place))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(links, "read_local", lambda: LOCAL)
    monkeypatch.setattr(host, "way", lambda address, _mark=0: ways[address])
    monkeypatch.setattr(xfrm, "associations", lambda: [association(1, EAST), association(2, WEST)])
    monkeypatch.setattr(xfrm, "policies", policies)
    monkeypatch.setattr(netfilter, "read", lambda _version: netfilter.Firewall())

    def ask(*words: str) -> tuple[str, int]:
        status = main(["why", *words])
        return capsys.readouterr().out, status

    return ask


def test_a_tunnel_that_works_says_so_and_ends_with_0(ask_why: Callable[..., tuple[str, int]]) -> None:
    assert ask_why("west") == (
        '"west" works: out 2 packets (100 bytes); in 2 packets (100 bytes).\n',
        0,
    )


def test_every_connection_has_its_line_and_what_the_file_leaves_out(
    ask_why: Callable[..., tuple[str, int]], machine: Path
) -> None:
    (machine / "ipv4/ip_forward").write_text("0\n")
    out, status = ask_why()
    lines = out.splitlines()
    assert status == 1
    assert 'conn "bad" is left out' in lines[0]
    assert lines[1].startswith('"west" does not work: this box forwards nothing between 10.1.0.0/24 and the tunnel')
    assert lines[2].startswith('"old" does not work: it is loaded and stands no longer in the file')
    assert len(lines) == 3


def test_without_the_firewall_the_rest_is_told(
    ask_why: Callable[..., tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_version: int) -> None:
        raise netfilter.NetfilterError("iptables-save: No such file or directory")

    monkeypatch.setattr(netfilter, "read", refuse)
    assert ask_why("west")[1] == 0


def test_verbose_lists_what_was_looked_at(ask_why: Callable[..., tuple[str, int]]) -> None:
    out, _ = ask_why("--verbose", "west")
    assert "  IKE sent               5, the last 2 s ago: quick mode, encrypted, 76 bytes\n" in out
    assert "  forwarding             ok\n" in out


def test_what_the_peer_chose_commands_no_terminal(
    ask_why: Callable[..., tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, "secrets 1", "name west", "why refused by \x1b[2J")
    out, status = ask_why("west")
    assert (status, "\x1b" in out, "\\x1b[2J" in out) == (1, False, True)


def test_it_takes_root(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main(["why", "west"]) == 1
    assert capsys.readouterr().err == "ipsec why: permission denied (must be superuser)\n"
