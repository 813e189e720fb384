"""What FreeS/WAN promised about packets, kept by two daemons: what is held, dropped, passed, and how large it is.

    host 10.1.0.2 -- box-a 192.0.2.1 ==== WAN ==== provider -- 192.0.2.2 box-b -- host 10.2.0.2 and others

The provider is a router in box-b, of whose two networks the inner one takes packets of 1,400 bytes.  A plain route
leads everywhere, and the boxes forward all the time, without a firewall: what IPsec does not hold back goes in clear,
and is seen on the wire.
"""

from __future__ import annotations

import contextlib
import re
import struct
from collections.abc import Iterator
from ipaddress import ip_address
from typing import NamedTuple

import pytest
from keying import LINK, PATIENCE, configure, conn, forget, log, up
from offices import PATTERN, Offices, Side, offices, quiet_wire, read_sas, wan_of, xfrm_errors
from provider import PATH, PROVIDER, no_firewall, provider

from builder.smoke.box import Box
from builder.smoke.capture import Capture, Frame, kinds

pytestmark = pytest.mark.once

SECRETS = '192.0.2.1 192.0.2.2 : PSK "correct horse battery staple"\n'
MTU = 1420
SETUP_A = f"\thidetos=no\n\toverridemtu={MTU}\n"
PSK = ("authby=secret", "pfs=no")
HERE = "leftsubnet=10.1.0.0/24"
# More networks of the host behind box-b, and one of that behind box-a.
FAR, NEAR = "10.16.0.0/12", "10.11.0.0/24"
ROAD, STRANGE = 28, 29
ETHERNET, IPV4, UDP = 14, 20, 8
# Where a frame of ESP has the last byte but one of its sequence number (RFC 4303, section 2).
SEQUENCE = ETHERNET + IPV4 + 4 + 2
QUICK_MODE = 32
CONTROL, LOCK = "/run/pluto/pluto.ctl", "/run/pluto/pluto.pid"
# Seconds after which a host that says nothing is given up.
KNOCK = 3
# The number of a table of routes that pass beside the tunnels.
CLEAR = 99
REFUSED, UNREACHABLE, SILENCE = "Connection refused", "Host is unreachable", ""


class Shunt(NamedTuple):
    """What is no tunnel, or fails to become one: to which network, what `ipsec look` calls it, what packets come to."""

    number: int
    lines: tuple[str, ...]
    word: str
    fate: str

    @property
    def host(self) -> str:
        """Who is called; nobody listens there, and that is said."""
        return f"10.{self.number}.0.2"


SHUNTS = {
    "drop": Shunt(21, ("type=drop",), "%drop", SILENCE),
    "reject": Shunt(22, ("type=reject",), "%reject", UNREACHABLE),
    "pass": Shunt(23, ("type=passthrough",), "%pass", REFUSED),
    "failed-drop": Shunt(24, (*PSK, "failureshunt=drop"), "%drop", SILENCE),
    "failed-reject": Shunt(25, (*PSK, "failureshunt=reject"), "%reject", UNREACHABLE),
    "failed-pass": Shunt(26, (*PSK, "failureshunt=passthrough"), "%pass", REFUSED),
    "failed": Shunt(27, PSK, "%trap", SILENCE),
}


def to(number: int, name: str, *lines: str) -> str:
    """A conn to one of the other networks."""
    return conn(name, f"rightsubnet=10.{number}.0.0/24", *lines, lans=False)


CONNECTIONS_A = "".join(
    (
        conn("net", *PSK, "auto=route"),
        conn("rival", *PSK, "right=192.0.2.3", "auto=add"),
        conn("hosts", *PSK, "auto=add", lans=False),
        to(ROAD, "road", *PSK, f"leftsubnet={NEAR}", "auto=add"),
        *(to(one.number, name, HERE, *one.lines, "auto=route") for name, one in SHUNTS.items()),
    )
)
CONNECTIONS_B = "".join(
    (
        conn("net", *PSK, "auto=add"),
        conn("hosts", *PSK, "auto=add", lans=False),
        to(ROAD, "road", *PSK, "left=%any", f"leftsubnet={NEAR}", "auto=add"),
    )
)


# The scene


