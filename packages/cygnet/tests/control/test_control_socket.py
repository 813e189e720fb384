"""The control socket from both ends: what a request is, who may ask, and that nobody can hold the daemon up."""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cygnet.control import client, codes, server
from cygnet.control.request import Request, RequestError, parse_request
from cygnet.control.server import Client, Server
from hypothesis import given
from hypothesis import strategies as st


class Clock:
    """A clock that the test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Daemon:
    """A server on its selector, turned by hand, that does with each request what ``answer`` says."""

    def __init__(self, base: str, answer: Callable[[Request, Client], None]) -> None:
        self.selector = selectors.DefaultSelector()
        self.clock = Clock()
        self.requests: list[Request] = []
        self.base = base

        def handle(request: Request, asker: Client) -> None:
            self.requests.append(request)
            answer(request, asker)

        self.server = Server(Path(base + ".ctl"), self.selector, handle, self.clock)

    def turn(self, times: int = 3) -> None:
        for _ in range(times):
            for key, mask in self.selector.select(0.05):
                key.data(mask)

    def connect(self) -> socket.socket:
        asker = socket.socket(socket.AF_UNIX)
        asker.settimeout(5)
        asker.connect(self.base + ".ctl")
        return asker


def ok(_request: Request, asker: Client) -> None:
    asker.reply(104, '"west" #1: STATE_MAIN_I1: initiate')
    asker.end(0)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    made: list[Daemon] = []

    def make(answer: Callable[[Request, Client], None] = ok) -> Daemon:
        made.append(Daemon(str(tmp_path / "pluto"), answer))
        return made[-1]

    yield make
    for daemon in made:
        daemon.server.close()
        daemon.selector.close()


def received(asker: socket.socket) -> list[object]:
    """All replies. A daemon that closes while bytes of ours are unread resets after what it said."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while part := asker.recv(65536):
            data += part
    asker.close()
    return [json.loads(line) for line in data.splitlines()]


def ask_in_thread(daemon: Daemon, words: dict[str, str | bool]) -> tuple[list[tuple[int, str]], object]:
    """What `client.ask` shows and returns, with the daemon turning meanwhile."""
    shown: list[tuple[int, str]] = []
    result: list[object] = []

    def work() -> None:
        try:
            result.append(client.ask(words, lambda *reply: shown.append(reply), daemon.base))
        except client.ControlError as problem:
            result.append(str(problem))

    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive():
        daemon.turn(1)
    return shown, result[0]


def test_a_request_gets_its_lines_and_its_status(make: Callable[..., Daemon]) -> None:
    daemon = make()
    shown, status = ask_in_thread(daemon, {"command": "up", "name": "west", "asynchronous": False})
    assert daemon.requests == [Request("up", "west")]
    assert shown == [(104, '"west" #1: STATE_MAIN_I1: initiate')]
    assert status == 0
    assert not daemon.server.clients


def test_only_root_finds_the_socket(make: Callable[..., Daemon]) -> None:
    daemon = make()
    assert stat.S_IMODE(Path(daemon.base + ".ctl").stat().st_mode) == 0o600


