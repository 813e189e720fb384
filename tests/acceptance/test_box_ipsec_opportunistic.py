"""Opportunistic encryption between two boxes, with a name server that is not ours: docs/opportunistic.md on real kernels.

    host 10.1.0.2 -- box-a 192.0.2.1 ==== WAN ==== 192.0.2.2 box-b -- host 10.2.0.2 and others
                                       |
                192.0.2.53 name server, and hosts without a key

A plain route leads everywhere, so that what is not encrypted goes in clear, and is seen on the wire.  The stories follow
each other: what was said of whom in the DNS a while ago is forgotten after a second.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from keying import LINK, PATIENCE, PROJECT, STOP, RsaKey, forget, make_key, take_over, write
from laboratory import ADDRESS, BLOCKED, STRANGER, Laboratory, laboratory
from offices import PATTERN, Offices, Side, offices, quiet_wire, together, wan_of

from builder.smoke.box import Box
from builder.smoke.capture import Capture, Frame, holds, kinds

pytestmark = pytest.mark.once

GUIDE = PROJECT / "docs/opportunistic.md"
ROAD = "road.example.org"
# More addresses of the hosts behind box-a and box-b.
FALSE = "10.1.0.3"
BOTH, LOOP, LATER, OFFICE = "10.2.0.3", "10.2.0.4", "10.2.0.5", "10.12.0.2"
# Hosts that nobody has, for whom box-b is the gateway; so many of them are called at once.
CROWD, MANY = "10.2.0.{}", range(10, 34)
MOST, MOST_KIB = 1000, 60 * 1024
TRIES, PAUSE = 40, 0.3
POLICIES = "/etc/ipsec.d/policies"
SETUP = "version 2\n\nconfig setup\n\tinterfaces=%defaultroute\n"
# A gateway for the hosts behind it, whose firewall opens for each pair of hosts.
CLIENTS = """
conn clients
	left=%defaultroute
	leftsubnet={side.lan}
	right=%opportunistic
	rightrsasigkey=%dns
	leftfirewall=yes
	auto=route
	rekey=no

conn office
	left=192.0.2.1
	right=192.0.2.2
	leftsubnet=10.1.0.0/24
	rightsubnet=10.12.0.0/24
	authby=secret
	auto=route
