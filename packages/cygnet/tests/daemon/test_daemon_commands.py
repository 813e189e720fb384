"""The daemon in this process, with an engine that plays along: start, what each request does and ends with, end."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from cygnet.connection.connection import Connection, Setup
from cygnet.connection.local import Local
from cygnet.connection.secret import Secrets
from cygnet.connection.selector import Selector
from cygnet.control import client
from cygnet.daemon import daemon as whole
from cygnet.daemon.host import Nothing
from cygnet.daemon.lock import LockError
from cygnet.daemon.settings import Settings
from cygnet.errors import CygnetError
from cygnet.ike.timers import Timers
from cygnet.kernel.interface import Acquire, Expire, KernelError, Mapping
from cygnet.kernel.sa import SaKey

CONFIG = """version 2
config setup
\tinterfaces="ipsec0=lo"
conn %default
\tauthby=secret
\tleft=127.0.0.1
\tright=127.0.0.2
conn west
\tleftsubnet=10.1.0.0/24
\trightsubnet=10.2.0.0/24
\tauto=add
conn spare
\tleftsubnet=10.1.1.0/24
\trightsubnet=10.2.1.0/24
\tauto=ignore
conn bad
\tleftsubnet=10.1.0.0/240
\tauto=add
"""
SECRETS = '127.0.0.1 127.0.0.2 : PSK "a secret for two"\n'


HERE = ip_address("127.0.0.1")


class Engine:
    """What the daemon asks of an engine, remembered; ``refuse`` makes the next request fail."""

    def __init__(
        self,
        setup: Setup,
        secrets: Secrets,
        _tunnels: object,
        _send: object,
        _log: object,
        nat_port: int,
        resolver: object,
    ) -> None:
        self.setup, self.secrets, self.nat_port = setup, secrets, nat_port
        self.connections: dict[str, Connection] = {}
        self.calls: list[tuple[object, ...]] = []
        self.waiting: list[tuple[Callable[[int, str], None], Callable[[int], None]]] = []
        self.refuse: Exception | None = None
        self.certificates = self
        self.seen: list[Local] = []
        self.timers = Timers()

    def forget(self) -> None:
        self._called("forget certificates")

    def _called(self, *call: object) -> None:
        self.calls.append(call)
        if self.refuse:
            problem, self.refuse = self.refuse, None
            raise problem

    def add(self, connection: Connection, _now: float) -> None:
        self._called("add", connection.name)
        self.connections[connection.name] = connection

    def delete(self, name: str, _now: float) -> None:
        self._called("delete", name)
        del self.connections[name]

    def initiate(self, name: str, _now: float, report: object, done: object) -> None:
        self._called("initiate", name)
        if done:
            self.waiting.append((report, done))  # type: ignore[arg-type]

    def terminate(self, name: str, _now: float) -> None:
        self._called("terminate", name)

    def receive(self, packet: bytes, _path: object, _now: float) -> None:
        self._called("receive", packet)

    def acquired(self, event: object, _now: float) -> None:
        self._called("acquired", event)

    def expired(self, event: object, _now: float) -> None:
        self._called("expired", event)

    def mapped(self, event: object, _now: float) -> None:
        self._called("mapped", event)

    def moved(self, local: Local, _now: float) -> None:
        self.seen.append(local)

    def next_deadline(self) -> None:
        return None

    def run_timers(self, now: float) -> None:
        pass

    def why(self, name: str, _now: float) -> list[str]:
        return [f"{word} {one}" for one in self.connections if name in ("", one) for word in ("name", "digest")]

    def lost(self, remote: object, reason: str, _now: float) -> None:
        self._called("lost", str(remote), reason)

    def status(self) -> list[str]:
        return [f'"{name}": unrouted' for name in self.connections]

    def shutdown(self, _now: float) -> None:
        self._called("shutdown")


def free_ports() -> tuple[int, int]:
    made = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for one in made:
        one.bind(("127.0.0.1", 0))
    ports = made[0].getsockname()[1], made[1].getsockname()[1]
    for one in made:
        one.close()
    return ports


class Box:
    """A daemon at work: ``ask`` sends it a request and turns its loop until it has answered."""

    def __init__(self, place: Path, log: list[str], config: str = CONFIG) -> None:
        self.place, self.log = place, log
        self.ports = free_ports()
        (place / "ipsec.conf").write_text(config)
        (place / "ipsec.secrets").write_text(SECRETS)
        (place / "ipsec.secrets").chmod(0o600)
        settings = Settings(
            place / "ipsec.conf",
            place / "ipsec.secrets",
            str(place / "pluto"),
            *self.ports,
            (HERE,),
            True,
        )
        self.daemon = whole.Daemon(settings, Nothing(settings.listen), log.append)
        self.engine: Engine = self.daemon.engine  # type: ignore[assignment]

    def ask(self, command: str, name: str = "", **more: str | bool) -> tuple[list[str], int]:
        lines: list[str] = []
        words: dict[str, str | bool] = {"command": command, **({"name": name} if name else {}), **more}
        result: list[int] = []
        show = lambda code, text: lines.append(f"{code:03} {text}")  # noqa: E731
        thread = threading.Thread(target=lambda: result.append(client.ask(words, show, self.daemon.settings.base)))
        thread.start()
        while thread.is_alive():
            self.turn(0.02)
        return lines, result[0]

    def turn(self, seconds: float = 0.2) -> None:
        for key, mask in self.daemon.loop.selector.select(seconds):
            self.daemon.loop.guard(key.data, mask)


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Box]]:
    monkeypatch.setattr(whole, "Engine", Engine)
    boxes: list[Box] = []

    def start(config: str = CONFIG, log: list[str] | None = None) -> Box:
        boxes.append(Box(tmp_path, [] if log is None else log, config))
        return boxes[-1]

    yield start
    for box in boxes:
        box.daemon.close()


@pytest.fixture
def box(start: Callable[..., Box]) -> Box:
    return start()


def test_at_its_start_it_loads_what_auto_says_and_names_what_it_left_out(box: Box) -> None:
    assert box.engine.calls == [("add", "west")]
    assert box.engine.secrets.preshared
    assert len([line for line in box.log if "10.1.0.0/240" in line]) == 1
    assert box.log[-1] == "Pluto initialized"
    assert (box.engine.setup.port, box.engine.nat_port) == box.ports


def test_a_dead_daemons_socket_is_gone_before_the_next_one_is_ready(start: Callable[..., Box], tmp_path: Path) -> None:
    """Given a daemon that was killed, while the next one starts, then nobody is told that the old one has died."""
    socket_file, seen = tmp_path / "pluto.ctl", list[bool]()
    socket_file.touch()

    class Watch(list[str]):
        def append(self, _line: str) -> None:
            seen.append(socket_file.exists())

    box = start(log=Watch())
    assert seen[0] is False
    assert box.daemon.settings.socket.exists()


def test_route_and_start_follow_once_all_are_loaded(start: Callable[..., Box]) -> None:
    """Given conns of every kind, when the daemon starts, then roadwarriors are only loaded and one refusal is only one."""
    config = CONFIG + "\trightsubnet=10.2.0.0/24\n"
    for name, auto in (("routed", "route"), ("started", "start"), ("also", "start")):
        config += f"conn {name}\n\trightsubnet=10.{len(config) % 200}.0.0/24\n\tauto={auto}\n"
    config += "conn road\n\tright=%any\n\tauto=start\n"
    box = start(config)
    names = [call[1] for call in box.engine.calls if call[0] == "add"]
    assert set(names) == {"west", "routed", "started", "also", "road"}
    assert [call for call in box.engine.calls if call[0] == "initiate"] == [
        ("initiate", "started"),
        ("initiate", "also"),
    ]
    routing = {name: box.daemon.tunnels.routing(name) for name in names}
    assert routing == {"west": "unrouted", "road": "unrouted"} | dict.fromkeys(
        ("routed", "started", "also"), "prospective erouted"
    )


def test_all_routes_stand_before_anything_is_forwarded(
    start: Callable[..., Box], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given conns to route and to start, when the daemon says that it is ready, then both hold their traffic back."""
    seen: list[int] = []
    monkeypatch.setattr(Nothing, "ready", lambda self, _setup: seen.append(len(self.kernel.policies)))
    config = CONFIG
    for name, auto in (("routed", "route"), ("started", "start")):
        config += f"conn {name}\n\tleftsubnet=10.1.0.0/24\n\trightsubnet=10.{len(config) % 200}.0.0/24\n\tauto={auto}\n"
    box = start(config)
    assert seen == [len(box.daemon.host.kernel.policies)]  # type: ignore[union-attr]
    assert seen > [0]


