"""The daemon's edges, each by itself: the loop, the log, and IKE's sockets on the loopback interface."""

from __future__ import annotations

import errno
import os
import signal
import socket
import time
from collections.abc import Iterator
from ipaddress import ip_address

import pytest
from cygnet.connection.connection import Address
from cygnet.daemon import sockets as edge
from cygnet.daemon.log import LONGEST_LINE, line, standard_error
from cygnet.daemon.loop import Loop
from cygnet.daemon.sockets import KEEP_ALIVE, SocketError, Sockets
from cygnet.errors import CygnetError
from cygnet.ike.path import Path


class Timer:
    """Something with one timer."""

    def __init__(self, loop: Loop, after: float) -> None:
        self.loop, self.deadline, self.runs = loop, time.monotonic() + after, 0

    def next_deadline(self) -> float | None:
        return self.deadline

    def run_timers(self, now: float) -> None:
        assert now >= self.deadline
        self.runs += 1
        self.loop.stop()


def test_the_loop_sleeps_until_a_timer_is_due() -> None:
    loop = Loop(print)
    timer = Timer(loop, 0.02)
    loop.timed.append(timer)
    loop.run()
    assert timer.runs == 1


def test_a_signal_is_handled_within_the_loop_and_only_there() -> None:
    loop, seen = Loop(print), []
    before = signal.getsignal(signal.SIGUSR1)
    loop.on_signal(signal.SIGUSR1, lambda: (seen.append("signal"), loop.stop()))
    os.kill(os.getpid(), signal.SIGUSR1)
    assert seen == []
    loop.run()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGUSR1, before)
    assert seen == ["signal"]


def test_an_error_in_one_callback_ends_nothing_else_and_shows_no_values() -> None:
    lines: list[str] = []
    loop = Loop(lines.append)

    def secret() -> None:
        raise ValueError("the key is s3cret")

    def refused() -> None:
        raise CygnetError("the kernel refused: no such SA")

    loop.guard(secret)
    loop.guard(refused)
    assert "ValueError at" in lines[0]
    assert "test_daemon_edges.py" in lines[0]
    assert "s3cret" not in lines[0]
    assert lines[1] == "the kernel refused: no such SA"


def test_a_line_of_the_log_is_one_line_without_commands_to_a_terminal() -> None:
    text = line("peer says \x1b[2J\nroot logged in" + "x" * 2000)
    assert text.startswith("peer says ?[2J?root logged in")
    assert len(text) == LONGEST_LINE


def test_a_log_that_takes_nothing_is_no_reason_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    log = standard_error()

    def refuse(*_: object) -> int:
        raise OSError

    monkeypatch.setattr(os, "write", refuse)
    log("nobody hears this")


def free_ports(family: int = socket.AF_INET) -> tuple[int, int]:
    made = [socket.socket(family, socket.SOCK_DGRAM) for _ in range(2)]
    for one in made:
        one.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
    ports = made[0].getsockname()[1], made[1].getsockname()[1]
    for one in made:
        one.close()
    return ports


class Ike:
    """Our sockets on two free ports, and what came in by them."""

    def __init__(self, *addresses: str, ports: tuple[int, int] | None = None) -> None:
        self.loop = Loop(print)
        self.real = ports or free_ports()
        self.packets: list[tuple[bytes, Path]] = []
        self.prepared: list[socket.socket] = []
        self.encapsulated: list[socket.socket] = []
        self.lost: list[tuple[Address, str]] = []
        received, lost = (lambda *packet: self.packets.append(packet)), (lambda *news: self.lost.append(news))
        self.sockets = Sockets(self.loop.selector, received, lost, *self.real)
        where = [ip_address(address) for address in addresses]
        self.sockets.open(where, self.prepared.append, self.encapsulated.append)

    def turn(self) -> list[tuple[bytes, Path]]:
        for key, mask in self.loop.selector.select(1):
            key.data(mask)
        taken, self.packets = self.packets, []
        return taken


@pytest.fixture
def ike() -> Iterator[Ike]:
    made = Ike("0.0.0.0", "::")
    yield made
    made.sockets.close()


def peer(address: str) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    made.settimeout(5)
    made.bind((address, 0))
    return made