"""
PSK = '\n192.0.2.1 192.0.2.2 : PSK "correct horse battery staple"\n'
Records = dict[str, list[str]]


@dataclass
class Scene:
    """Both boxes, what the DNS says, and the keys."""

    offices: Offices
    names: Laboratory
    keys: dict[str, RsaKey]
    folder: Path
    records: Records = field(default_factory=dict)

    @property
    def a(self) -> Side:
        """The west."""
        return self.offices.a

    @property
    def b(self) -> Side:
        """The east."""
        return self.offices.b

    def publish(self, *records: str) -> None:
        """Say in the DNS what `ipsec showhostkey` prints, beside what is there; the same name and type replaces."""
        for record in records:
            name, _, kind, _ = record.split(None, 3)
            there = [one for one in self.records.get(name, ()) if one.split()[1] != kind]
            self.records[name] = [*there, record.split(None, 1)[1]]
        self.names.publish(self.records)

    def record(self, owner: str, key: str, *options: str) -> str:
        """As `ipsec showhostkey` prints it."""
        file = self.folder / f"{key}.secrets"
        if not file.exists():
            file.write_text(self.keys[key].secret)
            file.chmod(0o600)
        words = [sys.executable, "-m", "cygnet.cli", "showhostkey", "--file", str(file), "--for", owner, *options]
        environment = {**os.environ, "PYTHONPATH": str(PROJECT / "packages/cygnet/src")}
        said = subprocess.run(words, env=environment, capture_output=True, text=True, check=True).stdout
        return said.splitlines()[-1]

    def await_in_clear(self, mark: int, address: str) -> None:
        """Wait until a ping to an address has gone over the wire as it is since ``mark``."""
        end = time.monotonic() + PATIENCE
        while not in_clear(self.offices.wire.since(mark), address):
            assert time.monotonic() < end, f"nothing went to {address} in the clear"
            time.sleep(PAUSE)

    @contextlib.contextmanager
    def watched(self) -> Iterator[list[Frame]]:
        """What goes over the wire meanwhile."""
        frames: list[Frame] = []
        mark = self.offices.wire.mark()
        yield frames
        frames += self.offices.wire.since(mark)


def verbatim(name: str) -> str:
    """A conn that the guide prints."""
    found = re.search(rf"^    conn {name}\n(?:        .*\n)+", GUIDE.read_text(), re.MULTILINE)
    assert found, f"{GUIDE} shows no conn {name}"
    return "\n" + re.sub(r"^    ", "", found[0], flags=re.MULTILINE).replace("    ", "\t")


def groups(box: Box, **networks: str) -> None:
    """The files of the policy groups; "" is none."""
    box.text(f"mkdir -p {POLICIES}")
    for name, network in networks.items():
        file = f"{POLICIES}/{name.replace('_', '-')}"
        box.text(f"echo {network} >{file}" if network else f"rm -f {file}")


def prepare(side: Side, connections: str, secret: str) -> None:
    """The box has a way to everywhere, a name server, and its files."""
    box, wan = side.box, wan_of(side.box)
    take_over(side)
    write(box, "/etc/ipsec.conf", SETUP + connections + CLIENTS.format(side=side), "644")
    write(box, "/etc/ipsec.secrets", secret + PSK)
    box.all_of(
        f"ip route add default via {ADDRESS} dev {wan}",
        f"cp /run/resolv.conf /tmp/resolv.conf; echo nameserver {ADDRESS} >/run/resolv.conf",
    )


@pytest.fixture(scope="module")
def scene(boxes: dict[str, Box], capture: Capture, pair: dict[str, Any], tmp_path_factory: Any) -> Iterator[Scene]:
    """Both daemons run; the DNS knows of nobody, and is silent."""
    for box in boxes.values():
        box.log_in()
    keys = {name: make_key() for name in ("a", "b", "new")}
    with contextlib.ExitStack() as stack:
        stack.enter_context(quiet_wire(*boxes.values()))
        made = stack.enter_context(offices(boxes, capture))
        names = stack.enter_context(laboratory(tmp_path_factory.mktemp("laboratory"), pair.get("wire", {})))
        found = Scene(made, names, keys, tmp_path_factory.mktemp("records"))
        made.b.box.all_of(
            *(f"ip -n host address add {host}/32 dev eth0" for host in (BOTH, LOOP, LATER, OFFICE)),
            f"ip route add 10.12.0.0/24 via {made.b.host}",
        )
        made.a.box.all_of(
            f"ip -n host address add {FALSE}/32 dev eth0", f"ip route add 10.12.0.0/24 via {made.b.wan} metric 500"
        )
        prepare(made.a, verbatim("us-to-anyone"), keys["a"].secret)
        groups(made.a.box, clear=f"{ADDRESS}/32", private="203.0.113.0/24", block="198.51.100.0/24")
        prepare(made.b, "", keys["b"].secret)
        groups(made.b.box, private_or_clear="0.0.0.0/0", clear_or_private=f"{made.a.wan}/32")
        names.silence()
        for side, _ in made.both:
            side.box.text(f"ln -sn /etc/sv/ipsec {LINK}")
        for side, _ in made.both:
            side.box.wait_for("ip xfrm policy", lambda said: said.count("dir out") >= 3, PATIENCE)
        yield found
        together(boxes.values(), f"{STOP}; rm -f {LINK}")
        for side, _ in made.both:
            forget(side)
            side.box.run(f"rm -r {POLICIES}; mv /tmp/resolv.conf /run/resolv.conf; ip route del default via {ADDRESS}")
        made.a.box.run(f"ip route del 10.12.0.0/24 via {made.b.wan}")


def status(box: Box) -> str:
    """`ipsec auto --status`."""
    return box.text("ipsec auto --status", PATIENCE)


def ping(address: str, count: int = 1, more: str = "-W 1") -> str:
    """The command, every byte of data the pattern's."""
    return f"ping -c {count} -i 0.3 -s 400 -p a5 {more} {address}"


