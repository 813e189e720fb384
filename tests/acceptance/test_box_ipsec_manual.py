"""Tunnels whose keys are set by hand: no daemon, FreeS/WAN's views of them, and the daemon beside them."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator

import pytest
from keying import PATIENCE, configure, conn, forget, write
from offices import INNER, PATTERN, PINGS, Offices, offices, quiet_wire, read_sas

from builder.smoke.box import Box
from builder.smoke.capture import Capture, holds, kinds

pytestmark = pytest.mark.once
ENCRYPTION, INTEGRITY = secrets.token_hex(16), secrets.token_hex(32)
KEYS = f"""\
conn keys
	esp=aes-sha2_256
	espenckey=0x{ENCRYPTION}
	espauthkey=0x{INTEGRITY}
"""
SPIBASE = 0x200
# The tunnel, and another that has one of its SPIs; the daemon's start brings up the first.
CONNECTIONS = (
    "\ninclude ipsec.d/keys.conf\n"
    + conn("offices", "also=keys", f"spibase=0x{SPIBASE:x}", "auto=manual")
    + conn("second", "also=keys", "spi=0x202", "leftsubnet=10.8.0.0/24", "rightsubnet=10.9.0.0/24", lans=False)
)
# Every process there was while a command ran.
WATCHED = "while :; do ps -o args; sleep 0.3; done >/tmp/ps & watch=$!; {}; status=$?; kill $watch; (exit $status)"


@pytest.fixture(scope="module")
def by_hand(boxes: dict[str, Box], capture: Capture) -> Iterator[Offices]:
    """Two boxes that forward, with the same files; no daemon runs, and no tunnel is up."""
    for box in boxes.values():
        box.log_in()
    with quiet_wire(*boxes.values()), offices(boxes, capture) as made:
        for side, _ in made.both:
            configure(side, CONNECTIONS, "")
            side.box.text("mkdir -p /etc/ipsec.d && sysctl -q -w net.ipv4.ip_forward=1")
            write(side.box, "/etc/ipsec.d/keys.conf", KEYS)
        yield made
        for side, _ in made.both:
            forget(side)
            side.box.text("rm /etc/ipsec.d/keys.conf; sysctl -q -w net.ipv4.ip_forward=0")


@pytest.fixture(scope="module")
def standing(by_hand: Offices) -> Offices:
    """The tunnel is up at both ends."""
    for side, _ in by_hand.both:
        side.box.text(WATCHED.format("ipsec manual --up offices"), PATIENCE)
    return by_hand


def assert_carries(made: Offices) -> None:
    """Hosts reach each other both ways, by ESP under the SPIs of the file alone."""
    mark, before = made.wire.mark(), sum(sa.bytes for sa in read_sas(made.a.box))
    for side, peer in made.both:
        assert side.ping(peer.host) == PINGS
    assert sum(sa.bytes for sa in read_sas(made.a.box)) - before == 4 * PINGS * INNER
    frames = made.wire.since(mark)
    assert kinds(frames)["esp"] == 4 * PINGS
    assert kinds(frames).keys() <= {"esp", "arp"}
    assert {frame.spi for frame in frames if frame.kind == "esp"} == {SPIBASE + 2, SPIBASE + 3}
    assert not holds(frames, PATTERN)


def left_over(box: Box) -> str:
    """What of IPsec is in the kernel."""
    return box.text(
        "ip xfrm state; ip xfrm policy; ip link show type xfrm; ip rule | grep fwmark; ip route show table 51; true"
    )


def test_a_tunnel_keyed_by_hand_carries_without_a_daemon(standing: Offices) -> None:
    """Keys set by hand: the tunnel carries both ways, all SAs count it, the wire shows only ESP, and no daemon runs"""
    assert "pluto" not in standing.a.box.text("ps -o args")
    assert_carries(standing)


def test_keys_set_by_hand_show_nowhere(standing: Offices) -> None:
    """No key is among the arguments of any process, nor in the log, nor in what the commands say"""
    box = standing.a.box
    assert "ipsec manual --up" in box.text("cat /tmp/ps")
    said = box.text("ipsec manual --showonly --up offices", PATIENCE)
    assert "ipsec spi --said esp0x202@192.0.2.2" in said
    seen = said + box.text("cat /tmp/ps; logread; true", PATIENCE)
    assert [key for key in (ENCRYPTION, INTEGRITY) if key in seen] == []


def test_a_second_conn_with_the_same_spi_is_refused(standing: Offices) -> None:
    """A second conn with an SPI that is in use is refused, and told whose it is; what stands goes on"""
    said, status = standing.a.box.run("ipsec manual --up second", PATIENCE)
    assert status == 1
    assert re.search(r'"second" cannot be brought up, as conn "offices" \(/etc/ipsec.conf:\d+\) has SPI 0x202', said), (
        said
    )
    assert {sa.spi for sa in read_sas(standing.a.box)} == {SPIBASE + 2, SPIBASE + 3}


def test_freeswans_views_show_it(standing: Offices) -> None:
    """`ipsec eroute`, `spi`, `tncfg` and `look` show the tunnel in FreeS/WAN's formats, from the kernel's counters"""
    box = standing.a.box
    assert_carries(standing)
    lan, theirs = (side.lan for side in (standing.a, standing.b))
    packets = {sa.spi: sa.packets for sa in read_sas(box)}
    shown = box.text("ipsec eroute; ipsec spi; ipsec tncfg; ipsec look", 2 * PATIENCE)
    count = packets[SPIBASE + 2]
    for line in (
        rf"{count} +{lan}:0 +-> {theirs}:0 +=> esp0x202@192.0.2.2:0 \(\) \(\)",
        r"esp0x202@192.0.2.2 ESP_AES_HMAC_SHA2_256: dir=out src=192.0.2.1 mode=tunnel .*aklen=256 eklen=128 .*",
        rf"esp0x203@192.0.2.1 ESP_AES_HMAC_SHA2_256: dir=in .*packets\({packets[SPIBASE + 3]},0,0\).*",
        r"ipsec0 -> eth0 mtu=\d+\(\d+\) -> 1500",
        rf"{lan} +-> {theirs} +=> esp0x202@192.0.2.2 \({count}\)",
        rf"{theirs.split('/')[0]} +0.0.0.0 .* ipsec0",
    ):
        assert re.search(f"^{line}$", shown, re.MULTILINE), f"{line}\n{shown}"


def test_the_daemon_beside_it_changes_nothing(standing: Offices) -> None:
    """A daemon that starts and ends on the same box leaves a tunnel that is keyed by hand as it is"""
    box, before = standing.a.box, {sa.spi for sa in read_sas(standing.a.box)}
    box.text("ipsec setup start", PATIENCE)
    assert_carries(standing)
    box.text("sv -v -w 30 down /run/service/ipsec; sysctl -q -w net.ipv4.ip_forward=1", PATIENCE)
    assert {sa.spi for sa in read_sas(box)} == before
    assert_carries(standing)


def test_down_leaves_nothing_in_clear_and_unroute_nothing_at_all(standing: Offices) -> None:
    """After `ipsec manual --down` no packet goes in clear; after --unroute nothing is left"""
    mark = standing.wire.mark()
    standing.a.box.text("ipsec manual --down offices", PATIENCE)
    assert read_sas(standing.a.box) == []
    for side, peer in standing.both:
        assert side.ping(peer.host, count=2) == 0
    frames = standing.wire.since(mark)
    assert kinds(frames).keys() <= {"esp", "arp"}
    assert not holds(frames, PATTERN)
    standing.a.box.text("ipsec manual --unroute offices", PATIENCE)
    assert left_over(standing.a.box) == ""


def test_setup_takes_down_and_brings_up_what_is_keyed_by_hand(standing: Offices) -> None:
    """`ipsec setup stop` takes down what was set by hand, whoever did it; `ipsec setup start` brings up auto=manual"""
    box, spis = standing.b.box, {SPIBASE + 2, SPIBASE + 3}
    assert {sa.spi for sa in read_sas(box)} == spis
    box.run("ipsec setup stop", PATIENCE)
    assert left_over(box) == ""
    box.text("ipsec setup start", PATIENCE)
    assert {sa.spi for sa in read_sas(box)} == spis
    box.text("ipsec setup stop", PATIENCE)
    assert left_over(box) == ""
