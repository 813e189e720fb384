"""``ipsec manual``: two boxes keyed by hand, each with a kernel and an updown script in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from cygnet.cli import main, manual, manual_kernel, service
from cygnet.conf import load
from cygnet.connection.local import Local
from cygnet.kernel import links, ours
from cygnet.kernel.fake import FakeKernel
from cygnet.kernel.interface import KernelError
from cygnet.kernel.policy import Direction
from cygnet.updown.fake import FakeUpdown

ENCRYPTION, INTEGRITY, OTHER = "0x" + "a1b2c3d4" * 4, "0x" + "e5f60718" * 8, "0x" + "29303a4b" * 4
HEAD = 'version 2\nconfig setup\n\tinterfaces="ipsec0=eth0"\n'
ENDS = "\tleft=192.0.2.1\n\tleftsubnet=10.1.0.0/24\n\tright=192.0.2.2\n\trightsubnet=10.2.0.0/24\n"
HOSTS = "\tleft=192.0.2.1\n\tright=192.0.2.2\n\ttype=transport\n"
KEYS = f"\tesp=aes-sha2_256\n\tespenckey={ENCRYPTION}\n\tespauthkey={INTEGRITY}\n"
WEST = f"{HEAD}conn west\n{ENDS}{KEYS}\tspi=0x200\n"
FLOW = ("10.1.0.5/32", "10.2.0.7/32")
ADDRESSES = {"west": "192.0.2.1", "east": "192.0.2.2"}


@dataclass
class Side:
    """One box: a kernel and a script, and which ipsecN there are."""

    name: str
    file: Path
    interfaces: Path
    kernel: FakeKernel = field(default_factory=lambda: FakeKernel(owner=ours.MANUAL))
    updown: FakeUpdown = field(default_factory=FakeUpdown)

    @property
    def local(self) -> Local:
        return Local({"eth0": (ip_address(ADDRESSES[self.name]),)})

    @property
    def left_over(self) -> list[object]:
        made = sorted(path.name for path in self.interfaces.iterdir())
        return [*self.kernel.sas, *self.kernel.policies, *self.kernel.paths, *self.updown.routes, *made]


@pytest.fixture
def sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Side]:
    """`ipsec` acts on the side that was last put into ``sides["now"]``."""
    made: dict[str, Side] = {}
    for name in ADDRESSES:
        (tmp_path / name / "net").mkdir(parents=True)
        made[name] = Side(name, tmp_path / name / "ipsec.conf", tmp_path / name / "net")
    made["now"] = made["west"]

    @contextmanager
    def opened(configuration: object, log: manual_kernel.Log) -> Iterator[manual_kernel.Manual]:
        now = made["now"]
        yield manual_kernel.Manual(configuration, log, now.kernel, now.updown)  # type: ignore[arg-type]

    def create(name: str, _if_id: int, _mtu: int) -> None:
        (made["now"].interfaces / name).mkdir()

    def delete(name: str) -> None:
        if (made["now"].interfaces / name).exists():
            (made["now"].interfaces / name).rmdir()

    monkeypatch.setattr(manual_kernel, "opened", opened)
    monkeypatch.setattr(links, "read_local", lambda: made["now"].local)
    monkeypatch.setattr(links, "create_interface", create)
    monkeypatch.setattr(links, "delete_interface", delete)
    monkeypatch.setattr(manual_kernel, "CONTROL_BASE", str(tmp_path / "pluto"))
    monkeypatch.setattr(service, "BY_HAND", tmp_path / "run/by-hand")
    return made


def ipsec(sides: dict[str, Side], side: str, *words: str) -> int:
    now = sides["now"] = sides[side]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manual_kernel, "INTERFACES", now.interfaces)
        return main(["manual", "--config", str(now.file), *words])


def write(sides: dict[str, Side], text: str) -> None:
    """The same file on both boxes, as FreeS/WAN's users have it."""
    for side in (sides["west"], sides["east"]):
        side.file.touch(0o600)
        side.file.write_text(text)


