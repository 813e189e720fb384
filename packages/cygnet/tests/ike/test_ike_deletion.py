"""Tunnels are taken down, and deletions are believed only if they are genuine."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cygnet.ike.numbers import Exchange, Notify, Protocol
from cygnet.ike.payloads import Delete, Notification
from cygnet.ike.v1 import informational
from simulation import (
    EAST,
    EAST_HOST,
    NAME,
    WEST,
    WEST_HOST,
    connection,
    established,
    one_each,
    pair,
    path_of,
    works,
)  # fmt: skip


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
    informational.send_delete(other.engine, phase_1, (Protocol.ESP, inbound_of_west.to_bytes(4, "big")))
    informational.send_delete(other.engine, phase_1, (Protocol.ISAKMP, its.icookie + its.rcookie))
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


def test_a_genuine_delete_under_the_wrong_protocol_changes_nothing() -> None:
    network, west, east = established()
    spi = west.children[0].sa.legs[0].spi_in.to_bytes(4, "big")
    informational.send(west.engine, west.isakmp_sas[0], Delete(Protocol.AH, (spi,)))
    network.run(5)
    assert works(west, east)
    informational.send(west.engine, west.isakmp_sas[0], Delete(Protocol.ESP, (spi,)))
    network.run(1)
    assert east.pairs() == 0


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
