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
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from keying import LINK, PATIENCE, PROJECT, RsaKey, forget, make_key, take_over, write
from laboratory import ADDRESS, BLOCKED, STRANGER, Laboratory, laboratory
from offices import PATTERN, Offices, Side, offices, quiet_wire, wan_of

from builder.smoke.box import Box
from builder.smoke.capture import Capture, Frame, holds, kinds

pytestmark = pytest.mark.once

GUIDE = PROJECT / "docs/opportunistic.md"
ROAD = "road.example.org"
# More addresses of the hosts behind box-a and box-b.
FALSE = "10.1.0.3"
BOTH, LOOP, LATER, OFFICE = "10.2.0.3", "10.2.0.4", "10.2.0.5", "10.12.0.2"
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
    """Both boxes, what the DNS says, and the keys; ``down``: what became of packets while the DNS was silent."""

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

    def delegate(self, host: str, gateway: str, key: str) -> None:
        """A host names its gateway, and that one's key."""
        self.publish(self.record(host, key, "--txt", gateway))

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
        for side, _ in made.both:
            forget(side)
            side.box.run(f"rm -r {POLICIES}; mv /tmp/resolv.conf /run/resolv.conf; ip route del default via {ADDRESS}")
        made.a.box.run(f"ip route del 10.12.0.0/24 via {made.b.wan}")


def status(box: Box) -> str:
    """`ipsec auto --status`."""
    return box.text("ipsec auto --status", PATIENCE)


def echo(side: Side, address: str, count: int = 3, at_host: bool = False, more: str = "-i 0.3 -W 2") -> tuple[int, str]:
    """Ping with the pattern; how many answers came, and all that was said."""
    words = f"ping -c {count} {more} -s 400 -p a5 {address}"
    said, _ = side.at_host(words, PATIENCE) if at_host else side.box.run(words, PATIENCE)
    # What a policy stops ends ping with an error.
    found = re.search(r"(\d+) packets received|sendto: Operation not permitted", said)
    assert found, said
    return int(found[1] or 0), said


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
    with scene.watched() as frames:
        echo(scene.a, LATER, 16, more="-i 1 -W 1")
        assert echo(scene.a, STRANGER, 14, more="-i 1 -W 1")[0] == 0
    assert in_clear(frames, LATER) > 0
    assert in_clear(frames, STRANGER) == 0
    said = status(scene.a.box)
    assert f"192.0.2.1 -> {LATER} is shunted %pass: TXT of 5.0.2.10.in-addr.arpa cannot be looked up" in said
    assert f"192.0.2.1 -> {STRANGER} is shunted %drop" in said


def test_who_only_calls(scene: Scene, record_property: Callable[[str, object], None]) -> None:
    """The guide's configuration as it is printed: a first packet waits for its tunnel; who is called is clear-or-private"""
    scene.publish(scene.record(ROAD, "a"), scene.record(scene.b.wan, "b", "--txt", scene.b.wan))
    with scene.watched() as frames:
        count, said = echo(scene.a, scene.b.wan, 20, more="-i 0.3 -W 20")
    first = re.search(r"time=([\d.]+) ms", said)
    assert count > 0, status(scene.a.box)
    assert first
    record_property("first packet to encrypted reply, ms", first[1])
    record_property("pings answered of 20, 0.3 s apart", count)
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
        assert echo(scene.a, scene.b.host, 20, at_host=True)[0] > 0, status(scene.a.box)
    only_esp(frames)
    assert (scene.a.host, scene.b.host) in pairs(scene.a.box)
    assert echo(scene.b, scene.a.host, at_host=True)[0] == 3
    for side, peer in scene.offices.both:
        rules = side.box.text("iptables -S ipsec-updown-fwd")
        assert rules.count(f"-s {side.host}/32 -d {peer.host}/32") == rules.count("--dir out") == 1
    # What a host says to its own gateway is nobody's affair.
    assert echo(scene.a, "10.1.0.1", at_host=True)[0] == 3
    said = scene.a.box.text("ipsec eroute", PATIENCE)
    assert re.search(rf"{scene.a.host}/32:0 +-> {scene.b.host}/32:0 +=> esp", said), said


def test_both_ends_at_once(scene: Scene) -> None:
    """Two gateways whose hosts call each other in the same moment come to tunnels by which both are answered"""
    scene.publish(scene.record(BOTH, "b", "--txt", scene.b.wan))
    calls = ((scene.a, BOTH, ""), (scene.b, scene.a.host, f"-I {BOTH}"))
    with scene.watched() as frames:
        for side, to, more in calls:
            words = f"ping -i 0.3 -c 40 -s 400 -p a5 {more} {to}"
            side.at_host(f"sh -c '{words} >/tmp/calls 2>&1 & echo $! >/tmp/calls.pid'")
        for side, *_ in calls:
            side.box.wait_for("tail -1 /tmp/calls", lambda text: "ms" in text, PATIENCE)
    only_esp(frames)
    for (side, to, more), (_, here, _) in zip(calls, reversed(calls), strict=True):
        assert echo(side, to, at_host=True, more=f"-i 0.3 -W 2 {more}")[0] == 3
        assert pairs(side.box).count((here, to)) == 1
        side.box.text("kill $(cat /tmp/calls.pid); true")