@contextlib.contextmanager
def more_networks(made: Offices) -> Iterator[None]:
    """The hosts have an address in each; and both boxes forward, whoever would have them stop."""
    numbers = [ROAD, STRANGE, *(one.number for one in SHUNTS.values())]
    made.a.box.all_of(
        f"ip route add {FAR} via {made.b.wan}",
        f"ip route add {NEAR} via {made.a.host}",
        "ip -n host address add 10.11.0.2/32 dev eth0",
    )
    made.b.box.all_of(
        f"ip route add {FAR} via {made.b.host}",
        *(f"ip -n host address add 10.{number}.0.2/32 dev eth0" for number in numbers),
        # What came in clear is answered in clear, also while a tunnel to the same network stands.
        f"ip route add {made.a.lan} via {made.a.wan} table {CLEAR}",
        *(f"ip rule add from 10.{one.number}.0.0/24 lookup {CLEAR}" for one in SHUNTS.values()),
    )
    for side, _ in made.both:
        behind(side, "forwarding", 'sh -c "while sleep 0.2; do echo 1 >/proc/sys/net/ipv4/ip_forward; done"')
    yield
    for side, _ in made.both:
        end(side, "forwarding")
    made.a.box.run(f"ip route del {FAR}")
    for one in SHUNTS.values():
        made.b.box.run(f"ip rule del from 10.{one.number}.0.0/24")


@pytest.fixture(scope="module")
def daemons(boxes: dict[str, Box], capture: Capture) -> Iterator[Offices]:
    """Two boxes whose daemons run, and have routed what is to be routed; no tunnel is up."""
    for box in boxes.values():
        box.log_in()
    with contextlib.ExitStack() as scene:
        scene.enter_context(quiet_wire(*boxes.values()))
        made = scene.enter_context(offices(boxes, capture))
        scene.enter_context(no_firewall(made))
        scene.enter_context(provider(made, (made.a.lan, NEAR), (made.b.lan, FAR)))
        scene.enter_context(more_networks(made))
        for side, connections, setup in ((made.a, CONNECTIONS_A, SETUP_A), (made.b, CONNECTIONS_B, "")):
            configure(side, connections, SECRETS, setup)
            scene.callback(forget, side)
            side.box.text(f"ln -sn /etc/sv/ipsec {LINK}")
        made.b.box.wait_for(f"ls {CONTROL}", lambda said: said == CONTROL, PATIENCE)
        last = max(one.number for one in SHUNTS.values())
        made.a.box.wait_for(f"ip route show 10.{last}.0.0/24", lambda said: "dev ipsec0" in said, PATIENCE)
        yield made


def behind(side: Side, name: str, command: str) -> None:
    """Run it in the background, until `end`."""
    side.box.text(f"sh -c '(exec {command} </dev/null >/tmp/{name} 2>&1) & echo $! >/tmp/{name}.pid'")


def end(side: Side, name: str) -> None:
    """End what runs `behind`."""
    side.box.run(f"kill $(cat /tmp/{name}.pid)")


def calling(address: str, *options: str) -> str:
    """The command by which the host behind a box pings all the time."""
    return f"ip netns exec host ping -i 0.1 -W 1 -p a5 {' '.join(options)} {address}"


def stand(made: Offices, count: int) -> None:
    """Wait until each box has so many SAs."""
    for side, _ in made.both:
        side.box.wait_for("ip xfrm state count", lambda _, box=side.box: len(read_sas(box)) == count, PATIENCE)


def knock(side: Side, addresses: list[str]) -> dict[str, str]:
    """Connections to a port where nobody listens, all at once: what each came to."""
    once = f"said=$(timeout {KNOCK} ip netns exec host nc $to 9 2>&1 </dev/null); echo $to=${{said##*: }}"
    said = side.box.text(
        f"sh -c '{{ for to in {' '.join(addresses)}; do ({once}) & done; wait; }} 2>/dev/null'", PATIENCE
    )
    return dict(re.findall(rf"^([\d.]+)=({REFUSED}|{UNREACHABLE}|)", said, re.MULTILINE))


