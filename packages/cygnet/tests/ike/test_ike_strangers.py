"""Opportunistic encryption, a story each: two gateways whose administrators never met, and what the DNS says of them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from cygnet.connection.connection import AuthBy, Auto, HostKind, Shunt, Type
from cygnet.connection.identity import Identity, IdType
from cygnet.connection.local import Local
from cygnet.connection.secret import RsaSecret, Secrets
from cygnet.errors import CygnetError
from cygnet.ike import strangers
from cygnet.ike.strangers import IDLE, SHUNTED, SHUNTED_IN_DOUBT, State
from name_server import NameServer
from simulation import EAST, WEST, Network, connection
from strangers_scene import (
    CLIENT,
    NOBODY,
    OE,
    SERVER,
    Keys,
    delegated,
    delegation,
    gateway,
    known,
    meet,
    opportunistic,
    protected,
    reverse,
    street,
)


def test_the_first_packet_to_a_host_with_a_key_makes_a_tunnel(rsa_keys: Keys) -> None:
    network, west, east = street(rsa_keys, known(rsa_keys))
    assert west.traffic(WEST, EAST) == "acquire"
    network.run(3)
    assert protected(west, east, WEST, EAST)
    assert protected(east, west, EAST, WEST)
    assert (west.pairs(), east.pairs()) == (1, 1)
    assert network.bugs() == []
    # The kernel holds packets at the trap, and looks at them again when that is put in its place anew.
    [trap] = [one for one in west.kernel.policies.values() if one.interface]
    assert west.kernel.puts[trap] == 2
    # Each is the gateway of the other, and the DNS was asked for no more than that.
    assert {name for name, _ in network.names.asked} == {reverse(WEST), reverse(EAST)}


def test_a_host_without_a_key_is_talked_to_in_the_clear_for_a_while(rsa_keys: Keys) -> None:
    network, west, _ = street(rsa_keys, known(rsa_keys))
    assert meet(west, WEST, NOBODY) == "clear"
    assert west.said_in_status(f'"{OE}": {WEST} -> {NOBODY} is shunted %pass: TXT of {reverse(NOBODY)} does not exist')
    asked = len(network.names.asked)
    network.run(SHUNTED - 10)
    assert west.traffic(WEST, NOBODY) == "clear"
    assert len(network.names.asked) == asked
    network.run(20)
    west.kernel.larval_timeout()
    assert west.traffic(WEST, NOBODY) == "acquire"


@pytest.mark.parametrize(("shunt", "outcome"), [(Shunt.DROP, "drop"), (Shunt.REJECT, "drop"), (Shunt.NONE, "acquire")])
def test_where_the_policy_says_private_nothing_goes_in_the_clear(shunt: Shunt, outcome: str, rsa_keys: Keys) -> None:
    network, west, east = street(rsa_keys, known(rsa_keys), failure_shunt=shunt)
    assert meet(west, WEST, NOBODY) == outcome
    assert meet(west, WEST, EAST) != outcome
    assert protected(west, east, WEST, EAST)
    assert network.bugs() == []


def test_what_is_private_is_not_taken_in_the_clear_either(rsa_keys: Keys) -> None:
    network = Network()
    network.names = known(rsa_keys)
    west, east = network.box(WEST), network.box(EAST)
    east.add(opportunistic(EAST, failure_shunt=Shunt.DROP))
    east.route(OE)
    assert west.kernel.deliver(east.kernel, WEST, EAST) == "refused by policy"


def test_gateways_serve_the_hosts_behind_them_pair_by_pair(rsa_keys: Keys) -> None:
    network, west, east = street(rsa_keys, delegated(rsa_keys), clients=True)
    meet(west, CLIENT, SERVER)
    assert protected(west, east, CLIENT, SERVER)
    assert protected(east, west, SERVER, CLIENT)
    # Another host behind the same gateway is another pair, by the same ISAKMP SA.
    network.names.records[reverse("10.2.0.6"), "TXT"] = [delegation(EAST, rsa_keys[1])]
    meet(west, CLIENT, "10.2.0.6")
    assert protected(west, east, CLIENT, "10.2.0.6")
    assert (west.pairs(), west.isakmp()) == (2, 1)
    # And a host that names no gateway is spoken to in clear.
    assert meet(west, CLIENT, "10.2.0.7") == "clear"


def test_pairs_that_begin_at_once_wait_for_the_dns_side_by_side(rsa_keys: Keys) -> None:
    """Given two gateways with a tunnel, when 20 hosts call one more each in one moment, then no quick mode is sent again."""
    names = delegated(rsa_keys)
    servers = [f"10.2.0.{number}" for number in range(10, 30)]
    for server in servers:
        names.records[reverse(server), "TXT"] = [delegation(EAST, rsa_keys[1])]
    network, west, east = street(rsa_keys, names, clients=True)
    meet(west, CLIENT, SERVER)
    for server in servers:
        west.traffic(CLIENT, server)
    network.run(2.0)
    assert all(protected(west, east, CLIENT, server) for server in servers)


def test_two_gateways_serve_hundreds_of_pairs_a_minute(rsa_keys: Keys) -> None:
    network, west, east = street(rsa_keys, delegated(rsa_keys), clients=True)
    hosts = [f"10.2.0.{number}" for number in range(250)]
    for host in hosts:
        network.names.records[reverse(host), "TXT"] = [delegation(EAST, rsa_keys[1])]
        west.traffic(CLIENT, host)
        network.run(0.2)
    network.run(5)
    assert (west.pairs(), east.pairs(), west.isakmp()) == (250, 250, 1)
    assert network.bugs() == []


def test_a_caller_speaks_only_for_hosts_that_name_it(rsa_keys: Keys) -> None:
    """The record of the client points to a third party: the box that is called does not believe the caller."""
    names = delegated(rsa_keys)
    names.records[reverse(CLIENT), "TXT"] = [delegation("203.0.113.66", rsa_keys[0])]
    _, west, east = street(rsa_keys, names, clients=True)
    assert meet(west, CLIENT, SERVER, 120) == "clear"
    assert east.said(
        f"asks for the traffic of {CLIENT}, and the DNS does not say that {WEST} may: its records name another"
    )
    assert east.pairs() == 0


def test_a_record_with_another_key_does_not_speak_for_the_caller(rsa_keys: Keys) -> None:
    names = delegated(rsa_keys)
    names.records[reverse(CLIENT), "TXT"] = [delegation(WEST, rsa_keys[1])]
    _, west, east = street(rsa_keys, names, clients=True)
    assert meet(west, CLIENT, SERVER, 120) == "clear"
    assert east.pairs() == 0


def test_a_gateway_that_knows_nothing_of_it_is_no_gateway(rsa_keys: Keys) -> None:
    """The DNS says that east is a gateway, and east has no opportunistic connection: the next one, then the shunt."""
    names = delegated(rsa_keys)
    names.records[reverse(SERVER), "TXT"].append(delegation("203.0.113.66", rsa_keys[1], 20))
    _, west, _ = street(rsa_keys, names, clients=True, east=False)
    assert meet(west, CLIENT, SERVER, 300) == "clear"
    assert {str(sent.path.remote) for sent in west.network.from_box(west)} == {EAST, "203.0.113.66"}


def test_who_is_clear_or_private_never_calls_and_can_be_called(rsa_keys: Keys) -> None:
    network = Network()
    network.names = known(rsa_keys)
    west, east = (gateway(network, here, key) for here, key in zip((WEST, EAST), rsa_keys, strict=True))
    west.add(opportunistic(WEST))
    east.add(opportunistic(EAST, type=Type.PASSTHROUGH))
    for box in (west, east):
        box.route(OE)
    assert east.traffic(EAST, WEST) == "clear"
    assert network.names.asked == []
    meet(west, WEST, EAST)
    assert protected(west, east, WEST, EAST)
    assert protected(east, west, EAST, WEST)
    east.down(OE)
    network.run(3)
    assert east.traffic(EAST, WEST) == "clear"


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(("group", "accepted"), [("block", False), ("clear-or-private", True)])
def test_the_smallest_network_decides_for_a_caller_too(group: str, accepted: bool, first: bool, rsa_keys: Keys) -> None:
    network, west, east = street(rsa_keys, known(rsa_keys), east=False)
    kinds = {"block": (HostKind.ADDRESS, Type.REJECT), "clear-or-private": (HostKind.OPPORTUNISTIC, Type.PASSTHROUGH)}
    kind, type_ = kinds[group]
    all_, one = opportunistic(EAST), opportunistic(EAST, name=f"{group}#{WEST}/32", type=type_)
    one = replace(one, there=replace(one.there, kind=kind, subnet=ip_network(f"{WEST}/32")))
    for each in (all_, one) if first else (one, all_):
        east.add(each)
        east.route(each.name)
    meet(west, WEST, EAST, 60)
    assert [pair.template.connection.name for pair in east.engine.strangers.pairs.values()] == [one.name] * accepted
    assert protected(west, east, WEST, EAST) is accepted


@pytest.mark.parametrize("first", [True, False])
def test_who_takes_it_down_says_so(first: bool, rsa_keys: Keys) -> None:
    """Both ends know by which ISAKMP SA they reach the other one."""
    network, west, east = street(rsa_keys, known(rsa_keys))
    meet(west, WEST, EAST)
    (west if first else east).down(OE)
    network.run(3)
    assert (west.pairs(), east.pairs()) == (0, 0)
    # And the next packet is a first one again.
    west.kernel.larval_timeout()
    meet(west, WEST, EAST)
    assert protected(west, east, WEST, EAST)


def test_a_gateway_is_not_tried_for_ever(rsa_keys: Keys) -> None:
    """The guide's conn says nothing of keyingtries=, which is %forever."""
    _, west, _ = street(rsa_keys, delegated(rsa_keys), clients=True, east=False, keying_tries=0)
    assert meet(west, CLIENT, SERVER, 600) == "clear"


