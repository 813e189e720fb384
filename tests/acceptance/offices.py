"""Two boxes, a host behind each, one wire between them: what the tests of tunnels share.

    host 10.1.0.2 -- box-a 192.0.2.1 ==== WAN ==== 192.0.2.2 box-b -- host 10.2.0.2

The hosts are network namespaces in the boxes, on a LAN of their own: a cable to a namespace is called as the box's LAN
card is, which has nothing at its other end and steps aside.  A ping alone would prove nothing: there is a plain route,
and the firewall is told to let what belongs in a tunnel out in clear. Asserted are the counters of the SAs and what is
on the wire.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from builder.smoke.box import Box
from builder.smoke.capture import Capture

# Documentation addresses (RFC 5737): nothing else uses them.
WAN_ADDRESSES = {"box-a": "192.0.2.1", "box-b": "192.0.2.2"}
# Better routes come before this one; if they are wrong, it shows in clear.
PLAIN_ROUTE_METRIC = 500
PINGS, SIZE = 5, 400
# What an SA counts in tunnel mode: the inner packet, that is IPv4 header, ICMP header, data.
INNER = 20 + 8 + SIZE
PATTERN = b"\xa5" * 8
NETWORK, POLICY = "/etc/cygnet/network", "/etc/cygnet/firewall"
UNPLUGGED = "unplugged"
# How long a busy machine may take for what Python does on a box.
PATIENCE = 90


@dataclass(frozen=True)
class Side:
    """One box and the host behind it: ``number`` 1 or 2 is part of all its addresses."""

    box: Box
    number: int

    @property
    def wan(self) -> str:
        """Its address on the wire."""
        return f"192.0.2.{self.number}"

    @property
    def lan(self) -> str:
        """The network behind it."""
        return f"10.{self.number}.0.0/24"

    @property
    def host(self) -> str:
        """The host behind it."""
        return f"10.{self.number}.0.2"

    @property
    def host6(self) -> str:
        """The same host's IPv6 address."""
        return f"fd00:{self.number}::2"

    def at_host(self, command: str, timeout: float = 40.0) -> tuple[str, int]:
        """Run a command on the host behind the box."""
        return self.box.run(f"ip netns exec host {command}", timeout)

    def ping(self, address: str, count: int = PINGS, interval: float = 0.3) -> int:
        """Ping from the host, every byte of data the pattern's; how many answers came."""
        program = "ping6" if ":" in address else "ping"
        words = f"{program} -c {count} -i {interval} -W 2 -s {SIZE} -p a5 {address}"
        output, _ = self.at_host(words, timeout=40 + 2 * count * interval)
        found = re.search(r"(\d+) packets received", output)
        assert found, output
        return int(found[1])


@dataclass(frozen=True)
class Offices:
    """Both sides, and the wire between them."""

    a: Side
    b: Side
    wire: Capture

    @property
    def both(self) -> tuple[tuple[Side, Side], tuple[Side, Side]]:
        """Each side with its peer."""
        return (self.a, self.b), (self.b, self.a)

    def errors(self) -> dict[str, dict[str, int]]:
        """The kernels' XFRM error counters, box by box."""
        return {side.box.name: xfrm_errors(side.box) for side in (self.a, self.b)}


@dataclass(frozen=True)
class Sa:
    """An SA as the kernel shows it."""

    source: str
    destination: str
    protocol: str
    spi: int
    mode: str
    words: str
    bytes: int
    packets: int


PROTOCOLS = {"esp", "ah", "comp"}
SA = re.compile(
    r"^src (?P<source>\S+) dst (?P<destination>\S+)\n\s+proto (?P<protocol>\w+) spi 0x(?P<spi>[0-9a-f]+).*?"
    r"mode (?P<mode>\w+)(?P<words>.*?)lifetime current:\s+(?P<bytes>\d+)\(bytes\), (?P<packets>\d+)\(packets\)",
    re.DOTALL | re.MULTILINE,
)


def read_sas(box: Box) -> list[Sa]:
    """Every SA that the box has, but those that only wait for keys, and the address headers that IPComp has as SAs."""
    return [
        Sa(
            found["source"], found["destination"], found["protocol"], int(found["spi"], 16), found["mode"],
            found["words"], int(found["bytes"]), int(found["packets"]),
        )
        for found in SA.finditer(box.text("ip -s xfrm state"))
        if int(found["spi"], 16) and found["protocol"] in PROTOCOLS
    ]  # fmt: skip


