"""``ipsec look`` and ``ipsec verify``: what there is, from the kernel's own answers and the files."""

from __future__ import annotations

import socket
import sys
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from cygnet.cli import kernel_view, look, main, tncfg, verify
from cygnet.connection.local import Local
from cygnet.connection.selector import Selector
from cygnet.kernel import encode, links
from cygnet.kernel.policy import Action, Direction, Policy, Template
from cygnet.kernel.sa import Algorithm, Sa, SaKey

WEST, EAST = ip_address("192.0.2.1"), ip_address("192.0.2.2")
OURS, THEIRS = Selector(ip_network("10.1.0.0/24")), Selector(ip_network("10.2.0.0/24"))
CBC, HMAC = Algorithm("cbc(aes)", b"k" * 16), Algorithm("hmac(sha256)", b"i" * 32, 128)
SHUNTS = 0x0C590002


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
    monkeypatch.setattr(kernel_view, "dump", lambda kind: sas if kind == kernel_view.GETSA else policies)
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
    monkeypatch.setattr(kernel_view, "read_local", lambda: Local({"eth0": (WEST,)}))
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
    assert lines[2] == "ipsec0->eth0 mtu=1438(1438)->1438"
    assert lines[3:5] == [
        "esp0xabc@192.0.2.2 ESP_AES_HMAC_SHA2_256: dir=out src=192.0.2.1 mode=tunnel"
        " alen=128 aklen=256 eklen=128 life(c,s,h)=",
        "esp0xdef@192.0.2.1 ESP_AES_HMAC_SHA2_256: dir=in src=192.0.2.2 mode=tunnel"
        " ooowin=32 alen=128 aklen=256 eklen=128 life(c,s,h)=",
    ]
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


def test_without_the_right_to_look_there_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise kernel_view.Refusal(1, "")

    monkeypatch.setattr(kernel_view.Netlink, "dump", refuse)
    assert main(["look"]) == 1
    assert capsys.readouterr().err == "ipsec look: the kernel does not show its SAs: that takes root\n"


CONFIG = """version 2
config setup
\tinterfaces="ipsec0=eth0"
\tklipsdebug=none
conn west
\tauthby=secret
\tleft=192.0.2.1
\tleftsubnet=10.1.0.0/24
\tright=192.0.2.2
\tike=3des-md5-modp1024
"""


@pytest.mark.parametrize(
    ("config", "secrets", "failed", "said"),
    [
        (CONFIG, ': PSK "x y"\n', {"Pluto is running"}, ["klipsdebug", ":4: it has no effect: ", "it allows weak"]),
        (CONFIG.replace("10.1.0.0/24", "10.1.0.0/24/3"), "", {"Pluto", "Config", "A key"}, ["left out", "newhostkey"]),
        (CONFIG, ": PSK 0xzz\n", {"Pluto", "Secrets", "A key"}, ["ipsec.secrets:1"]),
    ],
)
def test_verify_names_what_is_missing_and_explains_what_means_nothing(
    config: str,
    secrets: str,
    failed: set[str],
    said: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "ipsec.conf").write_text(config)
    (tmp_path / "ipsec.secrets").write_text(secrets)
    (tmp_path / "ipsec.secrets").chmod(0o600)
    (tmp_path / "forward").write_text("1\n")
    monkeypatch.setattr(verify, "FORWARDING", tmp_path / "forward")
    monkeypatch.setattr(verify.shutil, "which", lambda _: "/sbin/ip")
    monkeypatch.setattr(verify.socket, "socket", lambda *_: open(tmp_path / "forward"))  # noqa: SIM115, PTH123
    monkeypatch.setattr(links, "read_local", lambda: Local({"eth0": (WEST,)}))
    monkeypatch.setenv("IPSEC_CONFS", str(tmp_path))
    assert main(["verify", "--ctlbase", str(tmp_path / "pluto")]) == 1
    out = capsys.readouterr().out
    found = [line for line in out.splitlines() if line.endswith("[FAILED]")]
    assert len(found) == len(failed)
    assert all(any(line.startswith(name) for line in found) for name in failed)
    assert [text for text in said if text not in out] == []
