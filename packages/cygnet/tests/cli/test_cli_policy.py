"""``ipsec policy``: what becomes of a packet, by whatever policies the kernel has, ours or another's."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from cygnet.cli import main, policy
from cygnet.connection.local import Local
from cygnet.connection.selector import Selector
from cygnet.kernel import encode, links
from cygnet.kernel.dump import GETSA
from cygnet.kernel.policy import Action, Direction, Policy, Template
from cygnet.kernel.sa import Algorithm, Sa, SaKey
from cygnet.why import host, xfrm
from cygnet.why.host import Way

WEST, EAST = ip_address("192.0.2.1"), ip_address("192.0.2.2")
CBC, HMAC = Algorithm("cbc(aes)", b"k" * 16), Algorithm("hmac(sha256)", b"i" * 32, 128)


def sa(spi: int, outbound: bool) -> bytes:
    source, destination = (WEST, EAST) if outbound else (EAST, WEST)
    return encode.sa(Sa(source, SaKey(destination, "esp", spi), 0x4000, "tunnel", outbound, CBC, HMAC, if_id=1))


def rule(way: Direction, ours: str, theirs: str, priority: int = 100, reqid: int = 0, **more: object) -> bytes:
    ends = [Selector(ip_network(text), *more.pop("narrowed", ())) for text in (ours, theirs)]  # type: ignore[misc]
    hosts = (WEST, EAST) if way is Direction.OUT else (EAST, WEST)
    ends = ends if way is Direction.OUT else ends[::-1]
    templates = (Template("esp", "tunnel", reqid, *hosts),) if reqid else ()
    return encode.policy(Policy(way, *ends, priority, templates=templates, **more))  # type: ignore[arg-type]


TUNNEL = [rule(way, "10.1.0.0/24", "10.2.0.0/24", reqid=0x4000, if_id=1) for way in Direction]
GUARDS = [
    rule(way, "10.1.0.0/24", "10.2.0.0/24", 101, action=Action.BLOCK) for way in (Direction.IN, Direction.FORWARD)
]
OTHERS = [
    rule(Direction.OUT, "10.1.0.0/24", "10.3.0.0/24", 5, reqid=77),
    rule(Direction.OUT, "10.1.0.0/24", "10.4.0.0/16", action=Action.BLOCK),
]
MARKED = rule(Direction.OUT, "10.1.0.0/24", "10.2.0.0/24", 1, if_id=1, mark=7, action=Action.BLOCK)
SMTP = rule(Direction.OUT, "10.1.0.0/24", "10.4.0.0/16", 50, narrowed=(6,))


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    ways = {"10.2.0.7": Way("ipsec0"), "10.9.0.1": Way(problem="Network is unreachable"), "10.2.9.9": Way("ipsec0")}
    policies = [*OTHERS, *GUARDS, *TUNNEL, MARKED, SMTP]
    monkeypatch.setattr(xfrm, "dump", lambda kind: [sa(0xABC, True), sa(0xDEF, False)] if kind == GETSA else policies)
    monkeypatch.setattr(host, "way", lambda address: ways.get(str(address), Way("eth0", ip_address("192.0.2.254"))))
    monkeypatch.setattr(links, "read_local", lambda: Local({"eth0": (WEST,), "eth1": (ip_address("10.1.0.1"),)}))


def ipsec(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[str], str]:
    status = main(["policy", *words])
    output = capsys.readouterr()
    return status, output.out.splitlines(), output.err


@pytest.mark.parametrize(
    ("packet", "said"),
    [
        (
            "10.1.0.5 10.2.0.7",
            [
                "10.1.0.5/32 -> 10.2.0.7/32 goes by ipsec0: 10.1.0.0/24 -> 10.2.0.0/24 => esp0xabc@192.0.2.2 (0)",
                "10.2.0.7/32 -> 10.1.0.5/32 comes by ipsec0: 10.2.0.0/24 -> 10.1.0.0/24 => esp0xdef@192.0.2.1 (0)",
                "10.2.0.7/32 -> 10.1.0.5/32 comes in clear: 10.2.0.0/24 -> 10.1.0.0/24 => %drop",
            ],
        ),
        (
            "10.1.0.1 10.2.0.7 6 80",
            [
                "10.1.0.1/32:6/%any -> 10.2.0.7/32:6/80 goes by ipsec0: 10.1.0.0/24 -> 10.2.0.0/24 => esp0xabc@192.0.2.2 (0)",
                "10.2.0.7/32:6/80 -> 10.1.0.1/32:6/%any comes by ipsec0: 10.2.0.0/24 -> 10.1.0.0/24 => esp0xdef@192.0.2.1 (0)",
                "10.2.0.7/32:6/80 -> 10.1.0.1/32:6/%any comes in clear: 10.2.0.0/24 -> 10.1.0.0/24 => %drop",
            ],
        ),
        (
            "10.1.0.5 10.2.9.9",
            [
                "10.1.0.5/32 -> 10.2.9.9/32 goes by ipsec0: %drop (no policy is for it)",
                "10.2.9.9/32 -> 10.1.0.5/32 comes by ipsec0: %drop (no policy is for it)",
                "10.2.9.9/32 -> 10.1.0.5/32 comes in clear: %pass (no policy is for it)",
            ],
        ),
        (
            "10.1.0.5 10.3.0.7",
            [
                "10.1.0.5/32 -> 10.3.0.7/32 goes by eth0 via 192.0.2.254: 10.1.0.0/24 -> 10.3.0.0/24 => %trap",
                "10.3.0.7/32 -> 10.1.0.5/32 comes by eth0: %pass (no policy is for it)",
            ],
        ),
        ("10.1.0.5 10.4.0.7 17", ["10.1.0.0/24 -> 10.4.0.0/16 => %drop", "%pass (no policy is for it)"]),
        ("10.1.0.5 10.4.0.7 6", ["10.4.0.0/16:6/%any => %pass", "%pass (no policy is for it)"]),
        ("10.1.0.5 10.9.0.1", ["10.1.0.5/32 -> 10.9.0.1/32 goes nowhere: Network is unreachable"]),
    ],
)
def test_what_becomes_of_a_packet(capsys: pytest.CaptureFixture[str], packet: str, said: list[str]) -> None:
    status, lines, _ = ipsec(capsys, *packet.split())
    assert status == 0
    assert len(lines) == len(said)
    assert all(line.endswith(text) for line, text in zip(lines, said, strict=True)), lines


def test_what_comes_without_an_sa_is_dropped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xfrm, "dump", lambda kind: [] if kind == GETSA else TUNNEL)
    _, lines, _ = ipsec(capsys, "10.1.0.5", "10.2.0.7")
    assert lines[0].endswith("=> %trap")
    assert lines[1].endswith("=> %drop (it must come by an SA, and there is none)")


def test_all_policies_the_first_that_counts_first(capsys: pytest.CaptureFixture[str]) -> None:
    _, lines, _ = ipsec(capsys)
    assert [line.split()[0] for line in lines] == ["fwd"] * 2 + ["in"] * 2 + ["out"] * 5
    assert lines[2] == "in  ipsec0 10.2.0.0/24 -> 10.1.0.0/24 => esp0xdef@192.0.2.1 (0)"
    assert lines[3] == "in  -      10.2.0.0/24 -> 10.1.0.0/24 => %drop"
    assert [line.split()[-1] for line in ipsec(capsys, "--out")[1]] == ["%drop", "%trap", "%pass", "%drop", "(0)"]
    assert len(ipsec(capsys, "--in", "--fwd")[1]) == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("10.1.0.5", "usage: ipsec policy"),
        ("--in 10.1.0.5 10.2.0.7", "usage: ipsec policy"),
        ("west 10.2.0.7", "'west' does not appear to be an IPv4 or IPv6 address"),
        ("10.1.0.5 ::1", "different IP versions"),
        ("10.1.0.5 10.2.0.7 256", "the protocol is a number from 0 to 255"),
        ("10.1.0.5 10.2.0.7 6 65536", "the port is a number from 0 to 65535"),
        ("1 2 3 4 5", "usage: ipsec policy"),
    ],
)
def test_a_wrong_command_line(capsys: pytest.CaptureFixture[str], words: str, said: str) -> None:
    status, lines, error = ipsec(capsys, *words.split())
    assert (status, lines) == (2, [])
    assert said in error


def test_interfaces_and_their_numbers() -> None:
    assert [policy._if_id(name) for name in ("ipsec0", "ipsec12", "eth0", "ipsec", "ipsecx", "myipsec0")] == [
        1,
        13,
        0,
        0,
        0,
        0,
    ]
