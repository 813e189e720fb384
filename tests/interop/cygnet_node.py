"""Cygnet's daemon in a network namespace, as an administrator has it: files in /etc, `ipsec` commands.

/etc and /run of its machine are its own.  The kernel is a fake one that tells its SAs (telling_daemon.py): what is
proved here is IKE, and that both ends have the same keys; guests and boxes prove the traffic.
"""

from __future__ import annotations

import json
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ipsec_conf import IpsecConn
from network import Node, Program

from builder.settings import PROJECT

SOURCE = PROJECT / "packages/cygnet/src"
DAEMON = Path(__file__).with_name("telling_daemon.py")
# As on the box: no asserts, no docstrings.
PYTHON = (sys.executable, "-OO")
HOST_FILES = ("passwd", "group", "hosts", "nsswitch.conf", "localtime")
IN_TIME = 20.0
READY = "Pluto initialized"
SETUP = 'version 2\n\nconfig setup\n\tinterfaces="ipsec0=wan"\n{setup}\n'


@dataclass(frozen=True)
class KernelSa:
    """One SA as the kernel was given it. ``keys``: cipher's (with its salt), then integrity's."""

    spi: int
    outbound: bool
    protocol: str
    mode: str
    algorithms: tuple[str, ...]
    keys: bytes
    ports: tuple[int, int] | None


class Cygnet:
    """The daemon on a node; `start` runs it."""

    def __init__(self, node: Node, folder: Path) -> None:
        self.node = node
        self._folder = folder
        self._etc = folder / "etc"
        self._told = folder / "sas.json"
        for name in ("cacerts", "certs", "crls", "private"):
            (self._etc / "ipsec.d" / name).mkdir(parents=True)
        for name in HOST_FILES:
            if Path("/etc", name).is_file():
                shutil.copy(f"/etc/{name}", self._etc)
        node.text("mount", "--bind", str(self._etc), "/etc")
        node.text("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
        self._daemon: Program | None = None

    def write(self, name: str, content: str | bytes, mode: int = 0o644) -> None:
        """A file of its /etc."""
        file = self._etc / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        file.chmod(mode)

    def configure(self, conn: IpsecConn, secrets: str, setup: str = "") -> None:
        """ipsec.conf and ipsec.secrets; a daemon that runs is not told."""
        self.write("ipsec.conf", SETUP.format(setup=setup) + str(conn))
        self.write("ipsec.secrets", secrets, 0o600)

    def start(self) -> None:
        """Run the daemon until it answers."""
        starts = self.log().count(READY) + 1
        command = [*PYTHON, str(DAEMON), str(self._told), "--kernel=fake"]
        self._daemon = self.node.start(command, self._folder / "pluto.log", PYTHONPATH=str(SOURCE))
        end = time.monotonic() + IN_TIME
        while self.log().count(READY) < starts:
            assert self._daemon.runs, f"the daemon did not start:\n{self.log()[-3000:]}"
            assert time.monotonic() < end, f"the daemon is not ready after {IN_TIME:.0f} s:\n{self.log()[-3000:]}"
            time.sleep(0.02)

    def ipsec(self, *words: str) -> tuple[str, int]:
        """An `ipsec` command: what it says, and its status."""
        return self.node.run(*PYTHON, "-m", "cygnet.cli", *words, PYTHONPATH=str(SOURCE))

    def auto(self, operation: str, name: str = "net") -> str:
        """`ipsec auto` of what must succeed: what it says."""
        output, status = self.ipsec("auto", operation, *([name] if name else []))
        assert status == 0, f"ipsec auto {operation} {name} ended with status {status}:\n{output}\n{self.log()[-3000:]}"
        return output

    def reload(self, conn: IpsecConn, secrets: str) -> None:
        """Replace connection and secrets of the daemon that runs."""
        self.configure(conn, secrets)
        self.auto("--rereadsecrets", "")
        self.auto("--replace")

    def status(self) -> str:
        """What `ipsec auto --status` says."""
        return self.auto("--status", "")

    def sas(self) -> list[KernelSa]:
        """The SAs that its kernel has, in the order of their coming."""
        rows: list[dict[str, Any]] = json.loads(self._told.read_text()) if self._told.exists() else []
        return [_read(row) for row in rows]

    def wait(self, good: Callable[[], bool], seconds: float = IN_TIME) -> None:
        """Wait until something has come about; its log fails the test if it never does."""
        end = time.monotonic() + seconds
        while not good():
            assert time.monotonic() < end, f"still not so after {seconds:.0f} s:\n{self.log()[-4000:]}"
            time.sleep(0.1)

    def log(self) -> str:
        """What the daemon has said."""
        file = self._folder / "pluto.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def kill(self) -> None:
        """End it without a word to anyone."""
        if self._daemon is not None:
            self._daemon.end(signal.SIGKILL)


def _read(row: dict[str, Any]) -> KernelSa:
    algorithms = [row[kind] for kind in ("aead", "encryption", "integrity") if row[kind]]
    return KernelSa(
        row["spi"], row["outbound"], row["protocol"], row["mode"], tuple(name for name, _ in algorithms),
        b"".join(bytes.fromhex(key) for _, key in algorithms), tuple(row["ports"]) if row["ports"] else None,
    )  # fmt: skip