def inject(side: Side, esp: bytes, clear: bytes) -> None:
    """On the wire, from box-b's end of it: a frame 3 times, then twice with another number, and 4 times one in clear."""
    program = f"import socket as o;s=o.socket(17,3);s.bind(('{wan_of(side.box)}',0));e=bytearray.fromhex('{esp.hex()}')"
    program += f";[s.send(e) for _ in range(3)];e[{SEQUENCE}]^=1;[s.send(e) for _ in range(2)]"
    program += f";[s.send(bytes.fromhex('{clear.hex()}')) for _ in range(4)]"
    side.box.text(f'ip netns exec provider python3 -IS -c "{program}"', PATIENCE)


# What was on the wire


def sent(frames: list[Frame], kind: str, source: str) -> list[int]:
    """Which of the frames are of a kind and from there."""
    return [at for at, frame in enumerate(frames) if frame.kind == kind and frame.ends[0] == source]


def answered(frames: list[Frame], asking: str, answering: str) -> int:
    """Which of the frames is the first answer to a quick mode begun in them: an older one's may be repeated late."""
    begun: dict[bytes, str] = {}
    for at, frame in enumerate(frames):
        header = frame.packet[IPV4 + UDP :]
        if frame.kind == "ike" and header[18] == QUICK_MODE:
            first = begun.setdefault(header[20:24], frame.ends[0])
            if first == asking and frame.ends[0] == answering:
                return at
    raise AssertionError("no quick mode was answered")


def only_protected(frames: list[Frame]) -> bool:
    """Whether nothing but IKE and ESP was on the wire."""
    return kinds(frames).keys() <= {"esp", "ike", "arp"}


def echo_request(ethernet: bytes, source: str, destination: str) -> bytes:
    """A ping of no data, in clear."""
    addresses = ip_address(source).packed + ip_address(destination).packed
    head = struct.pack("!BBHHHBBH", 0x45, 0, 28, 1, 0, 64, 1, 0) + addresses
    ping = struct.pack("!BBHHH", 8, 0, 0, 1, 1)
    return ethernet + with_checksum(head, 10) + with_checksum(ping, 2)