def up(sides: dict[str, Side], text: str = WEST, name: str = "west") -> tuple[FakeKernel, FakeKernel]:
    write(sides, text)
    assert [ipsec(sides, side, "--up", name) for side in ADDRESSES] == [0, 0]
    return sides["west"].kernel, sides["east"].kernel


def test_a_tunnel_comes_up_carries_both_ways_and_goes(sides: dict[str, Side]) -> None:
    # Given two boxes with one file, when each brings the conn up,
    west, east = up(sides)
    # then packets are protected both ways, and nobody believes what comes in clear;
    assert west.deliver(east, *FLOW) == "delivered"
    assert east.deliver(west, *FLOW[::-1]) == "delivered"
    assert FakeKernel().deliver(west, *FLOW[::-1]) == "refused by policy"
    assert sides["west"].updown.calls == [(verb, "west") for verb in ("prepare", "route", "up")]
    assert sides["west"].updown.routes == {("ipsec0", ip_network("10.2.0.0/24"))}
    assert list(west.paths) == [ip_address("192.0.2.2")]
    assert service.BY_HAND.exists()
    # after --down the route stays, and what takes it is dropped, as is what pretends to come;
    assert ipsec(sides, "west", "--down", "west") == 0
    assert (west.sas, west.traffic(*FLOW)) == ({}, "reject")
    assert FakeKernel().deliver(west, *FLOW[::-1]) == "refused by policy"
    assert sides["west"].updown.routes
    # after --unroute nothing of it is left.
    assert ipsec(sides, "west", "--unroute", "west") == 0
    assert sides["west"].left_over == []


def test_a_route_without_a_tunnel_drops_until_it_is_up(sides: dict[str, Side]) -> None:
    write(sides, WEST)
    assert ipsec(sides, "west", "--route", "west") == 0
    kernel = sides["west"].kernel
    assert kernel.traffic(*FLOW) == "reject"
    assert [ipsec(sides, side, "--up", "west") for side in ADDRESSES] == [0, 0]
    assert kernel.deliver(sides["east"].kernel, *FLOW) == "delivered"
    assert sides["west"].updown.calls.count(("up", "west")) == 1


def test_transport_mode_uses_no_tunnel_interface(sides: dict[str, Side]) -> None:
    west, east = up(sides, f"{HEAD}conn west\n{HOSTS}{KEYS}\tspi=0x200\n")
    assert west.deliver(east, "192.0.2.1/32", "192.0.2.2/32") == "delivered"
    assert (list(sides["west"].interfaces.iterdir()), west.paths) == ([], {})
    assert ipsec(sides, "west", "--down", "west") == 0
    assert west.traffic("192.0.2.1/32", "192.0.2.2/32") == "drop"
    assert ipsec(sides, "west", "--unroute", "west") == 0
    assert sides["west"].left_over == []


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [("passthrough", "clear", "drop"), ("drop", "reject", "reject"), ("reject", "reject", "reject")],
)
def test_a_shunt_needs_no_key(sides: dict[str, Side], kind: str, before: str, after: str) -> None:
    kernel, _ = up(sides, f"{HEAD}conn west\n{ENDS}\ttype={kind}\n")
    assert (kernel.traffic(*FLOW), kernel.sas) == (before, {})
    assert ipsec(sides, "west", "--down", "west") == 0
    assert kernel.traffic(*FLOW) == after
    assert ipsec(sides, "west", "--unroute", "west") == 0
    assert sides["west"].left_over == []


