"""Tunnels are replaced before they expire, make before break, whoever begins it."""

from __future__ import annotations

import pytest
from cygnet.ike.numbers import Exchange
from simulation import (
    LONG_LIVED,
    SHORT,
    WEST,
    Network,
    Sent,
    Weather,
    established,
    one_each,
    pair,
    watch,
    works,
)  # fmt: skip


@pytest.mark.parametrize("margin", [60.0, 100.0])
@pytest.mark.parametrize("fuzz", [0.0, 1.0])
def test_a_pair_is_replaced_within_margin_and_fuzz_before_it_expires(margin: float, fuzz: float) -> None:
    for seed in range(5):
        network, west, east = established(
            seed, key_life=1000.0, rekey_margin=margin, rekey_fuzz=fuzz, ike_lifetime=86400.0
        )
        network.wire.clear()
        network.run(1000)
        begun = next(sent.when - 1000 for sent in network.wire if sent.header.exchange == Exchange.QUICK)
        assert 1000 - margin * (1 + fuzz) - 1 <= begun <= 1000 - margin + 1
        network.run(20)
        assert one_each(west, east)


def test_phase_1_is_replaced_before_it_expires_and_the_pair_stays() -> None:
    network, west, east = established(ike_lifetime=900.0, key_life=86400.0, rekey_margin=60.0, rekey_fuzz=0.0)
    pair_before, sa_before = west.children[0], west.isakmp_sas[0]
    network.run(880)
    assert one_each(west, east)
    assert west.isakmp_sas[0] is not sa_before
    assert west.children[0] is pair_before
    assert works(west, east)


def test_make_before_break_over_many_rekeyings() -> None:
    network, west, east = established(**SHORT)
    lost = watch(network, west, east)
    network.run(20_000)
    network.each_step = lambda: None
    network.run(30)
    assert lost == []
    assert one_each(west, east)
    assert west.children[0].sa.serial > 50
    assert network.bugs() == []


def test_the_clock_of_the_shorter_lifetime_counts() -> None:
    network, west, east = established(
        west={"key_life": 86400.0}, east={"key_life": 300.0, "rekey_margin": 30.0}, ike_lifetime=86400.0
    )
    lost = watch(network, west, east)
    network.run(2000)
    assert lost == []
    assert west.children[0].sa.serial > 6


def test_without_rekey_a_pair_just_ends() -> None:
    network, west, east = established(key_life=400.0, rekey=False, ike_lifetime=3600.0)
    network.run(390)
    assert works(west, east)
    network.wire.clear()
    network.run(100)
    assert (west.pairs(), east.pairs(), west.kernel.sas, east.kernel.sas) == (0, 0, {}, {})
    assert {sent.header.exchange for sent in network.wire} <= {Exchange.INFORMATIONAL}


def test_one_end_without_rekey_leaves_it_to_the_other() -> None:
    network, west, east = established(**SHORT, west={"rekey": False})
    lost = watch(network, west, east)
    network.run(3000)
    assert lost == []


def test_a_rekeying_that_the_peer_refuses_leaves_the_old_pair_until_it_expires() -> None:
    network, west, east = established(
        **LONG_LIVED | {"key_life": 400.0, "rekey_margin": 100.0, "rekey_fuzz": 0.0}, keying_tries=1
    )
    network.tamper = lambda path, packet: None if packet[18] == Exchange.QUICK else packet
    network.run(385)
    assert works(west, east)
    network.run(100)
    assert (west.kernel.sas, east.kernel.sas, network.bugs()) == ({}, {}, [])


def test_phase_1_that_expires_does_not_take_the_pair_with_it() -> None:
    network, west, east = established(ike_lifetime=300.0, rekey=False)
    network.run(400)
    assert (west.isakmp(), east.isakmp()) == (0, 0)
    assert works(west, east)


@pytest.mark.parametrize("seed", range(12))
def test_both_ends_start_at_once(seed: int) -> None:
    network, west, east = pair(seed, weather=Weather(delay=0.05, jitter=0.1 * (seed % 3)))
    west.up()
    network.run(0.02 * (seed // 3))
    east.up()
    network.run(60)
    assert (west.statuses, east.statuses) == ([0], [0])
    assert one_each(west, east)
    assert works(west, east)
    assert network.bugs() == []


@pytest.mark.parametrize("seed", range(12))
def test_both_ends_rekey_at_once_and_nothing_is_lost(seed: int) -> None:
    network, west, east = established(seed, weather=Weather(delay=0.05, jitter=0.02 * (seed % 4)), **LONG_LIVED)
    lost = watch(network, west, east)
    for _ in range(5):
        network.run(100)
        for box in (west, east) if seed % 2 else (east, west):
            box.rekey(2)
            network.run(0.03 * (seed // 4))
    network.run(60)
    assert lost == []
    assert one_each(west, east)
    assert network.bugs() == []


@pytest.mark.parametrize("seed", range(12))
def test_both_ends_agree_at_once_which_of_two_pairs_stays(seed: int) -> None:
    network, west, east = established(seed, weather=Weather(delay=0.05, jitter=0.02 * (seed % 4)), **LONG_LIVED)
    network.run(100)
    west.rekey(2)
    east.rekey(2)
    network.run(3)
    west.rekey(1)
    east.rekey(1)
    network.run(3)
    kept = [
        {leg.spi_in, leg.spi_out}
        for box in (west, east)
        for one in box.children
        if not one.replaced
        for leg in one.sa.legs
    ]
    assert len(kept) == 2
    assert kept[0] == kept[1]
    assert [sa.cookies for sa in west.isakmp_sas] == [sa.cookies for sa in east.isakmp_sas]


@pytest.mark.parametrize("seed", range(8))
def test_both_ends_replace_phase_1_at_once_and_one_stays(seed: int) -> None:
    network, west, east = established(seed, weather=Weather(delay=0.05, jitter=0.02 * (seed % 4)), **LONG_LIVED)
    lost = watch(network, west, east)
    for _ in range(4):
        network.run(100)
        west.rekey(1)
        network.run(0.04 * (seed // 4))
        east.rekey(1)
    network.run(60)
    assert lost == []
    assert one_each(west, east)
    west.up()
    network.run(30)
    assert works(west, east)
    assert west.statuses == [0, 0]


def test_both_ends_have_the_same_rekey_timers_for_hours() -> None:
    for seed in range(4):
        network, west, east = pair(seed, **SHORT, keying_tries=0)
        west.up()
        east.up()
        network.run(60)
        lost = watch(network, west, east)
        network.run(7200)
        assert lost == []
        assert network.bugs() == []


def test_with_the_same_lifetimes_on_both_ends_it_is_the_initiator_that_replaces() -> None:
    for seed in range(4):
        network, west, east = established(seed, **SHORT)
        network.run(8000)
        begun = {str(sent.path.local) for sent in first_of_each_quick_mode(network)}
        assert begun == {WEST}
        assert east.pairs() == west.pairs() == 1


def first_of_each_quick_mode(network: Network) -> list[Sent]:
    """The packet that began each quick mode."""
    found: dict[int, Sent] = {}
    for sent in network.wire:
        if sent.header.exchange == Exchange.QUICK:
            found.setdefault(sent.header.message_id, sent)
    return list(found.values())
