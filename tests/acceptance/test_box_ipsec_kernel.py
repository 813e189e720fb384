"""Tunnels in a box's own kernel, case by case: what `cygnet.tunnel` installs there does what it should.

No keys are negotiated: a program on the box (on_target/tunnels) gives both ends of each tunnel what they would have
agreed on, in network namespaces of that one box.  It tells what it saw; what it should have seen is known only here.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from builder.smoke import capture
from builder.smoke.box import Box

pytestmark = pytest.mark.once

HERE = Path(__file__).parent
PROGRAM = HERE / "on_target/tunnels"
SHARED = Path(capture.__file__)
# Not a figure to reach: when to give up on a busy machine.
SECONDS = 600

Seen = dict[str, object]
# As the program has them: datagrams of a talk, bytes of data in one.
COUNT, SIZE, SMALL, LARGE, FULL = 3, 400, 40, 1300, 1400
UDP, IPV4, IPV6 = 8, 20, 40


class Below(int):
    """Any number less than this one."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, int) and other < int(self)

    __hash__ = int.__hash__

    def __repr__(self) -> str:
        return f"less than {int(self)}"


def through(protocol: str = "esp", readable: bool = False) -> Seen:
    """Every datagram arrived and was answered; on the wire were packets of both SAs, and nothing else."""
    wire = {f"{protocol} to east": COUNT, f"{protocol} to west": COUNT}
    return {"arrived": COUNT, "answered": COUNT, "wire": wire, "readable": readable, "errors": {}}


def nothing(wire: Mapping[str, int] | None = None, **errors: dict[str, int]) -> Seen:
    """Nothing arrived; the kernels have counted errors, and on the wire was only ``wire``."""
    return {"arrived": 0, "answered": 0, "wire": wire or {}, "readable": False, "errors": errors}


def sa(inner: int, protocol: str = "esp") -> dict[str, list[int]]:
    """Both SAs of a gate have carried all datagrams, each of ``inner`` bytes as they see it."""
    return {f"{protocol} {way}": [COUNT * inner, COUNT] for way in ("out", "in")}


IN_CLEAR = {"arrived": COUNT, "answered": COUNT, "wire": {"udp": 2 * COUNT}, "readable": True, "errors": {}}
HELD = nothing(west={"XfrmOutNoStates": COUNT})
STOPPED = nothing(west={"XfrmOutPolBlock": COUNT})
INNER = IPV4 + UDP + SIZE


@dataclass(frozen=True)
class Carried:
    """What a kind of tunnel shows: packets of which protocol, how many bytes its SAs count for a datagram.

    ``others``: what other SAs count, or these instead.
    """

    inner: int = INNER
    protocol: str = "esp"
    readable: bool = False
    others: dict[str, list[int]] = field(default_factory=dict)

    @property
    def seen(self) -> Seen:
        """The same as the program should tell it."""
        sas = sa(self.inner, self.protocol) | self.others
        return through(self.protocol, self.readable) | {"sas": {"west": sas, "east": sas}}