def test_a_record_that_names_ourselves_is_no_way_out(rsa_keys: Keys) -> None:
    names = delegated(rsa_keys)
    names.records[reverse(SERVER), "TXT"] = [delegation(WEST, rsa_keys[0])]
    network, west, _ = street(rsa_keys, names, clients=True)
    assert meet(west, CLIENT, SERVER) == "clear"
    assert list(network.from_box(west)) == []


def test_a_host_with_a_name_only_can_call_and_not_be_called(rsa_keys: Keys) -> None:
    """FreeS/WAN's initiate-only form: the key stands at the caller's name, its address has no record."""
    names = known(rsa_keys)
    del names.records[reverse(WEST), "TXT"]
    text = base64.b64encode(rsa_keys[0].public.blob).decode()
    names.records["road.example.org", "KEY"] = [f"16896 4 1 {text}"]
    network = Network()
    network.names = names
    own = {"id": Identity(IdType.FQDN, b"road.example.org")}
    for here, key, ends in ((WEST, rsa_keys[0], own), (EAST, rsa_keys[1], {})):
        made = opportunistic(here)
        box = gateway(network, here, key)
        box.add(replace(made, here=replace(made.here, **ends)))
        box.route(OE)
    west, east = network.boxes[WEST], network.boxes[EAST]
    assert meet(east, EAST, WEST) == "clear"
    meet(west, WEST, EAST)
    assert protected(west, east, WEST, EAST)
    assert protected(east, west, EAST, WEST)