def echo(side: Side, address: str, count: int = 3) -> int:
    """Ping from the box itself; how many answers came."""
    said, _ = side.box.run(ping(address, count), PATIENCE)
    # What a policy stops ends ping with an error.
    found = re.search(r"(\d+) packets received|sendto: Operation not permitted", said)
    assert found, said
    return int(found[1] or 0)


def answered(side: Side, address: str, host: bool = False, more: str = "-W 1") -> bool:
    """Ping from the box, or the host behind it, until there is an answer, for a while."""
    place = "ip netns exec host " if host else ""
    tries = f"for n in $(seq {TRIES}); do {place}{ping(address, 1, more)} >/tmp/ping && break; done; cat /tmp/ping"
    return "1 packets received" in side.box.run(tries, PATIENCE)[0]


def pairs(box: Box) -> list[tuple[str, str]]:
    """Between which hosts there are tunnels: of the policies for what goes out, those that lead to a gateway."""
    text = box.text("ip xfrm policy list dir out")
    return re.findall(r"^src (\S+)/32 dst (\S+)/32.*\n.*\n.*tmpl.*\n.*mode tunnel", text, re.MULTILINE)


def only_esp(frames: list[Frame]) -> None:
    """Nothing but what protects, negotiates, finds a neighbour, asks the DNS or refuses an answer that comes late."""
    rest = [frame for frame in frames if not (frame.kind in ("udp", "icmp") and ADDRESS in frame.ends)]
    assert kinds(rest)["esp"] > 0
    assert {(frame.kind, frame.ends) for frame in rest if frame.kind not in ("esp", "ike", "arp")} == set()
    assert not holds(frames, PATTERN)


def in_clear(frames: list[Frame], address: str) -> int:
    """Pings that went to an address as they are."""
    return len([frame for frame in frames if frame.kind == "icmp" and frame.ends[1] == address])


def test_the_dns_is_down_at_boot(scene: Scene) -> None:
    """While the name server is silent, packets wait; then what may be in the clear is, and what is private is dropped"""
    mark = scene.offices.wire.mark()
    for host in (LATER, STRANGER):
        scene.a.box.text(f"{{ {ping(host, 3 * TRIES)} >/tmp/{host} 2>&1 & }}; echo $! >>/tmp/pings")
    scene.await_in_clear(mark, LATER)
    said = status(scene.a.box)
    scene.a.box.text("kill $(cat /tmp/pings); rm /tmp/pings; cat /tmp/10.* /tmp/203.*; true")
    assert f"192.0.2.1 -> {LATER} is shunted %pass: TXT of 5.0.2.10.in-addr.arpa cannot be looked up" in said
    assert f"192.0.2.1 -> {STRANGER} is shunted %drop" in said
    assert in_clear(scene.offices.wire.since(mark), STRANGER) == 0


def test_who_only_calls(scene: Scene, record_property: Callable[[str, object], None]) -> None:
    """The guide's configuration as it is printed: a first packet waits for its tunnel; who is called is clear-or-private"""
    scene.publish(scene.record(ROAD, "a"), scene.record(scene.b.wan, "b", "--txt", scene.b.wan))
    with scene.watched() as frames:
        # The first may be there before its tunnel is whole at the other end.
        said, _ = scene.a.box.run(ping(scene.b.wan, 30, "-W 20"), PATIENCE)
    first = re.search(r"seq=(\d+) .*time=([\d.]+) ms", said)
    assert first, f"{said}\n{status(scene.a.box)}"
    record_property("first packet to encrypted reply, s", f"{int(first[1]) * 0.3 + float(first[2]) / 1000:.1f}")
    only_esp(frames)
    assert pairs(scene.a.box) == [(scene.a.wan, scene.b.wan)]
    assert pairs(scene.b.box) == [(scene.b.wan, scene.a.wan)]