def test_a_conn_that_another_is_in_the_way_of_is_loaded_with_a_warning(start: Callable[..., Box]) -> None:
    """Given two peers for one traffic, when either is loaded, then both places are said."""
    rival = "conn rival\n\tright=127.0.0.3\n\tleftsubnet=10.1.0.0/24\n\trightsubnet=10.2.0.0/24\n\tauto=add\n"
    box = start(CONFIG + rival)
    lines, status = box.ask("replace", "rival")
    assert status == 0
    assert any('conf:19: conn "rival" is for the same traffic as conn "west" at ' in line for line in lines), lines
    assert any("conf:8" in line for line in lines)
    assert not any("same traffic" in line for line in box.ask("replace", "spare")[0])


CASES = [
    ("add", "west", ['020 attempt to redefine connection "west": use --replace'], 20),
    ("add", "spare", ['002 added connection description "spare"'], 0),
    ("replace", "west", ['002 "west": deleting connection', '002 added connection description "west"'], 0),
    ("replace", "spare", ['002 added connection description "spare"'], 0),
    ("delete", "west", ['002 "west": deleting connection'], 0),
    ("down", "west", ['002 "west": terminating SAs using this connection'], 0),
    ("route", "west", [], 0),
    ("unroute", "west", [], 0),
    ("up", "spare", ['021 no connection named "spare"; load it by --add'], 21),
    ("down", "wset", ['021 no connection named "wset"; did you mean "west"?'], 21),
    ("delete", "nobody", ['021 no connection named "nobody"; load it by --add'], 21),
    ("why", "west", ["000 secrets 0", "000 name west", "000 digest west"], 0),
    ("why", "", ["000 secrets 0", "000 name west", "000 digest west"], 0),
    ("why", "wset", ['021 no connection named "wset"; did you mean "west"?'], 21),
    ("status", "west", ["030 status takes no connection name"], 30),
    ("up", "", ["030 up takes a connection name"], 30),
    ("frobnicate", "", ["030 there is no request 'frobnicate'"], 30),
    ("shutdown", "", ["002 shutting down"], 0),
]