def test_a_host_with_nothing_but_a_key_is_its_own_gateway(rsa_keys: Keys) -> None:
    """As the guide has it for whoever accepts: a KEY record in the reverse map."""
    names = NameServer()
    for end, key in zip((WEST, EAST), rsa_keys, strict=True):
        names.records[reverse(end), "KEY"] = [f"16896 4 1 {base64.b64encode(key.public.blob).decode()}"]
    _, west, east = street(rsa_keys, names)
    meet(west, WEST, EAST)
    assert protected(west, east, WEST, EAST)


def test_both_ends_at_once_come_to_one_tunnel(rsa_keys: Keys) -> None:
    network, west, east = street(rsa_keys, known(rsa_keys))
    west.traffic(WEST, EAST)
    east.traffic(EAST, WEST)
    network.run(120)
    assert protected(west, east, WEST, EAST)
    assert protected(east, west, EAST, WEST)
    assert (west.pairs(), east.pairs()) == (1, 1)
    assert (len(west.engine.strangers.pairs), len(east.engine.strangers.pairs)) == (1, 1)
    assert network.bugs() == []


def test_a_dns_that_is_down_is_doubt_for_a_minute_only(rsa_keys: Keys) -> None:
    names = known(rsa_keys)
    names.dead = True
    network, west, east = street(rsa_keys, names)
    assert meet(west, WEST, EAST, 40) == "clear"
    names.dead = False
    network.run(SHUNTED_IN_DOUBT)
    west.kernel.larval_timeout()
    meet(west, WEST, EAST)
    assert protected(west, east, WEST, EAST)