def with_checksum(data: bytes, at: int) -> bytes:
    """The Internet checksum in its place (RFC 1071)."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return data[:at] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + data[at + 2 :]


# The promises


# The hosts of a tunnel; how it is brought up, if not by a packet; and how many SAs there are then.
CALLERS = {
    "routed": ("10.1.0.2", "10.2.0.2", "", 2),
    "from-anywhere": ("10.11.0.2", f"10.{ROAD}.0.2", "road", 4),
}


@pytest.mark.parametrize(("ours", "theirs", "name", "sas"), CALLERS.values(), ids=CALLERS)
def test_packets_wait_for_their_tunnel(daemons: Offices, ours: str, theirs: str, name: str, sas: int) -> None:
    """A packet that asks for a tunnel goes through it; who answers sends nothing in clear from its answer on"""
    a, b = daemons.a, daemons.b
    mark, before = daemons.wire.mark(), xfrm_errors(a.box)
    # Given a host that sends in clear all the time, for its box has routed nothing yet,
    behind(b, "calls", calling(ours, "-I", theirs))
    # when the other side asks for the tunnel: one packet does, or a command,
    if name:
        up(a, name)
    else:
        assert "1 packets received" in a.at_host(f"ping -c 1 -W 30 {theirs}", PATIENCE)[0]
    stand(daemons, sas)
    b.box.text("sleep 0.5")
    end(b, "calls")
    # then the answering box has let nothing out in clear after its answer, though it could not send by the tunnel yet;
    frames = daemons.wire.since(mark)
    answer = answered(frames, a.wan, b.wan)
    clear = sent(frames, "icmp", theirs)
    assert clear
    assert clear[-1] < answer
    assert sent(frames, "esp", b.wan)
    # nor has the other, if the connection was routed there: it held its packets back, and refused what came in clear.
    if not name:
        assert sent(frames, "icmp", a.host) == []
        assert xfrm_errors(a.box)["XfrmInPolBlock"] > before["XfrmInPolBlock"]


def test_what_is_no_tunnel_does_what_its_type_says(daemons: Offices) -> None:
    """type= and failureshunt=: dropped without a word, refused by ICMP, passed in clear, or held back"""
    mark, box = daemons.wire.mark(), daemons.a.box
    # Given connections whose first packet asks for a tunnel that cannot be,
    failing = [one.host for one in SHUNTS.values() if one.lines[:2] == PSK]
    knock(daemons.a, failing)
    refused = "logread | grep -c '\"failed.* it has no connection for traffic'"
    box.wait_for(refused, lambda count: int(count) >= len(failing), PATIENCE)
    # when there are more packets, then they come to what their connections say;
    found = knock(daemons.a, [one.host for one in SHUNTS.values()])
    assert found == {one.host: one.fate for one in SHUNTS.values()}
    # on the wire in clear is only what may pass,
    clear = {frame.ends for frame in daemons.wire.since(mark) if not only_protected([frame])}
    passed = {one.host for one in SHUNTS.values() if one.word == "%pass"}
    assert clear == {(daemons.a.host, host) for host in passed} | {(host, daemons.a.host) for host in passed}
    # and `ipsec look` shows what is what.
    look = box.text("ipsec look", PATIENCE)
    for one in SHUNTS.values():
        assert re.search(rf"^10\.1\.0\.0/24 +-> 10\.{one.number}\.0\.0/24 +=> {one.word}$", look, re.MULTILINE), look


def test_what_strangers_send_is_dropped_and_counted(daemons: Offices) -> None:
    """Packets repeated, changed, in clear, or not agreed upon are dropped; `ipsec look` counts them with their SA"""
    a, b = daemons.a, daemons.b
    mark = daemons.wire.mark()
    b.at_host(f"ping -c 1 -s 8 {a.host}")
    frames = daemons.wire.since(mark)
    esp = frames[sent(frames, "esp", b.wan)[0]].data
    before = xfrm_errors(a.box)
    # When somebody repeats a packet, changes its number so that it looks new, and has one in clear from the right host,
    inject(b, esp, echo_request(esp[:ETHERNET], b.host, a.host))
    # and the peer sends by the tunnel what is not for it,
    reqid = re.findall(r"reqid (\d+) mode tunnel", b.box.text("ip xfrm state"))[0]
    way = f"src 10.{STRANGE}.0.0/24 dst {a.lan} dir out if_id 1"
    template = f"tmpl src {b.wan} dst {a.wan} proto esp reqid {reqid} mode tunnel"
    b.box.text(f"ip xfrm policy add {way} {template}")
    b.at_host(f"ping -c 2 -i 0.2 -W 1 -I 10.{STRANGE}.0.2 {a.host}")
    b.box.text(f"ip xfrm policy delete {way}")
    # then each is dropped for what is wrong with it,
    after = xfrm_errors(a.box)
    assert {name: count - before[name] for name, count in after.items() if count != before[name]} == {
        "XfrmInStateSeqError": 3, "XfrmInStateProtoError": 2, "XfrmInPolBlock": 4, "XfrmInNoPols": 2,
    }  # fmt: skip
    # and an administrator sees it.
    assert re.search(
        r"^esp0x\w+@192\.0\.2\.1 .*ooo_errs=3.* auth_errs=2", a.box.text("ipsec look", PATIENCE), re.MULTILINE
    )


def test_one_network_has_one_peer(daemons: Offices) -> None:
    """Two connections for the same traffic with two peers: the log names both, with the places where they stand"""
    place = r"/etc/ipsec\.conf:\d+"
    assert re.search(rf'{place}: conn "rival" is for the same traffic as conn "net" at {place}', log(daemons.a.box))


def test_type_of_service_and_mtu_are_what_the_file_says(daemons: Offices) -> None:
    """hidetos=no lets DSCP be seen outside, else only ECN is; overridemtu= is the MTU of ipsec0"""
    seen = {}
    for side, peer in daemons.both:
        mark = daemons.wire.mark()
        program = (
            f"import socket as o;s=o.socket(2,o.SOCK_DGRAM);s.setsockopt(0,1,0xba);s.sendto(b'',('{peer.host}',9))"
        )
        side.at_host(f'python3 -IS -c "{program}"')
        frames = daemons.wire.since(mark)
        mtu = side.box.text("cat /sys/class/net/ipsec0/mtu")
        seen[side.box.name] = frames[sent(frames, "esp", side.wan)[0]].packet[1], mtu
    assert seen == {"box-a": (0xBA, str(MTU)), "box-b": (0x02, "1500")}


def test_large_transfers_find_the_size_of_the_path(daemons: Offices) -> None:
    """TCP through a path of 1,400 bytes: a router on it says that ESP is too large, and hosts learn what fits"""
    mark = daemons.wire.mark()
    for side, peer in daemons.both:
        side.box.text("head -c 400000 /dev/urandom >/tmp/sent")
        # Its input stays open: at the end of it nc would hang up.
        peer.at_host("sh -c 'sleep 60 | nc -l -p 5000 >/tmp/got 2>/dev/null & sleep 1'")
        side.at_host(f"sh -c 'timeout 60 nc {peer.host} 5000 </tmp/sent'", PATIENCE)
        whole = side.box.text("md5sum </tmp/sent")
        peer.box.wait_for("md5sum </tmp/got", lambda got, whole=whole: got == whole, seconds=20)
    frames = daemons.wire.since(mark)
    told = sent(frames, "icmp", PROVIDER)
    assert {frames[at].packet[IPV4 : IPV4 + 2] for at in told} == {b"\3\4"}
    sizes = [len(frames[at].packet) for at in sent(frames, "esp", daemons.a.wan)]
    assert max(sizes) > PATH
    assert max(sizes[100:]) in range(PATH - 16, PATH + 1)
    assert only_protected([frame for at, frame in enumerate(frames) if at not in told])


def test_a_tunnel_to_the_peer_itself_passes_the_reverse_path_filter(daemons: Offices) -> None:
    """Host to host: the peer's own address is behind the tunnel, and its ESP comes by the wire nevertheless"""
    a, b = daemons.a, daemons.b
    assert a.box.text("cat /proc/sys/net/ipv4/conf/all/rp_filter") == "2"
    up(a, "hosts")
    mark = daemons.wire.mark()
    assert "2 packets received" in a.box.text(f"ping -c 2 -i 0.3 -W 2 -I {a.wan} {b.wan}")
    frames = daemons.wire.since(mark)
    assert kinds(frames)["esp"] == 4
    assert only_protected(frames)