@pytest.mark.parametrize(("command", "name", "lines", "status"), CASES, ids=[f"{case[0]} {case[1]}" for case in CASES])
def test_each_request_has_its_words_and_its_status(
    box: Box, command: str, name: str, lines: list[str], status: int
) -> None:
    assert box.ask(command, name) == (lines, status)


def test_up_ends_when_the_engine_says_so(box: Box) -> None:
    """Given a client that waits, when the engine reports and is done, then the client has all of it."""
    original = box.turn

    def turn(seconds: float) -> None:
        original(seconds)
        for report, done in box.engine.waiting:
            report(104, '"west" #1: STATE_MAIN_I1: initiate')
            report(4, '"west" #2: STATE_QUICK_I2: sent QI2, IPsec SA established')
            done(0)
        box.engine.waiting.clear()

    box.turn = turn  # type: ignore[method-assign]
    lines, status = box.ask("up", "west")
    assert lines[-1] == '004 "west" #2: STATE_QUICK_I2: sent QI2, IPsec SA established'
    assert status == 0


def test_up_asynchronously_waits_for_nobody(box: Box) -> None:
    assert box.ask("up", "west", asynchronous=True) == ([], 0)
    assert box.engine.waiting == []
    assert ("initiate", "west") in box.engine.calls


def test_what_the_engine_refuses_is_the_answer(box: Box) -> None:
    box.engine.refuse = CygnetError('"west" (ipsec.conf:8): no secret for 127.0.0.1 and 127.0.0.2')
    assert box.ask("up", "west") == (['003 "west" (ipsec.conf:8): no secret for 127.0.0.1 and 127.0.0.2'], 3)


def test_a_route_that_cannot_be_ends_25(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_connection: Connection) -> None:
        raise KernelError("cannot install policy out 10.1.0.0/24 -> 10.2.0.0/24: that takes root's rights")

    monkeypatch.setattr(box.daemon.tunnels, "route", refuse)
    lines, status = box.ask("route", "west")
    assert (lines[0][:3], status) == ("025", 25)


def test_a_mistake_of_ours_costs_one_request_and_shows_no_secret(box: Box) -> None:
    box.engine.refuse = ValueError("a secret for two")
    assert box.ask("down", "west")[1] == 32
    assert "ValueError at" in box.log[-1]
    assert "secret for two" not in box.log[-1]
    assert box.ask("status")[1] == 0


def test_a_connection_is_read_from_the_file_that_the_request_names(box: Box, tmp_path: Path) -> None:
    other = tmp_path / "other.conf"
    other.write_text(CONFIG.replace("conn spare", "conn other"))
    assert box.ask("add", "other", config=str(other))[1] == 0
    lines, status = box.ask("add", "spare", config=str(other))
    assert status == 21
    assert lines[-1] == f'021 {other} has no usable connection "spare"'


