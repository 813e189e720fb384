"""A box whose address on the wire changes, or is away for a while: its tunnel comes back by itself, nothing in clear.

Box-b is at what its default route says, with a name; box-a serves whoever has that name, wherever it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from keying import PATIENCE, configure, conn, forget, log, stands, start
from offices import PATTERN, PINGS, PLAIN_ROUTE_METRIC, Offices, Side, offices, quiet_wire, read_sas, wan_of

from builder.smoke.box import Box
from builder.smoke.capture import Capture, Frame, holds, kinds

pytestmark = pytest.mark.once

MOVED = "192.0.2.77"
NAME = ("rightid=@b.example.org", "authby=secret")
AT_A = conn("roaming", "right=%any", *NAME, "auto=add")
AT_B = conn("roaming", "right=%defaultroute", *NAME, "auto=start", "keyingtries=%forever")
SECRETS = ': PSK "correct horse battery staple"\n'
PID = "cat /run/pluto/pluto.pid"
# ICMP by which the kernel says that a packet could not be had, or went a roundabout way; what such a message may quote.
COMPLAINTS, QUOTED = {3, 5}, {17, 50}


@dataclass
class Roaming:
    """Both boxes, and where box-b is now."""

    offices: Offices
    address: str

    @property
    def b(self) -> Side:
        """The box that moves."""
        return self.offices.b

    def leave(self) -> str:
        """The command that takes box-b's address away."""
        return f"ip address del {self.address}/24 dev {wan_of(self.b.box)}"

    def settle(self, address: str) -> list[str]:
        """The commands that give it one, as a DHCP client does; with the plain route on which a leak would show."""
        self.address, wan, a = address, wan_of(self.b.box), self.offices.a
        return [f"ip address add {address}/24 dev {wan}", *self.routes(wan, a)]

    def routes(self, wan: str, peer: Side) -> list[str]:
        """What goes with a link, and its owner sets again."""
        return [
            f"ip route replace default via {peer.wan} dev {wan}",
            f"ip route replace {peer.lan} via {peer.wan} dev {wan} metric {PLAIN_ROUTE_METRIC}",
        ]

    def expect(self, address: str) -> None:
        """Let what box-a sends in clear, if it does, be taken by box-b's next address."""
        a = self.offices.a.box
        a.text(f"ip route replace {self.b.lan} via {address} dev {wan_of(a)} metric {PLAIN_ROUTE_METRIC}")

    def up(self) -> None:
        """Wait until both kernels have the tunnel to where box-b is, and no other."""
        here = {self.offices.a.wan, self.address}
        for side, _ in self.offices.both:
            side.box.wait_for(
                "ip xfrm state count",
                lambda _, box=side.box: [{sa.source, sa.destination} for sa in read_sas(box)] == [here, here],
                PATIENCE,
            )
        stands(self.offices, 2)


@pytest.fixture(scope="module")
def roaming(boxes: dict[str, Box], capture: Capture) -> Iterator[Roaming]:
    """Both daemons run, box-b has brought the tunnel up."""
    for box in boxes.values():
        box.log_in()
    with quiet_wire(*boxes.values()), offices(boxes, capture) as made:
        found = Roaming(made, made.b.wan)
        made.b.box.all_of(*found.routes(wan_of(made.b.box), made.a))
        for side, connections in ((made.a, AT_A), (made.b, AT_B)):
            configure(side, connections, SECRETS)
            start(side)
        found.up()
        yield found
        for side, _ in made.both:
            forget(side)


def in_clear(frames: list[Frame]) -> list[Frame]:
    """What is neither ESP nor IKE nor asks for a neighbour; a kernel's complaint about such a packet quotes only it."""

    def harmless(frame: Frame) -> bool:
        icmp = frame.data[14 + 4 * (frame.data[14] % 16) :]
        return frame.kind == "icmp" and icmp[0] in COMPLAINTS and icmp[8 + 9] in QUOTED

    return [frame for frame in frames if frame.kind not in ("esp", "ike", "arp") and not harmless(frame)]


def ping_on(side: Side, peer: Side) -> str:
    """Let the host behind a box ping the other until told to end; how to tell it."""
    side.at_host(f"sh -c 'ping -i 0.2 -s 400 -p a5 {peer.host} >/tmp/on 2>&1 & echo $! >/tmp/on.pid'")
    return "kill $(cat /tmp/on.pid)"


def test_another_address_under_traffic(roaming: Roaming) -> None:
    """The WAN address of a box changes under traffic: the same daemon has the tunnel again, no packet goes in clear"""
    made, b = roaming.offices, roaming.b.box
    assert made.a.ping(made.b.host) == PINGS
    before, pid, mark = {sa.spi for sa in read_sas(b)}, b.text(PID), made.wire.mark()
    # Given traffic both ways,
    ends = [(side.box, ping_on(side, peer)) for side, peer in made.both]
    # when the address is another,
    roaming.expect(MOVED)
    b.all_of(roaming.leave(), *roaming.settle(MOVED))
    # then the tunnel comes up from there, the old one goes at both ends, and hosts reach each other again.
    roaming.up()
    for side, peer in made.both:
        assert side.ping(peer.host) == PINGS
        assert not before & {sa.spi for sa in read_sas(side.box)}
    for box, end in ends:
        box.text(end)
    frames = made.wire.since(mark)
    assert kinds(frames)["esp"] >= 8 * PINGS
    assert not holds(frames, PATTERN)
    assert [frame.kind for frame in in_clear(frames)] == []
    assert b.text(PID) == pid
    assert f'"roaming": this box is at {MOVED} (' in log(b)


def test_a_link_that_was_down_for_a_moment(roaming: Roaming) -> None:
    """A WAN link goes down and comes back with the same address: the tunnel carries on, with the same SAs"""
    made, b = roaming.offices, roaming.b.box
    before, mark, wan = {sa.spi for sa in read_sas(b)}, made.wire.mark(), wan_of(b)
    b.all_of(f"ip link set {wan} down", "sleep 2", f"ip link set {wan} up", *roaming.routes(wan, made.a))
    b.wait_for("ip route show table 51", lambda text: f"{made.a.wan} dev {wan}" in text, PATIENCE)
    for side, peer in made.both:
        assert side.ping(peer.host) == PINGS
        assert {sa.spi for sa in read_sas(side.box)} == before
    assert [frame.kind for frame in in_clear(made.wire.since(mark))] == []


def test_no_address_for_a_while(roaming: Roaming) -> None:
    """While a box has no WAN address, its status says that the tunnel waits, and for what; it comes with the address"""
    made, b = roaming.offices, roaming.b.box
    mark, pid = made.wire.mark(), b.text(PID)
    b.text(roaming.leave())
    said = b.wait_for("ipsec auto --status", lambda text: "it waits" in text, PATIENCE)
    assert "not up: it waits: there is no default route now" in said
    assert read_sas(b) == []
    assert made.b.ping(made.a.host, count=2) == 0
    roaming.expect(made.b.wan)
    b.all_of(*roaming.settle(made.b.wan))
    roaming.up()
    assert made.a.ping(made.b.host) == PINGS
    assert [frame.kind for frame in in_clear(made.wire.since(mark))] == []
    assert b.text(PID) == pid
