"""An ESP tunnel with keys set by hand: two boxes, a host behind each, nothing in clear between them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from offices import INNER, PATTERN, PINGS, Offices, Side, carried, offices, xfrm_errors

from builder.smoke.box import Box
from builder.smoke.capture import Capture, holds, kinds

SPIS = {1: 0x1000AB, 2: 0x1000BA}
TEXT = b"CYGNET PLAINTEXT"
ALGORITHMS = {
    "aes-cbc-hmac-sha256": "auth-trunc 'hmac(sha256)' 0x{key32} 128 enc 'cbc(aes)' 0x{key16}",
    "aes-gcm": "aead 'rfc4106(gcm(aes))' 0x{key16}{salt} 128",
}
KEYS = {"key32": "c9" * 32, "key16": "6e" * 16, "salt": "5a5a5a5a"}


def set_keys(side: Side, peer: Side, algorithm: str) -> None:
    """Both SAs and the three policies of one side."""
    words = ALGORITHMS[algorithm].format(**KEYS)
    out, back = f"src {side.wan} dst {peer.wan}", f"src {peer.wan} dst {side.wan}"
    mode = "proto esp reqid 1 mode tunnel"
    side.box.all_of(
        f"ip xfrm state add {out} proto esp spi {SPIS[side.number]} reqid 1 mode tunnel {words}",
        f"ip xfrm state add {back} proto esp spi {SPIS[peer.number]} reqid 1 mode tunnel {words}",
        f"ip xfrm policy add src {side.lan} dst {peer.lan} dir out tmpl {out} {mode}",
        f"ip xfrm policy add src {peer.lan} dst {side.lan} dir in tmpl {back} {mode}",
        f"ip xfrm policy add src {peer.lan} dst {side.lan} dir fwd tmpl {back} {mode}",
    )


@pytest.fixture
def sides(wire: Capture, boxes: dict[str, Box]) -> Iterator[Offices]:
    """Two boxes with a host behind each and plain routes; no IPsec yet."""
    with offices(boxes, wire) as made:
        yield made


@pytest.fixture(params=ALGORITHMS)
def tunnel(request: pytest.FixtureRequest, sides: Offices) -> Offices:
    """The same with SAs and policies on both sides."""
    for side, peer in sides.both:
        set_keys(side, peer, request.param)
    return sides


def test_without_esp_all_is_in_clear(sides: Offices) -> None:
    """Without ESP the hosts' traffic is in clear on the wire, so the look at the wire can fail; nobody lets it in"""
    mark = sides.wire.mark()
    assert sides.a.ping(sides.b.host) == 0
    assert holds(sides.wire.since(mark), PATTERN)


def test_tunnel_carries_and_hides(tunnel: Offices) -> None:
    """An ESP tunnel with keys set by hand carries traffic: all four SAs count it, the wire shows only ESP"""
    before, mark = tunnel.errors(), tunnel.wire.mark()
    assert tunnel.a.ping(tunnel.b.host) == PINGS
    for side, _ in tunnel.both:
        assert carried(side.box) == dict.fromkeys(SPIS.values(), (PINGS * INNER, PINGS))
    frames = tunnel.wire.since(mark)
    assert [frame.spi for frame in frames if frame.kind == "esp"] == [SPIS[1], SPIS[2]] * PINGS
    assert kinds(frames).keys() <= {"esp", "arp"}
    assert not holds(frames, PATTERN)
    assert tunnel.errors() == before


def test_tcp_through_the_tunnel(tunnel: Offices) -> None:
    """A file arrives whole over TCP through the tunnel, and not one line of it is on the wire"""
    lines = 1500
    tunnel.a.box.text(f"yes '{TEXT.decode()}' | head -n {lines} >/tmp/sent")
    mark = tunnel.wire.mark()
    # Its input stays open: at the end of it nc would hang up.
    tunnel.b.at_host("sh -c 'sleep 20 | nc -l -p 5000 >/tmp/received 2>/dev/null & sleep 1'")
    tunnel.a.at_host(f"sh -c 'timeout 20 nc {tunnel.b.host} 5000 </tmp/sent'")
    sent = tunnel.a.box.text("sha256sum </tmp/sent")
    tunnel.b.box.wait_for("sha256sum </tmp/received", lambda received: received == sent, seconds=20)
    assert carried(tunnel.b.box)[SPIS[1]][0] > lines * len(TEXT)
    frames = tunnel.wire.since(mark)
    assert sum(len(frame.data) for frame in frames if frame.kind == "esp") > lines * len(TEXT)
    assert kinds(frames).keys() <= {"esp", "arp"}
    assert not holds(frames, TEXT)


def test_no_key_no_traffic(tunnel: Offices) -> None:
    """With the SAs deleted on one side traffic stops in both directions, and never goes in clear"""
    tunnel.a.box.text("ip xfrm state flush")
    mark = tunnel.wire.mark()
    for side, peer in tunnel.both:
        assert side.ping(peer.host) == 0
    frames = tunnel.wire.since(mark)
    # box-b goes on sending; box-a has nothing to open it with, and says so.
    assert {frame.spi for frame in frames if frame.kind == "esp"} == {SPIS[2]}
    assert kinds(frames).keys() <= {"esp", "arp"}
    assert not holds(frames, PATTERN)
    assert xfrm_errors(tunnel.a.box)["XfrmInNoStates"] >= PINGS