def test_after_down_packets_stay_and_after_unroute_they_go(daemons: Offices) -> None:
    """After --down the route stays and holds what takes it; after --unroute packets go in clear, which the peer drops"""
    a, b = daemons.a, daemons.b
    b.box.text("ipsec auto --down net", PATIENCE)
    b.box.text("ipsec auto --unroute net", PATIENCE)
    mark, before = daemons.wire.mark(), xfrm_errors(a.box)
    assert "dev ipsec0" in a.box.text(f"ip route show {b.lan}")
    # One end has forgotten the tunnel: what it sends is refused by the other, which has only taken it down.
    b.at_host(f"ping -c 2 -i 0.2 -W 1 {a.host}")
    assert len(sent(daemons.wire.since(mark), "icmp", b.host)) == 2
    assert xfrm_errors(a.box)["XfrmInPolBlock"] - before["XfrmInPolBlock"] == 2
    # That one's packets wait, and ask for the tunnel again.
    assert "1 packets received" in a.at_host(f"ping -c 1 -W 30 {b.host}", PATIENCE)[0]
    assert sent(daemons.wire.since(mark), "icmp", a.host) == []


def test_a_daemon_that_dies_lets_nothing_out_in_clear(daemons: Offices) -> None:
    """kill -9, no SAs left: what the daemon has laid holds everything back until it is there again, and then, too"""
    a, b = daemons.a, daemons.b
    behind(a, "calls", calling(b.host))
    mark, before = daemons.wire.mark(), a.box.text(f"cat {LOCK}")
    a.box.text(f"kill -9 {before}; ip xfrm state flush")
    # It comes back by itself, and so does the tunnel, by the packets that wait for it.
    a.box.wait_for("ip xfrm state count", lambda _: any(sa.packets > 10 for sa in read_sas(a.box)), PATIENCE)
    end(a, "calls")
    assert a.box.text(f"cat {LOCK}") != before
    frames = daemons.wire.since(mark)
    assert sent(frames, "esp", a.wan)
    assert not [frame for frame in frames if PATTERN in frame.data]
    assert sent(frames, "icmp", a.host) + sent(frames, "icmp", b.host) == []