AH = f"\tah=hmac-sha2-256\n\tahkey={INTEGRITY}\n"
# What is written, and the SPIs of what goes to the left and to the right: ESP, AH (ipsec_manual(8), and as FreeS/WAN 2.0
# counts: a tunnel has the first number, ESP the next, AH the one after).
NUMBERS = [
    (ENDS, KEYS, "spi=0x200", {"esp": (0x200, 0x200)}),
    (ENDS, KEYS, "spibase=0x200", {"esp": (0x203, 0x202)}),
    (HOSTS, KEYS, "spibase=0x200", {"esp": (0x201, 0x200)}),
    (ENDS, KEYS + AH, "spi=0x200", {"esp": (0x200, 0x200), "ah": (0x200, 0x200)}),
    (ENDS, KEYS + AH, "spibase=0x200", {"esp": (0x203, 0x202), "ah": (0x205, 0x204)}),
    (HOSTS, KEYS + AH, "spibase=0x200", {"esp": (0x201, 0x200), "ah": (0x203, 0x202)}),
    (ENDS, AH, "spibase=0x200", {"ah": (0x203, 0x202)}),
    (ENDS, AH, "spibase=0x200\n\tleftespspi=0x777", {"ah": (0x777, 0x202)}),
    (ENDS, AH, "spibase=0x200\n\tleftespspi=0x777\n\tleftahspi=0x778", {"ah": (0x778, 0x202)}),
    (ENDS, KEYS, "spi=0x200\n\tleftespspi=0x301\n\trightespspi=0x302", {"esp": (0x301, 0x302)}),
]


@pytest.mark.parametrize(("ends", "keys", "spi", "numbers"), NUMBERS)
def test_spis_are_those_that_freeswan_gives(
    sides: dict[str, Side], ends: str, keys: str, spi: str, numbers: dict[str, tuple[int, int]]
) -> None:
    west, east = up(sides, f"{HEAD}conn west\n{ends}{keys}\t{spi}\n")
    left, right = (ip_address(address) for address in ADDRESSES.values())
    expected = {(left, protocol, spis[0]) for protocol, spis in numbers.items()}
    expected |= {(right, protocol, spis[1]) for protocol, spis in numbers.items()}
    for kernel in (west, east):
        assert {(key.destination, key.protocol, key.spi) for key in kernel.sas} == expected
    flow = ("192.0.2.1/32", "192.0.2.2/32") if ends == HOSTS else FLOW
    assert west.deliver(east, *flow) == "delivered"
    assert east.deliver(west, *flow[::-1]) == "delivered"


def test_each_direction_may_have_its_key(sides: dict[str, Side]) -> None:
    keys = KEYS.replace("espenckey", "leftespenckey") + f"\trightespenckey={OTHER}\n\tespreplay_window=64\n"
    west, east = up(sides, f"{HEAD}conn west\n{ENDS}{keys}\tspi=0x200\n")
    by_direction = {sa.outbound: sa for sa in west.sas.values()}
    assert by_direction[False].encryption.key.hex() == ENCRYPTION[2:]  # type: ignore[union-attr]
    assert by_direction[True].encryption.key.hex() == OTHER[2:]  # type: ignore[union-attr]
    assert by_direction[False].replay_window == 64
    assert west.deliver(east, *FLOW) == "delivered"


def test_encryption_alone_is_for_within_ah_only(sides: dict[str, Side], capsys: pytest.CaptureFixture[str]) -> None:
    bare = f"\tesp=3des\n\tespenckey=0x{'12345678' * 6}\n"
    kernel, _ = up(sides, f"{HEAD}conn west\n{ENDS}{bare}{AH}\tspi=0x200\n")
    assert {sa.key.protocol: sa.integrity is not None for sa in kernel.sas.values()} == {"esp": False, "ah": True}
    write(sides, f"{HEAD}conn other\n{ENDS}{bare}\tspi=0x300\n")
    assert ipsec(sides, "west", "--up", "other") == 1
    assert "encryption without integrity" in capsys.readouterr().err


def test_weak_algorithms_are_used_by_name_and_said(sides: dict[str, Side], capsys: pytest.CaptureFixture[str]) -> None:
    """The example of FreeS/WAN's guide, "Using manual keying in production"."""
    keys = (
        "\tspi=0x200\n\tesp=3des-md5-96\n"
        "\tespenckey=0x01234567_89abcdef_02468ace_13579bdf_12345678_9abcdef0\n"
        "\tespauthkey=0x12345678_9abcdef0_2468ace0_13579bdf\n"
    )
    west, east = up(sides, f"{HEAD}conn west\n{ENDS}\talso=keys\nconn keys\n{keys}")
    assert west.deliver(east, *FLOW) == "delivered"
    said = capsys.readouterr().err
    assert 'ipsec manual: "west": WARNING: weak, and used because the connection names it: 3des, md5' in said