@pytest.mark.parametrize(("ours", "theirs"), [("127.0.0.2", "127.0.0.3"), ("127.0.0.9", "127.0.0.3"), ("::1", "::1")])
def test_a_reply_leaves_from_the_address_that_was_asked(ike: Ike, ours: str, theirs: str) -> None:
    asker = peer(theirs)
    asker.sendto(b"hello", (ours, ike.real[0]))
    [(packet, path)] = ike.turn()
    assert packet == b"hello"
    assert path == Path(ip_address(ours), ike.real[0], ip_address(theirs), asker.getsockname()[1])
    ike.sockets.send(path, b"answer")
    answer, sender = asker.recvfrom(100)
    assert (answer, sender[:2]) == (b"answer", (ours, ike.real[0]))
    asker.close()


def test_on_the_nat_port_ike_has_its_marker_and_all_else_is_not_ours(ike: Ike) -> None:
    asker = peer("127.0.0.3")
    for packet in (b"\xff", b"", b"\x12\x34\x56\x78esp", bytes(3), bytes(4) + b"ike"):
        asker.sendto(packet, ("127.0.0.2", ike.real[1]))
    [(packet, path)] = ike.turn()
    assert (packet, path.local_port) == (b"ike", ike.real[1])
    ike.sockets.send(path, b"answer")
    ike.sockets.send(path, KEEP_ALIVE)
    assert [asker.recv(100) for _ in range(2)] == [bytes(4) + b"answer", b"\xff"]
    asker.close()


def test_two_daemons_on_one_host_talk_on_the_port_for_nat() -> None:
    one = Ike("127.0.0.2")
    other = Ike("127.0.0.3", ports=one.real)
    port = one.real[1]
    one.sockets.send(Path(ip_address("127.0.0.2"), port, ip_address("127.0.0.3"), port), b"floated")
    assert other.turn() == [(b"floated", Path(ip_address("127.0.0.3"), port, ip_address("127.0.0.2"), port))]
    one.sockets.close()
    other.sockets.close()


def test_every_socket_passes_policies_and_those_for_nat_take_esp(ike: Ike) -> None:
    assert len(ike.prepared) == 4
    assert [made.getsockname()[1] for made in ike.encapsulated] == [ike.real[1]] * 2


def test_a_port_that_is_taken_is_named() -> None:
    first = Ike("127.0.0.2")
    with pytest.raises(SocketError, match=f"port {first.real[0]} of 127.0.0.2.*another IKE daemon"):
        Ike("127.0.0.2", ports=first.real)
    first.sockets.close()


def test_what_cannot_be_sent_is_lost_and_nothing_else(ike: Ike) -> None:
    port = ike.real[0]
    ike.sockets.send(Path(ip_address("127.0.0.2"), port, ip_address("127.0.0.3"), port), b"x" * 70000)
    ike.sockets.send(Path(ip_address("192.0.2.1"), port, ip_address("192.0.2.2"), port), b"x")
    ike.sockets.send(Path(ip_address("127.0.0.1"), 77, ip_address("192.0.2.2"), port), b"x")
    assert [(str(remote), reason) for remote, reason in ike.lost][0] == ("127.0.0.3", f"{errno.EMSGSIZE} -")


@pytest.mark.parametrize(("ours", "theirs"), [("127.0.0.2", "127.0.0.3"), ("::1", "::1")])
def test_what_icmp_says_of_a_packet_is_told_once_and_costs_no_other_packet(ike: Ike, ours: str, theirs: str) -> None:
    """Given a peer where nobody listens, when packets go to it and to another, then the other has all of its own."""
    gone, there = peer(theirs), peer(ours)
    nowhere = Path(ip_address(ours), ike.real[0], ip_address(theirs), gone.getsockname()[1])
    gone.close()
    for text in (b"one", b"two", b"three"):
        ike.sockets.send(nowhere, text)
        ike.sockets.send(nowhere._replace(remote=ip_address(ours), remote_port=there.getsockname()[1]), text)
    assert [there.recv(100) for _ in range(3)] == [b"one", b"two", b"three"]
    there.close()
    assert ike.turn() == []
    assert ike.lost == [(ip_address(theirs), f"{errno.ECONNREFUSED} {theirs}")] * 3
    assert ike.loop.selector.select(0) == []


def test_one_flood_does_not_keep_the_loop_from_the_rest(ike: Ike) -> None:
    asker = peer("127.0.0.3")
    for _ in range(3 * edge.MOST_AT_ONCE):
        asker.sendto(b"flood", ("127.0.0.2", ike.real[0]))
    assert len(ike.turn()) == edge.MOST_AT_ONCE
    asker.close()
