"""A box with all that /etc/cygnet/network can say: WAN by PPPoE on a VLAN, a second LAN, leases, log server, time zone.

    client 10.20.0.x -- VLAN 20 -- box-a 203.0.113.9 ==== PPPoE on VLAN 7 ==== 203.0.113.1 the provider

The client is a network namespace of box-b, and the provider box-b itself: its kernel and pppd have the sessions, which
on_target/pppoe_server.py offers. Both VLANs are on the wire between the boxes' WAN cards.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from keying import CONFIGURATION, SECRETS, conn, forget, start, take_over, write
from offices import NETWORK, PATIENCE, PATTERN, POLICY, Side, read_sas, wan_of

from builder.smoke.box import Box
from builder.smoke.capture import Capture, Frame, holds

pytestmark = pytest.mark.once

SERVER = Path(__file__).parent / "on_target/pppoe_server.py"
PROVIDER, FIRST, SECOND = "203.0.113.1", "203.0.113.9", "203.0.113.10"
USER, PASSWORD = "shop@isp.example", 'open "se\\same" #1'
LOG_PORT = 5140
PID = "cat /run/pluto/pluto.pid"
# What no town is: six hours less a quarter.
ZONE, OFFSET = "<+0545>-5:45", "+0545"
PRINTER, PRINTER_ADDRESS = "52:54:00:c9:20:10", "10.20.0.10"
VISITOR = "52:54:00:c9:20:11"
SETTINGS = """WAN={wan}.7
WAN_ADDRESS=pppoe
LAN2={wan}.20
LAN2_ADDRESS=10.20.0.1/24
LAN2_DHCP=10.20.0.100-10.20.0.109
SYSLOG={provider}:{port}
"""
MORE_POLICY = """zone second $LAN2 $LAN2_ADDRESS
allow second box dhcp ping
allow second wan
masquerade second wan
"""
PPPD = """plugin pppoe.so
nodetach
nolog
require-chap
name provider
noccp
ms-dns 203.0.113.53
lcp-echo-interval 20
lcp-echo-failure 3
"""
ON_LEASE = """#!/bin/sh
[ "$1" = bound ] || exit 0
ip address add $ip/$mask dev $interface
ip route add default via $router
echo $ip $mask $router >/tmp/lease.got
"""
LISTEN = f"""import socket
log = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
log.bind(("", {LOG_PORT}))
while True:
    print(log.recv(2000).decode(), flush=True)
