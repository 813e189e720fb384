"""What the boxes are for: the shop's LAN and the hub's see each other, and nobody on the way sees them."""

import pytest

from builder.smoke.box import Box
from builder.smoke.capture import Capture, holds, kinds

LANS = ["192.168.10.1", "192.168.77.1"]


@pytest.mark.parametrize("number", [0, 1])
def test_vpn(two_boxes: tuple[Box, Box], wire: Capture, number: int) -> None:
    """The LANs reach each other through the tunnel alone"""
    here, there = LANS[number], LANS[1 - number]
    two_boxes[number].wait_for("box status", lambda text: "\ntunnel.hub-shop1: up\n" in text, seconds=120)
    mark = wire.mark()
    assert " 3 packets received" in two_boxes[number].text(f"ping -c 3 -p a5 -I {here} {there}")
    seen = wire.since(mark)
    assert kinds(seen)["esp"] >= 6
    assert not holds(seen, b"\xa5" * 16)


def test_nothing_else_is_offered_to_the_internet(two_boxes: tuple[Box, Box]) -> None:
    """From the WAN nobody gets to the shop's SSH"""
    hub, _ = two_boxes
    _, status = hub.run("nc -w 3 203.0.113.20 22 </dev/null")
    assert status != 0
