"""A box that comes to have another address, or none for a while: what was up comes up by itself, nothing goes in clear.

West is at what its default route says, with a name; east serves whoever has that name, wherever it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from cygnet.connection.connection import Auto, HostKind
from cygnet.connection.identity import Identity, IdType
from cygnet.connection.local import Local
from cygnet.errors import CygnetError
from cygnet.ike.child_sas import HANDED_OVER
from cygnet.ike.numbers import Exchange
from simulation import (
    EAST,
    EAST_HOST,
    EAST_NET,
    NAME,
    STORM,
    WEST,
    WEST_HOST,
    Box,
    Network,
    Weather,
    connection,
    deaf,
    established,
    one_each,
    works,
)

MOVED = "198.51.100.77"
ROUTER, OTHER_ROUTER = ip_address("203.0.113.1"), ip_address("203.0.113.2")
WHO = Identity(IdType.FQDN, b"west")
NOWHERE = Local({"eth1": (ip_address("10.1.0.1"),)})


def at(address: str, interface: str = "eth0", router: Any = ROUTER) -> Local:
    """A box with one address on the wire, where its default route goes."""
    host = ip_address(address)
    return Local({interface: (host,), "eth1": (ip_address("10.1.0.1"),)}, interface, router, host)


def put(network: Network, box: Box, address: str, local: Local | None = None) -> None:
    """Where a box is now, "" for nowhere; its daemon hears of it."""
    network.boxes.pop(box.address, None)
    if address:
        network.boxes[address] = box
    box.address = address
    box.engine.moved(local or (at(address) if address else NOWHERE), network.now)


def only_from_where_they_are(network: Network) -> None:
    """A socket cannot send from an address that its box does not have."""
    network.tamper = lambda path, packet: packet if str(path.local) in network.boxes else None


def scene(seed: int = 1, weather: Weather | None = None, **changes: Any) -> tuple[Network, Box, Box]:
    """West at its first address, and east; nothing negotiated."""
    network = Network(seed, weather)
    east = network.box(EAST)
    east.add(connection(EAST, "%any", ends={"%any": {"id": WHO}}))
    west = network.box(WEST)
    west.add(
        replace(connection(WEST, EAST, ends={WEST: {"id": WHO, "default_host": True, "nexthop": ROUTER}}), **changes)
    )
    only_from_where_they_are(network)
    return network, west, east


def up(seed: int = 1, **changes: Any) -> tuple[Network, Box, Box]:
    """The same, and the tunnel stands."""
    network, west, east = scene(seed, **changes)
    west.up()
    network.run(5)
    assert works(west, east), west.log + east.log
    return network, west, east


def never_clear(network: Network, *boxes: Box) -> list[str]:
    """After whatever happens: packets of either side that would go in clear, or not by ipsec0."""
    found: list[str] = []
    flows = {EAST: (EAST_HOST, WEST_HOST, "10.1.0.0/24")}

    def look() -> None:
        for box in boxes:
            source, destination, net = flows.get(box.address, (WEST_HOST, EAST_HOST, EAST_NET))
            if box.kernel.traffic(source, destination) == "clear":
                found.append(f"{network.now}: {box.address} sends in clear")
            if ("ipsec0", ip_network(net)) not in box.updown.routes:
                found.append(f"{network.now}: {box.address} has no route into ipsec0")

    network.each_step = look
    return found


def test_a_box_at_another_address_has_its_tunnel_again_by_itself() -> None:
    network, west, east = up()
    clear = never_clear(network, west, east)
    put(network, west, MOVED)
    assert west.kernel.sas == {}
    network.run(5)
    assert one_each(west, east)
    assert works(west, east)
    assert [live.instance for live in east.engine.roster.instances] == [f"[2] {MOVED}"]
    assert {sa.source for sa in west.kernel.sas.values()} == {ip_address(MOVED), ip_address(EAST)}
    assert (clear, network.bugs()) == ([], [])
    assert west.said(f'"{NAME}": this box is at {MOVED} (eth0) now')
    assert east.said("the peer has started anew") or east.said(f"its peer is at {MOVED} now")


@pytest.mark.parametrize("seed", range(12))
def test_it_does_so_again_and_again_in_any_weather(seed: int) -> None:
    network, west, east = scene(seed, weather=STORM, keying_tries=0)
    west.up()
    network.run(300)
    clear = never_clear(network, west, east)
    for address in (MOVED, "198.51.100.78", "", WEST, MOVED):
        put(network, west, address)
        network.run(network.random.random() * 20)
    network.run(600)
    assert works(west, east)
    assert (clear, network.bugs()) == ([], [])
    assert west.pairs() == 1


def test_while_the_default_route_is_away_the_tunnel_waits_and_says_so() -> None:
    network, west, east = up()
    clear = never_clear(network, west)
    put(network, west, "")
    network.run(100)
    assert (west.kernel.sas, list(west.engine.isakmp.sas)) == ({}, [])
    [line] = [line for line in west.engine.status() if "not up" in line]
    assert line.endswith(
        "not up: it waits: there is no default route now that would say which address %defaultroute is"
    )
    before = len(network.wire)
    # Packets wait, and whoever asks for the tunnel by hand hears why;
    assert west.traffic(WEST_HOST, EAST_HOST) == "acquire"
    with pytest.raises(CygnetError, match="waits: there is no default route now"):
        west.up()
    network.run(100)
    assert len(network.wire) == before
    # when the link is back, so is the tunnel.
    put(network, west, WEST)
    network.run(5)
    assert works(west, east)
    assert not any("not up" in line for line in west.engine.status())
    assert (clear, network.bugs()) == ([], [])


def test_traffic_that_asked_in_vain_is_remembered() -> None:
    """auto=route, and the address comes only after the first packet."""
    network, west, east = scene(auto=Auto.ROUTE)
    put(network, west, "")
    west.route()
    assert west.traffic(WEST_HOST, EAST_HOST) == "acquire"
    logged = len(west.log)
    west.kernel.larval_timeout()
    assert west.traffic(WEST_HOST, EAST_HOST) == "acquire"
    assert len(west.log) == logged
    put(network, west, MOVED)
    network.run(5)
    assert works(west, east)


@pytest.mark.parametrize("auto", [Auto.START, Auto.ROUTE])
def test_a_fixed_address_that_comes_later_says_which_end_is_here(auto: Auto) -> None:
    """Both ends are fixed, and the box has neither at the start: nothing is guessed, then it follows auto=."""
    network, west, east = scene()
    east.engine.delete(NAME, network.now)
    east.add(connection(EAST, MOVED))
    put(network, west, "")
    west.engine.delete(NAME, network.now)
    turned = connection(MOVED, EAST, nets=(EAST_NET, "10.1.0.0/24"), auto=auto)
    away = replace(turned, here=turned.there, there=replace(turned.here, interface=""))
    west.add(replace(away, where="/etc/ipsec.conf:7"))
    reason = f"waits: this box has no address {EAST} or {MOVED} now"
    assert west.said(f'"{NAME}" (/etc/ipsec.conf:7) {reason}')
    with pytest.raises(CygnetError, match="cannot route"):
        west.route()
    if auto is Auto.START:
        with pytest.raises(CygnetError, match=reason):
            west.up()
    assert west.updown.routes == set()
    put(network, west, MOVED)
    west.traffic(WEST_HOST, EAST_HOST)
    network.run(5)
    assert works(west, east)
    assert west.engine.connections[NAME].here.host == ip_address(MOVED)
    # It goes, and comes back on another interface: the same again.
    put(network, west, "")
    network.run(5)
    assert west.pairs() == 0
    put(network, west, MOVED, at(MOVED, "ppp0"))
    network.run(5)
    assert one_each(west, east)
    assert works(west, east)


def given_up(network: Network, west: Box, east: Box) -> None:
    network.tamper = deaf(east)
    west.up()
    network.run(1000)
    assert not west.live.wanted
    only_from_where_they_are(network)


def by_hand(network: Network, west: Box, _east: Box) -> None:
    west.up()
    network.run(5)


def taken_down(network: Network, west: Box, east: Box) -> None:
    by_hand(network, west, east)
    west.down()
    network.run(5)


def trapped(_network: Network, west: Box, _east: Box) -> None:
    west.route()


@pytest.mark.parametrize(
    ("before", "auto", "again"),
    [
        (by_hand, Auto.ADD, True),
        (given_up, Auto.START, True),
        (given_up, Auto.ADD, False),
        (taken_down, Auto.START, False),
        (trapped, Auto.ROUTE, False),
    ],
)
def test_what_comes_up_again_is_what_was_up_or_was_meant_to_be(
    before: Callable[[Network, Box, Box], None], auto: Auto, again: bool
) -> None:
    network, west, east = scene(auto=auto)
    before(network, west, east)
    put(network, west, MOVED)
    network.run(5)
    assert west.pairs() == again
    # Whatever was routed holds its packets back and asks, from the new address.
    if west.updown.routes:
        west.traffic(WEST_HOST, EAST_HOST)
        network.run(5)
        assert works(west, east)


def test_a_tunnel_that_the_peer_had_begun_is_begun_from_here() -> None:
    """The peer does not know where this box is now."""
    network, _, east = established()
    assert not east.live.wanted
    known = east.live.connection
    east.live.connection = replace(known, here=replace(known.here, default_host=True))
    before = len(network.wire)
    put(network, east, MOVED)
    network.run(1)
    first = next(sent for sent in network.wire[before:] if sent.header.exchange == Exchange.MAIN)
    assert str(first.path) == f"{WEST}:500"
    assert str(first.path.local) == MOVED


def test_another_router_alone_disturbs_no_sa() -> None:
    network, west, east = up()
    sas = dict(west.kernel.sas)
    put(network, west, WEST, at(WEST, router=OTHER_ROUTER))
    assert west.kernel.sas == sas
    assert west.kernel.paths == {ip_address(EAST): ("eth0", OTHER_ROUTER)}
    west.rekey(2)
    network.run(20)
    assert works(west, east)


def test_a_link_that_was_away_for_a_moment_has_its_path_again_and_its_tunnel_still() -> None:
    """Same address, and no route that the kernel would have kept."""
    network, west, east = up()
    sas, packets = dict(west.kernel.sas), len(network.wire)
    west.kernel.paths.clear()
    put(network, west, WEST)
    assert west.kernel.sas == sas
    assert west.kernel.paths == {ip_address(EAST): ("eth0", ROUTER)}
    network.run(5)
    assert len(network.wire) == packets
    assert works(west, east)


def test_an_address_that_the_box_still_has_is_kept_while_the_default_route_is_away() -> None:
    """A link that is down: Linux takes its routes away and leaves its address."""
    network, west, east = up()
    sas = dict(west.kernel.sas)
    put(network, west, WEST, Local({"eth0": (ip_address(MOVED), ip_address(WEST))}))
    put(network, west, WEST, replace(at(WEST), addresses={"eth0": (ip_address(MOVED), ip_address(WEST))}))
    assert west.kernel.sas == sas


def test_where_the_default_route_goes_by_another_link_the_tunnel_goes_with_it() -> None:
    """The first link and its address are still there; the peer is not told to forget the old tunnel before the new."""
    network, west, east = up()
    clear = never_clear(network, west, east)
    network.boxes[MOVED] = west
    west.engine.moved(
        Local({"eth0": (ip_address(WEST),), "ppp0": (ip_address(MOVED),)}, "ppp0", None, ip_address(MOVED)), network.now
    )
    network.run(5)
    assert one_each(west, east)
    assert west.kernel.paths == {ip_address(EAST): ("ppp0", None)}
    assert clear == []


def test_an_attempt_that_was_to_be_made_later_is_made_when_something_has_changed() -> None:
    network, west, east = scene(keying_tries=0)
    network.tamper = deaf(east)
    west.up()
    network.run(400)
    assert west.live.retry is not None
    only_from_where_they_are(network)
    put(network, west, WEST)
    network.run(5)
    assert works(west, east)


def test_peers_of_a_box_that_serves_anybody_are_told_and_forgotten() -> None:
    network, west, east = up()
    network.tamper = lambda _path, packet: packet
    put(network, east, MOVED, Local({"eth0": (ip_address(MOVED),)}))
    network.run(5)
    assert (east.pairs(), list(east.engine.roster.instances), west.pairs()) == (0, [], 0)
    assert west.said("the peer has deleted it")
    assert not east.live.wanted


def no_initial_contact(box: Box) -> None:
    box.engine.isakmp.is_first_contact = lambda _sa: False  # type: ignore[method-assign]


@pytest.mark.parametrize("address", [WEST, MOVED])
@pytest.mark.parametrize("said", [True, False])
def test_a_peer_that_calls_anew_is_served_without_a_moment_in_clear(address: str, said: bool) -> None:
    """Its box was off: of the instance that served it the route stays, until the new tunnel stands."""
    network, west, east = up()
    clear = never_clear(network, east)
    put(network, west, address)
    west.reboot()
    west.engine.moved(at(address), network.now)
    if not said:
        no_initial_contact(west)
    west.up()
    network.run(5)
    assert works(west, east)
    network.run(100)
    assert works(west, east)
    assert (clear, network.bugs()) == ([], [])
    assert len(east.engine.roster.instances) == 1
    assert (east.pairs(), len(east.kernel.sas)) == (1, 2)


def test_a_peer_that_calls_anew_and_gets_no_further_leaves_nothing() -> None:
    network, west, east = up()
    put(network, west, MOVED)
    # Phase 1 stands, and not one message of quick mode comes.
    network.tamper = lambda path, packet: None if packet[18] == Exchange.QUICK else packet
    network.run(5)
    assert east.isakmp() == 1
    assert (east.pairs(), west.pairs()) == (1, 0)
    west.down()
    network.run(HANDED_OVER + 1)
    assert (east.kernel.sas, east.kernel.policies, east.updown.routes) == ({}, {}, set())
    assert list(east.engine.roster.instances) == []


def test_a_peer_that_calls_before_the_daemon_has_looked_is_served() -> None:
    """The address is back for a moment already; phase 1 is under way when the daemon hears of it."""
    network, west, east = scene()
    put(network, east, "")
    network.boxes[EAST] = east
    west.up()
    network.run(0.07)
    assert [sa.state for sa in west.engine.isakmp.sas] == ["STATE_MAIN_I1"]
    assert len(east.engine.isakmp.sas) == 1
    put(network, east, EAST, Local({"eth0": (ip_address(EAST),)}))
    network.run(1)
    assert works(west, east)


def test_a_conn_for_a_peer_at_any_address_waits_for_its_own() -> None:
    network, west, east = scene()
    anybody = replace(connection(EAST, "%any", ends={"%any": {"id": WHO}}))
    east.engine.delete(NAME, network.now)
    east.add(replace(anybody, here=replace(anybody.here, interface="")))
    assert east.live.connection.there.kind is HostKind.ANY
    assert any(f"it waits: this box has no address {EAST} now" in line for line in east.engine.status())
    put(network, east, EAST, Local({"eth0": (ip_address(EAST),)}))
    west.up()
    network.run(5)
    assert works(west, east)
