"""Through address translators: port 4500, keep-alives, peers that move, road warriors at any address."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from cygnet.connection.connection import HostKind, Setup, Type
from cygnet.connection.identity import Identity, IdType
from cygnet.connection.secret import PresharedKey, Secrets
from cygnet.kernel.sa import Encapsulation
from simulation import EAST, EAST_HOST, NAME, Box, Network, connection, established, pair, works

INSIDE, OUTSIDE = "192.168.1.10", "198.51.100.1"
PRIVATE = Setup(virtual_private=(ip_network("192.168.0.0/16"),))


def name(text: str) -> Identity:
    return Identity(IdType.FQDN, text.encode())


def translate(network: Network, inside: str, outside: str, first: int = 20000) -> None:
    """Both ports of a box come out under other numbers."""
    network.nat.update({(inside, 500): (outside, first), (inside, 4500): (outside, first + 1)})


def warrior(network: Network, inside: str, who: str, secrets: Secrets | None = None, **changes: Any) -> Box:
    """A road warrior: a bare host with a name, that calls east."""
    box = network.box(inside, secrets=secrets) if secrets else network.box(inside)
    made = connection(inside, EAST, None, ends={inside: {"id": name(who)}, EAST: {"subnet": ip_network("10.2.0.0/24")}})
    box.add(replace(made, **changes))
    return box


def gateway(network: Network, setup: Setup = PRIVATE, **changes: Any) -> Box:
    """East, which serves anybody."""
    box = network.box(EAST, setup)
    made = connection(EAST, "%any", None, ends={EAST: {"subnet": ip_network("10.2.0.0/24")}})
    box.add(replace(made, **changes))
    return box


def behind_nat(**changes: Any) -> tuple[Network, Box, Box]:
    """A warrior behind a translator, up."""
    network = Network()
    east, west = gateway(network), warrior(network, INSIDE, "west", **changes)
    translate(network, INSIDE, OUTSIDE)
    west.up()
    network.run(5)
    assert west.statuses == [0], west.log + east.log
    return network, west, east


def carried(west: Box, east: Box, outside: str = OUTSIDE) -> tuple[str, str]:
    inside = west.address
    nat = {ip_address(outside): ip_address(inside)}
    return (
        west.kernel.deliver(east.kernel, inside, EAST_HOST),
        east.kernel.deliver(west.kernel, EAST_HOST, inside, nat=nat),
    )


def test_behind_a_nat_both_go_on_at_port_4500_in_udp() -> None:
    network, west, east = behind_nat()
    assert carried(west, east) == ("delivered", "delivered")
    assert [sent.path.local_port for sent in network.from_box(west) if sent.packet != b"\xff"] == [
        500,
        500,
        4500,
        4500,
        4500,
    ]
    assert {sa.encapsulation for sa in west.kernel.sas.values()} == {Encapsulation(4500, 4500)}
    assert {sa.encapsulation for sa in east.kernel.sas.values()} == {
        Encapsulation(4500, 20001),
        Encapsulation(20001, 4500),
    }
    assert any("NAT between" in line for line in east.engine.status())
    assert network.bugs() == []


def test_keep_alives_go_out_of_the_nat_and_only_from_behind_it() -> None:
    network, west, east = behind_nat()
    network.wire.clear()
    network.run(100)
    assert {sent.packet for sent in network.from_box(west)} == {b"\xff"}
    assert len(list(network.from_box(west))) == 5
    assert list(network.from_box(east)) == []


def test_keep_alives_end_with_the_tunnel() -> None:
    network, west, _ = behind_nat()
    west.down()
    network.run(100)
    network.wire.clear()
    network.run(100)
    assert network.wire == []


def test_keep_alives_go_on_once_only_after_a_rekeying() -> None:
    network, west, _ = behind_nat(ike_lifetime=600.0, rekey_margin=60.0)
    network.run(2000)
    network.wire.clear()
    network.run(200)
    assert [sent.packet for sent in network.from_box(west)].count(b"\xff") <= 11


def test_no_nat_no_udp() -> None:
    network, west, _ = established()
    assert {sa.encapsulation for sa in west.kernel.sas.values()} == {None}
    assert {sent.path.local_port for sent in network.wire} == {500}


def test_forced_encapsulation_goes_in_udp_without_a_nat() -> None:
    network, west, east = established(west={"force_encaps": True})
    assert works(west, east)
    assert {sa.encapsulation for sa in west.kernel.sas.values()} == {Encapsulation(4500, 4500)}
    assert network.bugs() == []


def test_a_nat_that_forgets_its_mapping_is_followed_by_what_is_genuine() -> None:
    network, west, east = behind_nat(dpd_delay=10.0)
    translate(network, INSIDE, "198.51.100.2", 30000)
    network.run(60)
    assert east.said("the peer is at 198.51.100.2:30001 now")
    assert carried(west, east, "198.51.100.2") == ("delivered", "delivered")
    assert (east.pairs(), network.bugs()) == (1, [])


def test_a_peer_whose_esp_comes_from_elsewhere_is_followed() -> None:
    network, west, east = behind_nat()
    [inbound] = [sa.key for sa in east.kernel.sas.values() if not sa.outbound]
    east.kernel.new_mapping(inbound, ip_address("198.51.100.9"), 31000)
    east.kernel_events()
    assert carried(west, east, "198.51.100.9")[1] == "delivered"
    assert network.bugs() == []


def test_a_peer_is_not_followed_by_what_anybody_can_send() -> None:
    network, west, east = behind_nat()
    genuine = list(network.from_box(west))[-1]
    for packet in (genuine.packet, genuine.packet[:-16] + bytes(16), genuine.packet[:28] + bytes(32), b"\xff"):
        forged = genuine.path._replace(local=ip_address("203.0.113.66"), local_port=4500)
        network.inject(forged, packet)
    network.run(5)
    assert not east.said("203.0.113.66:4500 now")
    assert carried(west, east) == ("delivered", "delivered")
    assert network.bugs() == []


def test_without_a_nat_a_packet_from_elsewhere_is_refused() -> None:
    network, west, east = established()
    genuine = list(network.from_box(west))[-1]
    network.inject(genuine.path._replace(local=ip_address("203.0.113.66")), genuine.packet)
    network.run(5)
    assert east.said("from another address than its peer's")


def test_two_road_warriors_each_have_an_instance() -> None:
    network = Network()
    east = gateway(network)
    both = [warrior(network, "203.0.113.5", "anna"), warrior(network, "203.0.113.6", "bert")]
    for box in both:
        box.up()
    network.run(5)
    assert [live.instance for live in east.engine.roster.instances] == ["[1] 203.0.113.5", "[2] 203.0.113.6"]
    assert (east.pairs(), east.isakmp()) == (2, 2)
    for box in both:
        assert works(box, east, box.address, EAST_HOST)
    both[0].down()
    network.run(5)
    assert [live.instance for live in east.engine.roster.instances] == ["[2] 203.0.113.6"]
    assert works(both[1], east, both[1].address, EAST_HOST)
    assert len(east.kernel.sas) == 2
    assert network.bugs() == []


def test_two_road_warriors_behind_one_nat() -> None:
    network = Network()
    east = gateway(network)
    both = [warrior(network, "192.168.1.10", "anna"), warrior(network, "192.168.1.11", "bert")]
    for number, box in enumerate(both):
        translate(network, box.address, OUTSIDE, 20000 + 10 * number)
        box.up()
    network.run(5)
    assert [box.statuses for box in both] == [[0], [0]]
    assert (east.pairs(), network.bugs()) == (2, [])
    for box in both:
        assert carried(box, east) == ("delivered", "delivered")


def test_a_road_warrior_that_comes_back_from_elsewhere_replaces_its_old_self() -> None:
    network = Network()
    east = gateway(network)
    old = warrior(network, "203.0.113.5", "anna")
    old.up()
    network.run(5)
    del network.boxes[old.address]
    new = warrior(network, "203.0.113.77", "anna")
    new.up()
    network.run(5)
    assert (east.pairs(), east.isakmp()) == (1, 1)
    assert works(new, east, new.address, EAST_HOST)


def test_without_uniqueids_both_stay() -> None:
    network = Network()
    east = gateway(network, Setup(unique_ids=False))
    for address in ("203.0.113.5", "203.0.113.77"):
        box = warrior(network, address, "anna")
        network.tamper = no_initial_contact(box)
        box.up()
        network.run(5)
    assert east.isakmp() == 2


def no_initial_contact(box: Box) -> Any:
    box.engine.isakmp.is_first_contact = lambda _sa: False  # type: ignore[method-assign]
    return lambda _path, packet: packet


def test_a_road_warrior_may_have_its_own_secret() -> None:
    network = Network()
    east = gateway(network)
    here = Identity.address(ip_address(EAST))
    east.engine.secrets = Secrets((PresharedKey((here, None), b"for anybody"), PresharedKey((), b"of last resort")))
    west = warrior(network, "203.0.113.5", "anna", Secrets((PresharedKey((), b"for anybody"),)))
    west.up()
    network.run(5)
    assert west.statuses == [0]


def test_a_road_warriors_instance_lives_as_long_as_its_phase_1() -> None:
    network = Network()
    east, west = gateway(network), warrior(network, "203.0.113.5", "anna")
    west.up()
    network.run(5)
    child = west.live.children[0]
    west.engine.children.remove(west.live, child, "by the test", tell_peer=True)
    network.run(1)
    assert (east.pairs(), east.isakmp()) == (0, 1)
    west.up()
    network.run(5)
    assert (east.pairs(), east.isakmp(), len(east.engine.roster.instances)) == (1, 1, 1)
    assert any('"west-east"[1] 203.0.113.5' in line and "IPsec SA established" in line for line in east.engine.status())
    west.down()
    network.run(5)
    assert (east.pairs(), east.isakmp(), len(east.engine.roster.instances), east.kernel.sas) == (0, 0, 0, {})


def test_a_peer_behind_nat_gets_only_private_addresses_that_are_allowed() -> None:
    network = Network()
    east = gateway(network, Setup(virtual_private=(ip_network("172.16.0.0/12"),)))
    west = warrior(network, INSIDE, "west", keying_tries=1)
    translate(network, INSIDE, OUTSIDE)
    west.up()
    network.run(100)
    assert west.statuses == [31]
    assert east.said("no connection is for traffic between 10.2.0.0/24 here and 192.168.1.10/32 at @west")


def test_a_warrior_may_have_any_subnet_within_the_one_named() -> None:
    network = Network()
    within = replace(connection(EAST, "%any", None, ends={EAST: {"subnet": ip_network("10.2.0.0/24")}}))
    east = network.box(EAST)
    east.add(replace(within, there=replace(within.there, kind=HostKind.ANY, subnet_within=ip_network("10.9.0.0/16"))))
    west = network.box("203.0.113.5")
    made = connection(
        "203.0.113.5",
        EAST,
        None,
        ends={"203.0.113.5": {"subnet": ip_network("10.9.3.0/24")}, EAST: {"subnet": ip_network("10.2.0.0/24")}},
    )
    west.add(made)
    west.up()
    network.run(5)
    assert works(west, east, "10.9.3.7", EAST_HOST)


def test_transport_mode_through_a_nat() -> None:
    network = Network()
    east = network.box(EAST, PRIVATE)
    east.add(connection(EAST, "%any", None, type=Type.TRANSPORT))
    west = network.box(INSIDE)
    west.add(connection(INSIDE, EAST, None, type=Type.TRANSPORT, ends={INSIDE: {"id": name("west")}}))
    translate(network, INSIDE, OUTSIDE)
    west.up()
    network.run(5)
    assert west.statuses == [0], west.log + east.log
    assert {sa.mode for sa in east.kernel.sas.values()} == {"transport"}
    assert network.bugs() == []


@pytest.mark.parametrize("lost", range(1, 10))
def test_the_float_to_port_4500_survives_the_loss_of_any_packet(lost: int) -> None:
    network = Network()
    east, west = gateway(network), warrior(network, INSIDE, "west")
    translate(network, INSIDE, OUTSIDE)
    network.tamper = lambda _path, packet: packet if len(network.wire) != lost else None
    west.up()
    network.run(20)
    assert carried(west, east) == ("delivered", "delivered")


def test_the_names_of_instances_never_run_into_each_other() -> None:
    network, west, east = behind_nat()
    assert east.engine.roster.get(NAME).children == []
    assert [live.label for live in east.engine.roster.instances] == ['"west-east"[1] 198.51.100.1']
    assert pair()[1].live.label == '"west-east"'
    assert west.pairs() == 1
