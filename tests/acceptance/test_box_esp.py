"""An ESP tunnel with keys set by hand: two boxes, a host behind each, nothing in clear between them.

    host 10.1.0.2 -- box-a 192.0.2.1 ==== WAN ==== 192.0.2.2 box-b -- host 10.2.0.2

The hosts are network namespaces in the boxes.  A ping alone would prove nothing (there is a plain
route): asserted are the byte counters of the SAs and what is on the wire.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from box import Box
from capture import Capture, holds, kinds

SPI_AB, SPI_BA = 0x1000AB, 0x1000BA
PINGS, SIZE = 5, 400
# What an SA counts: the inner packet, that is IPv4 header, ICMP header, data.
INNER = 20 + 8 + SIZE
PATTERN = b"\xa5" * 32
TEXT = b"CYGNET PLAINTEXT"
ALGORITHMS = {
    "aes-cbc-hmac-sha256": "auth-trunc 'hmac(sha256)' 0x{key32} 128 enc 'cbc(aes)' 0x{key16}",
    "aes-gcm": "aead 'rfc4106(gcm(aes))' 0x{key16}{salt} 128",
}
KEYS = {"key32": "c9" * 32, "key16": "6e" * 16, "salt": "5a5a5a5a"}


@dataclass(frozen=True)
class Side:
    """One box, the host behind it, and the SPI of what it sends."""

    box: Box
    wan: str
    lan: str
    host: str
    spi: int

    def at_host(self, command: str, timeout: float = 40.0) -> tuple[str, int]:
        """Run a command on the host behind the box."""
        return self.box.run(f"ip netns exec host {command}", timeout)


@dataclass(frozen=True)
class Tunnel:
    """Both sides, and the wire between them."""

    a: Side
    b: Side
    wire: Capture

    def counters(self) -> dict[tuple[str, int], tuple[int, int]]:
        """(box, SPI) -> bytes and packets, of all four SAs."""
        return {(side.box.name, spi): value for side in (self.a, self.b) for spi, value in read_sas(side.box).items()}


def read_sas(box: Box) -> dict[int, tuple[int, int]]:
    """SPI -> bytes and packets that the SA has carried."""
    text = box.text("ip -s xfrm state")
    found = re.findall(r"spi 0x([0-9a-f]+).*?lifetime current:\s+(\d+)\(bytes\), (\d+)\(packets\)", text, re.DOTALL)
    return {int(spi, 16): (int(count), int(packets)) for spi, count, packets in found}


def errors(box: Box) -> dict[str, int]:
    """The kernel's XFRM error counters."""
    pairs = (line.split() for line in box.text("cat /proc/net/xfrm_stat").splitlines())
    return {name: int(value) for name, value in pairs}


def add_host(side: Side, peer: Side) -> None:
    """A host behind the box, forwarding, and a plain route to the other side."""
    wan = side.box.settings("/etc/cygnet/network")["WAN"]
    gateway = side.lan.replace("0/24", "1")
    side.box.all_of(
        "ip netns add host",
        "ip link add inside type veth peer name eth0 netns host",
        f"ip address add {gateway}/24 dev inside",
        "ip link set inside up",
        f"ip -n host address add {side.host}/24 dev eth0",
        "ip -n host link set eth0 up",
        f"ip -n host route add default via {gateway}",
        "sysctl -q -w net.ipv4.ip_forward=1",
        f"ip route add {peer.lan} via {peer.wan} dev {wan}",
    )


def remove_host(side: Side, peer: Side) -> None:
    """The box as it was."""
    side.box.all_of(
        f"ip route del {peer.lan}", "ip link del inside", "ip netns del host", "sysctl -q -w net.ipv4.ip_forward=0"
    )


def set_keys(side: Side, peer: Side, algorithm: str) -> None:
    """Both SAs and the three policies of one side."""
    words = ALGORITHMS[algorithm].format(**KEYS)
    out, back = f"src {side.wan} dst {peer.wan}", f"src {peer.wan} dst {side.wan}"
    mode = "proto esp reqid 1 mode tunnel"
    side.box.all_of(
        f"ip xfrm state add {out} proto esp spi {side.spi} reqid 1 mode tunnel {words}",
        f"ip xfrm state add {back} proto esp spi {peer.spi} reqid 1 mode tunnel {words}",
        f"ip xfrm policy add src {side.lan} dst {peer.lan} dir out tmpl {out} {mode}",
        f"ip xfrm policy add src {peer.lan} dst {side.lan} dir in tmpl {back} {mode}",
        f"ip xfrm policy add src {peer.lan} dst {side.lan} dir fwd tmpl {back} {mode}",
    )