"""
# The box is known by its name, wherever it is; the provider is the other end.
TUNNEL = ("rightid=@shop", "authby=secret", "keyingtries=%forever")
AT_PROVIDER = conn("redial", f"left={PROVIDER}", "right=%any", *TUNNEL, "auto=add", lans=False)
AT_BOX = conn("redial", f"left={PROVIDER}", "right=%defaultroute", *TUNNEL, "auto=start", lans=False)
# 802.1Q, and PPPoE in it.
VLAN_7, VLAN_20, SESSION = b"\x81\x00\x00\x07", b"\x81\x00\x00\x14", b"\x88\x64"
# The option of a SYN that says which segments its sender takes.
MSS_1460, MSS_1452 = b"\x02\x04\x05\xb4", b"\x02\x04\x05\xac"


@dataclass(frozen=True)
class Shop:
    """The box, the box that is provider and client, and the wire between them."""

    box: Box
    other: Box
    wire: Capture

    def lease(self, mac: str) -> tuple[str, str, str]:
        """The client with a card of this address asks for a lease: address, prefix length, router."""
        inside = "ip -n client"
        self.other.all_of(
            "rm -f /tmp/lease.got",
            f"{inside} link set {wan_of(self.other)}.20 down",
            f"{inside} address flush dev {wan_of(self.other)}.20",
            f"{inside} link set {wan_of(self.other)}.20 address {mac}",
            f"{inside} link set {wan_of(self.other)}.20 up",
        )
        words = f"udhcpc -i {wan_of(self.other)}.20 -f -q -n -t 10 -T 2 -s /tmp/on-lease"
        self.other.text(f"ip netns exec client {words}", PATIENCE)
        address, length, router = self.other.text("cat /tmp/lease.got").split()
        return address, length, router

    def online(self, address: str) -> None:
        """Wait until the box has this address on its WAN."""
        self.box.wait_for("ip -4 address show dev ppp0", lambda said: f"inet {address} " in said, PATIENCE)

    def tunnelled(self, address: str) -> None:
        """Wait until both ends have a tunnel between the provider and this address, and no other."""
        ends = {address, PROVIDER}
        for box in (self.box, self.other):
            box.wait_for(
                "ip xfrm state count",
                lambda _, box=box: [{sa.source, sa.destination} for sa in read_sas(box)] == [ends, ends],
                PATIENCE,
            )


@contextlib.contextmanager
def provider(box: Box) -> Iterator[None]:
    """A provider, and a wire to a client, at a box."""
    wan = wan_of(box)
    word = PASSWORD.replace("\\", "\\\\").replace('"', '\\"')
    box.text("mkdir -p /etc/ppp")
    write(box, "/etc/ppp/chap-secrets", f'"{USER}" provider "{word}" *\n')
    write(box, "/tmp/provider", PPPD)
    write(box, "/tmp/on-lease", ON_LEASE, "755")
    write(box, "/tmp/listen.py", LISTEN)
    box.send(SERVER, "/tmp/pppoe_server.py")
    box.all_of(
        *(f"ip link add link {wan} name {wan}.{vlan} type vlan id {vlan}" for vlan in (7, 20)),
        f"ip link set {wan} up",
        f"ip link set {wan}.7 up",
        "ip netns add client",
        f"ip link set {wan}.20 netns client",
        "iptables -I INPUT -i ppp+ -j ACCEPT",
        f"(python3 /tmp/pppoe_server.py {wan}.7 >/tmp/provider.said 2>&1 & echo $! >/tmp/provider.pid)",
        "(python3 /tmp/listen.py >/tmp/heard 2>&1 & echo $! >/tmp/listen.pid)",
    )
    yield
    box.run("kill $(cat /tmp/provider.pid /tmp/listen.pid); killall pppd; ip netns del client")
    box.all_of(f"ip link del {wan}.7", "iptables -D INPUT -i ppp+ -j ACCEPT", "rm -r /etc/ppp")


@pytest.fixture(scope="module")
def shop(boxes: dict[str, Box], capture: Capture) -> Iterator[Shop]:
    """A box with such settings, booted with them."""
    box, other = boxes.values()
    for each in (box, other):
        each.log_in()
    wan, before = wan_of(box), box.text(f"cat {NETWORK}")
    with provider(other):
        box.text("cp -a /etc/cygnet /root/cygnet")
        kept = re.sub(r"^(#.*|WAN=.*|WAN_ADDRESS=.*|SYSLOG=.*)\n", "", f"{before}\n", flags=re.MULTILINE)
        write(box, NETWORK, kept + SETTINGS.format(wan=wan, provider=PROVIDER, port=LOG_PORT), "644")
        write(box, POLICY, box.text(f"cat {POLICY}") + "\n" + MORE_POLICY, "644")
        write(box, "/etc/cygnet/leases", f"{PRINTER} {PRINTER_ADDRESS} printer\n", "644")
        write(box, "/etc/cygnet/pppoe", f"{USER}\n{PASSWORD}\n", "644")
        box.all_of(f"echo '{ZONE}' >/etc/TZ")
        box.text("ipsec firewall --apply --confirm", PATIENCE)
        box.restart("reboot")
        yield Shop(box, other, capture)
        box.text("cp -a /root/cygnet/. /etc/cygnet/")
        box.text("rm -r /root/cygnet /etc/cygnet/leases /etc/cygnet/pppoe /etc/TZ && sync")
        box.restart("reboot")


@pytest.fixture
def tunnel(shop: Shop) -> Iterator[None]:
    """A tunnel between the box and the provider, which the box brings up as soon as it can."""
    sides = [(Side(shop.other, 2), AT_PROVIDER), (Side(shop.box, 1), AT_BOX)]
    for side, connection in sides:
        take_over(side)
        write(side.box, CONFIGURATION, f"version 2\n{connection}", "644")
        write(side.box, SECRETS, ': PSK "correct horse battery staple"\n')
        start(side)
    yield
    for side, _ in sides:
        forget(side)


def tagged(frames: list[Frame], vlan: bytes) -> list[Frame]:
    """The frames of a VLAN."""
    return [frame for frame in frames if frame.data[12:16] == vlan]


def test_pppoe_on_a_vlan(shop: Shop) -> None:
    """The WAN comes up by PPPoE on a VLAN: address, router, name server; nothing but tagged PPPoE is on the wire"""
    shop.online(FIRST)
    shop.box.wait_for("cat /etc/resolv.conf", lambda said: said == "nameserver 203.0.113.53")
    mark = shop.wire.mark()
    assert "3 packets received" in shop.box.text(f"ping -c 3 -s 1464 {PROVIDER}")
    frames = shop.wire.since(mark)
    assert len([frame for frame in tagged(frames, VLAN_7) if frame.data[16:18] == SESSION]) >= 6
    assert "mtu 1492" in shop.box.text("ip link show ppp0")


def test_box_status_shows_it(shop: Shop) -> None:
    """`box status` has the PPPoE address, its router, both VLANs, the log server and the time zone, and no problem"""
    said = shop.box.run("box status", PATIENCE)[0]
    wan = wan_of(shop.box).partition(".")[0]
    for line in (
        "pppoe: up", f"gateway: {PROVIDER}", f"syslog: {PROVIDER}:{LOG_PORT}", f"time-zone: {ZONE}",
        f"address.{wan}.20: 10.20.0.1/24", "firewall: policy", "service.pppoe: run", "service.udhcpd2: run", "state: ok",
    ):  # fmt: skip
        assert line in said.splitlines(), said
    assert f"address.ppp0: {FIRST}" in said


def test_the_password_stays_where_it_is(shop: Shop) -> None:
    """The password is in files that only root reads: in no process list, in no log, not on the wire"""
    shop.online(FIRST)
    assert shop.box.text("stat -c '%a %u' /etc/cygnet/pppoe /run/cygnet/pppoe.options").splitlines() == ["600 0"] * 2
    assert "same" not in shop.box.text("cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ; logread; dmesg").replace(
        "\0", " "
    )
    assert not holds(shop.wire.frames(), b'same" #1')


def test_a_second_lan_has_leases_of_its_own(shop: Shop) -> None:
    """On a second LAN, which is a VLAN, anybody gets an address of its range, and who is in the leases always the same"""
    address, length, router = shop.lease(VISITOR)
    assert re.fullmatch(r"10\.20\.0\.10\d", address)
    assert (length, router) == ("24", "10.20.0.1")
    assert shop.lease(PRINTER) == (PRINTER_ADDRESS, "24", "10.20.0.1")


def test_segments_fit_into_pppoe(shop: Shop) -> None:
    """What a host of the second LAN sends goes out by PPPoE with the box's address, and its TCP segments fit"""
    shop.online(FIRST)
    shop.lease(PRINTER)
    mark = shop.wire.mark()
    shop.other.run(f"ip netns exec client timeout 5 nc {PROVIDER} 80 </dev/null")
    frames = shop.wire.since(mark)
    assert holds(tagged(frames, VLAN_20), MSS_1460)
    out = [frame for frame in tagged(frames, VLAN_7) if MSS_1452 in frame.data]
    assert out
    assert all(bytes((203, 0, 113, 9)) in frame.data for frame in out)
    assert not holds(tagged(frames, VLAN_7), MSS_1460)


