"""Six zones around two boxes, and a packet sent for every promise that `ipsec firewall --table` makes.

    lan 10.1.0.0/24 ---+
    guest 10.8.0.0/24 -+- box-a ==== wan ==== box-b -- vpn 10.2.0.0/24, through a tunnel to everything
    dmz 10.9.0.0/24 ---+

lan, guest, dmz and vpn are network namespaces; the WAN's hosts are box-b's card, by which frames are put on the wire and
taken from it: what box-b's own firewall would say does not count. IPv6 is the same with fd00:N::.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from dataclasses import astuple, dataclass, replace
from pathlib import Path

from keying import PROJECT, write
from offices import NETWORK, PATIENCE, PLAIN_ROUTE_METRIC, POLICY, Offices, lan_of, together, wan_of

from builder.smoke.box import Box

PROGRAM = Path(__file__).parent / "on_target/zones"
TABLE = "/tmp/zones.table"
START = f"( {{ python3 /tmp/zones.pyz /tmp/zones.plan {TABLE}; touch /tmp/zones.told; }} >/tmp/zones.seen 2>&1 & )"
COMMAND = "ipsec firewall --table --network /tmp/zones.network /tmp/zones.policy"
# Zones of box-a beside the LAN: number in their addresses.
MORE = {"guest": 8, "dmz": 9}
HOSTS = {"lan": 1, "vpn": 2, **MORE}
# Prefixes of addresses; the WAN's hosts are anywhere.
PREFIXES = {name: (f"10.{number}.0.", f"fd00:{number}::") for name, number in HOSTS.items()}
PREFIXES["wan"] = ("203.0.113.", "2001:db8:ffff::")
# The box as each zone sees it.
OWN = {name: (f"{four}1", f"{six}1") for name, (four, six) in PREFIXES.items()}
OWN |= {"wan": ("192.0.2.1", "2001:db8::1"), "vpn": OWN["lan"]}


@dataclass(frozen=True)
class Promise:
    """A row of the table. ``number``: its place there."""

    number: int
    version: str
    origin: str
    target: str
    kind: str
    port: str
    source: str
    destination: str
    verdict: str

    @property
    def words(self) -> str:
        """For a reader."""
        ends = "".join(
            f" {word} {end}" for word, end in (("from", self.source), ("to", self.destination)) if end != "-"
        )
        return f"IPv{self.version} {self.origin} -> {self.target} {self.kind} {self.port}{ends}: {self.verdict}"


@dataclass(frozen=True)
class Sight:
    """What came out in a zone: the packet, or an answer that refuses it."""

    zone: str
    what: str
    source: str
    port: str


@dataclass(frozen=True)
class Told:
    """All promises, and by their numbers what was seen."""

    promises: list[Promise]
    sights: dict[int, list[Sight]]

    def arrivals(self, promise: Promise) -> list[Sight]:
        """Where the packet itself came out."""
        return [sight for sight in self.sights.get(promise.number, ()) if sight.what == "packet"]

    def broken(self, promises: Iterable[Promise]) -> list[str]:
        """Those that were not kept, and what was seen instead."""
        return [f"{one.words}; seen: {self.sights.get(one.number)}" for one in promises if not self._kept(one)]

    def _kept(self, promise: Promise) -> bool:
        came = {(sight.zone, sight.port) for sight in self.arrivals(promise)}
        said_no = any(
            (sight.zone, sight.what) == (promise.origin, "refused") for sight in self.sights.get(promise.number, ())
        )
        match promise.verdict:
            case "allow":
                return {zone for zone, _ in came} == {promise.target}
            case "forward":
                return came == {("dmz", "443")}
            case "reject":
                # The box is told by its own kernel, which does not send.
                return not came and (said_no or promise.origin == "box")
            case "deny":
                return not came and not said_no
        raise ValueError(promise.verdict)


def add_zones(made: Offices) -> None:
    """The zones that the offices lack, and IPv6 on the WAN."""
    box = made.a.box
    for name, number in MORE.items():
        box.all_of(
            f"ip netns add {name}",
            f"ip link add {name} type veth peer name eth0 netns {name}",
            f"ip address add 10.{number}.0.1/24 dev {name}",
            f"ip address add fd00:{number}::1/64 dev {name} nodad",
            f"ip link set {name} up",
            f"ip -n {name} link set eth0 up",
        )
    for side, names in ((made.a, ("host", *MORE)), (made.b, ("host",))):
        numbers = [MORE.get(name, side.number) for name in names]
        side.box.all_of(
            *(
                f"ip -n {name} address add {address} dev eth0 {more}"
                for name, number in zip(names, numbers, strict=True)
                for host in (10, 11, 12)
                for address, more in ((f"10.{number}.0.{host}/24", ""), (f"fd00:{number}::{host}/64", "nodad"))
            )
        )
    for name, number in MORE.items():
        box.all_of(
            f"ip -n {name} route add default via 10.{number}.0.1",
            f"ip -n {name} route add default via fd00:{number}::1",
        )
    for side, _ in made.both:
        wan = wan_of(side.box)
        side.box.all_of(
            f"sysctl -q -w net.ipv6.conf.{wan}.disable_ipv6=0",
            f"ip address add 2001:db8::{side.number}/64 dev {wan} nodad",
        )
    box.all_of(f"ip route add default via {made.b.wan}", "ip route add default via 2001:db8::2")
    # A tunnel to everything is less to the point than the offices' plain route.
    made.b.box.text(f"ip route del {made.a.lan} metric {PLAIN_ROUTE_METRIC}")


def remove_zones(made: Offices) -> None:
    """What of them a restart has left."""
    for name in MORE:
        made.a.box.run(f"ip link del {name}; ip netns del {name}")
    made.a.box.run("ip -4 route del default; ip -6 route del default")
    made.b.box.text(f"ip route add {made.a.lan} via {made.a.wan} metric {PLAIN_ROUTE_METRIC}")


def tell(made: Offices, policy: str, false: Iterable[Promise], folder: Path) -> Told:
    """Send a packet for each promise of box-a's policy, and for each of ``false``; what is seen where."""
    network = made.a.box.text(f"cat {NETWORK}") + "\n"
    promises = _table(policy, network, folder)
    digest = hashlib.sha256((folder / "table").read_bytes()).hexdigest()
    rows = [*promises, *(replace(one, number=len(promises) + place) for place, one in enumerate(false))]
    boxes = [side.box for side, _ in made.both]
    for box, plan in zip(boxes, _plans(made), strict=True):
        _send(box, policy, network, plan, rows[len(promises) :], folder)
    for said in together(boxes, f"{COMMAND} >{TABLE} && sha256sum <{TABLE} && cat /tmp/zones.more >>{TABLE}"):
        assert said.split()[0] == digest, "the box promises something else than its source does"
    for box in boxes:
        box.text(f"rm -f /tmp/zones.ready /tmp/zones.go /tmp/zones.sent /tmp/zones.stop /tmp/zones.told; {START}")
    for box in boxes:
        _wait(box, "ready")
    # Every refusal counts: the kernel's own limit for them is no part of the policy.
    limits = made.a.box.text("sysctl net.ipv4.icmp_ratemask net.ipv6.icmp.ratemask").replace(" ", "")
    made.a.box.text("sysctl -q -w net.ipv4.icmp_ratemask=0 net.ipv6.icmp.ratemask=0")
    for box in boxes:
        box.text("touch /tmp/zones.go")
    for box in boxes:
        _wait(box, "sent")
    for box in boxes:
        # What was sent last is still under way.
        box.text("sleep 1; touch /tmp/zones.stop")
    made.a.box.text(f"sysctl -q -w {' '.join(limits.split())}")
    sights: dict[int, list[Sight]] = {}
    for box in boxes:
        _wait(box, "told")
        for line in box.text("cat /tmp/zones.seen").splitlines():
            number, *words = line.split()
            sights.setdefault(int(number), []).append(Sight(*words))
    return Told(rows, sights)


