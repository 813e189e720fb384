"""Tunnels that two keying daemons negotiate: each kind once, its traffic counted by its SAs and looked for on the wire.

Both daemons are started once; a test loads its own connection at both ends, has it brought up, and takes it away.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from keying import PATIENCE, RsaKey, configure, conn, forget, log, make_key, stands, start, up, write
from offices import INNER, PATTERN, PINGS, Offices, offices, quiet_wire, read_sas

from builder.smoke.box import Box
from builder.smoke.capture import Capture, holds, kinds

SECRETS = '192.0.2.1 192.0.2.2 : PSK "correct horse battery staple"\n'
IPV6_INNER = INNER + 20


@dataclass(frozen=True)
class Kind:
    """A connection, and what it must look like: protocols of its SAs, frames on the wire, whether data can be read.

    ``inner``: bytes that an SA counts for a ping. ``address``: what is pinged, a field of the other side.
    """

    lines: tuple[str, ...]
    sas: tuple[str, ...] = ("esp",)
    frames: str = "esp"
    readable: bool = False
    inner: int = INNER
    address: str = "host"
    lans: bool = True
    warned: str = ""


PSK = "authby=secret"
KINDS = {
    "psk": Kind((PSK,)),
    "rsa": Kind(("leftid=@a.example.org", "rightid=@b.example.org", "leftrsasigkey={a}", "rightrsasigkey={b}")),
    "gcm": Kind((PSK, "esp=aes_gcm256", "pfsgroup=curve25519")),
    "old": Kind((PSK, "ike=3des-md5-modp1024", "esp=3des-md5"), warned="3des, md5, modp1024"),
    "ah": Kind((PSK, "phase2=ah", "ah=sha2_256"), sas=("ah",), frames="ah", readable=True),
    "esp-in-ah": Kind((PSK, "auth=ah"), sas=("esp", "ah"), frames="ah"),
    "all-three": Kind((PSK, "auth=ah", "compress=yes"), sas=("esp", "ah", "comp"), frames="ah"),
    "compressed": Kind((PSK, "compress=yes"), sas=("esp", "comp")),
    "six": Kind((PSK, "leftsubnet=fd00:1::/64", "rightsubnet=fd00:2::/64"), lans=False, inner=IPV6_INNER,
                address="host6"),
}  # fmt: skip
TRANSPORTS = {
    "transport": Kind((PSK, "type=transport"), lans=False),
    "transport-in-ah": Kind((PSK, "type=transport", "auth=ah"), sas=("esp", "ah"), frames="ah", lans=False),
}


# The kinds that show a CPU's arithmetic and its kernel; what the others add is the same on all.
EVERYWHERE = ("psk", "rsa", "compressed")


def cases(kinds: Iterable[str], everywhere: Iterable[str] = ()) -> list[Any]:
    """Their names, those that are not for every board marked so."""
    return [name if name in everywhere else pytest.param(name, marks=pytest.mark.once) for name in kinds]


def connections(keys: dict[str, RsaKey]) -> str:
    """Every kind, none loaded at the start."""
    public = {name: key.public for name, key in keys.items()}
    kinds = {**KINDS, **TRANSPORTS}.items()
    return "".join(conn(name, *(line.format(**public) for line in kind.lines), lans=kind.lans) for name, kind in kinds)


@pytest.fixture(scope="module")
def daemons(boxes: dict[str, Box], capture: Capture) -> Iterator[Offices]:
    """Two boxes whose daemons run; every connection of this module stands in their files."""
    for box in boxes.values():
        box.log_in()
    keys = {"a": make_key(), "b": make_key()}
    with quiet_wire(*boxes.values()), offices(boxes, capture) as made:
        for (side, _), key in zip(made.both, keys.values(), strict=True):
            configure(side, connections(keys), SECRETS + key.secret)
            start(side)
        yield made
        for side, _ in made.both:
            forget(side)


@pytest.fixture
def fresh(daemons: Offices) -> Iterator[Offices]:
    """The same, with no tunnel before and after."""
    yield daemons
    for side, _ in daemons.both:
        shown = side.box.text("ipsec auto --status", PATIENCE)
        for name in re.findall(r'^000 "([\w-]+)": .*; eroute owner', shown, re.MULTILINE):
            side.box.text(f"ipsec auto --delete {name}", PATIENCE)
    assert [read_sas(side.box) for side, _ in daemons.both] == [[], []]


def load(offices: Offices, name: str) -> None:
    """The connection is known at both ends."""
    for side, _ in offices.both:
        side.box.text(f"ipsec auto --add {name}", PATIENCE)


def load_and_up(offices: Offices, name: str, sas: int = 2) -> str:
    """The tunnel stands; what the end that asked for it said."""
    load(offices, name)
    said = up(offices.a, name)
    stands(offices, sas)
    return said


@pytest.mark.parametrize("name", cases(KINDS, EVERYWHERE))
def test_a_negotiated_tunnel_carries(fresh: Offices, name: str) -> None:
    """Two daemons agree on a tunnel: its SAs count the hosts' packets, the wire shows nothing else"""
    kind = KINDS[name]
    errors, mark = fresh.errors(), fresh.wire.mark()
    # When one end asks,
    said = load_and_up(fresh, name, 2 * len(kind.sas))
    # then it says how far it came, as FreeS/WAN did;
    assert re.search(rf'^104 "{name}" #\d+: STATE_MAIN_I1', said, re.MULTILINE), said
    assert re.search(rf'^004 "{name}" #\d+: STATE_QUICK_I2: .*IPsec SA established', said, re.MULTILINE), said
    warnings = re.findall(rf'pluto: "{name}" #\d+: WARNING: weak, .*: (.*)', log(fresh.a.box))
    assert warnings[:1] == ([kind.warned] if kind.warned else [])
    # hosts reach each other through it, both ways, and every packet is counted by the SAs,
    assert fresh.a.ping(getattr(fresh.b, kind.address)) == PINGS
    assert fresh.b.ping(getattr(fresh.a, kind.address)) == PINGS
    for side, _ in fresh.both:
        found = read_sas(side.box)
        assert sorted(sa.protocol for sa in found) == sorted(2 * kind.sas)
        # The inmost SA has the addresses of the tunnel, and with several each is around the same packets.
        assert {sa.protocol for sa in found if sa.mode == "tunnel"} == {"comp" if "comp" in kind.sas else kind.sas[0]}
        assert {sa.packets for sa in found} == {2 * PINGS}
        if len(kind.sas) == 1:
            assert {sa.bytes for sa in found} == {2 * PINGS * kind.inner}
    # no other packet is on the wire than theirs and IKE's, and nobody reads what should be secret.
    frames = fresh.wire.since(mark)
    assert kinds(frames)[kind.frames] == 4 * PINGS
    assert kinds(frames).keys() <= {kind.frames, "ike", "arp"}
    assert {frame.spi for frame in frames if frame.kind == kind.frames} <= {sa.spi for sa in read_sas(fresh.a.box)}
    assert holds(frames, PATTERN) is kind.readable
    assert fresh.errors() == errors