def test_gateways_serve_hosts_that_name_them(scene: Scene) -> None:
    """Hosts behind two gateways, named in the DNS: a tunnel for each pair of hosts, and the firewalls open for it alone"""
    scene.publish(
        scene.record(scene.a.wan, "a", "--txt", scene.a.wan),
        scene.record(scene.a.host, "a", "--txt", scene.a.wan),
        scene.record(scene.b.host, "b", "--txt", scene.b.wan),
    )
    with scene.watched() as frames:
        assert answered(scene.a, scene.b.host, host=True), status(scene.a.box)
        assert answered(scene.b, scene.a.host, host=True)
    only_esp(frames)
    for side, peer in scene.offices.both:
        assert (side.host, peer.host) in pairs(side.box)
        rules = side.box.text("iptables -S ipsec-updown-fwd")
        assert rules.count(f"-s {side.host}/32 -d {peer.host}/32") == rules.count("--dir out") == 1
    # What a host says to its own gateway is nobody's affair.
    assert answered(scene.a, "10.1.0.1", host=True)
    said = scene.a.box.text("ipsec eroute", PATIENCE)
    assert re.search(rf"{scene.a.host}/32:0 +-> {scene.b.host}/32:0 +=> esp", said), said


def test_both_ends_at_once(scene: Scene) -> None:
    """Two gateways whose hosts call each other in the same moment come to tunnels by which both are answered"""
    scene.publish(scene.record(BOTH, "b", "--txt", scene.b.wan))
    calls = ((scene.a, BOTH, "-W 1"), (scene.b, scene.a.host, f"-W 1 -I {BOTH}"))
    with scene.watched() as frames:
        for side, to, more in calls:
            side.box.text(f"ip netns exec host {ping(to, 1, more)} >/tmp/call 2>&1 & sleep 0.1")
        for side, to, more in calls:
            assert answered(side, to, host=True, more=more)
    only_esp(frames)
    for (side, to, _), (_, here, _) in zip(calls, reversed(calls), strict=True):
        assert pairs(side.box).count((here, to)) == 1


def test_a_caller_whose_host_names_somebody_else(scene: Scene) -> None:
    """The record of the caller's host points to a third party: the gateway that is called believes the DNS, not the caller"""
    scene.publish(scene.record(FALSE, "a", "--txt", "192.0.2.66"))
    scene.a.at_host(ping(scene.b.host, 1, f"-W 1 -I {FALSE}"))
    said = scene.b.box.wait_for(
        "logread | grep pluto", lambda text: f"asks for the traffic of {FALSE}" in text, PATIENCE
    )
    assert f"does not say that {scene.a.wan} may: its records name another gateway" in said
    assert (scene.b.host, FALSE) not in pairs(scene.b.box)


def test_a_record_that_leads_back_to_us(scene: Scene) -> None:
    """The record of a host out there names the asking gateway itself: that is no way, and packets go in the clear"""
    scene.publish(scene.record(LOOP, "a", "--txt", scene.a.wan))
    mark = scene.offices.wire.mark()
    scene.a.at_host(f"sh -c '{ping(LOOP, TRIES)} >/tmp/loop 2>&1 & echo $! >/tmp/pings'")
    scene.await_in_clear(mark, LOOP)
    scene.a.box.text("kill $(cat /tmp/pings); rm /tmp/pings")
    frames = scene.offices.wire.since(mark)
    assert kinds(frames)["esp"] == 0
    # The host has a private address, which is never seen out there, not even of what has waited.
    assert scene.a.host not in {frame.ends[0] for frame in frames if frame.kind == "icmp"}


def test_a_configured_tunnel_goes_first(scene: Scene) -> None:
    """A host that is served by opportunistic encryption is also within a configured tunnel: that one has its packets"""
    with scene.watched() as frames:
        assert answered(scene.a, OFFICE, host=True)
    only_esp(frames)
    assert not holds(frames, b"\x012\x010\x0212\x0210\x07in-addr")
    assert (scene.a.host, OFFICE) not in pairs(scene.a.box)


