"""DHCP for one board: it is answered as PXE wants it, and nobody else is, whatever is thrown at the server."""

from __future__ import annotations

import socket
import struct
import time
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import CygnetError
from builder.flash.console.pxe.dhcp import LEAST, Answers, Server, card_towards
from builder.flash.console.transfer import network
from builder.flash.options import Console

BOARD, OTHER = "00:00:24:c0:12:34", "52:54:00:c9:00:01"
HERE = IPv4Address("192.168.77.2")
ADDRESSES = network(Console(address="192.168.77.1/24", server=str(HERE)))
BIOS = b"PXEClient:Arch:00000:UNDI:002001"
DISCOVER, REQUEST = b"\x01", b"\x03"
UUID = bytes(range(17))


def option(number: int, value: bytes) -> bytes:
    return bytes([number, len(value)]) + value


def packet(
    mac: str = BOARD, kind: bytes = DISCOVER, vendor: bytes = BIOS, more: bytes = b"", head: bytes = b""
) -> bytes:
    """What a client sends; ``head``: other first bytes."""
    fixed = struct.pack(">4B4sHH16s16s", 1, 1, 6, 0, b"ABCD", 4, 0x8000, b"", bytes.fromhex(mac.replace(":", "")))
    fixed = head + fixed[len(head) :]
    options = option(53, kind) + option(60, vendor) + option(97, UUID) + more
    return fixed + bytes(192) + b"\x63\x82\x53\x63" + options + b"\xff"


def wants(server: str = str(HERE), address: str = "192.168.77.1") -> bytes:
    """What a request names."""
    return option(54, IPv4Address(server).packed) + option(50, IPv4Address(address).packed)


def options(answer: bytes) -> dict[int, bytes]:
    found, rest = {}, answer[240:]
    while rest[0] != 255:
        found[rest[0]] = rest[2 : 2 + rest[1]]
        rest = rest[2 + rest[1] :]
    return found


def answers(mac: str = "", **more: str) -> Answers:
    return Answers(network(Console(address="192.168.77.1/24", server=str(HERE), **more)), "cygnet.pxe", mac)


class TestTheBoard:
    def test_gets_address_server_and_boot_file(self) -> None:
        made = answers()
        offer = made.to(packet())
        assert offer[:8] == b"\x02\x01\x06\x00ABCD"
        assert offer[10:12] == b"\x80\x00"
        assert offer[16:24] == bytes([192, 168, 77, 1, 192, 168, 77, 2])
        assert offer[28:34] == bytes.fromhex(BOARD.replace(":", ""))
        assert offer[108:236].rstrip(b"\0") == b"cygnet.pxe"
        assert len(offer) >= LEAST
        assert options(offer) == {
            53: b"\x02", 54: HERE.packed, 51: struct.pack(">I", 3600), 1: b"\xff\xff\xff\x00", 60: b"PXEClient",
            43: b"\x06\x01\x08\xff", 97: UUID,
        }  # fmt: skip
        assert (made.client, made.given) == (BOARD, False)

    def test_its_request_is_granted(self) -> None:
        made = answers()
        made.to(packet())
        granted = made.to(packet(kind=REQUEST, more=wants()))
        assert options(granted)[53] == b"\x05"
        assert made.given

    def test_gets_a_router_where_there_is_one(self) -> None:
        assert options(answers(gateway="192.168.77.9").to(packet()))[3] == bytes([192, 168, 77, 9])

    def test_may_ask_anew(self) -> None:
        made = answers()
        assert made.to(packet()) == made.to(packet())

    def test_may_send_an_option_in_two_parts(self) -> None:
        assert answers().to(packet(vendor=BIOS[:5], more=option(60, BIOS[5:])))


@pytest.mark.parametrize(
    "other",
    [
        packet(vendor=b"MSFT 5.0"),
        packet(vendor=b""),
        packet(more=option(93, b"\x00\x07")),  # UEFI
        packet(kind=b"\x08"),  # DHCPINFORM
        packet(kind=b"\x01\x01"),
        packet(kind=REQUEST),
        packet(kind=REQUEST, more=wants(address="192.168.77.7")),
        packet(head=b"\x02"),  # a server's
        packet(head=b"\x01\x06"),  # another kind of network
        packet(head=b"\x01\x01\x10"),
        packet()[:24] + b"\x0a\x00\x00\x01" + packet()[28:],  # through a relay
        packet()[:236] + b"abcd" + packet()[240:],  # BOOTP with something else
        packet()[:-2],
        packet() + bytes(2000),
        b"",
        bytes(240),
    ],
)
def test_who_is_not_answered(other: bytes) -> None:
    made = answers()
    assert made.to(other) == b""
    assert not made.given


def test_only_the_first_who_asks() -> None:
    made = answers()
    assert made.to(packet())
    assert not made.to(packet(OTHER))
    assert not made.to(packet(OTHER, kind=REQUEST, more=wants()))
    assert (made.client, made.other, made.given) == (BOARD, OTHER, False)


def test_only_the_one_that_was_named() -> None:
    made = answers("00-00-24-C0-12-34")
    assert not made.to(packet(OTHER))
    assert made.to(packet())


@pytest.mark.parametrize("mac", ["00:00:24:c0:12", "00:00:24:c0:12:3g", "x", "0000:24c0:1234"])
def test_a_name_that_is_none(mac: str) -> None:
    with pytest.raises(CygnetError, match="--mac=.*such as 00:00:24:c0:12:34"):
        answers(mac)


def test_another_server_is_noticed() -> None:
    made = answers()
    made.to(packet())
    assert not made.to(packet(kind=REQUEST, more=wants("192.168.77.250")))
    assert (made.foreign, made.given) == ("192.168.77.250", False)


@given(st.binary(max_size=1600), st.integers(0, 600))
def test_nothing_that_comes_raises(noise: bytes, at: int) -> None:
    made = answers()
    made.to(noise)
    good = packet()
    made.to(good[:at] + noise + good[at + len(noise) :])


class TestServer:
    def test_lives_through_noise(self) -> None:
        made = answers()
        with Server(made, IPv4Address("127.0.0.1"), "lo", 0) as server, socket.socket(type=socket.SOCK_DGRAM) as client:
            for each in (b"", b"\xff" * 2000, packet()):
                client.sendto(each, ("127.0.0.1", server.port))
            end = time.monotonic() + 20
            while made.client != BOARD:
                assert time.monotonic() < end
                time.sleep(0.01)

    def test_a_port_that_is_taken_is_told(self) -> None:
        with Server(answers(), HERE, "lo", 0) as server, pytest.raises(CygnetError, match="no other DHCP server"):
            Server(answers(), HERE, "lo", server.port)


def test_the_card_is_found_by_the_kernel_s_routes(tmp_path: Path) -> None:
    routes = tmp_path / "route"
    routes.write_text(
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "eth0\t0002A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
        "eth1\t004DA8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
        "eth2\t0000A8C0\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
    )
    assert card_towards(IPv4Address("192.168.77.1"), routes) == "eth1"
    assert card_towards(IPv4Address("192.168.3.1"), routes) == "eth2"
    assert card_towards(IPv4Address("10.0.0.1"), routes) == ""
