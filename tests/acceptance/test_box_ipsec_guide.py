"""The cases of docs/guide.md on two boxes: the configurations are read from it, and what it says to type is typed.

box-a is west.  box-b is east, and the machines of three users as well: connections of one daemon, each with an identity,
a key and an address of its own.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pytest
from guide import KEY, printed_files, session, type_in
from keying import LINK, PATIENCE, SECRETS, RsaKey, forget, make_key, take_over, up, write
from offices import INNER, PATTERN, Offices, Side, carried, lan_of, offices, quiet_wire, read_sas, wan_of

from builder.smoke.box import Box
from builder.smoke.capture import Capture, holds, kinds

pytestmark = pytest.mark.once

# What the guide prints of xy, each has: the last byte of an address.
USERS = {"xy": "225", "ab": "226", "cd": "227"}
PAIRS = [(ours, theirs) for ours in ("10.1.1.2", "10.1.2.2") for theirs in ("10.2.1.2", "10.2.2.2")]
STANDING = ("office-shop", "office-stock", "lab-shop", "lab-stock", "gre", "piece")
# What a daemon that died has left: a rule by the script that it would have called, and its jump.
LEFT = "VERB=up-client INTERFACE=ipsec0 REQID=16999 PEER=192.0.2.2 PEER_CLIENT=10.99.0.0/24 MY_CLIENT=10.1.0.0/24"
START = f"ln -sn /etc/sv/ipsec {LINK}"
PING = "ping -c 3 -i 0.3 -W 2 -s 400 -p a5"
GRE_HEADER = 4


@dataclass(frozen=True)
class Guide:
    """The two boxes as the guide has them; what was typed of it already."""

    offices: Offices
    typed: set[str] = field(default_factory=set)

    @property
    def sides(self) -> dict[str, Side]:
        """Who is where."""
        return {"west": self.offices.a} | dict.fromkeys(("east", *USERS), self.offices.b)

    def has(self, section: str) -> None:
        """Type what a section shows, once."""
        if section not in self.typed:
            self.typed.add(section)
            for typed in session(section):
                type_in(typed, self.sides)


def as_user(text: str, user: str) -> str:
    """What the guide has for the user xy, for another one."""
    return re.sub(r"(?<![a-z])xy\b", user, text).replace("10.1.0.225", f"10.1.0.{USERS[user]}")


def files_of(who: str, keys: Mapping[str, RsaKey]) -> dict[str, str]:
    """File -> text of one box."""
    files: dict[str, str] = {}
    for (owner, file), text in printed_files().items():
        users = USERS if "xy" in owner or "xy" in file else ["xy"]
        for user in users if who == ("west" if owner == "west" else "east") else ():
            made = KEY.sub(lambda found: keys[found[1]].public, as_user(text, user))
            files[as_user(file, user)] = files.get(as_user(file, user), "") + f"{made}\n"
    return files


def prepare(side: Side, peer: Side, files: Mapping[str, str]) -> None:
    """The networks of the guide behind a box, a default route, and its files."""
    nets = [f"10.{side.number}.{net}" for net in (1, 2, 9)]
    lan = lan_of(side.box)
    side.box.all_of(
        "iptables-save >/tmp/rules",
        *(f"ip address add {net}.1/24 dev {lan} && ip -n host address add {net}.2/24 dev eth0" for net in nets),
        f"ip route add default via {peer.wan} dev {wan_of(side.box)}",
        "mkdir -p /etc/ipsec.road",
    )
    for name, text in files.items():
        write(side.box, name, text, "600" if name == SECRETS else "755" if text.startswith("#!") else "644")


def restore(side: Side, peer: Side) -> None:
    """The box as it was."""
    forget(side)
    side.box.run("iptables-restore </tmp/rules; ip link del gre-east || ip link del gre-west")
    side.box.run(f"rm -r /etc/ipsec.road /etc/ipsec.d/who; ip route del default via {peer.wan}")


@pytest.fixture(scope="module")
def guide(boxes: dict[str, Box], capture: Capture) -> Iterator[Guide]:
    """Both daemons run with the guide's files, and every conn with auto=start has come up by itself."""
    for box in boxes.values():
        box.log_in()
    keys = {name: make_key() for name in ("west", "east", *USERS)}
    named = [keys[user].secret.replace(": RSA", f"@{user}.example.org : RSA", 1) for user in USERS]
    with quiet_wire(*boxes.values()), offices(boxes, capture) as made:
        west, east = made.a, made.b
        take_over(west)
        west.box.text(f"env {' '.join(f'PLUTO_{fact}' for fact in LEFT.split())} /usr/lib/ipsec/_updown iptables")
        prepare(west, east, files_of("west", keys) | {SECRETS: keys["west"].secret})
        west.box.text("mv /etc/ipsec.road/cd.conf /root/")
        # While this one starts, the other one's files are written.
        west.box.text(START)
        take_over(east)
        prepare(east, west, files_of("east", keys) | {SECRETS: keys["east"].secret + "".join(named)})
        east.box.text(f"ip -n host address add 10.1.0.242/28 dev eth0 && {START}")
        for side, _ in made.both:
            has_rules(side, *STANDING)
            # If both have started a tunnel, one of the two goes after ten seconds.
            side.box.wait_for("true", lambda _, box=side.box: len(read_sas(box)) == 2 * len(STANDING))
        yield Guide(made)
        for side, peer in made.both:
            restore(side, peer)