@pytest.fixture
def sides(wire: Capture, box_a: Box, box_b: Box) -> Iterator[Tunnel]:
    """Two boxes with a host behind each and plain routes; no IPsec yet."""
    a = Side(box_a, "192.0.2.1", "10.1.0.0/24", "10.1.0.2", SPI_AB)
    b = Side(box_b, "192.0.2.2", "10.2.0.0/24", "10.2.0.2", SPI_BA)
    for side, peer in ((a, b), (b, a)):
        add_host(side, peer)
    yield Tunnel(a, b, wire)
    for side, peer in ((a, b), (b, a)):
        remove_host(side, peer)


@pytest.fixture(params=ALGORITHMS)
def tunnel(request: pytest.FixtureRequest, sides: Tunnel) -> Tunnel:
    """The same with SAs and policies on both sides."""
    set_keys(sides.a, sides.b, request.param)
    set_keys(sides.b, sides.a, request.param)
    return sides


def ping(side: Side, peer: Side) -> str:
    """Ping from host to host, every byte of data the pattern's."""
    output, _ = side.at_host(f"ping -c {PINGS} -i 0.3 -W 2 -s {SIZE} -p a5 {peer.host}")
    return output


def test_without_esp_all_is_in_clear(sides: Tunnel) -> None:
    """Without ESP the hosts' traffic is in clear on the wire, so the look at the wire can fail"""
    mark = sides.wire.mark()
    assert f"{PINGS} packets received" in ping(sides.a, sides.b)
    assert holds(sides.wire.since(mark), PATTERN)


def test_tunnel_carries_and_hides(tunnel: Tunnel) -> None:
    """An ESP tunnel with keys set by hand carries traffic: all four SAs count it, the wire shows only ESP"""
    before = {side.box.name: errors(side.box) for side in (tunnel.a, tunnel.b)}
    mark = tunnel.wire.mark()
    assert f"{PINGS} packets received" in ping(tunnel.a, tunnel.b)
    assert tunnel.counters() == {
        (box, spi): (PINGS * INNER, PINGS) for box in ("box-a", "box-b") for spi in (SPI_AB, SPI_BA)
    }
    frames = tunnel.wire.since(mark)
    assert [frame.spi for frame in frames if frame.kind == "esp"] == [SPI_AB, SPI_BA] * PINGS
    assert kinds(frames).keys() <= {"esp", "arp"}
    assert not holds(frames, PATTERN[:8])
    assert before == {side.box.name: errors(side.box) for side in (tunnel.a, tunnel.b)}


def test_tcp_through_the_tunnel(tunnel: Tunnel) -> None:
    """A file arrives whole over TCP through the tunnel, and not one line of it is on the wire"""
    lines = 1500
    tunnel.a.box.text(f"yes '{TEXT.decode()}' | head -n {lines} >/tmp/sent")
    mark = tunnel.wire.mark()
    # Its input stays open: at the end of it nc would hang up.
    tunnel.b.at_host("sh -c 'sleep 20 | nc -l -p 5000 >/tmp/received 2>/dev/null & sleep 1'")
    tunnel.a.at_host(f"sh -c 'timeout 20 nc {tunnel.b.host} 5000 </tmp/sent'")
    sent = tunnel.a.box.text("sha256sum </tmp/sent")
    tunnel.b.box.wait_for("sha256sum </tmp/received", lambda received: received == sent, seconds=20)
    assert tunnel.counters()["box-b", SPI_AB][0] > lines * len(TEXT)
    frames = tunnel.wire.since(mark)
    assert sum(len(frame.data) for frame in frames if frame.kind == "esp") > lines * len(TEXT)
    assert kinds(frames).keys() <= {"esp", "arp"}
    assert not holds(frames, TEXT)


def test_no_key_no_traffic(tunnel: Tunnel) -> None:
    """With the SAs deleted on one side traffic stops in both directions, and never goes in clear"""
    tunnel.a.box.text("ip xfrm state flush")
    mark = tunnel.wire.mark()
    for side, peer in ((tunnel.a, tunnel.b), (tunnel.b, tunnel.a)):
        assert f"{PINGS} packets transmitted, 0 packets received" in ping(side, peer)
    frames = tunnel.wire.since(mark)
    # box-b goes on sending; box-a has nothing to open it with, and says so.
    assert {frame.spi for frame in frames if frame.kind == "esp"} == {SPI_BA}
    assert kinds(frames).keys() <= {"esp", "arp"}
    assert not holds(frames, PATTERN[:8])
    assert errors(tunnel.a.box)["XfrmInNoStates"] >= PINGS