def test_another_user_is_shown_the_door_even_if_the_mode_lets_it_in(
    make: Callable[..., Daemon], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given a socket that reports another user's credentials, when it asks, then the request is not even read."""
    import struct

    daemon = make()
    monkeypatch.setattr(struct, "unpack", lambda *_: (1, 65534, 65534))
    asker = daemon.connect()
    asker.sendall(b'{"command": "shutdown"}\n')
    daemon.turn()
    with pytest.raises(ConnectionError):  # closed with our line unread
        if asker.recv(10) == b"":
            raise ConnectionError
    assert daemon.requests == []


BAD_LINES = {
    "nothing": b"",
    "no JSON": b"status",
    "not UTF-8": b"\xff\xfe",
    "a list": b'["status"]',
    "no command": b'{"name": "west"}',
    "command of another kind": b'{"command": 1}',
    "name of another kind": b'{"command": "up", "name": null}',
    "asynchronous of another kind": b'{"command": "up", "asynchronous": 1}',
    "an unknown word": b'{"command": "up", "shell": "rm"}',
    "a word that cannot be one": b'{"command": "up", "\\u0000": "rm"}',
    "a line break in a name": b'{"command": "up", "name": "a\\nb"}',
    "a terminal's escape in a name": b'{"command": "up", "name": "\\u001b[2J"}',
    "half a character": b'{"command": "up", "name": "\\ud800"}',
    "a relative path": b'{"command": "add", "name": "west", "config": "ipsec.conf"}',
    "nested beyond measure": b"[" * 4000,
    "a huge number": b'{"command": ' + b"9" * 4000 + b"}",
    "too long": b'{"command": "' + b"a" * codes.LONGEST_REQUEST + b'"}',
}


@pytest.mark.parametrize("line", BAD_LINES.values(), ids=BAD_LINES)
def test_a_line_that_is_no_request_is_refused_in_one_sentence(make: Callable[..., Daemon], line: bytes) -> None:
    daemon = make()
    asker = daemon.connect()
    asker.sendall(line + b"\n")
    daemon.turn()
    *replies, end = received(asker)
    assert [reply["code"] for reply in replies] == [codes.BAD_REQUEST]  # type: ignore[index]
    assert end == {"status": codes.BAD_REQUEST}
    assert daemon.requests == []


@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused(line: bytes) -> None:
    try:
        parse_request(line)
    except RequestError as problem:
        assert "\n" not in str(problem)


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_any_printable_name_arrives_as_it_was_given(name: str) -> None:
    line = client.encode({"command": "up", "name": name, "asynchronous": True}).encode()
    if name.isprintable():
        assert parse_request(line) == Request("up", name, asynchronous=True)
    else:
        with pytest.raises(RequestError):
            parse_request(line)


@given(st.text(max_size=80), st.integers(0, 299))
def test_any_reply_arrives_as_it_was_sent(text: str, code: int) -> None:
    assert client._parse(json.dumps({"code": code, "text": text})) == (code, text)
    assert client._parse(json.dumps({"status": code})) == code


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{}",
        "nonsense",
        '{"status": }',
        '{"status": 1',
        '{"code": x, "text": "a"}',
        '{"code": 1, "text": "a}',
        '{"code": 1, "text": "a"} b',
    ],
)
def test_an_answer_that_is_none_is_not_taken_for_one(line: str) -> None:
    with pytest.raises(client.ControlError):
        client._parse(line)


def test_a_line_without_end_is_cut_off(make: Callable[..., Daemon]) -> None:
    daemon = make()
    asker = daemon.connect()
    asker.sendall(b"x" * 3 * codes.LONGEST_REQUEST)
    daemon.turn()
    assert received(asker)[-1] == {"status": codes.BAD_REQUEST}


def test_a_request_in_pieces_is_one_request(make: Callable[..., Daemon]) -> None:
    daemon = make()
    asker = daemon.connect()
    for piece in (b'{"comm', b'and": "st', b'atus"}', b"\n"):
        asker.sendall(piece)
        daemon.turn(1)
    daemon.turn()
    assert daemon.requests == [Request("status")]
    asker.close()


def test_only_the_first_line_of_a_connection_is_read(make: Callable[..., Daemon]) -> None:
    daemon = make()
    asker = daemon.connect()
    asker.sendall(b'{"command": "status"}\n{"command": "shutdown"}\n')
    daemon.turn()
    assert daemon.requests == [Request("status")]
    asker.close()


def test_who_connects_and_says_nothing_is_let_go(make: Callable[..., Daemon]) -> None:
    daemon = make()
    asker = daemon.connect()
    daemon.turn()
    deadline = daemon.server.next_deadline()
    assert deadline == daemon.clock.now + server.SECONDS_TO_ASK
    daemon.server.run_timers(deadline)
    assert asker.recv(10) == b""
    assert daemon.server.next_deadline() is None
    asker.close()


def test_who_closes_its_writing_half_still_gets_the_answer(make: Callable[..., Daemon]) -> None:
    """Given a client that shuts its side after asking, when the answer comes much later, then it arrives."""
    waiting: list[Client] = []
    daemon = make(lambda _, asker: waiting.append(asker))
    asker = daemon.connect()
    asker.sendall(b'{"command": "up", "name": "west"}\n')
    asker.shutdown(socket.SHUT_WR)
    daemon.turn()
    assert daemon.selector.select(0) == []  # the closed half does not spin the loop
    waiting[0].reply(4, "STATE_QUICK_I2: sent QI2, IPsec SA established")
    waiting[0].end(0)
    assert received(asker)[-1] == {"status": 0}


