"""Class 14 of vulnerabilities that IKE daemons have had, amplification and exhaustion; and whatever else may come in.

A run is good if no bug was hit, an established tunnel goes on, and an honest retransmission still gets through.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest
from cygnet.connection.connection import Setup
from cygnet.crypto import exchange as key_exchange
from cygnet.ike import half_open
from cygnet.ike.message import Header
from cygnet.ike.numbers import Exchange
from cygnet.ike.payloads import (
    KeyExchangeData,
    Nonce,
)  # fmt: skip
from cygnet.ike.v1 import phase_one
from forgery import (
    Raw,
    check,
    packet_of,
    phase_2,
    raw,
    unharmed,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from simulation import (
    EAST,
    PSK,
    WEST,
    Network,
    connection,
    established,
    pair,
    path_of,
    works,
)  # fmt: skip

# 14: amplification and exhaustion (CVE-2016-5361)


def first_message(number: int) -> bytes:
    """A good first message under a cookie of its own."""
    payload = phase_one.offer_payload(connection(WEST, EAST))
    return packet_of(Header(number.to_bytes(8, "big"), bytes(8), 0, Exchange.MAIN), raw(payload))


@pytest.mark.parametrize("source", [WEST, "203.0.113.9"])
@pytest.mark.parametrize("exchange", [Exchange.MAIN, Exchange.AGGRESSIVE, Exchange.QUICK, Exchange.INFORMATIONAL])
def test_cve_14_little_is_sent_to_who_has_not_shown_its_address(source: str, exchange: int) -> None:
    for copies in (1, 50):
        network, _, east = pair()
        before = len(network.wire)
        sent = 0
        for number in range(1, 1001):
            packet = first_message(1 + number // copies)
            packet = packet[:18] + bytes((exchange,)) + packet[19:]
            sent += len(packet)
            network.inject(path_of(source, EAST), packet)
        network.run(120)
        answered = sum(len(one.packet) for one in network.wire[before:])
        assert answered <= 2.0 * sent
        assert answered <= 100 * 400
        assert network.bugs() == []
        assert len(east.engine.isakmp.sas) == 0


def test_cve_14_a_packet_is_answered_from_memory_a_few_times_only() -> None:
    network, west, east = established()
    for sent in list(network.wire):
        before = len(network.wire)
        for _ in range(100):
            network.inject(sent.path, sent.packet)
        network.run(20)
        assert len(network.wire) - before <= 8
    unharmed(network, west, east)


def test_cve_14_a_flood_of_first_messages_stops_neither_tunnels_nor_newcomers(monkeypatch: pytest.MonkeyPatch) -> None:
    network, west, east = established(key_life=120.0, rekey_margin=20.0, ike_lifetime=200.0)
    east.add(replace(connection(EAST, "%any", None, ends={EAST: {"subnet": ip_network("10.9.0.0/24")}}), name="road"))
    made = counted(monkeypatch)
    for number in range(10_000):
        network.inject(
            path_of(f"100.{64 + number % 64}.{number // 256 % 256}.{number % 256}", EAST),
            first_message(number + 1),
            number * 0.006,
        )
    honest = network.box("203.0.113.77")
    honest.add(
        connection("203.0.113.77", EAST, None, keying_tries=0, ends={EAST: {"subnet": ip_network("10.9.0.0/24")}})
    )
    largest = 0
    for second in range(60):
        if second == 20:
            honest.up()
        network.run(1)
        largest = max(largest, east.sizes()["half open"], east.sizes()["first messages"])
        assert works(west, east)
    assert honest.statuses == [0]
    assert largest <= half_open.MOST + 2
    assert len(east.log) < 300
    network.run(180)
    assert works(west, east)
    assert east.sizes()["half open"] == 0
    assert len(made) < 100
    assert network.bugs() == []


def test_cve_14_one_source_cannot_fill_the_table() -> None:
    network, _, east = pair()
    for number in range(1, 2000):
        network.inject(path_of(WEST, EAST), first_message(number))
    network.run(1)
    assert east.sizes()["half open"] <= half_open.BURST + half_open.RATE


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The groups of all key exchanges that are made from now on."""
    made: list[int] = []
    original = key_exchange.KeyExchange.__init__

    def count(self: Any, group: int) -> None:
        made.append(group)
        original(self, group)

    monkeypatch.setattr(key_exchange.KeyExchange, "__init__", count)
    return made