# Lines of the conn, what is wrong with them; the sentence has the place where it says so.
MISTAKES = [
    ("", "ipsec.conf:4: it needs esp= or ah= with one algorithm"),
    (KEYS, "ipsec.conf:4: it needs spi= or spibase=, one of them"),
    (f"{KEYS}\tspi=0x200\n\tspibase=0x200\n", "it needs spi= or spibase=, one of them"),
    (f"{KEYS}\tspi=0xff\n", "ipsec.conf:12: spi: 0xff is no SPI"),
    (f"{KEYS}\tspi=200\n", "spi: 200 is no SPI"),
    (f"{KEYS}\tspi=0x80000000\n", "spi: 0x80000000 is no SPI: write 0x100 to 0xfff, or up to 0x7fffffff"),
    (f"{KEYS}\tspibase=0x201\n", "spibase: its last digit must be 0"),
    (f"{KEYS}\tspi=0x200\n\tleftespspi=0x10\n", "ipsec.conf:13: leftespspi: 0x10 is no SPI"),
    (f"{KEYS}\tspi=0x200\n\tespreplay_window=x\n", "espreplay_window: it is a number from 0 to 4096"),
    ("\tesp=aes-md5-sha1\n\tspi=0x200\n", "ipsec.conf:9: esp: nothing is negotiated, so it names one cipher and one hash"),
    ("\tesp=aes_gcm\n\tspi=0x200\n", "esp: keys set by hand break this cipher (RFC 8221, section 3)"),
    ("\tesp=aes_ctr-sha1\n\tspi=0x200\n", "esp: keys set by hand break this cipher"),
    (f"\tesp=aes-sha2_256\n\tespauthkey={INTEGRITY}\n\tspi=0x200\n", "espenckey: it is missing, and aes needs it: ipsec ranbits 128 makes one"),
    (
        f"\tesp=aes256-sha2_256\n\tespenckey={ENCRYPTION}\n\tespauthkey={INTEGRITY}\n\tspi=0x200\n",
        "ipsec.conf:10: espenckey: it has 128 bits, and aes takes 256: ipsec ranbits 256 makes one",
    ),
    (
        f"\tesp=aes-sha2_256\n\tleftespenckey={ENCRYPTION}\n\tespauthkey={INTEGRITY}\n\tspi=0x200\n",
        "rightespenckey: it is missing, and aes needs it",
    ),
    (f"{KEYS.replace(ENCRYPTION, ENCRYPTION[:-1])}\tspi=0x200\n", "espenckey: it is no whole hexadecimal"),
    ("\tah=sha2_256\n\tspi=0x200\n", "ahkey: it is missing, and sha2_256 needs it: ipsec ranbits 256"),
    ("\ttype=nonsense\n", 'ipsec.conf:9: type=nonsense'),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence_with_its_place_and_no_key(
    sides: dict[str, Side], lines: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(sides, f"{HEAD}conn west\n{ENDS}{lines}")
    assert ipsec(sides, "west", "--up", "west") == 1
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
    assert not {ENCRYPTION[2:-1], INTEGRITY[2:], OTHER[2:]} & {word for word in said.split() if len(word) > 30}
    assert ENCRYPTION[2:20] not in said
    assert sides["west"].left_over == []


def test_keys_in_a_file_that_others_may_read_are_not_used(
    sides: dict[str, Side], capsys: pytest.CaptureFixture[str]
) -> None:
    write(sides, WEST)
    sides["west"].file.chmod(0o644)
    assert ipsec(sides, "west", "--up", "west") == 1
    assert f"chmod 600 {sides['west'].file}" in capsys.readouterr().err


def test_an_included_file_that_is_closed_may_hold_the_keys(sides: dict[str, Side]) -> None:
    write(sides, f"{HEAD}include keys.conf\nconn west\n{ENDS}\talso=keys\n")
    for side in (sides["west"], sides["east"]):
        side.file.chmod(0o644)
        (side.file.parent / "keys.conf").touch(0o600)
        (side.file.parent / "keys.conf").write_text(f"conn keys\n{KEYS}\tspi=0x200\n")
        assert ipsec(sides, side.name, "--up", "west") == 0


@pytest.mark.parametrize("spi", ["spi=0x200", "spibase=0x200", "spi=0x300\n\tleftespspi=0x200"])
def test_a_second_conn_with_the_same_spi_is_refused_and_told_whose_it_is(
    sides: dict[str, Side], spi: str, capsys: pytest.CaptureFixture[str]
) -> None:
    up(sides, f"{WEST}conn second\n{ENDS.replace('10.', '10.9')}{KEYS}\t{spi}\n")
    before = dict(sides["west"].kernel.sas), dict(sides["west"].kernel.policies)
    assert ipsec(sides, "west", "--up", "second") == 1
    said = capsys.readouterr().err
    assert f'"second" cannot be brought up, as conn "west" ({sides["west"].file}:12) has SPI 0x200' in said
    assert (sides["west"].kernel.sas, sides["west"].kernel.policies) == before
    assert sides["west"].updown.calls.count(("up", "second")) == 0


@pytest.mark.parametrize("operation", ["--up", "--route"])
def test_a_second_conn_for_the_same_traffic_waits_until_the_first_is_down(
    sides: dict[str, Side], operation: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As FreeS/WAN has it: after --down another takes over the route, and no packet goes in clear between."""
    kernel, _ = up(sides, f"{WEST}conn second\n{ENDS}{KEYS}\tspi=0x300\n")
    before = dict(kernel.policies)
    assert ipsec(sides, "west", operation, "second") == 1
    assert f'as conn "west" ({sides["west"].file}:12) is for the same traffic' in capsys.readouterr().err
    assert ipsec(sides, "west", "--down", "second") == 1
    assert kernel.policies == before
    assert ipsec(sides, "west", "--down", "west") == 0
    assert ipsec(sides, "west", "--up", "second") == 0
    assert [sa.reqid & 0xFFF for sa in kernel.sas.values()] == [0x300, 0x300]
    for step in ("--down", "--unroute"):
        assert ipsec(sides, "west", step, "second") == 0
    assert sides["west"].left_over == []


def test_two_conns_with_one_peer_share_its_path_and_the_interface(sides: dict[str, Side]) -> None:
    second = f"conn second\n{ENDS.replace('10.', '10.9')}{KEYS}\tspi=0x300\n"
    kernel, _ = up(sides, WEST + second)
    assert ipsec(sides, "west", "--up", "second") == 0
    for operation in ("--down", "--unroute"):
        assert ipsec(sides, "west", operation, "west") == 0
    assert (len(kernel.sas), len(kernel.paths)) == (2, 1)
    assert [path.name for path in sides["west"].interfaces.iterdir()] == ["ipsec0"]
    assert kernel.traffic("10.91.0.5/32", "10.92.0.7/32") != "drop"


@pytest.mark.parametrize(
    ("operation", "sentence"),
    [
        ("--up", '"west" is up already: ipsec manual --down west comes first'),
        ("--route", '"west" is up already: ipsec manual --down west comes first'),
        ("--unroute", '"west" is up: ipsec manual --down west comes first'),
    ],
)
def test_what_makes_no_sense_while_it_is_up_changes_nothing(
    sides: dict[str, Side], operation: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    kernel, _ = up(sides)
    before = dict(kernel.sas), dict(kernel.policies)
    assert ipsec(sides, "west", operation, "west") == 1
    assert capsys.readouterr().err == f"ipsec manual: {sentence}\n"
    assert (kernel.sas, kernel.policies) == before


def test_what_is_not_up_cannot_go_down(sides: dict[str, Side], capsys: pytest.CaptureFixture[str]) -> None:
    write(sides, WEST)
    assert ipsec(sides, "west", "--down", "west") == 1
    assert capsys.readouterr().err == 'ipsec manual: "west" is not up\n'
    assert sides["west"].updown.calls == []


@pytest.mark.parametrize("routed", [False, True])
@pytest.mark.parametrize("failing", ["add_sa", "put_policy", "add_path", "prepare", "route", "up"])
def test_what_fails_halfway_is_undone(
    sides: dict[str, Side], failing: str, routed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    write(sides, WEST)
    side = sides["west"]
    if routed:
        assert ipsec(sides, "west", "--route", "west") == 0
    before = dict(side.kernel.policies)
    (side.updown.fail if failing in ("prepare", "route", "up") else side.kernel.fail)(failing)
    assert ipsec(sides, "west", "--up", "west") == 1
    assert "told to" in capsys.readouterr().err
    assert (side.kernel.sas, side.kernel.policies) == ({}, before)
    assert bool(side.left_over) is routed
    assert [ipsec(sides, name, "--up", "west") for name in ADDRESSES] == [0, 0]


def test_down_takes_away_what_stood_before_the_file_was_changed(sides: dict[str, Side]) -> None:
    """FreeS/WAN's manual page: chaos may ensue."""
    kernel, _ = up(sides)
    write(sides, WEST.replace("10.2.0.0", "10.3.0.0").replace(ENCRYPTION, OTHER))
    assert ipsec(sides, "west", "--down", "west") == 0
    assert kernel.sas == {}
    assert not [policy for policy in kernel.policies.values() if policy.templates]


def test_nothing_of_the_daemon_is_touched_and_the_daemon_touches_nothing(
    sides: dict[str, Side], capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a tunnel keyed by hand, when a daemon starts on the same kernel (it flushes its own) and wants the same traffic,
    kernel, _ = up(sides)
    policies, sas = dict(kernel.policies), dict(kernel.sas)
    kernel.owner = ours.DAEMON
    kernel.flush()
    # then all of it is there, and the daemon hears why it cannot;
    assert (kernel.policies, kernel.sas) == (policies, sas)
    wanted = next(policy for policy in policies.values() if policy.direction is Direction.OUT)
    with pytest.raises(KernelError, match="another owner"):
        kernel.put_policy(wanted)
    # and the other way round: what is the daemon's is refused, and nothing is left of the attempt.
    kernel.policies, kernel.sas = {}, {}
    for policy in policies.values():
        templates = tuple(replace(each, reqid=ours.REQIDS.start) for each in policy.templates)
        kernel.put_policy(replace(policy, templates=templates, priority=policy.priority - 1))
    daemons = dict(kernel.policies)
    kernel.owner = ours.MANUAL
    assert ipsec(sides, "west", "--unroute", "west") == 0
    sides["west"].interfaces.joinpath("ipsec0").mkdir(exist_ok=True)
    assert ipsec(sides, "west", "--up", "west") == 1
    assert "another owner" in capsys.readouterr().err
    assert (kernel.policies, kernel.sas) == (daemons, {})


def test_the_steps_are_shown_without_keys(sides: dict[str, Side], capsys: pytest.CaptureFixture[str]) -> None:
    write(sides, WEST)
    assert ipsec(sides, "west", "--showonly", "--up", "west") == 0
    assert capsys.readouterr().out.splitlines() == [
        "ipsec spi --said esp0x200@192.0.2.2 --src 192.0.2.1 --esp aes_128-sha2_256 --ip4 --enckey - --authkey -",
        "ipsec spi --said esp0x200@192.0.2.1 --src 192.0.2.2 --esp aes_128-sha2_256 --ip4 --enckey - --authkey -",
        "ipsec eroute --replace --src 10.1.0.0/24 --dst 10.2.0.0/24 --said esp0x200@192.0.2.2",
        "PLUTO_VERB=prepare-client ipsec _updown",
        "PLUTO_VERB=route-client ipsec _updown",
        "PLUTO_VERB=up-client ipsec _updown",
    ]
    assert sides["west"].left_over == []
    assert ipsec(sides, "west", "--show", "--up", "west") == 0
    assert "ipsec eroute --replace" in capsys.readouterr().out
    assert sides["west"].kernel.sas
    for operation, last in (("--down", "ipsec spi --said esp0x200@192.0.2.1 --del"), ("--unroute", "ipsec _updown")):
        assert ipsec(sides, "west", "--show", operation, "west") == 0
        assert capsys.readouterr().out.splitlines()[-1].endswith(last)


def test_the_other_end_is_the_same_turned_round(sides: dict[str, Side], capsys: pytest.CaptureFixture[str]) -> None:
    write(sides, WEST.replace("spi=", "spibase="))
    assert ipsec(sides, "west", "--showonly", "--other", "--up", "west") == 0
    other = capsys.readouterr().out
    assert ipsec(sides, "east", "--showonly", "--up", "west") == 0
    assert capsys.readouterr().out == other


def test_a_union_is_one_conn_of_several_sections(sides: dict[str, Side], capsys: pytest.CaptureFixture[str]) -> None:
    write(sides, f"{HEAD}conn ends\n{ENDS}conn keys\n{KEYS}\tspi=0x200\n")
    assert [ipsec(sides, side, "--up", "--union", "ends", "keys") for side in ADDRESSES] == [0, 0]
    assert sides["west"].kernel.deliver(sides["east"].kernel, *FLOW) == "delivered"
    assert sides["west"].updown.calls[-1] == ("up", "ends keys")
    assert ipsec(sides, "west", "--down", "--union", "ends", "keys") == 0
    assert ipsec(sides, "west", "--up", "--union", "ends", "nobody") == 1
    assert "there is no conn of this name" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        ("--up nobody", 1, 'the configuration has no conn "nobody"'),
        ("--up", 2, "usage: ipsec manual"),
        ("west", 2, "usage: ipsec manual"),
        ("--up --down west", 2, "usage: ipsec manual"),
        ("--up west east", 2, "usage: ipsec manual"),
        ("--up road", 1, "a conn keyed by hand needs the addresses of both ends"),
        ("--upp west", 2, "did you mean"),
    ],
)
def test_a_wrong_command_line_is_one_sentence(
    sides: dict[str, Side], words: str, status: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(sides, f"{WEST}conn road\n\tleft=192.0.2.1\n\tright=%any\n\tauto=manual\n")
    assert ipsec(sides, "west", *words.split()) == status
    assert sentence in capsys.readouterr().err
    assert sides["west"].left_over == []


def test_the_daemons_start_brings_up_what_is_to_be_up_and_stop_leaves_nothing(sides: dict[str, Side]) -> None:
    """manualstart= first, then auto=manual; one that cannot be brought up keeps no other from it."""
    text = WEST.replace("config setup\n", 'config setup\n\tmanualstart="broken west"\n')
    text += f"conn broken\n{ENDS}\tesp=aes-md5\n\tspi=0x999\n"
    text += f"conn self\n{ENDS.replace('10.', '10.9')}{KEYS}\tspi=0x300\n\tauto=manual\n"
    write(sides, text)
    side, log = sides["west"], list[str]()
    configuration = load(side.file, side.local)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manual_kernel, "INTERFACES", side.interfaces)
        manual.start(configuration, log.append)
        assert {name for verb, name in side.updown.calls if verb == "up"} == {"west", "self"}
        assert [line.rpartition("ipsec.conf:")[2] for line in log] == [
            "14: espauthkey: it is missing: encryption without integrity is no protection"
        ]
        # Another start finds them up, and says so;
        manual.start(configuration, log.append)
        assert '"west" is up already: ipsec manual --down west comes first' in log
        # after stop there is nothing, also of what the file does not have any more.
        write(sides, text.replace("conn self", "conn renamed").replace("0x300", "0x301"))
        manual.stop(side.file, log.append)
    # (the route went with its interface).
    assert side.left_over == [("ipsec0", ip_network("10.92.0.0/24"))]


def test_no_key_shows_in_whatever_is_printed(sides: dict[str, Side], capsys: pytest.CaptureFixture[str]) -> None:
    up(sides)
    for words in ("--show --down", "--show --up", "--up", "--down", "--unroute"):
        ipsec(sides, "west", *words.split(), "west")
    configuration = load(sides["west"].file, sides["west"].local)
    one = manual_kernel.find(configuration, "west")
    output = capsys.readouterr()
    for text in (output.out, output.err, repr(configuration), repr(one), str(one.sas)):
        assert "a1b2c3d4" not in text
        assert "e5f60718" not in text