def test_a_caller_whose_host_names_somebody_else(scene: Scene) -> None:
    """The record of the caller's host points to a third party: the gateway that is called believes the DNS, not the caller"""
    scene.publish(scene.record(FALSE, "a", "--txt", "192.0.2.66"))
    before = scene.a.at_host(f"ping -c 8 -i 0.5 -W 1 -I {FALSE} {scene.b.host}", PATIENCE)
    assert "0 packets received" in before[0]
    said = scene.b.box.wait_for(
        "logread | grep pluto", lambda text: f"asks for the traffic of {FALSE}" in text, PATIENCE
    )
    assert "does not say that it may: its records name another gateway" in said
    assert (scene.b.host, FALSE) not in pairs(scene.b.box)


def test_a_record_that_leads_back_to_us(scene: Scene) -> None:
    """The record of a host out there names the asking gateway itself: that is no way, and packets go in the clear"""
    scene.publish(scene.record(LOOP, "a", "--txt", scene.a.wan))
    with scene.watched() as frames:
        echo(scene.a, LOOP, 12, at_host=True)
    assert in_clear(frames, LOOP) > 0
    assert kinds(frames)["esp"] == 0
    # The host has a private address, which is never seen out there, not even of what has waited.
    assert scene.a.host not in {frame.ends[0] for frame in frames if frame.kind == "icmp"}


def test_a_configured_tunnel_goes_first(scene: Scene) -> None:
    """A host that is served by opportunistic encryption is also within a configured tunnel: that one has its packets"""
    with scene.watched() as frames:
        assert echo(scene.a, OFFICE, 20, at_host=True)[0] > 0
    only_esp(frames)
    assert not holds(frames, b"\x012\x010\x0212\x0210\x07in-addr")
    assert (scene.a.host, OFFICE) not in pairs(scene.a.box)


def test_policy_groups(scene: Scene) -> None:
    """clear is not asked about, block and private let nothing out, private-or-clear asks first; files are read anew"""
    with scene.watched() as frames:
        assert echo(scene.a, ADDRESS)[0] == 3
        assert not [frame for frame in frames if frame.kind == "udp"]
        assert echo(scene.a, BLOCKED)[0] == 0
        assert echo(scene.a, STRANGER)[0] == 0
    assert in_clear(frames, ADDRESS) == 3
    assert in_clear(frames, BLOCKED) == in_clear(frames, STRANGER) == 0
    assert echo(scene.b, STRANGER, 8)[0] > 0
    groups(scene.a.box, private="", clear=f"203.0.113.0/24 {ADDRESS}/32")
    said = scene.a.box.text("ipsec auto --rereadgroups", PATIENCE)
    assert "1 networks taken away, 1 added, 3 in all" in said
    assert echo(scene.a, STRANGER)[0] == 3


def test_a_key_that_changes(scene: Scene) -> None:
    """A gateway's key is another one in the DNS: the old one is believed no more, the new one as soon as it is there"""
    b, peer = scene.b.box, (scene.a.wan, scene.b.wan)
    scene.publish(scene.record(scene.b.wan, "new", "--txt", scene.b.wan))
    write(b, "/etc/ipsec.secrets", scene.keys["new"].secret + PSK)
    b.text(f"ipsec auto --down clear-or-private#{scene.a.wan}/32", PATIENCE)
    with scene.watched() as frames:
        assert echo(scene.a, scene.b.wan, 10)[0] == 0
        belongs = "was not made by the private key that belongs to the public key we have for it"
        scene.a.box.wait_for("logread | grep pluto", lambda text: belongs in text, PATIENCE)
        # A second or third attempt of the caller finds the new one.
        b.text("ipsec secrets", PATIENCE)
        scene.a.box.wait_for(
            f"ping -c 1 -W 1 {scene.b.wan}; ip xfrm policy", lambda _: peer in pairs(scene.a.box), PATIENCE
        )
        assert echo(scene.a, scene.b.wan)[0] == 3
    only_esp(frames)


def test_doubt_lasts_a_minute(scene: Scene) -> None:
    """What went in the clear because the DNS was down is asked about again, and encrypted then"""
    scene.publish(scene.record(LATER, "new", "--txt", scene.b.wan))
    with scene.watched() as frames:
        assert echo(scene.a, LATER, 20)[0] > 0
    only_esp(frames)