def test_cve_14_a_strangers_first_packet_costs_no_key_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    made = counted(monkeypatch)
    network, _, east = pair()
    shared: list[bytes] = []
    monkeypatch.setattr(key_exchange.KeyExchange, "shared", lambda _self, peer: shared.append(peer) or b"")
    for number in range(1, 300):
        for packet in (first_message(number), *strange_firsts(number)):
            network.inject(path_of(WEST, EAST), packet)
            network.inject(path_of("203.0.113.9", EAST), packet)
    network.run(100)
    assert (made, shared, network.bugs()) == ([], [], [])


def strange_firsts(number: int) -> Iterator[bytes]:
    cookie = (1 << 32 | number).to_bytes(8, "big")
    for exchange in (Exchange.MAIN, Exchange.AGGRESSIVE, Exchange.QUICK, Exchange.INFORMATIONAL):
        for flags in (0, 1):
            header = Header(cookie, bytes(8), 0, exchange, flags, number)
            yield packet_of(header, raw(KeyExchangeData(bytes(32)), Nonce(bytes(32))))
            yield packet_of(replace(header, rcookie=b"whatever"), raw(KeyExchangeData(bytes(32)), Nonce(bytes(32))))


def test_cve_14_each_negotiation_costs_two_key_exchanges_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    made = counted(monkeypatch)
    network, west, east = pair()
    west.up()
    network.run(5)
    for sent in list(network.wire) * 10:
        network.inject(sent.path, sent.packet)
    network.run(100)
    assert len(made) == 4
    check(network, west, east)


# Any exception that leaves the dispatcher


@given(st.binary(max_size=200), st.sampled_from([WEST, "203.0.113.9"]))
def test_any_bytes_at_all(packet: bytes, source: str) -> None:
    network, west, east = STANDING
    east.engine.receive(packet, path_of(EAST, source), network.now)
    assert east.engine.bugs == 0


@settings(max_examples=300)
@given(st.data())
def test_any_payloads_under_the_sessions_own_keys(data: st.DataObject) -> None:
    network, west, east = STANDING
    sa = west.isakmp_sas[0]
    payloads = data.draw(st.lists(st.builds(Raw, st.integers(0, 22), st.binary(max_size=40)), min_size=1, max_size=4))
    exchange = data.draw(st.sampled_from([Exchange.INFORMATIONAL, Exchange.QUICK]))
    packet = phase_2(sa, exchange, data.draw(st.integers(1, 0xFFFFFFFF)), payloads)
    east.engine.receive(packet, path_of(EAST, WEST), network.now)
    assert (east.engine.bugs, network.bugs()) == (0, [])


STANDING = established()


def test_a_bug_does_not_get_out_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    network, west, east = established()
    from cygnet.ike import dispatch

    for error in (
        KeyError("k"),
        StopIteration(),
        RuntimeError("r"),
        OSError("o"),
        MemoryError(),
        RecursionError(),
        AssertionError(PSK.decode()),
    ):

        def broken(*_: Any, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(dispatch, "receive", broken)
        east.engine.receive(b"x", path_of(EAST, WEST), network.now)
        east.engine.timers.at(network.now, broken)
        east.engine.run_timers(network.now)
    assert east.engine.bugs == 14
    assert east.said("internal error with a packet from 192.0.2.1:500: KeyError at test_ike_cve_floods.py:")
    assert PSK.decode() not in "\n".join(east.log)
    monkeypatch.undo()
    assert works(west, east)


def test_the_engine_has_no_port_but_the_ones_it_is_told() -> None:
    network = Network()
    for here, there in ((WEST, EAST), (EAST, WEST)):
        network.box(here, Setup(port=5000)).add(connection(here, there))
    west, east = network.boxes.values()
    west.up()
    network.run(5)
    check(network, west, east)
    assert {sent.path.remote_port for sent in network.wire} == {5000}
