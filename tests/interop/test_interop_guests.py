"""strongSwan meets libreswan, each in a guest with the kernel's ESP: the peers work before a Cygnet box meets them."""

from __future__ import annotations

import pytest
from capture import holds, kinds
from guest_peers import Peers
from swanctl_config import Conn, End
from topology import EAST, EAST_NET, WEST, WEST_NET

STRONGSWAN, LIBRESWAN = End(WEST, WEST_NET), End(EAST, EAST_NET)
PINGS, SIZE = 4, 400
# What an SA counts: IPv4 header, ICMP header, data.
INNER = 20 + 8 + SIZE
PATTERN = b"\xa5" * 32


@pytest.fixture
def tunnel(peers: Peers) -> Peers:
    """An IKEv1 connection with a PSK, up."""
    peers.strongswan.load(Conn(STRONGSWAN, LIBRESWAN, psk="a long swan is a good swan"))
    peers.libreswan.load(STRONGSWAN, psk="a long swan is a good swan")
    output, status = peers.strongswan.initiate()
    assert status == 0, f"{output}\n{peers.libreswan.log()[-3000:]}"
    return peers


def test_ping_in_clear_is_seen(peers: Peers) -> None:
    """Without a tunnel the guests' ping is in clear on the wire, so the look at the wire can fail"""
    mark = peers.wire.mark()
    peers.strongswan.ping(peers.libreswan.host, PINGS, f"-s {SIZE} -p a5")
    assert holds(peers.wire.since(mark), PATTERN)


def test_only_esp_is_on_the_wire(tunnel: Peers) -> None:
    """strongSwan and libreswan agree: all four SAs count the ping, the wire shows only ESP"""
    tunnel.strongswan.ping_until_answered(tunnel.libreswan.host)
    before = [peer.counts() for peer in tunnel.both]
    mark = tunnel.wire.mark()
    tunnel.strongswan.ping(tunnel.libreswan.host, PINGS, f"-s {SIZE} -p a5")
    after = [peer.counts() for peer in tunnel.both]
    assert before[0].keys() == before[1].keys()
    assert len(before[0]) == 2
    for then, now in zip(before, after, strict=True):
        assert {spi: now[spi] - then[spi] for spi in then} == dict.fromkeys(then, PINGS * INNER)
    frames = tunnel.wire.since(mark)
    assert kinds(frames)["esp"] == 2 * PINGS
    assert kinds(frames).keys() <= {"esp", "arp"}
    assert not holds(frames, PATTERN[:8])
