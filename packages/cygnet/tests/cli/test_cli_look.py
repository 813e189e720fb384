"""``ipsec look``: what there is, from the kernel's own answers."""

from __future__ import annotations

import socket
import sys
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from cygnet.cli import look, main, tncfg
from cygnet.connection.selector import Selector
from cygnet.kernel import encode, structs
from cygnet.kernel.dump import GETSA
from cygnet.kernel.netlink import Netlink, Refusal
from cygnet.kernel.policy import Action, Direction, Policy, Template
from cygnet.kernel.sa import Algorithm, Sa, SaKey
from cygnet.why import xfrm

WEST, EAST = ip_address("192.0.2.1"), ip_address("192.0.2.2")
OURS, THEIRS = Selector(ip_network("10.1.0.0/24")), Selector(ip_network("10.2.0.0/24"))
CBC, HMAC = Algorithm("cbc(aes)", b"k" * 16), Algorithm("hmac(sha256)", b"i" * 32, 128)
SHUNTS = 0x0C590001


def sa(spi: int, outbound: bool, reqid: int = 0x4000) -> bytes:
    source, destination = (WEST, EAST) if outbound else (EAST, WEST)
    return encode.sa(Sa(source, SaKey(destination, "esp", spi), reqid, "tunnel", outbound, CBC, HMAC, if_id=1))


def policy(direction: Direction, theirs: Selector = THEIRS, **more: object) -> bytes:
    ends = (OURS, theirs) if direction is Direction.OUT else (theirs, OURS)
    tunnel = Template("esp", "tunnel", 0x4000, *((WEST, EAST) if direction is Direction.OUT else (EAST, WEST)))
    settings = {"priority": SHUNTS, "templates": (tunnel,), "if_id": 1} | more
    return encode.policy(Policy(direction, *ends, **settings))  # type: ignore[arg-type]


def show(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], sas: list[bytes], policies: list[bytes]
) -> list[str]:
    monkeypatch.setattr(xfrm, "dump", lambda kind: sas if kind == GETSA else policies)
    assert main(["look"]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.fixture(autouse=True)
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """eth0 with its ipsec0, and a loopback interface that is of no interest."""
    for name, number, below in (("eth0", 2, 2), ("ipsec0", 9, 2), ("lo", 1, 1)):
        folder = tmp_path / "net" / name
        folder.mkdir(parents=True)
        for file, text in (("ifindex", number), ("iflink", below), ("mtu", 1438)):
            (folder / file).write_text(f"{text}\n")
    rows = ["Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT"]
    for name, target, gateway, flags, mask in (
        ("eth0", "0.0.0.0", "192.0.2.254", 3, "0.0.0.0"),
        ("ipsec0", "10.2.0.0", "0.0.0.0", 1, "255.255.255.0"),
        ("lo", "127.0.0.0", "0.0.0.0", 1, "255.0.0.0"),
    ):
        words = [f"{int.from_bytes(socket.inet_aton(text), sys.byteorder):08X}" for text in (target, gateway, mask)]
        rows.append(f"{name}\t{words[0]}\t{words[1]}\t{flags:04X}\t0\t0\t0\t{words[2]}\t0\t0\t0")
    (tmp_path / "route").write_text("\n".join(rows) + "\n")
    monkeypatch.setattr(tncfg, "NETWORK", tmp_path / "net")
    monkeypatch.setattr(tncfg, "configured", lambda: {"ipsec0": "eth0"})
    monkeypatch.setattr(look, "ROUTES", tmp_path / "route")


def test_a_tunnel_its_interface_its_sas_and_its_route(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = show(
        monkeypatch,
        capsys,
        [sa(0xABC, True), sa(0xDEF, False), b"cut short"],
        [policy(Direction.OUT), policy(Direction.IN), policy(Direction.FORWARD), b"cut short"],
    )
    assert lines[0].split()[0] == socket.gethostname()
    assert lines[1] == "10.1.0.0/24        -> 10.2.0.0/24        => esp0xabc@192.0.2.2 (0)"
    assert lines[2] == "ipsec0->eth0 mtu=1438"
    assert lines[3].startswith(
        "esp0xabc@192.0.2.2 cbc(aes)+hmac(sha256): src=192.0.2.1 life(c,s,h)=bytes(0,0,0)addtime("
    )
    assert lines[4].startswith("esp0xdef@192.0.2.1 ")
    assert lines[5:] == [
        "Destination     Gateway         Genmask         Flags   MSS Window  irtt Iface",
        "0.0.0.0         192.0.2.254     0.0.0.0         UG         0 0          0 eth0",
        "10.2.0.0        0.0.0.0         255.255.255.0   U          0 0          0 ipsec0",
    ]
    assert not [line for line in lines if "6b6b6b6b" in line or "kkkk" in line]


def test_traffic_without_a_tunnel(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Given a trap, a hole and a wall, and an SA and a policy of somebody else's, then each is what FreeS/WAN calls it."""
    other = Selector(ip_network("10.9.0.0/24"))
    lines = show(
        monkeypatch,
        capsys,
        [sa(0x999, True, reqid=77)],
        [
            policy(Direction.OUT),
            policy(Direction.OUT, Selector(ip_network("10.3.0.0/24")), templates=()),
            policy(Direction.OUT, Selector(ip_network("10.4.0.0/24")), templates=(), action=Action.BLOCK),
            policy(Direction.OUT, other, templates=(), priority=5),
        ],
    )
    assert [line.split()[-1] for line in lines if "->" in line and "=>" in line] == ["%trap", "%pass", "%drop"]


def test_what_was_refused_is_counted_with_its_sa(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at = structs.SA_STATS_AT
    refused = sa(0xDEF, False)[:at] + structs.STATS.pack(1, 2, 4) + sa(0xDEF, False)[at + structs.STATS.size :]
    lines = show(monkeypatch, capsys, [refused, sa(0xABC, True)], [])
    assert [" ooo_errs=3 auth_errs=4 " in line for line in lines if line.startswith("esp0x")] == [False, True]


def test_without_the_right_to_look_there_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise Refusal(1, "")

    monkeypatch.setattr(Netlink, "dump", refuse)
    assert main(["look"]) == 1
    assert capsys.readouterr().err == "ipsec look: the kernel does not show its SAs: that takes root\n"