def test_a_connection_that_is_wrong_is_told_why_and_the_old_one_stays(box: Box) -> None:
    """Given a loaded conn, when the file has it wrong now, then --replace says where and leaves it as it is."""
    (box.place / "ipsec.conf").write_text(CONFIG.replace("10.2.0.0/24", "10.2.0.0/99", 1))
    lines, status = box.ask("replace", "west")
    assert status == 21
    assert any("10.2.0.0/99" in line for line in lines)
    assert "west" in box.engine.connections
    assert ("delete", "west") not in box.engine.calls


@pytest.mark.parametrize("command", ["rereadsecrets", "rereadall", "listen"])
def test_secrets_are_read_anew(box: Box, command: str) -> None:
    (box.place / "ipsec.secrets").write_text(SECRETS * 2 + ": PSK 0xzz\n")
    lines, status = box.ask(command)
    assert status == 0
    assert len(box.engine.secrets.preshared) == 2
    assert any(line.startswith("003") and "ipsec.secrets:3" in line for line in lines)
    assert f'002 loading secrets from "{box.place}/ipsec.secrets"' in lines
    assert (("forget certificates",) in box.engine.calls) is (command == "rereadall")
    assert [local.addresses["lo"] for local in box.engine.seen] == [(HERE,)] * (command == "listen")


def test_groups_are_read_anew_and_only_what_changed_is_touched(start: Callable[..., Box], tmp_path: Path) -> None:
    group = tmp_path / "ipsec.d/policies/clear"
    group.parent.mkdir(parents=True)
    box = start()
    group.write_text("192.0.2.0/24\n198.51.100.0/24\n")
    pattern = "conn clear\n\ttype=passthrough\n\tauthby=never\n\tright=%group\n\tauto=route\n"
    (tmp_path / "ipsec.conf").write_text(CONFIG + pattern)
    lines, status = box.ask("rereadgroups")
    assert (lines[-1], status) == ("000 groups: 0 networks taken away, 2 added, 2 in all", 0)
    assert box.daemon.tunnels.routing("clear#192.0.2.0/24") == "erouted"
    box.engine.calls.clear()
    group.write_text("198.51.100.0/24\n203.0.113.0/24\n")
    lines, _ = box.ask("rereadgroups")
    assert lines[-1] == "000 groups: 1 networks taken away, 1 added, 2 in all"
    assert box.engine.calls == [("delete", "clear#192.0.2.0/24"), ("add", "clear#203.0.113.0/24")]


def test_status_has_the_interfaces_the_connections_and_what_was_left_out(box: Box) -> None:
    lines, status = box.ask("status")
    assert status == 0
    assert lines[0] == "000 interface ipsec0/lo 127.0.0.1"
    assert '000 "west": unrouted' in lines
    assert any("10.1.0.0/240" in line for line in lines)


def test_the_kernels_events_reach_the_engine(box: Box) -> None:
    traffic = Selector(ip_network("10.1.0.1")), Selector(ip_network("10.2.0.1"))
    key = SaKey(ip_address("127.0.0.1"), "esp", 0x1234)
    events = [Acquire(0x4000, *traffic), Expire(key, 0x4000, True), Mapping(key, 0x4000, ip_address("127.0.0.9"), 4500)]
    box.daemon.host.kernel._events += events  # type: ignore[union-attr]
    box.engine.refuse = KeyError("one that goes wrong keeps no other from its place")
    box.daemon._kernel_speaks(1)
    assert [call[0] for call in box.engine.calls[1:]] == ["acquired", "expired", "mapped"]


def test_a_second_daemon_changes_nothing(box: Box) -> None:
    with pytest.raises(LockError):
        Box(box.place, [])
    assert box.ask("status")[1] == 0


def test_it_ends_in_order_and_leaves_no_file(start: Callable[..., Box]) -> None:
    box = start()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGHUP)).start()
    threading.Timer(0.4, os.kill, (os.getpid(), signal.SIGTERM)).start()
    box.daemon.run()
    signal.set_wakeup_fd(-1)
    for number, handler in before.items():
        signal.signal(number, handler)
    box.daemon.close()
    assert box.engine.calls[-1] == ("shutdown",)
    assert any("SIGHUP" in line for line in box.log)
    assert not list(box.place.glob("pluto.*"))


@pytest.mark.parametrize("broken", ["config", "port"])
def test_a_start_that_fails_leaves_no_file_either(
    tmp_path: Path, broken: str, start: Callable[..., Box], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise CygnetError("told to fail")

    monkeypatch.setattr(whole, "load", refuse) if broken == "config" else monkeypatch.setattr(
        whole.Sockets, "open", refuse
    )
    with pytest.raises(CygnetError, match="told to fail"):
        start()
    assert not list(tmp_path.glob("pluto.*"))
