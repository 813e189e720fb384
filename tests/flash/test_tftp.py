"""The TFTP server: what is offered, by its name, to one address, whatever is thrown at it."""

from __future__ import annotations

import contextlib
import random
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_uboot import fetch

from builder.errors import CygnetError
from builder.flash.console.tftp import LARGEST_BLOCK, Request, Server, Transfer, Unreadable, read_request

HOST = "127.0.0.1"


def asked(*words: str) -> bytes:
    return b"\0\1" + "".join(f"{word}\0" for word in words).encode()


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 1468, 3 * 1468, 100_000])
@pytest.mark.parametrize("options", [b"", b"blksize\x001468\0tsize\x000\0"])
def test_a_file_arrives(size: int, options: bytes) -> None:
    content = random.Random(size).randbytes(size)  # noqa: S311
    with Server(HOST, HOST, 0) as server:
        server.offer({"a.img": content})
        assert fetch(server.port, "a.img", options) == content


def test_one_after_the_other() -> None:
    with Server(HOST, HOST, 0) as server:
        for content in (b"first", b"second" * 1000):
            server.offer({"a.img": content})
            assert fetch(server.port, "a.img") == content


@pytest.mark.parametrize("name", ["b.img", "", "../a.img", "/etc/passwd", "A.IMG"])
def test_no_other_name(name: str) -> None:
    with Server(HOST, HOST, 0) as server:
        server.offer({"a.img": b"content"})
        assert fetch(server.port, name) is None


def test_several_contents_by_their_names() -> None:
    with Server(HOST, HOST, 0) as server:
        server.offer({"/kernel": b"kernel", "/initramfs": b"image" * 1000})
        assert fetch(server.port, "/initramfs") == b"image" * 1000
        assert fetch(server.port, "/kernel") == b"kernel"
        assert fetch(server.port, "kernel") is None
        assert server.asked == {"/initramfs", "/kernel"}


def test_nothing_before_something_is_offered() -> None:
    with Server(HOST, HOST, 0) as server:
        assert fetch(server.port, "a.img") is None


def test_nobody_but_the_board() -> None:
    with Server(HOST, "127.0.0.9", 0) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        server.offer({"a.img": b"content"})
        stranger.settimeout(0.3)
        stranger.sendto(asked("a.img", "octet"), (HOST, server.port))
        with pytest.raises(TimeoutError):
            stranger.recv(600)


def test_nobody_can_write() -> None:
    with Server(HOST, HOST, 0) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as board:
        server.offer({"a.img": b"content"})
        board.settimeout(5)
        board.sendto(b"\0\2a.img\0octet\0", (HOST, server.port))
        assert board.recv(600)[:4] == b"\0\5\0\4"


def test_a_lost_answer_is_sent_again() -> None:
    with Server(HOST, HOST, 0) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as board:
        server.offer({"a.img": b"content"})
        board.settimeout(10)
        board.sendto(asked("a.img", "octet"), (HOST, server.port))
        assert board.recv(600) == board.recv(600) == b"\0\3\0\1content"


def test_a_port_that_is_taken_is_told() -> None:
    with Server(HOST, HOST, 0) as server, pytest.raises(CygnetError, match="no other TFTP server may run"):
        Server(HOST, HOST, server.port)


class TestTransfer:
    def ack(self, block: int) -> bytes:
        return struct.pack(">HH", 4, block & 0xFFFF)

    def test_an_acknowledgement_that_comes_twice_is_answered_once(self) -> None:
        transfer = Transfer(bytes(2000), {})
        assert transfer.take(self.ack(1))
        assert not transfer.take(self.ack(1))
        assert transfer.packet[:4] == b"\0\3\0\2"

    def test_block_numbers_begin_anew_after_65535(self) -> None:
        transfer = Transfer(bytes(8 * 70_000), {"blksize": "8"})
        assert transfer.take(self.ack(0))
        for block in range(1, 70_000):
            assert transfer.take(self.ack(block))
        assert transfer.packet[:4] == struct.pack(">HH", 3, 70_000 & 0xFFFF)

    @pytest.mark.parametrize(
        ("wanted", "agreed"),
        [
            ({"blksize": "1024"}, "blksize\x001024\0"),
            ({"blksize": "65464"}, f"blksize\0{LARGEST_BLOCK}\0"),
            ({"tsize": "0"}, "tsize\x002000\0"),
            ({"timeout": "5"}, "timeout\x005\0"),
        ],
    )
    def test_options_are_taken_up(self, wanted: dict[str, str], agreed: str) -> None:
        assert Transfer(bytes(2000), wanted).packet == b"\0\6" + agreed.encode()

    @pytest.mark.parametrize(
        "wanted",
        [{"blksize": "7"}, {"blksize": "-1"}, {"blksize": "x"}, {"timeout": "0"}, {"windowsize": "4"}, {"tsize": ""}],
    )
    def test_options_that_cannot_be_are_left_out(self, wanted: dict[str, str]) -> None:
        assert Transfer(b"x", wanted).packet == b"\0\3\0\1x"

    @pytest.mark.parametrize("packet", [b"", b"\0\4", b"\0\5\0\1no\0", b"\0\3\0\1x"])
    def test_what_is_no_acknowledgement_ends_it(self, packet: bytes) -> None:
        with pytest.raises(Unreadable):
            Transfer(b"x", {}).take(packet)


class TestRequest:
    def test_a_request_with_options(self) -> None:
        packet = asked("a.img", "OCTET", "blksize", "1468", "TSize", "0")
        assert read_request(packet) == Request("a.img", {"blksize": "1468", "tsize": "0"})

    @pytest.mark.parametrize(
        "packet",
        [
            b"",
            b"\0\1",
            b"\0\1a.img\0",
            asked("a.img", "netascii"),
            asked("a.img", "octet", "blksize"),
            asked("a.img", "octet")[:-1],
            asked("a" * 600, "octet"),
            "\0\1ä\0octet\0".encode(),
        ],
    )
    def test_what_is_none(self, packet: bytes) -> None:
        with pytest.raises(Unreadable):
            read_request(packet)

    @given(st.binary(max_size=700))
    def test_anything_is_a_request_or_unreadable(self, packet: bytes) -> None:
        with contextlib.suppress(Unreadable):
            read_request(b"\0\1" + packet)
