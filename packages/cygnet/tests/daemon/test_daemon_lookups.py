"""The sockets by which name servers are asked, with a name server on the loopback interface."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dns.flags
import dns.message
import dns.rrset
import pytest
from cygnet.daemon.lookups import Lookups, Servers, look_up, read_servers
from cygnet.dns.cache import Answer
from cygnet.dns.message import TXT, Question
from cygnet.dns.names import from_text

QUESTION = Question(from_text("gate.example.org"), TXT)
PATIENCE = 20.0
PREPARED: list[socket.socket] = []


def reply(packet: bytes, whole: bool) -> bytes:
    made = dns.message.make_response(dns.message.from_wire(packet))
    made.flags |= dns.flags.AD
    made.answer = [dns.rrset.from_text("gate.example.org.", 300, "IN", "TXT", " ".join(['"' + "x" * 200 + '"'] * 9))]
    return made.to_wire(max_size=65535 if whole else 1232, prefer_truncation=True)


@pytest.fixture
def server() -> Iterator[int]:
    """Its port: UDP that is too small for the answer, TCP that gives it in pieces."""
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", 0))
    port = datagrams.getsockname()[1]
    streams = socket.create_server(("127.0.0.1", port))

    def udp() -> None:
        while (received := datagrams.recvfrom(2000))[0] != b"end":
            datagrams.sendto(reply(received[0], whole=False), received[1])

    def tcp() -> None:
        made, _ = streams.accept()
        with made:
            if packet := made.recv(2000):
                whole = reply(packet[2:], whole=True)
                for piece in (
                    len(whole).to_bytes(2, "big")[:1],
                    len(whole).to_bytes(2, "big")[1:],
                    whole[:99],
                    whole[99:],
                ):
                    made.sendall(piece)
                    time.sleep(0.01)

    threads = [threading.Thread(target=one) for one in (udp, tcp)]
    for thread in threads:
        thread.start()
    yield port
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
        last.sendto(b"end", ("127.0.0.1", port))
    socket.create_connection(("127.0.0.1", port)).close()
    for thread in threads:
        thread.join()
    datagrams.close()
    streams.close()


def run(lookups: Lookups, selector: selectors.BaseSelector, found: list[Answer]) -> None:
    end = time.monotonic() + PATIENCE
    while not found and time.monotonic() < end:
        for key, mask in selector.select(0.1):
            key.data(mask)
        lookups.run_timers(time.monotonic()) if (lookups.next_deadline() or end) <= time.monotonic() else None


def resolver(folder: Path, port: int, text: str) -> tuple[Lookups, selectors.BaseSelector]:
    file, selector = folder / "resolv.conf", selectors.DefaultSelector()
    file.write_text(text)
    return Lookups(selector, PREPARED.append, file, port), selector


def test_what_is_cut_short_comes_by_tcp_in_pieces(tmp_path: Path, server: int) -> None:
    lookups, selector = resolver(tmp_path, server, "nameserver 127.0.0.1\n")
    found: list[Answer] = []
    lookups.ask(QUESTION, found.append, time.monotonic())
    run(lookups, selector, found)
    assert len(found[0].data[0]) == 9 * 201
    # A server on this box is believed that it has checked the signatures.
    assert found[0].authentic
    # Both of its sockets were let past the policies.
    assert [one.type & 0xF for one in PREPARED[-2:]] == [socket.SOCK_DGRAM, socket.SOCK_STREAM]
    assert not selector.get_map()


def test_a_port_that_nobody_has_is_an_answer_at_once(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    lookups, selector = resolver(tmp_path, port, "nameserver 127.0.0.1\n")
    found: list[Answer] = []
    lookups.ask(QUESTION, found.append, time.monotonic())
    run(lookups, selector, found)
    assert "cannot be asked: Connection refused" in found[0].problem
    assert not selector.get_map()


def test_servers_are_read_again_when_the_file_has_changed(tmp_path: Path) -> None:
    lookups, _ = resolver(tmp_path, 1, "")
    found: list[Answer] = []
    lookups.ask(QUESTION, found.append, 0.0)
    assert "no name server" in found[0].problem
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\nnameserver ::1\n")
    lookups.ask(QUESTION, found.append, 100.0)
    assert list(map(str, lookups.servers)) == ["127.0.0.1", "::1"]
    lookups.shut()


def test_a_command_asks_and_waits(tmp_path: Path, server: int) -> None:
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    found = look_up([QUESTION], tmp_path / "resolv.conf", server)
    assert [len(answer.data[0]) for answer in found.values()] == [9 * 201]
    (tmp_path / "resolv.conf").write_text("")
    assert "no name server" in look_up([QUESTION], tmp_path / "resolv.conf")[QUESTION].problem


def test_what_resolv_conf_may_hold(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_bytes(
        b"# comment\nsearch x\nnameserver\nnameserver fe80::1%eth0\nnameserver no\n\xff\n"
        + b"nameserver 192.0.2.1\n" * 9
    )
    assert list(map(str, read_servers(file).addresses)) == ["fe80::1%eth0", "192.0.2.1", "192.0.2.1"]
    assert read_servers(tmp_path / "none") == Servers((), False)


@pytest.mark.parametrize(
    ("lines", "believed"),
    [
        ("nameserver 127.0.0.1\n", True),
        ("nameserver 192.0.2.1\n", False),
        ("nameserver 192.0.2.1\noptions edns0 trust-ad\n", True),
        ("nameserver 192.0.2.1\n# options trust-ad\noptions\nsearch trust-ad\n", False),
    ],
)
def test_who_is_believed_that_signatures_were_checked(
    tmp_path: Path, server: int, monkeypatch: pytest.MonkeyPatch, lines: str, believed: bool
) -> None:
    connect = socket.socket.connect
    monkeypatch.setattr(socket.socket, "connect", lambda one, where: connect(one, ("127.0.0.1", where[1])))
    lookups, selector = resolver(tmp_path, server, lines)
    found: list[Answer] = []
    lookups.ask(QUESTION, found.append, time.monotonic())
    run(lookups, selector, found)
    assert (len(found[0].data), found[0].authentic) == (1, believed)


def test_what_was_known_of_other_servers_is_forgotten(tmp_path: Path, server: int) -> None:
    lookups, selector = resolver(tmp_path, server, "nameserver 127.0.0.1\n")
    found: list[Answer] = []
    lookups.ask(QUESTION, found.append, time.monotonic())
    run(lookups, selector, found)
    # The same again, as each renewal of a lease writes it, changes nothing;
    for text, kept in (("nameserver 127.0.0.1\n", True), ("nameserver ::1\n", False)):
        (tmp_path / "new").write_text(text)
        (tmp_path / "new").replace(tmp_path / "resolv.conf")
        again: list[Answer] = []
        lookups.ask(QUESTION, again.append, time.monotonic())
        assert (again == found) is kept
    lookups.shut()