def test_a_key_that_changes_counts_once_the_old_records_time_is_over(rsa_keys: Keys) -> None:
    network, west, east = street(rsa_keys, known(rsa_keys), key_life=600.0, ike_lifetime=600.0)
    meet(west, WEST, EAST)
    assert protected(west, east, WEST, EAST)
    network.names.records[reverse(EAST), "TXT"] = [delegation(EAST, rsa_keys[0])]
    network.run(700)
    west.kernel.larval_timeout()
    assert meet(west, WEST, EAST, 120) == "clear"
    assert west.said("was not made by the private key that belongs to the public key we have for it")


def test_a_new_key_counts_although_the_old_isakmp_sa_stands(rsa_keys: Keys) -> None:
    network, west, east = street(rsa_keys, known(rsa_keys))
    meet(west, WEST, EAST)
    network.names.records[reverse(EAST), "TXT"] = [delegation(EAST, rsa_keys[0])]
    network.run(301)
    east.down(OE)
    network.run(1)
    west.kernel.larval_timeout()
    assert meet(west, WEST, EAST, 120) == "clear"
    assert west.said("was not made by the private key that belongs to the public key we have for it")


@pytest.mark.parametrize("authentic", [True, False])
def test_authenticated_answers_can_be_demanded(authentic: bool, rsa_keys: Keys) -> None:
    names = known(rsa_keys)
    names.authentic = authentic
    _, west, east = street(rsa_keys, names, dnssec=True)
    meet(west, WEST, EAST)
    assert protected(west, east, WEST, EAST) is authentic


@pytest.mark.parametrize("first", [True, False])
def test_a_configured_tunnel_goes_before_an_opportunistic_one(first: bool, rsa_keys: Keys) -> None:
    network = Network()
    network.names = delegated(rsa_keys)
    west = network.box(WEST, secrets=Secrets(private=(RsaSecret((), rsa_keys[0]),)))
    both = [connection(WEST, EAST, auth_by=AuthBy.RSASIG), opportunistic(WEST, "10.1.0.0/24")]
    for one in both if first else reversed(both):
        west.add(one)
        west.route(one.name)
    assert west.traffic(CLIENT, SERVER) == "acquire"
    assert not west.engine.strangers.pairs
    assert west.said("asks for the tunnel")


def test_a_pair_ends_when_nothing_comes_any_more(rsa_keys: Keys) -> None:
    network, west, east = street(rsa_keys, known(rsa_keys), key_life=28800.0, ike_lifetime=28800.0)
    meet(west, WEST, EAST)
    for _ in range(4):
        assert protected(west, east, WEST, EAST)
        assert protected(east, west, EAST, WEST)
        network.run(IDLE - 50)
    assert (west.pairs(), east.pairs()) == (1, 1)
    network.run(3 * IDLE)
    assert (west.pairs(), east.pairs()) == (0, 0)
    assert (west.engine.strangers.pairs, east.engine.strangers.pairs) == ({}, {})
    west.kernel.larval_timeout()
    meet(west, WEST, EAST)
    assert protected(west, east, WEST, EAST)