def test_policy_groups(scene: Scene) -> None:
    """clear is not asked about, block and private let nothing out, private-or-clear asks first; files are read anew"""
    with scene.watched() as frames:
        assert echo(scene.a, ADDRESS) == 3
        assert echo(scene.a, BLOCKED, 1) == 0
        assert echo(scene.a, STRANGER, 1) == 0
    assert in_clear(frames, ADDRESS) == 3
    assert not holds(frames, b"\x0253\x012\x010\x03192\x07in-addr")
    assert in_clear(frames, BLOCKED) == in_clear(frames, STRANGER) == 0
    assert answered(scene.b, STRANGER)
    groups(scene.a.box, private="", clear=f"203.0.113.0/24 {ADDRESS}/32")
    said = scene.a.box.text("ipsec auto --rereadgroups", PATIENCE)
    assert "1 networks taken away, 1 added, 3 in all" in said
    assert echo(scene.a, STRANGER) == 3


def test_a_key_that_changes(scene: Scene) -> None:
    """A gateway's key is another one in the DNS: the old one is believed no more, the new one as soon as it is there"""
    b, peer = scene.b.box, (scene.a.wan, scene.b.wan)
    scene.publish(scene.record(scene.b.wan, "new", "--txt", scene.b.wan))
    write(b, "/etc/ipsec.secrets", scene.keys["new"].secret + PSK)
    b.text(f"ipsec auto --down clear-or-private#{scene.a.wan}/32", PATIENCE)
    with scene.watched() as frames:
        belongs = "was not made by the private key that belongs to the public key we have for it"
        again = f"{ping(scene.b.wan)}; logread | grep pluto"
        said = scene.a.box.wait_for(again, lambda text: belongs in text, PATIENCE)
        assert "0 packets received" in said
        # A second or third attempt of the caller finds the new one.
        b.text("ipsec secrets", PATIENCE)
        assert answered(scene.a, scene.b.wan)
    # Hosts that were refused in an earlier story may be heard in the clear meanwhile.
    assert not [frame for frame in frames if frame.kind == "icmp" and set(frame.ends) == {scene.a.wan, scene.b.wan}]
    assert peer in pairs(scene.a.box)


def test_doubt_lasts_a_minute(scene: Scene) -> None:
    """What went in the clear because the DNS was down is asked about again, and encrypted then"""
    scene.publish(scene.record(LATER, "new", "--txt", scene.b.wan))
    scene.a.box.wait_for("ip xfrm policy list dir out", lambda text: f"dst {LATER}/32" not in text, PATIENCE)
    with scene.watched() as frames:
        assert answered(scene.a, LATER)
    only_esp(frames)


def kib(box: Box) -> dict[str, int]:
    """Memory of the daemon, and of what the kernel has allocated in small pieces."""
    text = box.text("grep -hE 'VmRSS|SUnreclaim' /proc/$(cat /run/pluto/pluto.pid)/status /proc/meminfo")
    return {name: int(value) for name, value in re.findall(r"(\w+):\s+(\d+) kB", text)}


def test_the_memory_of_many(scene: Scene, record_property: Callable[[str, object], None]) -> None:
    """With what each of two dozen pairs of hosts takes, of the daemon and of the kernel, a thousand are within 60 MB"""
    one = scene.record(CROWD.format(0), "new", "--txt", scene.b.wan)
    scene.publish(*(one.replace("0.0.2.10", f"{number}.0.2.10", 1) for number in MANY))
    before, there = kib(scene.a.box), len(pairs(scene.a.box))
    scene.a.box.text(f"for n in {' '.join(map(str, MANY))}; do {ping(CROWD.format('$n'))} >/dev/null & done", PATIENCE)
    scene.a.box.wait_for("sleep 1", lambda _: len(pairs(scene.a.box)) == there + len(MANY), PATIENCE)
    after = kib(scene.a.box)
    resident, kernel = ((after[name] - before[name]) / len(MANY) for name in ("VmRSS", "SUnreclaim"))
    whole = before["VmRSS"] + MOST * (resident + kernel)
    record_property("each opportunistic pair KiB", f"{resident:.1f}")
    record_property("each opportunistic pair in the kernel KiB", f"{kernel:.1f}")
    record_property(f"daemon and kernel with {MOST} pairs MiB", f"{whole / 1024:.0f}")
    assert whole <= MOST_KIB