@pytest.fixture
def west(guide: Guide) -> Side:
    """box-a."""
    return guide.sides["west"]


@pytest.fixture
def east(guide: Guide) -> Side:
    """box-b."""
    return guide.sides["east"]


@contextlib.contextmanager
def esp_alone(guide: Guide) -> Iterator[None]:
    """Whatever is done meanwhile, nothing but ESP and IKE is on the wire, and no word of the pings."""
    mark = guide.offices.wire.mark()
    yield
    frames = guide.offices.wire.since(mark)
    assert kinds(frames)["esp"] > 0
    assert kinds(frames).keys() <= {"esp", "ike", "arp"}
    assert not holds(frames, PATTERN)


@contextlib.contextmanager
def at_work(east: Side, user: str) -> Iterator[None]:
    """A user whose machine asks the office's five times a second; no answer is missing at the end."""
    words = f"ping -i 0.2 -s 400 -p a5 -I 10.1.0.{USERS[user]} 10.1.0.2"
    east.box.text(f"{words} >/tmp/{user} 2>&1 & echo $! >/tmp/{user}.pid")
    yield
    east.box.text(f"kill -INT $(cat /tmp/{user}.pid)")
    said = east.box.wait_for(f"cat /tmp/{user}", lambda text: "packets transmitted" in text)
    answers = [int(number) for number in re.findall(r"seq=(\d+) ", said)]
    assert len(answers) > 40
    assert answers == list(range(len(answers)))


def has_rules(side: Side, *names: str) -> None:
    """Wait until the box's firewall is open for these tunnels, which is the last that is done for each."""
    side.box.wait_for("iptables-save", lambda text: all(f' {name}"' in text for name in names), PATIENCE)


def answered(output: tuple[str, int]) -> int:
    """How many pings were."""
    found = re.search(r"(\d+) packets received", output[0])
    assert found, output
    return int(found[1])


def moved(box: Box, before: dict[int, tuple[int, int]]) -> dict[int, tuple[int, int]]:
    """SPI -> bytes and packets that it has carried since."""
    changes = {spi: (a - before[spi][0], b - before[spi][1]) for spi, (a, b) in carried(box).items() if spi in before}
    return {spi: change for spi, change in changes.items() if any(change)}


def test_a_firewall_opens_for_tunnels_alone(guide: Guide, west: Side) -> None:
    """leftfirewall=yes: each tunnel has its rules, and what a dead daemon left is gone; nothing else is forwarded"""
    guide.has("A firewall that opens for tunnels")
    saved = west.box.text("iptables-save -t filter")
    assert "16999" not in saved
    assert [len(re.findall(rf"^-A ipsec-updown-.* {name}\"", saved, re.MULTILINE)) for name in STANDING] == [2] * 6
    assert len(re.findall("--comment ipsec-updown -j", saved)) == 3
    mark = guide.offices.wire.mark()
    assert answered(west.at_host(f"{PING} -I 10.1.9.2 10.2.1.2")) == 0
    assert not holds(guide.offices.wire.since(mark), PATTERN)


