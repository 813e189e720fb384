"""The daemon as a whole: how it starts, what calls what, how it ends (pluto(8))."""

from __future__ import annotations

import contextlib
import functools
import selectors
import signal
import time
from collections.abc import Callable
from dataclasses import replace

from cygnet import __version__
from cygnet.conf import load, load_secrets
from cygnet.conf.groups import KINDS as PATTERNS
from cygnet.connection.connection import Address, Auto, Connection, HostKind, Type
from cygnet.connection.local import DEFAULT_ROUTE
from cygnet.connection.secret import Secrets
from cygnet.control.server import Server
from cygnet.crypto.exchange import KeyExchange
from cygnet.daemon.commands import handle
from cygnet.daemon.host import Host
from cygnet.daemon.lock import Lock
from cygnet.daemon.log import Log
from cygnet.daemon.lookups import Lookups
from cygnet.daemon.loop import Loop
from cygnet.daemon.settings import Settings
from cygnet.daemon.sockets import ANY, Sockets
from cygnet.daemon.watch import Watch
from cygnet.errors import CygnetError
from cygnet.ike.engine import Engine
from cygnet.ike.path import Path
from cygnet.kernel.changes import Changes
from cygnet.kernel.interface import Acquire, Event, Expire, Mapping
from cygnet.tunnel.tunnels import TRAPPED, Tunnels

ROUTED = (Auto.ROUTE, Auto.START)
# So many seconds after its start it loads OpenSSL: that takes a 486 one more, for which no first packet is to wait.
PEACE, COMMON_GROUP = 2.0, 14
# Between the name of a policy group and a network of it.
GROUP_MARK = "#"


