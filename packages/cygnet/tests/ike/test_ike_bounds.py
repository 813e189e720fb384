"""The small machines that keep strangers within bounds: fragments, timers, half-open negotiations, noise."""

from __future__ import annotations

import contextlib
import random
from ipaddress import ip_address

import pytest
from cygnet.ike import half_open, noise
from cygnet.ike.fields import Malformed
from cygnet.ike.fragments import LONGEST_UNSPLIT, MOST_PIECES, PIECE, Assembly, split
from cygnet.ike.half_open import HalfOpen
from cygnet.ike.live import Live
from cygnet.ike.message import HEADER_SIZE, LAYOUT, MOST_BYTES, Header, join
from cygnet.ike.noise import Noise
from cygnet.ike.numbers import Exchange, PayloadType
from cygnet.ike.payloads import Fragment
from cygnet.ike.timers import Timers
from cygnet.ike.v1.sa import MOST_MESSAGE_IDS, IsakmpSa
from hypothesis import given
from hypothesis import strategies as st
from simulation import EAST, WEST, connection, path_of

LONG = st.integers(LONGEST_UNSPLIT + 1, 6000).flatmap(
    lambda size: st.integers(0, 0xFFFF).map(lambda name: message(size, name))
)


def message(size: int, name: int = 0x1234) -> bytes:
    header = Header(b"initiate", b"responds", PayloadType.ID, Exchange.MAIN, 1, 0)
    return header.pack(size) + bytes(size - HEADER_SIZE - 2) + name.to_bytes(2, "big")


def piece(number: int, last: bool = False, data: bytes = b"x" * 64, name: int = 7, next_payload: int = 0) -> bytes:
    chain = bytearray(join((Fragment(name, number, int(last), data),)))
    chain[0] = next_payload
    return LAYOUT.pack(b"initiate", b"responds", 132, 0x10, 2, 0, 0, HEADER_SIZE + len(chain)) + bytes(chain)


@given(LONG, st.randoms(use_true_random=False))
def test_pieces_make_the_whole_in_any_order_and_doubled(packet: bytes, chance: random.Random) -> None:
    pieces = split(packet)
    assert all(len(one) <= LONGEST_UNSPLIT for one in pieces)
    shuffled = pieces + pieces[:-1]
    chance.shuffle(shuffled)
    assembly = Assembly()
    assert packet in [assembly.add(one) for one in shuffled]


@given(LONG)
def test_pieces_without_one_make_nothing(packet: bytes) -> None:
    pieces = split(packet)
    for lost in range(len(pieces)):
        assembly = Assembly()
        assert [assembly.add(one) for one in pieces[:lost] + pieces[lost + 1 :]] == [None] * (len(pieces) - 1)


@given(st.lists(st.binary(min_size=HEADER_SIZE, max_size=120), max_size=6))
def test_any_bytes_as_fragments_are_taken_or_malformed(packets: list[bytes]) -> None:
    assembly = Assembly()
    for packet in packets:
        with contextlib.suppress(Malformed):
            assembly.add(packet)


def test_a_newer_message_throws_the_older_ones_pieces_away() -> None:
    old, new = split(message(3000, 1)), split(message(3000, 2))
    assembly = Assembly()
    assert [assembly.add(one) for one in [old[0], new[0], old[1]]] == [None] * 3
    assert [assembly.add(one) for one in new][-1] == message(3000, 2)


@pytest.mark.parametrize(
    ("what", "packet"),
    [
        ("number 0", piece(0)), ("a number beyond the bound", piece(MOST_PIECES + 1)), ("no data", piece(1, data=b"")),
        ("not alone", piece(1, next_payload=5)), ("its length lies", piece(1)[:-1]), ("no payload", piece(1)[: HEADER_SIZE + 4]),
    ],
)  # fmt: skip
def test_a_bad_fragment_is_malformed(what: str, packet: bytes) -> None:
    with pytest.raises(Malformed):
        Assembly().add(packet)


def test_fragments_are_bounded_in_bytes() -> None:
    assembly = Assembly()
    with pytest.raises(Malformed, match="fragments of more than"):
        for number in range(1, MOST_PIECES + 1):
            assembly.add(piece(number, data=bytes(PIECE)))
    assert assembly.size <= MOST_BYTES


def test_timers_run_in_the_order_of_their_times_and_then_of_their_making() -> None:
    timers, ran = Timers(), []
    for when, name in ((3.0, "c"), (1.0, "a"), (3.0, "d"), (2.0, "b")):
        timers.at(when, lambda name=name: ran.append(name))
    timers.run(2.5)
    assert (ran, timers.next()) == (["a", "b"], 3.0)
    timers.run(3.0)
    assert (ran, timers.next()) == (["a", "b", "c", "d"], None)


