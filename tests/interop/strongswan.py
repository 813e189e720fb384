"""strongSwan in a network namespace: charon, its ESP in user space, spoken to by swanctl.

kernel-libipsec does ESP without the kernel's, always within UDP, tunnel mode only.  charon sees an unpacked tree as
its root and a directory of the test as its /run, so what it reads and writes is there: swanctl/ and charon.log.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

from network import Node, Program
from vici_text import Section, events

# What the peer is made of.
GUEST_PLUGINS = (
    "random nonce aes sha1 sha2 md5 hmac kdf gcm ctr chapoly curve25519 gmp openssl pem pkcs1 pkcs8 x509 revocation "
    "constraints pubkey dnskey kernel-netlink socket-default vici updown"
)
# kernel-libipsec first: kernel-netlink then only does addresses and routes.
PLUGINS = f"kernel-libipsec {GUEST_PLUGINS}"
CONFIG = """charon {{
  load = {plugins}
  retransmit_tries = 3
  retransmit_timeout = 1.0
  retransmit_base = 1.2
  {settings}
  filelog {{
    log {{
      path = /run/charon.log
      default = 1
      ike = 2
      chd = 4
      flush_line = yes
    }}
  }}
}}
"""
IN_TIME = 20.0
TUN = "/dev/net/tun"
# Its log at level 4: `... encryption initiator key => 16 bytes @ 0x...`, then lines of sixteen bytes.
KEY = re.compile(
    r"\[CHD\]\s+(?:<[^>]*>\s+)?(encryption|integrity) (initiator|responder) key => (\d+) bytes @ \S+\n((?:.*\[CHD\].*?\d+: [0-9A-F ]+.*\n)+)"
)
BYTES = re.compile(r"\d+: ((?:[0-9A-F]{2} )+)")


class StrongSwan:
    """charon on a node. ``settings``: more lines of strongswan.conf, section charon."""

    def __init__(self, node: Node, tree: Path, folder: Path, settings: str = "") -> None:
        assert os.access(TUN, os.R_OK | os.W_OK), (
            f"strongSwan's own ESP needs {TUN}: who runs the tests must be able to open it"
        )
        self.node = node
        self._folder = folder
        for name in ("x509", "x509ca", "x509crl", "private", "rsa", "pubkey", "conf.d"):
            (folder / "swanctl" / name).mkdir(parents=True)
        (folder / "strongswan.conf").write_text(CONFIG.format(plugins=PLUGINS, settings=settings))
        self._root = node.root(tree, folder)
        self._charon = self._start()

    def _start(self) -> Program:
        command = [*self._root, "/usr/lib/ipsec/charon"]
        charon = self.node.start(command, self._folder / "charon.out", STRONGSWAN_CONF="/run/strongswan.conf")
        end = time.monotonic() + IN_TIME
        while self.swanctl("--stats")[1]:
            assert charon.runs, f"charon did not start:\n{(self._folder / 'charon.out').read_text()}"
            assert time.monotonic() < end, f"charon does not answer after {IN_TIME:.0f} s:\n{self.log()}"
            time.sleep(0.02)
        return charon

    @property
    def pid(self) -> int:
        """charon's process id."""
        return self._charon.pid

    def add_file(self, place: str, content: bytes) -> None:
        """A file below swanctl's directory: x509/west.pem, private/west.pem ..."""
        (self._folder / "swanctl" / place).write_bytes(content)

    def load(self, config: str) -> None:
        """Take swanctl.conf's text: connections and secrets, replacing what it had."""
        (self._folder / "swanctl/swanctl.conf").write_text(config)
        output, status = self.swanctl("--load-all", "--noprompt")
        assert status == 0, f"strongSwan does not take its configuration:\n{output}"

    def swanctl(self, *words: str) -> tuple[str, int]:
        """What swanctl says, and its status."""
        return self.node.run(*self._root, "/usr/sbin/swanctl", *words, SWANCTL_DIR="/run/swanctl")

    def initiate(self, child: str, seconds: int = 15) -> tuple[str, int]:
        """Bring up a child; status 0 when it stands."""
        return self.swanctl("--initiate", "--child", child, "--timeout", str(seconds))

    def terminate(self, ike: str = "", child: str = "") -> None:
        """Delete an IKE SA or a child, by name."""
        self._do("--terminate", ike, child)

    def rekey(self, ike: str = "", child: str = "") -> None:
        """Replace an IKE SA or a child by a new one."""
        self._do("--rekey", ike, child)

    def _do(self, command: str, ike: str, child: str) -> None:
        output, status = self.swanctl(command, *(["--ike", ike] if ike else ["--child", child]))
        assert status == 0, f"swanctl {command} failed:\n{output}"

    def list_sas(self) -> list[tuple[str, Section]]:
        """(connection, IKE SA) of every IKE SA, its children in "child-sas"."""
        output, status = self.swanctl("--list-sas", "--pretty")
        assert status == 0, f"swanctl --list-sas failed:\n{output}"
        return [(name, sa) for event in events(output, "list-sa") for name, sa in event.items()]

    def ikes(self) -> list[Section]:
        """The IKE SAs that stand."""
        return [sa for _, sa in self.list_sas() if sa["state"] == "ESTABLISHED"]

    def children(self) -> list[Section]:
        """The children that carry traffic."""
        return [
            child
            for _, sa in self.list_sas()
            for child in sa.get("child-sas", {}).values()
            if child["state"] == "INSTALLED"
        ]

    def keys(self) -> list[dict[str, bytes]]:
        """The key material of every child so far, from the log: "encryption initiator" and so on -> bytes."""
        found: list[dict[str, bytes]] = []
        for kind, whose, length, dump in KEY.findall(self.log()):
            data = bytes.fromhex("".join(BYTES.findall(dump)))
            assert len(data) == int(length), f"strongSwan's log of a {kind} key was misread"
            if not found or f"{kind} {whose}" in found[-1]:
                found.append({})
            found[-1][f"{kind} {whose}"] = data
        return found

    def ping(self, source: str, to: str, count: int = 3) -> None:
        """Ping from an address of this machine; every answer has to come."""
        words = f"busybox ping -c {count} -i 0.2 -W 5 -I {source} {to}"
        output, _ = self.node.run(*self._root, *words.split())
        assert f"{count} packets received" in output, f"{self.node.name}: {output}"

    def wait(self, good: Callable[[], bool], seconds: float = IN_TIME) -> None:
        """Wait until something has come about; its log fails the test if it never does."""
        end = time.monotonic() + seconds
        while not good():
            assert time.monotonic() < end, (
                f"still not so after {seconds:.0f} s: {self.list_sas()}\n{self.log()[-3000:]}"
            )
            time.sleep(0.1)

    def log(self) -> str:
        """charon's log so far."""
        file = self._folder / "charon.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def kill(self) -> None:
        """End it without a word to anyone."""
        self._charon.end(signal.SIGKILL)

    def restart(self) -> None:
        """Start it again after `kill`."""
        self._charon = self._start()