def _wait(box: Box, sign: str) -> None:
    """For the program on the box to come so far."""
    said = box.wait_for("ls /tmp/zones.*; cat /tmp/zones.seen", lambda text: sign in text or "Error" in text, PATIENCE)
    assert "Error" not in said, said


def _table(policy: str, network: str, folder: Path) -> list[Promise]:
    """The table, from the same source on this machine."""
    files = [folder / "network", folder / "policy"]
    for file, text in zip(files, (network, policy), strict=True):
        file.write_text(text)
    words = [sys.executable, "-m", "cygnet.cli", "firewall", "--table", "--network", *files]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "packages/cygnet/src")}
    table = subprocess.run(words, env=environment, capture_output=True, check=True).stdout
    (folder / "table").write_bytes(table)
    _, *rows = table.decode().splitlines()
    return [Promise(number, *row.split("\t")[:8]) for number, row in enumerate(rows)]


def _plans(made: Offices) -> list[dict[str, object]]:
    """For each box: which zones are its places, by which interface, and the address of the box behind it."""

    def card(box: Box, interface: str) -> str:
        return box.text(f"cat /sys/class/net/{interface}/address").strip()

    a, b = made.a.box, made.b.box
    places = {"lan": ("host", "eth0", card(a, lan_of(a))), **{name: (name, "eth0", card(a, name)) for name in MORE}}
    there = {"wan": ("", wan_of(b), card(a, wan_of(a))), "vpn": ("host", "eth0", card(b, lan_of(b)))}
    return [{"zones": zones, "box": zones is places, "hosts": PREFIXES, "own": OWN} for zones in (places, there)]


def _send(box: Box, policy: str, network: str, plan: dict[str, object], more: Iterable[Promise], folder: Path) -> None:
    archive = folder / "zones.pyz"
    with zipfile.ZipFile(archive, "w") as packed:
        for file in sorted(PROGRAM.glob("*.py")):
            packed.write(file, file.name)
    box.send(archive, f"/tmp/{archive.name}")
    lines = ("\t".join([*astuple(one)[1:], "-"]) for one in more)
    write(box, "/tmp/zones.policy", policy)
    write(box, "/tmp/zones.network", network)
    write(box, "/tmp/zones.plan", json.dumps(plan))
    write(box, "/tmp/zones.more", "".join(f"{line}\n" for line in lines))


def set_policy(box: Box, policy: str) -> None:
    """Have a policy in force, confirmed."""
    write(box, POLICY, policy, "644")
    box.text("ipsec firewall --apply --confirm", PATIENCE)
