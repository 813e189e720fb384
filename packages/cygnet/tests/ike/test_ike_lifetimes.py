"""The life of a tunnel: replaced before it expires, make before break, taken down, its peer dead or back from the dead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from cygnet.connection.connection import DpdAction, Setup
from cygnet.ike.numbers import Exchange, Notify, Protocol
from cygnet.ike.payloads import Delete, Notification
from cygnet.ike.v1 import informational
from simulation import (
    EAST,
    EAST_HOST,
    NAME,
    WEST,
    WEST_HOST,
    Box,
    Network,
    Sent,
    Weather,
    carried,
    connection,
    established,
    pair,
    path_of,
    works,
)  # fmt: skip

SHORT = {"ike_lifetime": 900.0, "key_life": 400.0, "rekey_margin": 60.0, "rekey_fuzz": 0.5}
LONG_LIVED = {"ike_lifetime": 86400.0, "key_life": 86400.0}
Told = list[tuple[float, str]]


def watch(network: Network, west: Box, east: Box) -> Told:
    """Try a packet each way after whatever happens; what was not delivered is noted."""
    lost: Told = []

    def look() -> None:
        for outcome in carried(west, east):
            if outcome != "delivered":
                lost.append((network.now, outcome))

    network.each_step = look
    return lost


def deaf(box: Box) -> Callable[[object, bytes], bytes | None]:
    """A tamper that cuts a box off in both directions."""
    return lambda path, packet: None if box.address in (str(path.local), str(path.remote)) else packet  # type: ignore[attr-defined]


def one_each(west: Box, east: Box) -> bool:
    """One pair and one ISAKMP SA on both sides, and nothing else in the kernels."""
    counts = (west.pairs(), east.pairs(), west.isakmp(), east.isakmp())
    return counts == (1, 1, 1, 1) and len(west.kernel.sas) == len(east.kernel.sas) == 2


# Replaced before they expire


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


# Taken down


def test_down_tells_the_peer_and_ends_both_halves() -> None:
    network, west, east = established()
    west.down()
    network.run(1)
    assert (west.kernel.sas, east.kernel.sas, west.isakmp(), east.isakmp()) == ({}, {}, 0, 0)
    assert east.said("the peer has deleted it")
    assert all(sent.header.encrypted for sent in network.wire[9:])


@pytest.mark.parametrize("routed", [True, False])
def test_down_leaves_no_packet_in_clear(routed: bool) -> None:
    network, west, east = pair()
    if routed:
        west.route()
    west.up()
    network.run(5)
    seen: list[object] = []
    network.each_step = lambda: seen.append(west.kernel.traffic(WEST_HOST, EAST_HOST))
    west.down()
    seen.append(west.kernel.traffic(WEST_HOST, EAST_HOST))
    network.run(10)
    assert "clear" not in seen
    assert east.kernel.traffic(EAST_HOST, WEST_HOST) != "clear"


def test_down_of_one_tunnel_leaves_the_other_and_its_phase_1() -> None:
    network, west, east = established()
    for box, here, there in ((west, WEST, EAST), (east, EAST, WEST)):
        box.add(replace(connection(here, there, ("10.3.0.0/24", "10.4.0.0/24")), name="second"))
    west.up("second")
    network.run(5)
    west.down()
    network.run(5)
    assert works(west, east, "10.3.0.5", "10.4.0.5")
    assert (west.isakmp(), east.isakmp(), west.pairs(), east.pairs()) == (1, 1, 1, 1)
    west.down("second")
    network.run(5)
    assert (west.isakmp(), east.isakmp(), east.kernel.sas) == (0, 0, {})


@pytest.mark.parametrize("after", [0.0, 0.07, 0.12, 0.17, 0.22, 0.27, 0.32, 0.37, 0.42])
def test_down_at_any_moment_of_a_negotiation_leaves_nothing_behind(after: float) -> None:
    for who in ("west", "east"):
        network, west, east = pair()
        west.up()
        network.run(after)
        (west if who == "west" else east).down()
        if who == "east":
            west.engine.initiation.cancel(west.live, "not wanted")
        network.run(200)
        if who == "west":
            assert (west.kernel.sas, east.kernel.sas, west.isakmp()) == ({}, {}, 0)
        assert len(west.kernel.sas) == len(east.kernel.sas)
        assert network.bugs() == []


def test_what_the_peer_takes_down_comes_up_again_if_it_is_to_be_up() -> None:
    network, west, east = established()
    east.down()
    network.run(1)
    assert west.pairs() == 0
    network.run(30)
    assert works(west, east)


def test_delete_forgets_a_connection_with_all_that_it_has() -> None:
    network, west, east = established()
    west.engine.delete(NAME, network.now)
    network.run(5)
    assert (west.engine.connections, west.kernel.sas, west.kernel.policies, east.kernel.sas) == ({}, {}, {}, {})
    assert west.sizes() == dict.fromkeys(west.sizes(), 0) | {"timers": west.sizes()["timers"]}


def test_shutdown_tells_every_peer() -> None:
    network, west, east = established()
    west.engine.shutdown(network.now)
    network.run(5)
    assert (west.kernel.sas, east.kernel.sas, west.isakmp(), east.isakmp()) == ({}, {}, 0, 0)


def test_a_hard_expiry_in_the_kernel_is_the_net_below_ours() -> None:
    network, west, east = established()
    [inbound] = [key for key, sa in west.kernel.sas.items() if not sa.outbound]
    west.kernel.expire(inbound, hard=True)
    west.kernel_events()
    network.run(5)
    assert west.said("expired in the kernel")
    assert len(west.kernel.sas) == len(east.kernel.sas)


# Deletions are believed only if they are genuine and of the same peer


def spis(box: Box) -> list[int]:
    return [leg.spi_out for child in box.children for leg in child.sa.legs]


def test_a_delete_for_another_peers_sa_is_not_believed() -> None:
    network, west, east = established()
    other = network.box("192.0.2.3")
    other.add(connection("192.0.2.3", EAST, ("10.3.0.0/24", "10.4.0.0/24")[::-1]))
    made = connection(EAST, "192.0.2.3", ("10.3.0.0/24", "10.4.0.0/24"))
    east.add(replace(made, name="third"))
    other.up()
    network.run(5)
    assert (other.statuses, east.pairs()) == ([0], 2)
    [phase_1], [its] = other.isakmp_sas, west.isakmp_sas
    inbound_of_west = west.children[0].sa.legs[0].spi_in
    informational.send_delete(other.engine, phase_1, Protocol.ESP, inbound_of_west.to_bytes(4, "big"))
    informational.send_delete(other.engine, phase_1, Protocol.ISAKMP, its.icookie + its.rcookie)
    network.run(5)
    assert works(west, east)
    assert (east.isakmp(), east.pairs()) == (2, 2)
    assert east.said("the peer deletes an ISAKMP SA that it does not have with us")


@pytest.mark.parametrize(
    ("what", "delete"),
    [
        ("an SPI that nobody has", Delete(Protocol.ESP, (b"\x12\x34\x56\x78",))),
        ("our own inbound SPI", None),
        ("an SPI of two bytes", Delete(Protocol.ESP, (b"\x12\x34",))),
        ("cookies that nobody has", Delete(Protocol.ISAKMP, (bytes(16),))),
        ("cookies of four bytes", Delete(Protocol.ISAKMP, (bytes(4),))),
        ("a protocol that nobody has", Delete(9, (bytes(4),))),
        ("AH that is ESP", Delete(Protocol.AH, (b"\x12\x34\x56\x78",))),
        ("no SPI at all", Delete(Protocol.ESP, ())),
    ],
)
def test_a_genuine_delete_of_nothing_changes_nothing(what: str, delete: Delete | None) -> None:
    network, west, east = established()
    own = west.children[0].sa.legs[0].spi_out.to_bytes(4, "big")
    informational.send(west.engine, west.isakmp_sas[0], delete or Delete(Protocol.ESP, (own,)))
    network.run(5)
    assert works(west, east)
    assert network.bugs() == []


def test_a_replayed_delete_or_quick_mode_changes_nothing() -> None:
    network, west, east = established()
    before = list(network.wire)
    network.run(200)
    for sent in before * 3:
        network.inject(sent.path, sent.packet, network.random.random())
    network.run(200)
    assert one_each(west, east)
    assert works(west, east)
    west.up()
    network.run(30)
    west.engine.children.remove(west.live, west.live.children[0], "by the test", tell_peer=True)
    network.run(5)
    for sent in [*network.wire]:
        network.inject(sent.path, sent.packet, network.random.random())
    network.run(200)
    assert network.bugs() == []
    assert len(west.kernel.sas) == len(east.kernel.sas)


def test_a_stranger_cannot_delete_in_clear() -> None:
    network, west, east = established()
    sa = east.isakmp_sas[0]
    for payload in (
        Delete(Protocol.ISAKMP, (sa.icookie + sa.rcookie,)),
        Notification(Notify.INVALID_COOKIE),
        Notification(Notify.INITIAL_CONTACT, spi=sa.icookie + sa.rcookie),
        Notification(Notify.R_U_THERE, bytes(4), sa.icookie + sa.rcookie),
    ):
        network.inject(path_of(WEST, EAST), sa.clear(Exchange.INFORMATIONAL, (payload,), 77))
    count = len(network.wire)
    network.run(5)
    assert one_each(west, east)
    assert len(network.wire) == count


# Dead peers


def test_a_peer_that_lives_is_asked_only_when_nothing_was_heard() -> None:
    network, west, east = established(dpd_delay=30.0, dpd_timeout=90.0, **LONG_LIVED)
    network.wire.clear()
    network.run(3600)
    assert 100 <= len(network.wire) <= 500
    assert {sent.header.exchange for sent in network.wire} == {Exchange.INFORMATIONAL}
    network.wire.clear()
    for _ in range(360):
        assert works(west, east)
        network.run(10)
    assert len(network.wire) <= 8
    assert one_each(west, east)


@pytest.mark.parametrize(
    ("action", "fate"), [(DpdAction.HOLD, "acquire"), (DpdAction.CLEAR, "clear"), (DpdAction.NONE, "acquire")]
)
def test_a_dead_peer(action: DpdAction, fate: str) -> None:
    network, west, east = established(dpd_delay=10.0, dpd_timeout=60.0, dpd_action=action)
    network.tamper = deaf(east)
    network.run(55)
    assert west.pairs() == 1
    network.run(60)
    assert (west.pairs(), west.isakmp()) == (0, 0)
    assert west.said("DPD: nothing heard of the peer for")
    assert west.kernel.traffic(WEST_HOST, EAST_HOST) == fate
    assert any("the peer was declared dead" in line for line in west.engine.status())
    network.tamper = lambda _path, packet: packet
    network.run(100)
    assert network.bugs() == []


def test_restart_brings_the_tunnel_up_when_the_peer_is_back() -> None:
    network, west, east = established(dpd_delay=10.0, dpd_timeout=60.0, dpd_action=DpdAction.RESTART, keying_tries=0)
    network.tamper = deaf(east)
    network.run(600)
    assert west.pairs() == 0
    network.tamper = lambda _path, packet: packet
    network.run(400)
    assert works(west, east)
    assert one_each(west, east)


def test_hold_comes_up_by_traffic_when_the_peer_is_back() -> None:
    network, west, east = established(dpd_delay=10.0, dpd_timeout=60.0)
    network.tamper = deaf(east)
    network.run(200)
    network.tamper = lambda _path, packet: packet
    assert west.traffic(WEST_HOST, EAST_HOST) == "acquire"
    network.run(10)
    assert works(west, east)


def test_dead_peer_detection_goes_on_for_longer_than_message_ids_are_remembered() -> None:
    network, west, east = established(dpd_delay=1.0, dpd_timeout=10.0, **LONG_LIVED)
    network.run(9000)
    assert one_each(west, east)
    assert not west.said("declared dead")
    assert not east.said("declared dead")
    network.wire.clear()


def test_after_an_isakmp_sa_has_gone_none_of_its_timers_does_anything() -> None:
    network, west, east = established(dpd_delay=5.0, ike_lifetime=900.0, key_life=86400.0, rekey_margin=60.0)
    network.run(300)
    west.down()
    network.run(5)
    network.wire.clear()
    network.run(3600)
    assert network.wire == []
    assert west.sizes()["timers"] == 0
    assert works(west, east) is False


def test_a_forged_answer_to_a_probe_does_not_keep_a_dead_peer_alive() -> None:
    network, west, east = established(dpd_delay=10.0, dpd_timeout=60.0)
    network.run(40)
    replayed = [sent for sent in network.from_box(east) if sent.header.exchange == Exchange.INFORMATIONAL]
    assert replayed
    network.tamper = deaf(east)
    for second in range(200):
        for sent in replayed:
            network.inject(sent.path, sent.packet, float(second))
    network.run(200)
    assert west.pairs() == 0


# A box that comes back, and clocks


@pytest.mark.parametrize("who", ["west", "east"])
def test_a_box_that_lost_all_its_state_has_its_tunnel_again(who: str) -> None:
    network, west, east = established(keying_tries=0)
    network.run(100)
    back = west if who == "west" else east
    back.reboot()
    back.up()
    network.run(10)
    assert works(west, east)
    network.run(60)
    assert one_each(west, east)
    assert network.bugs() == []


def test_the_end_that_stayed_up_finds_out_by_dead_peer_detection() -> None:
    network, west, east = established(dpd_delay=10.0, dpd_timeout=60.0, dpd_action=DpdAction.RESTART, keying_tries=0)
    network.run(50)
    east.reboot()
    network.run(200)
    assert works(west, east)


def test_the_end_that_stayed_up_finds_out_when_it_rekeys() -> None:
    network, west, east = established(**SHORT, keying_tries=0)
    east.reboot()
    network.run(900)
    assert works(west, east)
    assert one_each(west, east)


@pytest.mark.parametrize("seconds", [3600.0, 86400.0, 30 * 86400.0])
def test_the_clock_leaps_ahead(seconds: float) -> None:
    network, west, east = established(**SHORT, keying_tries=0)
    network.leap(seconds)
    network.run(400)
    assert works(west, east)
    assert one_each(west, east)
    assert network.bugs() == []


def test_the_clock_never_goes_backwards_inside() -> None:
    network, west, east = established()
    seen = west.engine.now
    for box in (west, east):
        box.engine.receive(b"nonsense", path_of(box.address, WEST), network.now - 500)
        box.engine.run_timers(network.now - 1000)
        assert box.engine.now >= seen
    assert works(west, east)


def test_initial_contact_is_said_only_once() -> None:
    network, west, east = established(**SHORT)
    network.run(2000)
    assert not east.said("has started anew")
    west.reboot()
    west.up()
    network.run(10)
    assert east.said("has started anew")
    assert one_each(west, east)


def test_uniqueids_off_does_not_disturb_rekeying() -> None:
    network, west, east = established(setup=Setup(unique_ids=False), **SHORT)
    lost = watch(network, west, east)
    network.run(3000)
    assert lost == []


def test_an_hour_of_a_busy_gateway_leaves_bounded_tables() -> None:
    network, west, east = established(dpd_delay=5.0, **SHORT)
    largest: dict[str, int] = {}
    for _ in range(72):
        network.run(50)
        for box in (west, east):
            for name, size in box.sizes().items():
                largest[name] = max(largest.get(name, 0), size)
    timers = largest.pop("timers")
    assert max(largest.values()) <= 8, largest
    assert timers <= 1100
    assert isinstance(network.wire[0], Sent)
