"""What the daemon needs of the machine: its kernel, its addresses, the updown script, the settings around them.

`Machine` is the real one; `Nothing` plays along and changes nothing, for `--noklips`: IKE alone, without IPsec.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cygnet.connection.connection import Address, Setup
from cygnet.connection.local import Local
from cygnet.errors import CygnetError
from cygnet.kernel import links, ours, sockets
from cygnet.kernel.interface import Kernel
from cygnet.updown.call import Occasion, Updown

if TYPE_CHECKING:
    from cygnet.conf import Configuration

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
INTERFACES = Path("/sys/class/net")
SECONDS_FOR_SCRIPT = 120
Log = Callable[[str], None]


class Machine:
    """This host. ``if_ids``: physical interface -> its (ipsecN, if_id)."""

    bypass = staticmethod(sockets.bypass)
    encapsulate = staticmethod(sockets.encapsulate)
    local = staticmethod(links.read_local)

    def __init__(self, log: Log) -> None:
        from cygnet.kernel.xfrm import Xfrm
        from cygnet.updown.script import Script

        self.kernel: Kernel = Xfrm(log)
        self.updown: Updown = Script(log)
        self.if_ids: dict[str, tuple[str, int]] = {}
        self._log = log
        self._forwarding = ""

    def open(self, setup: Setup) -> None:
        """An interface that cannot be made costs its own connections only."""
        self.kernel.flush()
        self._command("prepluto", setup.prepluto)
        for physical, (name, if_id) in numbered(setup).items():
            try:
                _delete_unused(self.kernel, name)
                links.create_interface(name, if_id, physical, setup.override_mtu)
                self.if_ids[physical] = (name, if_id)
            except CygnetError as problem:
                self._log(str(problem))
        if setup.forward_control:
            self._forwarding = FORWARDING.read_text()
            self._forward("1")

    def manual(self, configuration: Configuration) -> None:
        """Bring up what is keyed by hand; it stays when the daemon goes."""
        if configuration.starts_manual:
            from cygnet.cli.manual import start

            start(configuration, self._log)

    def ready(self, setup: Setup) -> None:
        """What the administrator wants to be run then."""
        self._command("postpluto", setup.postpluto)

    def close(self) -> None:
        """The routes of the interfaces go with them."""
        if self._forwarding:
            self._forward(self._forwarding)
        _clean(self.kernel, self._log, [name for name, _ in self.if_ids.values()])

    def _forward(self, setting: str) -> None:
        try:
            FORWARDING.write_text(setting)
        except OSError as problem:
            self._log(f"cannot set {FORWARDING}: {problem.strerror}")

    def _command(self, what: str, command: str) -> None:
        """A program and its arguments; a line for a shell it is not, whatever FreeS/WAN did."""
        if not command:
            return
        import shlex
        import subprocess

        try:
            done = subprocess.run(
                shlex.split(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                timeout=SECONDS_FOR_SCRIPT, check=False,
            )  # fmt: skip
        except (OSError, ValueError, subprocess.TimeoutExpired) as problem:
            self._log(f"{what}: {type(problem).__name__}")
            return
        for line in done.stdout.decode("utf-8", "replace").splitlines()[:100]:
            self._log(f"{what}: {line}")
        if done.returncode:
            self._log(f"{what}: exit status {done.returncode}")


class Nothing:
    """A host on which nothing is installed. ``listen``: its addresses, instead of the real ones."""

    def __init__(self, listen: tuple[Address, ...]) -> None:
        from cygnet.kernel.fake import FakeKernel

        self.kernel: Kernel = FakeKernel()
        self.updown: Updown = self
        self.if_ids: dict[str, tuple[str, int]] = {}
        self._listen = listen

    def local(self) -> Local:
        """The real addresses, or those that it is told to listen at."""
        found = links.read_local()
        return replace(found, addresses={"lo": self._listen}) if self._listen else found

    def open(self, setup: Setup) -> None:
        """Interfaces have numbers, though they are not there."""
        self.if_ids = numbered(setup)

    def manual(self, configuration: Configuration) -> None:
        """No keys are set."""

    def ready(self, setup: Setup) -> None:
        """Nothing to do."""

    def bypass(self, made: socket.socket) -> None:
        """Nothing to pass."""

    def encapsulate(self, made: socket.socket) -> None:
        """Nobody takes ESP."""

    def run(self, occasion: Occasion) -> None:
        """No script is called."""

    def close(self) -> None:
        """Nothing to take away."""


Host = Machine | Nothing


def numbered(setup: Setup) -> dict[str, tuple[str, int]]:
    """Physical interface -> (ipsecN, its if_id)."""
    return {physical: (name, _if_id(name)) for name, physical in setup.interfaces}


def flush_leftovers(log: Log) -> None:
    """What a daemon that died left in the kernel."""
    from cygnet.kernel.xfrm import Xfrm

    _clean(Xfrm(log), log, sorted(path.name for path in INTERFACES.glob("ipsec*")))


def _delete_unused(kernel: Kernel, name: str) -> None:
    """Manual keying goes on without the daemon, and needs its interfaces."""
    in_use = {policy.if_id for policy in kernel.list_policies() if ours.MANUAL.has(policy)}
    if _if_id(name) not in in_use:
        links.delete_interface(name)


def _if_id(name: str) -> int:
    """An if_id of 0 is none."""
    return int(name.removeprefix("ipsec")) + 1


def _clean(kernel: Kernel, log: Log, interfaces: list[str]) -> None:
    """One step that fails keeps no other from its place."""
    steps: list[Callable[[], None]] = [kernel.flush, *(partial(_delete_unused, kernel, name) for name in interfaces)]
    for step in steps:
        try:
            step()
        except CygnetError as problem:
            log(str(problem))