def compressed(inner: int) -> Carried:
    """IPComp has packets of ``inner`` bytes, ESP around it has much less: the data is one letter."""
    much_less = [Below(COUNT * inner // 5), COUNT]
    return Carried(others={"esp out": much_less, "esp in": much_less, **sa(inner, "comp")})


def left_alone(inner: int) -> Carried:
    """Packets that are too small for IPComp: where they are sent it sees them, where they are received it does not."""
    return Carried(inner, others={"comp out": [COUNT * inner, COUNT], "comp in": [0, 0]})


KINDS = {
    "aes-cbc-hmac-sha256": Carried(),
    "aes-gcm": Carried(),
    "chacha20-poly1305": Carried(),
    "ah-hmac-sha1": Carried(protocol="ah", readable=True),
    # AH has ESP's packets: SPI, sequence number, IV, what it hides filled up to 4 bytes, checksum (RFC 4106).
    "ah-around-esp": Carried(4 + 4 + 8 + INNER + 4 + 16, protocol="ah", others=sa(INNER)),
    "extended-sequence-numbers": Carried(),
    "large-packets": Carried(IPV4 + UDP + FULL),
    "ipcomp-leaves-small-packets-alone": left_alone(IPV4 + UDP + SMALL),
    "ipcomp": compressed(IPV4 + UDP + LARGE),
    "host-to-host": Carried(),
    "host-to-host-ipcomp": compressed(IPV4 + UDP + LARGE),
    "transport-mode": Carried(UDP + SIZE),
    "transport-mode-ipcomp": compressed(UDP + LARGE),
    "transport-mode-ah": Carried(UDP + SIZE, protocol="ah", readable=True),
    "six-in-four": Carried(IPV6 + UDP + SIZE),
    "six-in-four-ipcomp": compressed(IPV6 + UDP + LARGE),
    "four-in-six": Carried(),
    "six-in-six": Carried(IPV6 + UDP + SIZE),
    "host-to-host-six": Carried(IPV6 + UDP + SIZE),
    "transport-mode-six": Carried(UDP + SIZE),
    "to-everything": Carried(),
    "with-anyone-who-calls": Carried(),
    "to-one-port": Carried(),
}

NO_SA_USED = {gate: {"esp out": [0, 0], "esp in": [0, 0]} for gate in ("west", "east")}
FORGOTTEN = {"stopped": STOPPED, "forgotten": IN_CLEAR}
ROUTING = {
    "without-ipsec-all-is-in-clear": IN_CLEAR,
    "a-trap-asks-for-keys-and-leaks-nothing": {
        "trapped": HELD, "asked": ["net"], "up": through(), "down": HELD, "forgotten": IN_CLEAR,
    },
    "what-must-be-protected-is-refused-in-clear":
        nothing({"udp": COUNT}, west={"XfrmInPolBlock": COUNT}) | {"readable": True},
    "another-port-stays-out-of-the-tunnel": nothing() | {"sas": NO_SA_USED},
    "passthrough-within-a-tunnel": {"before": HELD, "through": IN_CLEAR, "after": HELD},
    "drop-stops-all": FORGOTTEN,
    "reject-stops-all": FORGOTTEN,
    "failureshunt-none-holds": {"trapped": HELD, "failed": HELD},
    "failureshunt-passthrough-lets-through": {"trapped": HELD, "failed": IN_CLEAR},
    "failureshunt-drop-stops": {"trapped": HELD, "failed": STOPPED},
    "firewall-opens-for-the-tunnel-only": {
        # What arrives is counted by the SA, and ends there.
        "closed": nothing({"esp to east": COUNT}) | {"packets": COUNT},
        "opened": through() | {"packets": COUNT, "rules": 2},
        "rules left": 0,
    },
}  # fmt: skip


def by(west: str, east: str) -> Seen:
    """Every datagram arrived, by the old or the new SA of each way."""
    return through() | {"wire": {f"esp {west} to east": COUNT, f"esp {east} to west": COUNT}}


IN_UDP = through("esp in udp")
MOVED = "192.0.2.9"
CHANGES = {
    "rekeying-loses-nothing": {
        "both receive": by("old", "old"),
        "west sends": by("new", "old"),
        "east sends": by("new", "new"),
        "old removed": by("new", "new"),
    },
    "esp-in-udp": {"networks": IN_UDP | {"sas": {"west": sa(INNER), "east": sa(INNER)}}, "hosts": IN_UDP},
    "a-peer-behind-nat-moves": {
        "before": IN_UDP,
        "moving": IN_UDP | {"to": ["192.0.2.2"]},
        "heard": [[MOVED, 61000]],
        # The SAs that took the old ones' place count anew.
        "after": IN_UDP | {"to": [MOVED], "sas": sa(INNER)},
        "heard again": [],
    },
    "lifetimes-end-soft-then-hard": {"hard": [False, True], "gone": True},
    "flush-takes-what-is-ours-only": {
        # Two SAs, three policies with door (two lines), wall and two guards, a path and a route.
        "ours": 12,
        "left": ["proto ah spi 0x00001000 reqid 9 mode tunnel", "dir out priority 0"],
    },
    "what-the-kernel-refuses-is-a-sentence": {
        "twice": "(cbc(aes), hmac(sha256), tunnel): it is there already",
        "unknown": "(cbc(swan), hmac(sha256), tunnel): this kernel lacks the algorithm",
    },
}


def deaf(protocol: str = "esp", readable: bool = False) -> Seen:
    """West sends, and east finds that the checksum is wrong: dropped, and counted by the kernel and by the SA."""
    dropped = nothing({f"{protocol} to east": COUNT}, east={"XfrmInStateProtoError": COUNT})
    return dropped | {"readable": readable, "packets": 0, "replay drops": 0, "integrity failures": COUNT}


STRANGERS = {
    "wrong-key-aes-cbc-hmac-sha256": deaf(),
    "wrong-key-aes-gcm": deaf(),
    "wrong-key-chacha20-poly1305": deaf(),
    "wrong-key-ah-hmac-sha1": deaf("ah", readable=True),
    "extended-sequence-numbers-at-one-end-only": deaf(),
    "repeated-and-changed-packets": {
        "again": {"east": {"XfrmInStateSeqError": COUNT}},
        "renumbered": {"east": {"XfrmInStateProtoError": COUNT}},
        "another SPI": {"east": {"XfrmInNoStates": COUNT}},
        "packets": COUNT, "replay drops": COUNT, "integrity failures": COUNT,
    },
    "too-late-for-a-window-of-32": {
        "early": False, "others": 60, "late": False, "errors": {"east": {"XfrmInStateSeqError": 1}}, "replay drops": 1,
    },
    "not-too-late-for-a-window-of-128": {"early": False, "others": 60, "late": True, "errors": {}, "replay drops": 0},
    "from-a-network-not-agreed-upon":
        nothing({"esp to west": COUNT}, west={"XfrmInNoPols": COUNT}) | {"packets": COUNT},
}  # fmt: skip


@dataclass(frozen=True)
class Told:
    """What the program on the box told: case -> its line. ``last``: what it said otherwise, which may be why it ended."""

    cases: dict[str, Seen]
    last: str

    def seen(self, name: str) -> object:
        """What was seen in a case, which must have come to its end, and have left nothing in the kernel."""
        assert name in self.cases, f"the box did not come to this case; it said last: {self.last}"
        told = self.cases[name]
        assert "error" not in told, told["error"]
        assert not told["left"], f"left behind: {told['left']}"
        return told["seen"]


def check(seen: object, expected: object) -> None:
    """The same; else what is not, and where."""
    wrong = differences(seen, expected)
    assert not wrong, "; ".join(wrong)


def differences(seen: object, expected: object, place: str = "") -> list[str]:
    """Each that there is, in words."""
    if isinstance(seen, dict) and isinstance(expected, dict):
        keys = sorted(seen.keys() | expected.keys())
        return [line for key in keys for line in differences(seen.get(key), expected.get(key), f"{place}{key}: ")]
    return [] if seen == expected else [f"{place}{seen!r} instead of {expected!r}"]


@pytest.fixture(scope="module")
def told(boxes: dict[str, Box], tmp_path_factory: pytest.TempPathFactory) -> Told:
    """All cases, run in one go."""
    box = boxes["box-a"]
    box.log_in()
    archive = tmp_path_factory.mktemp("program") / "tunnels.pyz"
    with zipfile.ZipFile(archive, "w") as packed:
        for file in (*sorted(PROGRAM.glob("*.py")), SHARED):
            packed.write(file, file.name)
    box.send(archive, f"/tmp/{archive.name}")
    output, status = box.run(f"python3 /tmp/{archive.name}; status=$?; rm /tmp/{archive.name}; (exit $status)", SECONDS)
    lines = output.splitlines()
    cases = [json.loads(line) for line in lines if line.startswith('{"case"')]
    said = [line for line in lines if not line.startswith('{"case"')]
    return Told({case["case"]: case for case in cases}, f"{said[-1:]}, status {status}")


@pytest.mark.parametrize("kind", KINDS)
def test_a_tunnel_in_the_kernel_carries(told: Told, kind: str) -> None:
    """A tunnel in the kernel carries: its SAs count each packet, the wire shows theirs and no other"""
    check(told.seen(kind), KINDS[kind].seen)


@pytest.mark.parametrize("case", ROUTING)
def test_nothing_goes_in_clear_that_should_not(told: Told, case: str) -> None:
    """With no keys, or none any more, the kernel does with packets what the connection says"""
    check(told.seen(case), ROUTING[case])


@pytest.mark.parametrize("case", CHANGES)
def test_a_tunnel_in_the_kernel_changes(told: Told, case: str) -> None:
    """A tunnel in the kernel changes while it stands, and no packet is lost or goes astray"""
    check(told.seen(case), CHANGES[case])


@pytest.mark.parametrize("case", STRANGERS)
def test_what_must_not_get_through_is_dropped(told: Told, case: str) -> None:
    """What must not get through a tunnel is dropped by the kernel, and counted"""
    check(told.seen(case), STRANGERS[case])


def test_no_case_is_left_unlooked_at(told: Told) -> None:
    """Every case that the box runs is looked at"""
    assert told.cases.keys() == KINDS.keys() | ROUTING.keys() | CHANGES.keys() | STRANGERS.keys()