def carried(box: Box) -> dict[int, tuple[int, int]]:
    """SPI -> bytes and packets that the SA has carried."""
    return {sa.spi: (sa.bytes, sa.packets) for sa in read_sas(box)}


def xfrm_errors(box: Box) -> dict[str, int]:
    """The kernel's XFRM error counters."""
    pairs = (line.split() for line in box.text("cat /proc/net/xfrm_stat").splitlines())
    return {name: int(value) for name, value in pairs}


@contextlib.contextmanager
def quiet_wire(*boxes: Box) -> Iterator[None]:
    """A quiet wire: the boxes have a fixed address on it, nothing else speaks (no DHCP, no IPv6), no IPsec."""
    for box in boxes:
        wan = wan_of(box)
        box.run("sv down /run/service/udhcpc")
        box.all_of(
            f"sysctl -q -w net.ipv6.conf.{wan}.disable_ipv6=1",
            f"ip address flush dev {wan}",
            f"ip address add {WAN_ADDRESSES[box.name]}/24 dev {wan}",
            f"ip link set {wan} up",
            "ip xfrm state flush",
            "ip xfrm policy flush",
        )
    yield
    for box in boxes:
        box.all_of("ip xfrm state flush", "ip xfrm policy flush")
        box.run("sv up /run/service/udhcpc")


def wan_of(box: Box) -> str:
    """The name of its WAN interface."""
    return box.settings(NETWORK)["WAN"]


def lan_of(box: Box) -> str:
    """The name of its LAN interface."""
    return box.settings(NETWORK)["LAN"]


def settle(*sides: Side) -> None:
    """Let each box's firewall show what IPsec lets out in clear, and any network be its LAN: for all tests that follow."""
    new = [side for side in sides if "tunnel-only" in side.box.text(f"cut -d ' ' -f 1 {POLICY}")]
    for side in new:
        side.box.text(f"sed -i -e 's,^zone lan.*,zone lan $LAN,' -e /^tunnel-only/d {POLICY}")
    together([side.box for side in new], "ipsec firewall --apply --confirm")


def together(boxes: Iterable[Box], command: str) -> list[str]:
    """Run a command that takes long on all boxes at the same time; each must succeed. What each said."""
    said = []
    for box in boxes:
        box.text(f"( {{ {command}; echo; echo status $?; }} >/tmp/together 2>&1 & )")
    for box in boxes:
        said.append(box.wait_for("cat /tmp/together", lambda text: "\nstatus " in text, PATIENCE))
        assert said[-1].endswith("status 0"), said[-1]
    return said


def add_host(side: Side, peer: Side) -> None:
    """A host behind the box, and a plain route to the other side."""
    number, lan = side.number, lan_of(side.box)
    side.box.all_of(
        f"ip link set {lan} down",
        f"ip link set {lan} name {UNPLUGGED}",
        "ip netns add host",
        f"ip link add {lan} type veth peer name eth0 netns host",
        f"ip address add 10.{number}.0.1/24 dev {lan}",
        f"ip address add fd00:{number}::1/64 dev {lan} nodad",
        f"ip link set {lan} up",
        f"ip -n host address add {side.host}/24 dev eth0",
        f"ip -n host address add {side.host6}/64 dev eth0 nodad",
        "ip -n host link set eth0 up",
        f"ip -n host route add default via 10.{number}.0.1",
        f"ip -n host -6 route add default via fd00:{number}::1",
        f"ip route add {peer.lan} via {peer.wan} dev {wan_of(side.box)} metric {PLAIN_ROUTE_METRIC}",
    )


def remove_host(side: Side, peer: Side) -> None:
    """The box as it was."""
    lan = lan_of(side.box)
    side.box.all_of(
        f"ip route del {peer.lan} metric {PLAIN_ROUTE_METRIC}",
        f"ip link del {lan}",
        "ip netns del host",
        f"ip link set {UNPLUGGED} name {lan}",
        f"ip link set {lan} up",
    )


@contextlib.contextmanager
def offices(boxes: dict[str, Box], wire: Capture) -> Iterator[Offices]:
    """Both sides with their hosts, and plain routes; no IPsec yet."""
    made = Offices(Side(boxes["box-a"], 1), Side(boxes["box-b"], 2), wire)
    settle(made.a, made.b)
    for side, peer in made.both:
        add_host(side, peer)
    yield made
    for side, peer in made.both:
        remove_host(side, peer)
