"""A third machine on the boxes' wire: Debian's unbound, with signed zones, and a few hosts that know of no encryption.

It is a network namespace of this machine, joined to the wire by wire_switch.py. unbound serves the zones and validates
them at the same time, so that what it says of signatures is what it has checked.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import dns.dnssec
import dns.rdtypes.ANY.DNSKEY
import dns.zone
from cryptography.hazmat.primitives.asymmetric import ec

from builder.smoke.waiting import wait_for

sys.path.append(str(Path(__file__).parents[1] / "interop"))

from debian_tree import tree
from network import Namespaces, Node

SWITCH = Path(__file__).with_name("wire_switch.py")
ADDRESS, STRANGER, BLOCKED = "192.0.2.53", "203.0.113.66", "198.51.100.1"
ZONES = ("in-addr.arpa.", "example.org.")
# unbound has empty zones of its own for these, unless it is told otherwise.
NOT_EMPTY = ("10", "2.0.192", "113.0.203", "100.51.198")
TTL, YEAR = 1, 31_536_000
SOA = f"@ {TTL} IN SOA ns.example.org. root.example.org. 1 60 60 60 {TTL}\n@ {TTL} IN NS ns.example.org.\n"
CONFIGURATION = """\
server:
  interface: {address}
  access-control: 0.0.0.0/0 allow
  username: ""
  chroot: ""
  directory: "/run"
  pidfile: "/run/unbound.pid"
  use-syslog: no
  do-ip6: no
  verbosity: 1
  module-config: "validator iterator"
"""
AUTHORITY = """\
auth-zone:
  name: "{zone}"
  zonefile: "/run/{zone}zone"
  for-upstream: yes
  for-downstream: no
  fallback-enabled: no
"""
READY = "start of service"


class Laboratory:
    """The machine. ``folder`` is its /run; ``ends``: the boxes' sockets on the wire."""

    def __init__(self, node: Node, folder: Path, ends: Sequence[str]) -> None:
        self.name, self.node, self._folder = "the name server", node, folder
        self._keys = {zone: ec.generate_private_key(ec.SECP256R1()) for zone in ZONES}
        self._starts = 0
        self.node.start([sys.executable, str(SWITCH), "wire", *ends], folder / "switch.out", talks=True).hear(10)
        node.write("/proc/sys/net/ipv6/conf/wire/disable_ipv6", "1")
        for address in (f"{ADDRESS}/24", f"{STRANGER}/32", f"{BLOCKED}/32"):
            node.ip(f"address add {address} dev wire")
        node.ip("link set wire up")
        (folder / "unbound.conf").write_text(self._configuration())
        self._write({})
        self._unbound = node.start(
            [*node.root(tree("unbound"), folder), "/usr/sbin/unbound", "-d", "-c", "/run/unbound.conf"], self._log
        )
        self._started()

    def publish(self, records: Mapping[str, Sequence[str]]) -> None:
        """Zones with these records alone, signed anew: full name -> lines without it, such as 'IN TXT "..."'."""
        self._write(records)
        self._unbound.go_on()
        os.kill(self._unbound.pid, signal.SIGHUP)
        self._started()

    def silence(self) -> None:
        """Until something is published it takes questions and does not answer."""
        self._unbound.pause()

    def run(self, _command: str) -> tuple[str, int]:
        """What unbound has said; for `wait_for`."""
        return self._log.read_text(), 0

    @property
    def _log(self) -> Path:
        return self._folder / "unbound.out"

    def _started(self) -> None:
        self._starts += 1
        wait_for(self, "unbound", lambda text: text.count(READY) >= self._starts, 20)

    def _configuration(self) -> str:
        anchors = [f'  trust-anchor: "{zone} DNSKEY {self._public(zone)}"\n' for zone in ZONES]
        anchors += [f'  local-zone: "{zone}.in-addr.arpa." nodefault\n' for zone in NOT_EMPTY]
        zones = [AUTHORITY.format(zone=zone) for zone in ZONES]
        return "".join([CONFIGURATION.format(address=ADDRESS), *anchors, *zones])

    def _public(self, zone: str) -> dns.rdtypes.ANY.DNSKEY.DNSKEY:
        return dns.dnssec.make_dnskey(self._keys[zone].public_key(), "ECDSAP256SHA256", flags=257)

    def _write(self, records: Mapping[str, Sequence[str]]) -> None:
        for origin in ZONES:
            lines = [f"{name} {line}\n" for name, found in records.items() if name.endswith(origin) for line in found]
            zone = dns.zone.from_text(f"$TTL {TTL}\n{SOA}{''.join(lines)}", origin, relativize=False)
            keys = [(self._keys[origin], self._public(origin))]
            dns.dnssec.sign_zone(zone, keys=keys, lifetime=YEAR, dnskey_ttl=TTL)
            zone.to_file(str(self._folder / f"{origin}zone"), relativize=False)


@contextlib.contextmanager
def laboratory(folder: Path, wire: Mapping[str, str]) -> Iterator[Laboratory]:
    """The machine, as long as it is needed."""
    assert wire, "these boxes are joined by a cable that this machine has no end of: `wire` in labgrid's environment"
    with Namespaces() as network:
        node = network.node("laboratory")
        try:
            yield Laboratory(node, folder, list(wire.values()))
        finally:
            node.end()
