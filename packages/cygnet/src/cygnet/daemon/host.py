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
from cygnet.connection.local import DEFAULT_ROUTE, Local
from cygnet.errors import CygnetError
from cygnet.kernel import links, ours, sockets
from cygnet.kernel.interface import Kernel
from cygnet.kernel.policy import Policy
from cygnet.updown.call import Occasion, Updown

if TYPE_CHECKING:
    from cygnet.conf import Configuration

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
FILTERS = Path("/proc/sys/net/ipv4/conf")
INTERFACES = Path("/sys/class/net")
SECONDS_FOR_SCRIPT = 120
Log = Callable[[str], None]


class Machine:
    """This host. ``if_ids``: physical interface, or %defaultroute -> its (ipsecN, if_id).

    ``left``: policies of a daemon before us that go on stopping packets.
    """

    bypass = staticmethod(sockets.bypass)
    encapsulate = staticmethod(sockets.encapsulate)
    local = staticmethod(links.read_local)

    def __init__(self, log: Log, router: str = "") -> None:
        """``router``: a program that is called with "off" before policies go, and "on" when routes stand."""
        from cygnet.kernel.xfrm import Xfrm
        from cygnet.updown.script import Script

        self.kernel: Kernel = Xfrm(log)
        self.updown: Updown = Script(log)
        self.if_ids: dict[str, tuple[str, int]] = {}
        self.left: list[Policy] = []
        self._log = log
        self._router, self._forwarding = router, ""
        self._filters: dict[Path, str] = {}

    def open(self, setup: Setup) -> None:
        """An interface that cannot be made costs its own connections only."""
        self._route("off")
        self.left = self.kernel.flush(keep_blocks=True)
        _clean_firewall(self._log)
        self._command("prepluto", setup.prepluto)
        for physical, (name, if_id) in numbered(setup).items():
            try:
                if not (_is_in_use(self.kernel, name) and (INTERFACES / name).exists()):
                    links.create_interface(name, if_id, setup.override_mtu)
                self.if_ids[physical] = (name, if_id)
            except CygnetError as problem:
                self._log(str(problem))
            if physical != DEFAULT_ROUTE and not (INTERFACES / physical).exists():
                self._log(f"interfaces=: there is no interface {physical} now; {name} serves it when it comes")
        self.follow(setup, self.local())

    def follow(self, setup: Setup, local: Local) -> None:
        """The settings of the interfaces that are there now."""
        for physical in self.if_ids if setup.rp_filter is not None else ():
            self._filter(local.default_interface if physical == DEFAULT_ROUTE else physical, setup.rp_filter or 0)

    def manual(self, configuration: Configuration) -> None:
        """Bring up what is keyed by hand; it stays when the daemon goes."""
        if configuration.starts_manual:
            from cygnet.cli.manual import start

            start(configuration, self._log)

    def ready(self, setup: Setup) -> None:
        """Connections are routed: traffic may come. Then what the administrator wants to be run."""
        if setup.forward_control and not self._router:
            self._forwarding = FORWARDING.read_text()
            self._forward("1")
        self._route("on")
        self._command("postpluto", setup.postpluto)

    def close(self) -> None:
        """The routes of the interfaces go with them."""
        self._route("off")
        if self._forwarding:
            self._forward(self._forwarding)
        for file, before in self._filters.items():
            self._set(file, before)
        _clean(self.kernel, self._log, [name for name, _ in self.if_ids.values()])

    def _route(self, word: str) -> None:
        if self._router:
            self._command("forwarding", f"{self._router} {word}")

    def _forward(self, setting: str) -> None:
        self._set(FORWARDING, setting)

    def _filter(self, physical: str, wanted: int) -> None:
        """The peer's packets come by the physical interface even where a route leads to it into a tunnel.

        The kernel takes the greater of an interface's setting and that of all: 0 may have to be loose (2) instead.
        """
        file, everywhere = FILTERS / physical / "rp_filter", FILTERS / "all" / "rp_filter"
        if file in self._filters or not physical:
            return
        try:
            self._filters[file], strict = file.read_text(), everywhere.read_text().strip() != "0"
        except OSError:
            return
        self._set(file, "2" if strict and not wanted else str(wanted))

    def _set(self, file: Path, setting: str) -> None:
        try:
            file.write_text(setting)
        except OSError as problem:
            self._log(f"cannot set {file}: {problem.strerror}")

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
        self.left: list[Policy] = []
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

    def follow(self, setup: Setup, local: Local) -> None:
        """Nothing to set."""

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
    """Physical interface, or %defaultroute -> (ipsecN, its if_id)."""
    return {physical: (name, _if_id(name)) for name, physical in setup.interfaces}


def flush_leftovers(log: Log) -> None:
    """What a daemon that died left in the kernel."""
    from cygnet.kernel.xfrm import Xfrm

    _clean(Xfrm(log), log, sorted(path.name for path in INTERFACES.glob("ipsec*")))


def _delete_unused(kernel: Kernel, name: str) -> None:
    if not _is_in_use(kernel, name):
        links.delete_interface(name)


def _is_in_use(kernel: Kernel, name: str) -> bool:
    """Manual keying goes on without the daemon, and needs its interfaces."""
    by_hand = {policy.if_id for policy in kernel.list_policies() if ours.MANUAL.has(policy)}
    return _if_id(name) in by_hand


def _if_id(name: str) -> int:
    """An if_id of 0 is none."""
    return int(name.removeprefix("ipsec")) + 1


def _clean(kernel: Kernel, log: Log, interfaces: list[str]) -> None:
    """One step that fails keeps no other from its place."""
    _attempt(log, kernel.flush)
    for name in interfaces:
        _attempt(log, partial(_delete_unused, kernel, name))
    _clean_firewall(log)


def _clean_firewall(log: Log) -> None:
    from cygnet.updown.script import clean

    _attempt(log, clean)


def _attempt(log: Log, step: Callable[[], object]) -> None:
    try:
        step()
    except CygnetError as problem:
        log(str(problem))