def test_a_cancelled_timer_does_nothing_and_is_no_deadline() -> None:
    timers, ran = Timers(), []
    timer = timers.at(1.0, lambda: ran.append("never"))
    timers.at(2.0, timer.cancel)
    timer.cancel()
    assert timers.next() == 2.0
    timers.run(9.0)
    assert ran == []


def test_a_timer_may_set_another_that_is_due_at_once() -> None:
    timers, ran = Timers(), []
    timers.at(1.0, lambda: timers.at(0.5, lambda: ran.append("second")))
    timers.run(1.0)
    assert ran == ["second"]


def test_cancelled_timers_do_not_pile_up() -> None:
    timers = Timers()
    timers.at(1e9, lambda: None)
    for count in range(10_000):
        timers.at(1e6 + count, lambda: None).cancel()
    assert len(timers) <= 1025


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=30), st.floats(0, 100))
def test_exactly_what_is_due_runs(made: list[tuple[float, bool]], now: float) -> None:
    timers, ran = Timers(), []
    for when, cancelled in made:
        timer = timers.at(when, lambda when=when: ran.append(when))
        if cancelled:
            timer.cancel()
    timers.run(now)
    assert ran == sorted(when for when, cancelled in made if not cancelled and when <= now)


def half(serial: int, state: str = "STATE_MAIN_R1") -> IsakmpSa:
    made = IsakmpSa(serial, Live(connection(WEST, EAST)), False, path_of(WEST, EAST), serial.to_bytes(8, "big"))
    made.state = state
    return made


def test_the_table_of_half_open_negotiations_is_bounded_and_spares_who_has_answered() -> None:
    table = HalfOpen(random.Random(1).randbytes)
    honest = half(0, "STATE_MAIN_R2")
    victims = [table.add(sa) for sa in (honest, *map(half, range(1, 5 * half_open.MOST)))]
    for victim in victims:
        if victim is not None:
            table.discard(victim)
    assert honest not in victims
    assert victims[: half_open.MOST] == [None] * half_open.MOST
    assert all(victims[half_open.MOST :])


def test_a_victim_is_found_where_everybody_has_answered() -> None:
    table = HalfOpen(random.Random(1).randbytes)
    for serial in range(half_open.MOST):
        table.add(half(serial, "STATE_MAIN_R2"))
    assert table.add(half(half_open.MOST)) is not None


def test_a_source_may_begin_a_burst_and_then_a_few_a_second() -> None:
    table, source = HalfOpen(bytes), ip_address("198.51.100.7")
    at_once = [table.allows(source, 10.0) for _ in range(100)]
    assert sum(at_once) == half_open.BURST
    assert sum(table.allows(source, 12.0) for _ in range(100)) == 2 * half_open.RATE
    assert table.allows(ip_address("198.51.100.8"), 10.0)


def test_a_network_of_ipv6_is_one_source() -> None:
    table = HalfOpen(bytes)
    tried = [table.allows(ip_address((0x2001_0DB8 << 96) + host), 10.0) for host in range(100)]
    assert sum(tried) == half_open.BURST
    assert table.allows(ip_address("2001:db8:0:1::1"), 10.0)


def test_the_table_of_sources_is_bounded() -> None:
    table = HalfOpen(bytes)
    for number in range(2 * half_open.MOST_SOURCES):
        table.allows(ip_address(0x0A000000 + number), 10.0)
    assert len(table._sources) == half_open.MOST_SOURCES


def test_a_source_gains_nothing_by_a_clock_that_goes_back() -> None:
    table, source = HalfOpen(bytes), ip_address("198.51.100.7")
    for now in (10.0, 5.0) * 200:
        table.allows(source, now)
    assert not table.allows(source, 10.0)


def test_noise_is_bounded_and_says_what_was_left_out() -> None:
    lines: list[str] = []
    heard = Noise(lines.append)
    for _ in range(10_000):
        heard.say(path_of(WEST, EAST), "rubbish", 50.0)
    assert len(lines) == noise.BURST
    heard.say(path_of(WEST, EAST), "rubbish", 60.0)
    assert f"{10_000 - noise.BURST:.0f} more messages" in lines[-2]


def test_message_ids_are_used_once_and_the_oldest_are_forgotten_last() -> None:
    sa = half(1)
    assert not sa.take_message_id(0)
    assert all(sa.take_message_id(number) for number in range(1, MOST_MESSAGE_IDS + 1))
    assert not any(sa.take_message_id(number) for number in range(1, MOST_MESSAGE_IDS + 1))
    assert sa.take_message_id(MOST_MESSAGE_IDS + 1)
    assert len(sa.message_ids) == MOST_MESSAGE_IDS