def test_who_is_gone_when_the_answer_comes_is_forgotten(make: Callable[..., Daemon]) -> None:
    waiting: list[Client] = []
    daemon = make(lambda _, asker: waiting.append(asker))
    asker = daemon.connect()
    asker.sendall(b'{"command": "up", "name": "west"}\n')
    daemon.turn()
    asker.close()
    for _ in range(3):
        waiting[0].reply(104, "progress")
    waiting[0].end(0)
    assert not daemon.server.clients


def test_who_closes_without_asking_is_forgotten(make: Callable[..., Daemon]) -> None:
    daemon = make()
    daemon.connect().close()
    daemon.turn()
    assert not daemon.server.clients


def test_who_does_not_read_gets_it_later_and_holds_nobody_up(make: Callable[..., Daemon]) -> None:
    """Given an answer larger than the socket takes, when the client reads at last, then it gets every line of it."""

    def much(_request: Request, asker: Client) -> None:
        for at in range(5000):
            asker.reply(0, f"line {at} " + "x" * 150)
        asker.end(0)

    daemon = make(much)
    slow = daemon.connect()
    slow.sendall(b'{"command": "status"}\n')
    daemon.turn()
    assert daemon.server.clients
    shown, status = ask_in_thread(daemon, {"command": "status"})
    assert (len(shown), status) == (5000, 0)
    slow.setblocking(False)
    data = b""
    while daemon.server.clients:
        daemon.turn(1)
        try:
            data += slow.recv(1 << 20)
        except BlockingIOError:
            continue
    slow.setblocking(True)
    while part := slow.recv(1 << 20):
        data += part
    slow.close()
    assert len(data.splitlines()) == 5001


def test_who_never_reads_is_dropped_before_it_costs_memory(make: Callable[..., Daemon]) -> None:
    def endless(_request: Request, asker: Client) -> None:
        for _ in range(5000):
            asker.reply(0, "x" * 5000)

    daemon = make(endless)
    asker = daemon.connect()
    asker.sendall(b'{"command": "status"}\n')
    daemon.turn()
    assert not daemon.server.clients
    asker.close()


def test_clients_are_bounded(make: Callable[..., Daemon], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MOST_CLIENTS", 3)
    daemon = make(lambda *_: None)
    askers = []
    for _ in range(5):
        askers.append(daemon.connect())
        daemon.turn(1)
    assert len(daemon.server.clients) == 3
    for asker in askers:
        asker.close()


def test_a_dead_daemons_socket_is_replaced(tmp_path: Path) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "pluto.ctl"))
    left.close()
    daemon = Daemon(str(tmp_path / "pluto"), ok)
    assert ask_in_thread(daemon, {"command": "status"})[1] == 0
    daemon.server.close()
    assert not (tmp_path / "pluto.ctl").exists()


def test_a_place_where_no_socket_can_be_is_named() -> None:
    with pytest.raises(server.ServerError, match="/nowhere/pluto.ctl"):
        Server(Path("/nowhere/pluto.ctl"), selectors.DefaultSelector(), lambda *_: None, Clock())


@pytest.mark.parametrize(("left_behind", "said"), [(False, "not running"), (True, "has died")])
def test_without_a_daemon_the_client_says_what_to_do(tmp_path: Path, left_behind: bool, said: str) -> None:
    if left_behind:
        left = socket.socket(socket.AF_UNIX)
        left.bind(str(tmp_path / "pluto.ctl"))
        left.close()
    with pytest.raises(client.ControlError, match=said):
        client.ask({"command": "status"}, lambda *_: None, str(tmp_path / "pluto"))


def test_a_daemon_that_dies_in_the_middle_is_no_success(make: Callable[..., Daemon]) -> None:
    def die(_request: Request, asker: Client) -> None:
        asker.reply(104, "initiate")
        asker.close()

    shown, result = ask_in_thread(make(die), {"command": "up", "name": "west"})
    assert shown == [(104, "initiate")]
    assert "went away" in str(result)


def test_the_client_imports_next_to_nothing() -> None:
    """A command starts on a 486: neither enum nor re nor the modules that need them."""
    import subprocess
    import sys

    code = "import cygnet.control.client, sys; print(*sys.modules)"
    environment = {"PYTHONPATH": str(Path(client.__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert {"enum", "re", "typing", "dataclasses", "json", "socket", "asyncio", "argparse"} & set(
        done.stdout.split()
    ) == set()
