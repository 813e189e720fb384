"""Tunnels that come by themselves: at boot, from both ends at once, and again after a power cut."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from keying import LINK, PATIENCE, configure, conn, forget, log, make_key, stands, start
from offices import INNER, PATTERN, PINGS, Offices, add_host, offices, quiet_wire, read_sas

from builder.smoke.box import Box
from builder.smoke.capture import Capture, holds, kinds

pytestmark = pytest.mark.once

NETWORK = "/etc/cygnet/network"
CONNECTION = (
    "leftid=@a.example.org", "rightid=@b.example.org", "leftrsasigkey={a}", "rightrsasigkey={b}", "auto=start",
    # Short, so that whoever was left alone notices soon.
    "dpddelay=3", "dpdtimeout=10", "dpdaction=restart", "keyingtries=%forever",
)  # fmt: skip


@pytest.fixture(scope="module")
def meeting(boxes: dict[str, Box], capture: Capture) -> Iterator[Offices]:
    """Two boxes configured to start the same tunnel at boot; no daemon runs yet."""
    for box in boxes.values():
        box.log_in()
    keys = {"a": make_key(), "b": make_key()}
    public = {name: key.public for name, key in keys.items()}
    text = conn("offices", *(line.format(**public) for line in CONNECTION))
    with quiet_wire(*boxes.values()), offices(boxes, capture) as made:
        for (side, _), key in zip(made.both, keys.values(), strict=True):
            configure(side, text, key.secret)
        yield made
        for side, _ in made.both:
            forget(side)


@pytest.fixture(scope="module")
def standing(meeting: Offices) -> Offices:
    """Both daemons started at once, without waiting for one another."""
    for side, _ in meeting.both:
        side.box.text(f"ln -sn /etc/sv/ipsec {LINK}")
    established(meeting)
    return meeting


def established(meeting: Offices) -> None:
    """Wait until the kernels have a tunnel, and it is the same at both ends."""

    def same(_: str) -> bool:
        spis = [{sa.spi for sa in read_sas(side.box)} for side, _ in meeting.both]
        return len(spis[0]) >= 2 and spis[0] == spis[1]

    meeting.a.box.wait_for("true", same, 2 * PATIENCE)


def assert_carries(meeting: Offices) -> None:
    """Hosts reach each other both ways, by ESP alone."""
    mark = meeting.wire.mark()
    before = sum(sa.bytes for sa in read_sas(meeting.a.box))
    for side, peer in meeting.both:
        assert side.ping(peer.host) == PINGS
    assert sum(sa.bytes for sa in read_sas(meeting.a.box)) - before == 4 * PINGS * INNER
    frames = meeting.wire.since(mark)
    assert kinds(frames)["esp"] == 4 * PINGS
    assert kinds(frames).keys() <= {"esp", "ike", "arp", "ipv6"}
    assert not holds(frames, PATTERN)


def test_both_ends_start_at_once(standing: Offices) -> None:
    """auto=start at both ends at once (RSA): the collision ends with a tunnel that carries"""
    assert_carries(standing)


def test_box_status_shows_the_tunnel(standing: Offices) -> None:
    """`box status` says that the tunnel stands, and that the box forwards with its firewall in force"""
    said = standing.a.box.wait_for("box status", lambda text: "state:" in text, PATIENCE)
    assert re.search(r"^tunnel\.offices: up", said, re.MULTILINE), said
    assert re.search(r"^firewall: policy\nforwarding: on$", said, re.MULTILINE), said


def test_tunnel_comes_back_after_a_power_cut(standing: Offices) -> None:
    """A box whose plug was pulled is back with its tunnel, by itself, and its peer follows"""
    box = standing.b.box
    # Given a box that has its address by its own settings,
    box.all_of(f"cp {NETWORK} /root/network", f"sed -i s,^WAN_ADDRESS=.*,WAN_ADDRESS=192.0.2.2/24, {NETWORK}", "sync")
    before = {sa.spi for sa in read_sas(standing.a.box)}
    # when its power goes and comes,
    box.pull_plug()
    # then both have a new tunnel, nobody having touched anything,
    established(standing)
    assert not before & {sa.spi for sa in read_sas(box)}
    # and it serves the host behind it once that is there.
    add_host(standing.b, standing.a)
    assert_carries(standing)
    box.text(f"mv /root/network {NETWORK}")


def test_a_daemon_that_starts_anew_lets_nothing_out(standing: Offices) -> None:
    """While the daemon is restarted, and after it was killed, not one packet passes beside the tunnel"""
    side = standing.a
    mark = standing.wire.mark()
    side.at_host(f"sh -c 'ping -i 0.1 -s 400 -p a5 {standing.b.host} >/dev/null 2>&1 & echo $! >/tmp/pinging'")
    for command in ("ipsec setup restart", "kill -9 $(cat /run/pluto/pluto.pid)"):
        starts = log(side.box).count("Pluto initialized")
        side.box.text(command, PATIENCE)
        side.box.wait_for("logread", lambda text, starts=starts: text.count("Pluto initialized") > starts, PATIENCE)
        established(standing)
    # Its last packet's answer is under way yet, and would be counted.
    side.box.text("kill $(cat /tmp/pinging); sleep 2")
    assert_carries(standing)
    # While nobody listens the box refuses IKE by ICMP; not one ping is in clear.
    frames = standing.wire.since(mark)
    assert kinds(frames).keys() <= {"esp", "ike", "arp", "ipv6", "icmp"}
    assert not holds(frames, PATTERN)


def test_without_the_daemon_the_box_goes_on_as_a_router(meeting: Offices) -> None:
    """`ipsec setup stop` takes the tunnels away, and nothing of them is left in the kernel; the box is a router still"""
    start(meeting.a)
    stands(meeting, 2)
    meeting.a.box.text("ipsec setup stop", PATIENCE)
    assert read_sas(meeting.a.box) == []
    assert meeting.a.box.text("ip xfrm policy") == ""
    assert (
        meeting.a.box.text("cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/all/accept_redirects") == "1\n0"
    )
    assert "ipsec0" not in meeting.a.box.text("ip route")