class Daemon:
    """``problems``: what was left out of the configuration, one sentence each."""

    def __init__(self, settings: Settings, host: Host, log: Log) -> None:
        """Start, or raise and leave nothing behind. Nothing is touched before the lock is held."""
        self.settings, self.host, self.log = settings, host, log
        self.loop = Loop(log)
        with contextlib.ExitStack() as undo:
            lock = Lock(settings.lock)
            undo.callback(lock.release)
            # A dead daemon's: who waits for one is not to take it for this one's.
            settings.socket.unlink(missing_ok=True)
            log(f"Starting Pluto (Cygnet {__version__})")
            self._configure(undo)
            self._serve(undo)
            self._undo = undo.pop_all()
        log("Pluto initialized")

    def _configure(self, undo: contextlib.ExitStack) -> None:
        self._watch_box(undo)
        self.local = self.host.local()
        configuration = load(self.settings.config, self.local)
        port = self.settings.ike_port or configuration.setup.port
        self.setup, self.problems = replace(configuration.setup, port=port), configuration.problems
        undo.callback(self.loop.guard, self.host.close)
        self.host.open(self.setup)
        self.sockets = Sockets(self.loop.selector, self._received, self._lost, port, self.settings.nat_port)
        undo.callback(self.loop.guard, self.sockets.close)
        self.lookups = Lookups(self.loop.selector, self.host.bypass)
        undo.callback(self.loop.guard, self.lookups.shut)
        self.tunnels = Tunnels(
            self.host.kernel, self.host.updown, self.log, self.host.if_ids, configuration.setup.hide_tos
        )
        self.tunnels.inherit(self.host.left)
        self.engine = Engine(
            self.setup, Secrets(), self.tunnels, self.sockets.send, self.log,
            nat_port=self.settings.nat_port, resolver=self.lookups,
        )  # fmt: skip
        undo.callback(self.loop.guard, self._end_engine)
        for problem in [*self.problems, *self.read_secrets()]:
            self.log(problem)
        self._connections = configuration.connections
        self.host.manual(configuration)

    def _serve(self, undo: contextlib.ExitStack) -> None:
        """The order of FreeS/WAN: connections are there before anybody can ask for them, then what auto= says."""
        automatic = [one for one in self._connections.values() if _is_loaded(one)]
        added = [one for one in automatic if self._attempt(self.engine.add, one)]
        self.sockets.open(self.settings.listen or ANY, self.host.bypass, self.host.encapsulate)
        self._watch_kernel()
        server = Server(self.settings.socket, self.loop.selector, functools.partial(handle, self), time.monotonic)
        undo.callback(self.loop.guard, server.close)
        self.loop.timed += [self.engine, self.watch, self.lookups, server]
        for one in added:
            if one.auto in ROUTED:
                self._attempt(self._route, one)
        self.loop.guard(self.tunnels.inherit, ())
        self.host.ready(self.setup)
        for one in added:
            if one.auto is Auto.START:
                self._attempt(self._start, one)
        if added:
            self.engine.timers.at(time.monotonic() + PEACE, _warm_up)

    def run(self) -> None:
        """Until told to end."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self.loop.on_signal(number, self.loop.stop)
        self.loop.on_signal(signal.SIGHUP, self._hung_up)
        self.loop.run()

    def close(self) -> None:
        """Tell the peers, take everything of ours out of the kernel, leave no file behind."""
        self.log("shutting down")
        self._undo.close()

    def look_around(self) -> None:
        """Look at this box's addresses and default route anew, and follow them."""
        self.local = self.host.local()
        self.host.follow(self.setup, self.local)
        self.engine.moved(self.local, time.monotonic())

    def read_secrets(self) -> list[str]:
        """Read ipsec.secrets anew; returns what was wrong in it."""
        self.secrets_read = time.monotonic()
        try:
            self.engine.secrets = load_secrets(self.settings.secrets)
        except CygnetError as problem:
            return [str(problem)]
        return list(self.engine.secrets.problems)

    def read_groups(self) -> list[str]:
        """Read the files of the policy groups anew; what has not changed stays as it is. A line for each that has."""
        known = {name: one for name, one in self.engine.connections.items() if GROUP_MARK in name}
        found = load(self.settings.config, self.local)
        wanted = {name: one for name, one in found.connections.items() if GROUP_MARK in name and _is_loaded(one)}
        gone = [name for name, one in known.items() if wanted.get(name) != one]
        new = [one for name, one in wanted.items() if known.get(name) != one]
        for name in gone:
            self.engine.delete(name, time.monotonic())
        for one in [one for one in new if self._attempt(self.engine.add, one)]:
            if one.auto in ROUTED:
                self._attempt(self._route, one)
        return [*found.problems, f"groups: {len(gone)} networks taken away, {len(new)} added, {len(wanted)} in all"]

    def interfaces(self) -> list[str]:
        """A line for each address that IPsec can use, and for each interface that has none now."""
        lines = []
        for physical, (ours, _) in self.host.if_ids.items():
            name = self.local.default_interface or physical if physical == DEFAULT_ROUTE else physical
            addresses = self.local.addresses.get(name, ("has no address now",))
            lines += [f"interface {ours}/{name} {address}" for address in addresses]
        return lines

    def _attempt(self, step: Callable[[Connection, float], object], connection: Connection) -> bool:
        """One bad connection keeps no other from its start."""
        try:
            step(connection, time.monotonic())
        except CygnetError as problem:
            name = f'"{connection.name}"'
            self.log(str(problem) if name in str(problem) else f"{name}: {problem}")
            return False
        return True

    def _route(self, connection: Connection, _now: float) -> None:
        """A peer that can be anyone has no traffic to wait for."""
        if connection.there.kind in TRAPPED:
            self.tunnels.route(connection)

    def _start(self, connection: Connection, now: float) -> None:
        """A peer that can be anyone has to call."""
        if connection.there.kind is HostKind.ADDRESS and connection.type in (Type.TUNNEL, Type.TRANSPORT):
            self.engine.initiate(connection.name, now, None, None)

    def _received(self, packet: bytes, path: Path) -> None:
        self.engine.receive(packet, path, time.monotonic())

    def _lost(self, remote: Address, reason: str) -> None:
        self.engine.lost(remote, reason, time.monotonic())

    def _watch_box(self, undo: contextlib.ExitStack) -> None:
        """From before the first look at it, so that no change is missed."""
        changes = Changes()
        undo.callback(changes.close)
        self.watch = Watch(changes, self.look_around)
        self.loop.selector.register(changes, selectors.EVENT_READ, self.watch.readable)

    def _watch_kernel(self) -> None:
        if self.host.kernel.fileno() >= 0:
            self.loop.selector.register(self.host.kernel.fileno(), selectors.EVENT_READ, self._kernel_speaks)

    def _kernel_speaks(self, _mask: int) -> None:
        for event in self.host.kernel.events():
            self.loop.guard(self._take, event)

    def _take(self, event: Event) -> None:
        match event:
            case Acquire():
                self.engine.acquired(event, time.monotonic())
            case Expire():
                self.engine.expired(event, time.monotonic())
            case Mapping():
                self.engine.mapped(event, time.monotonic())

    def _end_engine(self) -> None:
        self.engine.shutdown(time.monotonic())

    def _hung_up(self) -> None:
        self.log('Pluto does nothing at SIGHUP; perhaps you want "ipsec auto --ready"')


def _warm_up() -> None:
    """What a first exchange loads and computes, and all that follow need no more."""
    KeyExchange(COMMON_GROUP)


def _is_loaded(connection: Connection) -> bool:
    """Whether auto= says so; the pattern of a policy group is none of its own."""
    return connection.auto not in (Auto.IGNORE, Auto.MANUAL) and connection.there.kind not in PATTERNS