def test_the_log_arrives_elsewhere(shop: Shop) -> None:
    """What the box logs is on the log server, too, and stays in the box's own log"""
    shop.online(FIRST)
    shop.box.text("logger probe-of-syslog")
    shop.other.wait_for("cat /tmp/heard", lambda said: "probe-of-syslog" in said)
    assert "probe-of-syslog" in shop.box.text("logread")


def test_the_time_zone_is_everybodys(shop: Shop) -> None:
    """/etc/TZ is the time zone of logins and of services"""
    assert shop.box.text("date +%z") == OFFSET
    services = shop.box.text("tr '\\0' '\\n' </proc/$(pidof -s syslogd)/environ")
    assert f"TZ={ZONE}" in services.splitlines()


@pytest.mark.usefixtures("tunnel")
def test_the_provider_hangs_up(shop: Shop) -> None:
    """When the provider hangs up, the box says so, calls again by itself, and its tunnel is up from the next address"""
    shop.online(FIRST)
    shop.tunnelled(FIRST)
    daemon = shop.box.text(PID)
    shop.other.text("killall pppd")
    said = shop.box.wait_for("box status", lambda text: "pppoe: down" in text, PATIENCE)
    assert "problem: PPPoE on" in said
    shop.online(SECOND)
    assert f"default via {PROVIDER} dev ppp0" in shop.box.text("ip route")
    assert "pppoe: up" in shop.box.run("box status", PATIENCE)[0]
    shop.tunnelled(SECOND)
    mark = shop.wire.mark()
    assert "3 packets received" in shop.box.text(f"ping -c 3 -p a5 {PROVIDER}")
    assert not holds(shop.wire.since(mark), PATTERN)
    assert shop.box.text(PID) == daemon
