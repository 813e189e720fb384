"""The scenarios of FreeS/WAN's own tests of opportunistic encryption, told anew; each case has the name of its folder."""

from __future__ import annotations

import base64
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from cygnet.connection.connection import AuthBy, Connection, HostKind, Shunt, Type
from cygnet.connection.identity import Identity, IdType
from cygnet.connection.local import Local
from cygnet.connection.secret import Secrets
from cygnet.kernel.policy import Direction
from name_server import NameServer
from simulation import EAST, WEST, Box, Network, connection
from strangers_scene import (
    CLIENT,
    NOBODY,
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

# Behind east like the server, and without a record.
PLAIN = "10.2.0.7"
WEST_NET, EAST_NET, ALL = "10.1.0.0/24", "10.2.0.0/24", "0.0.0.0/0"
ROAD = "road.example.org"
BUILT_IN = {
    "clear": (HostKind.ADDRESS, Type.PASSTHROUGH, Shunt.NONE),
    "block": (HostKind.ADDRESS, Type.REJECT, Shunt.NONE),
    "clear-or-private": (HostKind.OPPORTUNISTIC, Type.PASSTHROUGH, Shunt.PASSTHROUGH),
    "private-or-clear": (HostKind.OPPORTUNISTIC, Type.TUNNEL, Shunt.PASSTHROUGH),
    "private": (HostKind.OPPORTUNISTIC, Type.TUNNEL, Shunt.DROP),
}


def group(name: str, here: str, cidr: str = ALL, subnet: str | None = None) -> Connection:
    """A line of a policy group's file."""
    kind, type_, shunt = BUILT_IN[name]
    made = opportunistic(here, subnet, name=f"{name}#{cidr}", type=type_, failure_shunt=shunt)
    return replace(made, there=replace(made.there, kind=kind, subnet=ip_network(cidr)))


def put(box: Box, *connections: Connection) -> None:
    """Load and route."""
    for one in connections:
        box.add(one)
        box.route(one.name)


def drop(box: Box, *connections: Connection) -> None:
    for one in connections:
        box.engine.delete(one.name, box.network.now)


def scene(keys: Keys, names: NameServer) -> tuple[Network, Box, Box]:
    """Two gateways that have loaded nothing yet."""
    network = Network()
    network.names = names
    return network, gateway(network, WEST, keys[0]), gateway(network, EAST, keys[1])


def fate(here: Box, there: Box, source: str, destination: str) -> object:
    """What becomes of a packet by now."""
    return "protected" if protected(here, there, source, destination) else here.traffic(source, destination)


@pytest.mark.parametrize(
    ("caller", "called", "server", "plain"),
    [
        # What becomes of packets to and from each host in the end; who is only answered calls by its answer.
        pytest.param("clear", "clear", ("clear", "clear"), ("clear", "clear"), id="food-groups-clear-01"),
        pytest.param("clear", "private-or-clear", ("clear", "clear"), ("clear", "clear"), id="food-groups-clear-02"),
        pytest.param("clear-or-private", "clear", ("clear", "clear"), ("clear", "clear"), id="food-groups-clear-or-oe-01"),
        pytest.param(
            "clear-or-private", "private-or-clear", ("protected", "protected"), ("clear", "clear"),
            id="food-groups-clear-or-oe-02, food-groups-oe-or-clear-02",
        ),
        pytest.param("block", "clear", ("reject", "clear"), ("reject", "clear"), id="food-groups-never-01"),
        pytest.param("block", "private-or-clear", ("reject", "clear"), ("reject", "clear"), id="food-groups-never-02"),
        pytest.param(
            "private-or-clear", "clear-or-private", ("protected", "protected"), ("clear", "clear"),
            id="food-groups-oe-or-clear-01",
        ),
        pytest.param(
            "private", "clear-or-private", ("protected", "protected"), ("drop", "clear"), id="food-groups-oe-or-die-01"
        ),
        pytest.param("private", "clear", ("drop", "clear"), ("drop", "clear"), id="food-groups-oe-or-die-02"),
    ],
)  # fmt: skip
def test_what_two_groups_make_of_each_other(
    caller: str, called: str, server: tuple[str, str], plain: tuple[str, str], rsa_keys: Keys
) -> None:
    network, west, east = scene(rsa_keys, delegated(rsa_keys))
    put(west, group(caller, WEST))
    put(east, group(called, EAST, subnet=EAST_NET))
    # What is blocked has a route that leads nowhere else.
    west.exit = "ipsec0" if caller == "block" else west.exit
    for host, outcome in ((SERVER, server), (PLAIN, plain)):
        west.traffic(WEST, host)
        network.run(60)
        east.traffic(host, WEST)
        network.run(120)
        assert (fate(west, east, WEST, host), fate(east, west, host, WEST)) == outcome
    assert bool(network.wire) is bool({caller, called} & {"private-or-clear", "private"})
    assert network.bugs() == []


def test_all_groups_side_by_side(rsa_keys: Keys) -> None:
    """oe-basic-01: each of the five has its networks, packetdefault the rest."""
    network, west, east = scene(rsa_keys, delegated(rsa_keys))
    network.names.records[reverse("10.2.0.6"), "TXT"] = [delegation(EAST, rsa_keys[1])]
    fates = {"clear": "clear", "block": "drop", "clear-or-private": "clear", "private": "drop"}
    hosts = {name: f"198.51.100.{16 * number + 1}" for number, name in enumerate(fates)}
    put(west, *(group(name, WEST, f"{host}/32", WEST_NET) for name, host in hosts.items()))
    put(west, group("private", WEST, f"{SERVER}/32", WEST_NET), group("private-or-clear", WEST, ALL, WEST_NET))
    put(east, group("clear-or-private", EAST, ALL, EAST_NET))
    assert {name: meet(west, CLIENT, host) for name, host in hosts.items()} == fates
    assert meet(west, CLIENT, NOBODY) == "clear"
    for host in (SERVER, "10.2.0.6"):
        meet(west, CLIENT, host)
        assert protected(west, east, CLIENT, host)


def test_a_group_that_is_looked_at_twice_before_it_is_routed_keeps_its_network(rsa_keys: Keys) -> None:
    """food-groups-bug-01."""
    network, west, _ = scene(rsa_keys, delegated(rsa_keys))
    one = group("clear", WEST, f"{EAST}/32")
    west.add(one)
    for _ in range(2):
        west.engine.moved(Local({"eth0": (ip_address(WEST),)}, "eth0", None, ip_address(WEST)), network.now)
    west.route(one.name)
    out = [one.destination for one in west.kernel.policies.values() if one.direction is Direction.OUT]
    assert [str(one) for one in out] == [f"{EAST}/32"]


def test_networks_change_their_groups_while_they_are_in_use(rsa_keys: Keys) -> None:
    """food-groups-orderly-transition-01: what was private is private-or-clear now, and the other way round."""
    _, west, east = scene(rsa_keys, delegated(rsa_keys))
    put(east, group("clear-or-private", EAST, subnet=EAST_NET))
    before = [group("private", WEST, f"{SERVER}/32"), group("private-or-clear", WEST, f"{PLAIN}/32")]
    after = [group("private-or-clear", WEST, f"{SERVER}/32"), group("private", WEST, f"{PLAIN}/32")]
    put(west, *before)
    assert meet(west, WEST, PLAIN) == "clear"
    meet(west, WEST, SERVER)
    assert protected(west, east, WEST, SERVER)
    drop(west, *before)
    assert (west.kernel.policies, west.kernel.sas) == ({}, {})
    put(west, *after)
    west.kernel.larval_timeout()
    assert meet(west, WEST, PLAIN) == "drop"
    meet(west, WEST, SERVER)
    assert protected(west, east, WEST, SERVER)
    assert protected(east, west, SERVER, WEST)


def record(key: bytes) -> str:
    return f"16896 4 1 {base64.b64encode(key).decode()}"


def damaged(text: str) -> str:
    """A letter of the key is missing."""
    return text[:60] + text[61:]


@pytest.mark.parametrize(
    ("types", "name", "broken", "known_to"),
    [
        pytest.param("KEY TXT", ROAD, False, True, id="oe-road-01, myid-road-01"),
        pytest.param("TXT", ROAD, False, True, id="oe-road-02, myid-road-02"),
        pytest.param("TXT", ROAD, True, False, id="oe-road-03"),
        pytest.param("KEY", ROAD, False, True, id="oe-road-04, myid-road-03"),
        pytest.param("TXT", f"{ROAD}.", False, True, id="myid-road-05, myid-road-06"),
    ],
)
def test_a_road_warrior_that_has_a_name_only(
    types: str, name: str, broken: bool, known_to: bool, rsa_keys: Keys
) -> None:
    """It calls hosts behind a gateway; whoever has no key is talked to in the clear, and nobody can call it."""
    names = delegated(rsa_keys)
    del names.records[reverse(WEST), "TXT"]
    made = {"KEY": record(rsa_keys[0].public.blob), "TXT": delegation(f"@{name}", rsa_keys[0])}
    for kind in types.split():
        names.records[ROAD, kind] = [damaged(made[kind]) if broken else made[kind]]
    network, road, east = scene(rsa_keys, names)
    own = group("private-or-clear", WEST)
    put(road, replace(own, here=replace(own.here, id=Identity(IdType.FQDN, ROAD.encode()))))
    put(east, group("private-or-clear", EAST, subnet=EAST_NET))
    assert meet(east, SERVER, WEST) == "clear"
    assert meet(road, WEST, "1.2.3.4") == "clear"
    meet(road, WEST, SERVER, 120)
    assert fate(road, east, WEST, SERVER) == ("protected" if known_to else "clear")
    assert network.bugs() == []


def test_a_road_warrior_with_a_record_in_the_reverse_map_can_be_called(rsa_keys: Keys) -> None:
    """myid-road-04."""
    _, road, east = scene(rsa_keys, delegated(rsa_keys))
    put(road, group("private-or-clear", WEST))
    put(east, group("private-or-clear", EAST, subnet=EAST_NET))
    meet(east, SERVER, WEST)
    assert protected(east, road, SERVER, WEST)
    assert protected(road, east, WEST, SERVER)


def test_without_a_private_key_nothing_is_begun(rsa_keys: Keys) -> None:
    """oe-fail-without-private-key-01."""
    network, _, _ = scene(rsa_keys, delegated(rsa_keys))
    west = network.box(WEST, secrets=Secrets())
    west.exit = "eth0"
    put(west, group("private", WEST))
    assert meet(west, WEST, SERVER) == "drop"
    assert list(network.from_box(west)) == []
    assert west.said_in_status(f'"private#{ALL}": {WEST} -> {SERVER} is shunted %drop: ')


def test_a_gateway_speaks_only_for_its_hosts_that_name_it(rsa_keys: Keys) -> None:
    """oe-fail-without-resp-client-txt-01: the caller has been told of a record that the gateway called does not find."""
    told = delegated(rsa_keys)
    told.records[reverse(PLAIN), "TXT"] = [delegation(EAST, rsa_keys[1])]
    network = Network()
    network.names = told
    west = gateway(network, WEST, rsa_keys[0])
    network.names = delegated(rsa_keys)
    east = gateway(network, EAST, rsa_keys[1])
    put(west, group("private-or-clear", WEST))
    put(east, group("private-or-clear", EAST, subnet=EAST_NET))
    meet(west, WEST, SERVER)
    assert protected(west, east, WEST, SERVER)
    assert meet(west, WEST, PLAIN, 120) == "clear"
    assert east.said(f"asks for the traffic of {PLAIN}, and the DNS does not say that {EAST} may")


def test_a_masquerading_gateway_calls_for_itself(rsa_keys: Keys) -> None:
    """oe-snat-01: what leaves is from the gateway, whoever behind it has sent it."""
    _, west, east = scene(rsa_keys, known(rsa_keys))
    put(west, group("private-or-clear", WEST))
    put(east, group("private-or-clear", EAST))
    meet(west, WEST, EAST)
    assert protected(west, east, WEST, EAST)
    assert [str(pair) for pair in west.engine.strangers.pairs.values()] == [f"{WEST} -> {EAST}"]


def test_a_host_that_calls_for_itself_from_behind_a_gateway_that_calls_for_it(rsa_keys: Keys) -> None:
    """co-terminal-01: the host that is called has two tunnels for one pair of hosts. The newest counts, then the other."""
    names = delegated(rsa_keys)
    names.records[ROAD, "KEY"] = [record(rsa_keys[1].public.blob)]
    network, west, east = scene(rsa_keys, names)
    road = gateway(network, CLIENT, rsa_keys[1])
    own = group("private-or-clear", CLIENT)
    put(road, replace(own, here=replace(own.here, id=Identity(IdType.FQDN, ROAD.encode()))))
    put(west, group("private-or-clear", WEST, subnet=WEST_NET))
    put(east, group("private-or-clear", EAST))
    meet(west, CLIENT, EAST)
    assert protected(west, east, CLIENT, EAST)
    meet(road, CLIENT, EAST)
    assert protected(road, east, CLIENT, EAST)
    assert protected(east, road, EAST, CLIENT)
    assert east.pairs() == 2
    road.down(own.name)
    network.run(3)
    assert protected(west, east, CLIENT, EAST)
    assert protected(east, west, EAST, CLIENT)
    assert network.bugs() == []


@pytest.mark.parametrize(
    "order",
    [
        pytest.param(("route tunnel", "strangers", "up"), id="co-terminal-02"),
        pytest.param(("strangers", "route tunnel", "up"), id="co-terminal-03"),
        pytest.param(("clear", "no more", "strangers", "up"), id="co-terminal-04"),
    ],
)
def test_a_tunnel_for_everything_goes_before_strangers(order: tuple[str, ...], rsa_keys: Keys) -> None:
    """The host has all its traffic by a gateway far away, and a trap for strangers of the very same size."""
    network, west, east = scene(rsa_keys, delegated(rsa_keys))
    west.exit = "ipsec0"
    theirs = {EAST: {"subnet": ip_network(ALL), "public_keys": (rsa_keys[1].public.blob,)}}
    mine = {EAST: {"subnet": ip_network(ALL)}, WEST: {"public_keys": (rsa_keys[0].public.blob,)}}
    tunnel = connection(WEST, EAST, None, theirs, auth_by=AuthBy.RSASIG)
    east.add(connection(EAST, WEST, None, mine, auth_by=AuthBy.RSASIG))
    west.add(tunnel)
    steps = {
        "route tunnel": lambda: west.route(tunnel.name),
        "strangers": lambda: put(west, group("private-or-clear", WEST)),
        "clear": lambda: put(west, group("clear", WEST)),
        "no more": lambda: drop(west, group("clear", WEST)),
        "up": west.up,
    }
    for step in order:
        steps[step]()
    network.run(5)
    assert protected(west, east, WEST, NOBODY)
    assert meet(west, WEST, SERVER) != "clear"
    assert protected(west, east, WEST, SERVER)
    assert not west.engine.strangers.pairs


def test_gateways_that_name_each_other_are_no_way(rsa_keys: Keys) -> None:
    """A loop of delegations without keys: each says that the other has them."""
    names = delegated(rsa_keys)
    names.records[reverse(SERVER), "TXT"] = [f'"X-IPsec-Server(10)={EAST}"']
    names.records[reverse(EAST), "TXT"] = [f'"X-IPsec-Server(10)={WEST}"']
    network, west, _ = street(rsa_keys, names, clients=True)
    assert meet(west, CLIENT, SERVER, 300) == "clear"
    assert len(network.names.asked) < 20
    assert network.bugs() == []
