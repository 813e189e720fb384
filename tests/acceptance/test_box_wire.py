"""Two boxes on one wire, in clear: the control experiment of all tests that look at the wire."""

from __future__ import annotations

from builder.smoke.box import Box
from builder.smoke.capture import Capture, holds, kinds

PATTERN = b"\xa5" * 64
COUNT = 3


def test_boxes_ping_each_other(wire: Capture, box_a: Box, box_b: Box) -> None:
    """Two boxes on one wire ping each other, and the capture shows the ICMP in clear"""
    mark = wire.mark()
    for box, peer in ((box_a, "192.0.2.2"), (box_b, "192.0.2.1")):
        assert f"{COUNT} packets received" in box.text(f"ping -c {COUNT} -s 400 -p a5 {peer}")
    frames = wire.since(mark)
    assert kinds(frames)["icmp"] == 4 * COUNT
    assert holds(frames, PATTERN)
    assert kinds(frames).keys() <= {"icmp", "arp"}