@pytest.mark.parametrize("name", cases(TRANSPORTS))
def test_transport_mode_protects_the_boxes_own_packets(fresh: Offices, name: str) -> None:
    """Transport mode: what the boxes themselves say to each other is protected, address headers left as they are"""
    kind = TRANSPORTS[name]
    load_and_up(fresh, name, 2 * len(kind.sas))
    mark = fresh.wire.mark()
    words = f"ping -c {PINGS} -i 0.3 -W 2 -s 400 -p a5 {fresh.b.wan}"
    assert f"{PINGS} packets received" in fresh.a.box.text(words, PATIENCE)
    for side, _ in fresh.both:
        found = read_sas(side.box)
        assert [(sa.mode, sa.packets) for sa in found] == 2 * len(kind.sas) * [("transport", PINGS)]
        # The inner packet has no address header of its own.
        assert {sa.bytes for sa in found if sa.protocol == "esp"} == {PINGS * (INNER - 20)}
    frames = fresh.wire.since(mark)
    assert kinds(frames)[kind.frames] == 2 * PINGS
    assert kinds(frames).keys() <= {kind.frames, "ike", "arp"}
    assert not holds(frames, PATTERN)


def test_packets_that_shrink_are_compressed(fresh: Offices) -> None:
    """IPComp: packets of one letter are much smaller on the wire than in clear"""
    load_and_up(fresh, "compressed", 4)
    mark = fresh.wire.mark()
    assert fresh.a.ping(fresh.b.host) == PINGS
    sizes = [len(frame.data) for frame in fresh.wire.since(mark) if frame.kind == "esp"]
    assert len(sizes) == 2 * PINGS
    assert max(sizes) < INNER / 2