def test_each_pair_of_subnets_has_its_tunnel(guide: Guide, west: Side) -> None:
    """Several subnets at each end: a tunnel for each pair, none carries another's packets"""
    guide.has("A firewall that opens for tunnels")
    guide.has("Several subnets")
    used: set[int] = set()
    for ours, theirs in PAIRS:
        before = carried(west.box)
        with esp_alone(guide):
            assert answered(west.at_host(f"{PING} -I {ours} {theirs}")) == 3
        found = moved(west.box, before)
        assert list(found.values()) == [(3 * INNER, 3)] * 2
        assert not used & found.keys()
        used |= found.keys()


def test_gre_goes_over_ipsec(guide: Guide, west: Side) -> None:
    """GRE in transport mode (leftprotoport=gre): networks routed into a GRE tunnel reach each other, ESP alone on the wire"""
    guide.has("A firewall that opens for tunnels")
    guide.has("GRE over IPsec")
    before = carried(west.box)
    with esp_alone(guide):
        assert answered(west.at_host(f"{PING} -I 10.1.9.2 10.2.9.2")) == 3
    found = moved(west.box, before)
    assert {sa.spi for sa in read_sas(west.box) if sa.mode == "transport"} == found.keys()
    # The GRE interfaces have something of their own to say now and then.
    assert [packets >= 3 and size >= 3 * (GRE_HEADER + INNER) for size, packets in found.values()] == [True, True]


def test_a_piece_of_the_office_is_elsewhere(guide: Guide, west: Side, east: Side) -> None:
    """An extruded subnet: machines of the office reach the piece as neighbours, untouched, by proxy ARP and ESP"""
    guide.has("An extruded subnet")
    card = west.box.text(f"cat /sys/class/net/{lan_of(west.box)}/address")
    assert card in west.at_host("ip neigh show 10.1.0.242")[0]
    assert "10.1.0.24" not in west.at_host("ip route")[0]
    before = carried(west.box)
    with esp_alone(guide):
        assert answered(east.at_host(f"{PING} -I 10.1.0.242 10.1.0.2")) == 3
    # Not the SAs of GRE, whose interfaces have something of their own to say.
    tunnels = {sa.spi for sa in read_sas(west.box) if sa.mode == "tunnel"}
    found = moved(west.box, before)
    assert [change for spi, change in found.items() if spi in tunnels] == [(3 * INNER, 3)] * 2


def test_a_user_comes_and_goes_and_the_others_lose_nothing(guide: Guide, west: Side, east: Side) -> None:
    """Road warriors, a file each: one is added and removed under load, the others keep their SAs and lose no packet"""
    guide.has("An extruded subnet")
    guide.has("Road warriors")
    up(east, "office-ab")
    has_rules(west, "road-xy", "road-ab")
    add, *remove, again = session("One user more, one user less")
    spis = carried(west.box).keys()
    # While two users work,
    with esp_alone(guide), at_work(east, "xy"), at_work(east, "ab"):
        # a third one is added, by a file and a command,
        west.box.text("mv /root/cd.conf /etc/ipsec.road/")
        type_in(add, guide.sides)
        up(east, "office-cd")
        has_rules(west, "road-cd")
        assert answered(east.box.run(f"{PING} -I 10.1.0.{USERS['cd']} 10.1.0.2")) == 3
        # and is removed again;
        for typed in remove:
            type_in(typed, guide.sides)
        # then nothing of the third is left, here or there, and there is no coming back.
        assert carried(west.box).keys() == spis
        assert "road-cd" not in west.box.text("iptables-save")
        type_in(again, guide.sides, fails=True)
        assert carried(east.box).keys() == spis