def test_what_a_connection_had_goes_with_it(rsa_keys: Keys) -> None:
    _, west, _ = street(rsa_keys, known(rsa_keys))
    meet(west, WEST, EAST)
    meet(west, WEST, NOBODY)
    west.engine.delete(OE, west.network.now)
    assert (west.kernel.sas, west.kernel.policies, west.engine.strangers.pairs) == ({}, {}, {})


def test_the_trap_is_where_the_traffic_leaves(rsa_keys: Keys) -> None:
    """What a box says to the hosts behind it is nobody's affair, and neither is what they say to it."""
    network, west, _ = street(rsa_keys, known(rsa_keys), clients=True, failure_shunt=Shunt.DROP)
    assert west.kernel.traffic("10.1.0.1", CLIENT, "eth1") == "clear"
    assert west.kernel.traffic(CLIENT, "10.1.0.1", "lo") == "clear"
    host = network.box("192.0.2.9")
    assert host.kernel.deliver(west.kernel, CLIENT, "10.1.0.1") == "clear"
    assert host.kernel.deliver(west.kernel, NOBODY, CLIENT) == "refused by policy"
    assert meet(west, CLIENT, NOBODY) == "drop"


def test_the_trap_follows_the_address(rsa_keys: Keys) -> None:
    """A box that starts before it has an address, and one that comes to have another."""
    network = Network()
    network.names = known(rsa_keys)
    west = gateway(network, WEST, rsa_keys[0])
    nowhere = opportunistic(WEST, auto=Auto.ROUTE)
    nowhere = replace(nowhere, here=replace(nowhere.here, host=None, default_host=True, interface=""))
    west.add(nowhere)
    with pytest.raises(CygnetError, match="cannot route .* yet: there is no default route now"):
        west.route(OE)
    for address in (WEST, "198.51.100.77"):
        host = ip_address(address)
        west.engine.moved(Local({"eth0": (host,)}, "eth0", ip_address("192.0.2.254"), host), network.now)
        assert meet(west, address, NOBODY) == "clear"
        assert west.said_in_status(f'"{OE}": {address} -> {NOBODY} is shunted')
    assert len(west.engine.strangers.pairs) == 1
    assert west.traffic(WEST, EAST) == "clear"
    # A card of the same name that is another one: the trap is at that.
    west.kernel.index = lambda _: 77  # type: ignore[method-assign]
    west.engine.moved(Local({"eth0": (host,)}, "eth0", ip_address("192.0.2.254"), host), network.now)
    assert {policy.interface for policy in west.kernel.policies.values() if policy.templates} == {77}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(strangers, "MOST_PAIRS", 100)
    yield 100


@pytest.mark.parametrize("dead", [False, True])
def test_a_thousand_strangers_leave_a_bounded_table_and_what_stands_alone(
    dead: bool, rsa_keys: Keys, small: int
) -> None:
    """Also while no name server answers, and all of them are in doubt."""
    network, west, east = street(rsa_keys, known(rsa_keys))
    meet(west, WEST, EAST)
    network.names.dead = dead
    for number in range(1000):
        west.traffic(WEST, f"203.0.113.{number % 250}" if number < 250 else f"198.18.{number // 250}.{number % 250}")
        network.run(0.06)
        assert len(west.engine.strangers.pairs) <= small
    assert protected(west, east, WEST, EAST)
    states = {pair.state for pair in west.engine.strangers.pairs.values()}
    assert State.UP in states
    network.run(2 * SHUNTED)
    assert [pair.state for pair in west.engine.strangers.pairs.values()] in ([State.UP], [])
    assert network.bugs() == []