@pytest.mark.once
def test_what_stands_is_shown(fresh: Offices) -> None:
    """`ipsec auto --status`, `ipsec look`, `ipsec setup status` and `box status` say which tunnel stands"""
    load(fresh, "rsa")
    load_and_up(fresh, "psk")
    for side, peer in fresh.both:
        status = side.box.text("ipsec auto --status", PATIENCE)
        assert re.search(r'^000 "psk": .*; erouted', status, re.MULTILINE), status
        assert re.search(r'^000 "rsa": .*; unrouted', status, re.MULTILINE), status
        assert re.search(r'^000 #\d+: "psk" STATE_QUICK_\w\d .*IPsec SA established', status, re.MULTILINE), status
        look = side.box.text("ipsec look", PATIENCE)
        for sa in read_sas(side.box):
            assert f"{sa.spi:x}" in look, look
        assert peer.lan in look
        assert "IPsec running" in side.box.text("ipsec setup status", PATIENCE)
        assert re.search(r"^tunnel\.psk: up", side.box.run("box status", PATIENCE)[0], re.MULTILINE)


@pytest.mark.once
def test_down_leaves_nothing_in_clear(fresh: Offices) -> None:
    """After `ipsec auto --down` the SAs are gone at both ends, and not one packet between the hosts goes in clear"""
    load_and_up(fresh, "psk")
    assert fresh.a.ping(fresh.b.host) == PINGS
    before = {sa.spi for sa in read_sas(fresh.a.box)}
    mark = fresh.wire.mark()
    fresh.a.box.text("ipsec auto --down psk", PATIENCE)
    fresh.b.box.wait_for("ip xfrm state", lambda _: not before & {sa.spi for sa in read_sas(fresh.b.box)})
    for side, peer in fresh.both:
        side.ping(peer.host)
    frames = fresh.wire.since(mark)
    assert kinds(frames).keys() <= {"esp", "ike", "arp"}
    assert not holds(frames, PATTERN)


@pytest.mark.once
def test_a_wrong_secret_is_said_in_words(fresh: Offices) -> None:
    """A wrong shared secret: `ipsec auto --up` fails, and the boxes say that it may be the secret"""
    load(fresh, "psk")
    write(fresh.b.box, "/etc/ipsec.secrets", SECRETS.replace("correct", "wrong"))
    fresh.b.box.text("ipsec auto --rereadsecrets", PATIENCE)
    said, status = fresh.a.box.run("ipsec auto --up psk", PATIENCE)
    write(fresh.b.box, "/etc/ipsec.secrets", SECRETS)
    fresh.b.box.text("ipsec auto --rereadsecrets", PATIENCE)
    assert status != 0
    assert re.search(r"secret", said + log(fresh.b.box)), said
    assert "correct horse" not in said + log(fresh.a.box) + log(fresh.b.box)
    assert read_sas(fresh.a.box) == []


@pytest.mark.once
def test_rekeying_loses_no_packet(fresh: Offices) -> None:
    """A tunnel is rekeyed twice under traffic: new SAs take over, not one ping is lost, the old ones go"""
    load_and_up(fresh, "psk")
    first = {sa.spi for sa in read_sas(fresh.a.box)}
    mark = fresh.wire.mark()
    fresh.a.at_host(f"sh -c 'ping -c 150 -i 0.2 -W 2 -s 400 -p a5 {fresh.b.host} >/tmp/pings 2>&1 &'")
    for side in (fresh.a, fresh.b):
        side.box.text("sleep 2")
        up(side, "psk")
    said = fresh.a.box.wait_for("cat /tmp/pings", lambda text: "packets transmitted" in text, PATIENCE)
    assert "150 packets transmitted, 150 packets received" in said
    frames = fresh.wire.since(mark)
    assert kinds(frames).keys() <= {"esp", "ike", "arp"}
    used = {frame.spi for frame in frames if frame.kind == "esp"}
    assert len(used) >= 6
    assert first < used
    stands(fresh, 2)
    assert not first & {sa.spi for sa in read_sas(fresh.a.box)}
