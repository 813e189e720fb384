"""Peers die and come back, boxes lose their state, clocks leap."""

from __future__ import annotations

import pytest
from cygnet.connection.connection import DpdAction, Setup
from cygnet.ike.numbers import Exchange, Notify
from cygnet.ike.path import Path
from cygnet.ike.payloads import Notification
from cygnet.ike.v1 import informational
from simulation import (
    EAST_HOST,
    LONG_LIVED,
    SHORT,
    WEST,
    WEST_HOST,
    Box,
    Network,
    Sent,
    Tamper,
    deaf,
    established,
    one_each,
    pair,
    path_of,
    watch,
    works,
)  # fmt: skip


def hold_back_identity(network: Network, box: Box, seconds: float = 20.0) -> Tamper:
    """The third message of a box's own main modes, with its INITIAL-CONTACT, is long on its way."""

    def tamper(path: Path, packet: bytes) -> bytes | None:
        ours = [sa.icookie for sa in box.engine.isakmp.sas if sa.initiator]
        if str(path.local) == box.address and packet[18] == Exchange.MAIN and packet[19] and packet[:8] in ours:
            network.inject(path, packet, seconds)
            return None
        return packet

    return tamper


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


def test_traffic_that_waits_for_a_peers_last_message_asks_for_nothing_more() -> None:
    """Between QR1 and QI2 the responder's packets are held, and the tunnel that is about to stand is enough."""
    network, west, east = pair()
    asked: list[object] = []

    def tamper(_path: Path, packet: bytes) -> bytes:
        if not asked and east.said("STATE_QUICK_R1"):
            asked.append(east.traffic(EAST_HOST, WEST_HOST))
        return packet

    network.tamper = tamper
    west.up()
    network.run(30)
    assert asked == ["acquire"]
    assert one_each(west, east)
    assert not east.said("asks for the tunnel")


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


def test_the_peer_ends_phase_1_early_and_none_of_its_timers_does_anything() -> None:
    network, west, east = established(dpd_delay=5.0, ike_lifetime=900.0, key_life=86400.0, rekey_margin=60.0)
    network.run(300)
    east.engine.isakmp.drop(east.isakmp_sas[0], "by the test", tell_peer=True)
    network.run(5)
    network.wire.clear()
    network.run(3600)
    assert network.wire == []
    assert works(west, east)


def test_an_answer_to_no_probe_of_ours_is_said() -> None:
    network, west, east = established(dpd_delay=10.0)
    network.run(25)
    sa = east.isakmp_sas[0]
    informational.send(east.engine, sa, Notification(Notify.R_U_THERE_ACK, b"none", sa.icookie + sa.rcookie))
    assert not west.said("an answer to no probe of ours")
    network.run(1)
    assert west.said("an answer to no probe of ours")


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


def test_initial_contact_that_was_long_on_its_way_does_not_end_what_was_made_meanwhile() -> None:
    network, west, east = pair()

    network.tamper = hold_back_identity(network, west)
    west.up()
    east.up()
    network.run(15)
    assert works(west, east)
    network.run(30)
    assert not east.said("has started anew")
    assert works(west, east)
    network.run(200)
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
