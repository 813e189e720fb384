"""Our own end is elsewhere, or nowhere: what is routed is laid anew, and there is no moment without it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from cygnet.connection.connection import Connection, Shunt, Type
from cygnet.errors import CygnetError
from cygnet.kernel.policy import Direction
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule
from test_tunnel_never_clear import CONNECTIONS, FLOWS, Life, failing, names
from tunnel_scene import FLOW, Gate, child, connection, shunted

NET = connection()
TWO_LINKS = {"eth0": ("ipsec0", 1), "ppp0": ("ipsec1", 2)}


def at(conn: Connection, host: str, interface: str = "eth0", **changes: object) -> Connection:
    """The same connection with this box at another address, "" for none."""
    changes |= {"host": ip_address(host) if host else None, "interface": interface if host else ""}
    return replace(conn, here=replace(conn.here, default_host=True, **changes))  # type: ignore[arg-type]


def outer(gate: Gate) -> set[tuple[str, str]]:
    """Between which addresses the policies want the traffic to go out."""
    policies = [policy for policy in gate.kernel.policies.values() if policy.direction is Direction.OUT]
    return {(str(one.source), str(one.destination)) for policy in policies for one in policy.templates}


def test_a_trap_asks_from_the_new_address_and_a_path_takes_the_new_router() -> None:
    gate = Gate()
    gate.tunnels.route(NET)
    gate.tunnels.move(at(NET, "192.0.2.9", nexthop=ip_address("192.0.2.254")))
    assert outer(gate) == {("192.0.2.9", "192.0.2.2")}
    assert gate.kernel.paths == {ip_address("192.0.2.2"): ("eth0", ip_address("192.0.2.254"))}
    assert gate.verbs == ["prepare", "route"]
    gate.tunnels.forget(NET)
    assert gate.empty


def test_a_trap_without_an_address_of_ours_holds_packets_back() -> None:
    """At the start, too: the link is away, and what is meant for the tunnel must not go by another."""
    gate, away = Gate(), at(NET, "")
    gate.tunnels.route(away)
    assert gate.kernel.traffic(*FLOW) == "acquire"
    assert ("ipsec0", NET.there.subnet) in gate.updown.routes
    gate.tunnels.move(at(NET, "192.0.2.9"))
    assert outer(gate) == {("192.0.2.9", "192.0.2.2")}
    gate.tunnels.move(away)
    assert gate.kernel.traffic(*FLOW) == "acquire"


def test_a_host_itself_keeps_its_trap_until_its_new_address_has_one() -> None:
    gate, alone = Gate(), connection("", "10.2.0.0/24")
    gate.tunnels.route(alone)
    gate.tunnels.move(at(alone, ""))
    assert gate.kernel.traffic("192.0.2.1/32", FLOW[1]) == "acquire"
    gate.tunnels.move(at(alone, "192.0.2.9"))
    assert gate.kernel.traffic("192.0.2.9/32", FLOW[1]) == "acquire"
    with pytest.raises(CygnetError, match=r'cannot route "net" yet: there is no default route now'):
        Gate().tunnels.route(at(alone, ""))


def sources(gate: Gate) -> list[str]:
    """For what traffic of ours routes were set."""
    return [str(call.span.ours) for call in gate.updown.occasions if call.verb == "route"]


def test_the_route_of_a_host_follows_its_address() -> None:
    """It names the address, and the kernel takes it away with that."""
    gate, alone = Gate(), connection("", "10.2.0.0/24")
    gate.tunnels.route(alone)
    gate.tunnels.relay()
    gate.tunnels.move(at(alone, "192.0.2.9"))
    gate.tunnels.relay()
    assert sources(gate) == ["192.0.2.1/32", "192.0.2.1/32", "192.0.2.9/32"]
    new = at(alone, "192.0.2.10")
    gate.up(child(new, 1))
    assert sources(gate)[3:] == ["192.0.2.10/32"]
    assert "unroute" not in gate.verbs
    gate.tunnels.route(NET)
    gate.tunnels.relay()
    assert "10.1.0.0/24" not in sources(gate)[5:]


def test_another_link_with_an_ipsec_interface_of_its_own() -> None:
    gate = Gate(if_ids=TWO_LINKS)
    gate.tunnels.route(NET)
    gate.tunnels.move(at(NET, "192.0.2.9", "ppp0"))
    assert gate.updown.routes == {("ipsec1", NET.there.subnet)}
    # Inside the interface, and at its door.
    assert {policy.if_id for policy in gate.kernel.policies.values() if policy.templates} == {2, 0}
    assert gate.verbs == ["prepare", "route", "prepare", "route", "unroute"]


def test_a_tunnel_that_is_up_is_left_alone() -> None:
    """Only the router is another."""
    gate = Gate()
    gate.up(child(NET, 1))
    before = dict(gate.kernel.policies)
    gate.tunnels.move(replace(NET, here=replace(NET.here, nexthop=ip_address("192.0.2.254"))))
    gate.tunnels.relay()
    assert (gate.kernel.policies, gate.tunnels.routing("net")) == (before, "erouted")
    assert gate.kernel.paths == {ip_address("192.0.2.2"): ("eth0", ip_address("192.0.2.254"))}


@pytest.mark.parametrize(("type_", "again"), [(Type.PASSTHROUGH, ["route"]), (Type.DROP, []), (Type.REJECT, [])])
def test_a_route_beside_the_tunnels_goes_with_its_link_and_is_set_again(type_: Type, again: list[str]) -> None:
    gate = Gate()
    gate.tunnels.route(shunted(type_))
    gate.updown.calls.clear()
    before = dict(gate.kernel.policies)
    gate.tunnels.relay()
    assert gate.verbs == again
    assert (gate.kernel.policies, gate.tunnels.routing("net")) == (before, "erouted")


@pytest.mark.parametrize("shunt", [Shunt.NONE, Shunt.PASSTHROUGH, Shunt.DROP, Shunt.REJECT])
def test_what_failed_stays_what_its_failureshunt_says(shunt: Shunt) -> None:
    gate, conn = Gate(), replace(NET, failure_shunt=shunt)
    gate.tunnels.route(conn)
    gate.tunnels.failed(conn)
    before = dict(gate.kernel.policies), gate.tunnels.routing("net")
    gate.tunnels.relay()
    assert (gate.kernel.policies, gate.tunnels.routing("net")) == before


class Moving(Life):
    """The life of tunnels on a box with two links, whose addresses and routers change."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate(if_ids=TWO_LINKS)

    @rule(
        name=names, last=st.integers(8, 10), link=st.sampled_from(list(TWO_LINKS)), away=st.booleans(), trouble=failing
    )
    def move(self, name: str, last: int, link: str, away: bool, trouble: str) -> None:
        """What is up is ended before, as the engine does."""
        for one in self.children_of(name):
            self.gate.tunnels.remove(one)
            (self.receiving if one in self.receiving else self.sending).remove(one)
        moved = at(CONNECTIONS[name], "" if away else f"192.0.2.{last}", link)
        self.attempt(trouble, lambda: self.gate.tunnels.move(moved))

    @rule(trouble=failing)
    def relay(self, trouble: str) -> None:
        self.attempt(trouble, self.gate.tunnels.relay)

    @invariant()
    def nothing_routed_goes_in_the_clear(self) -> None:
        for name in self.routed - self.failed:
            network, protocol, port = FLOWS[name]
            source = replace(FLOW_SOURCE, protocol=protocol, port=4000 if port else 0)
            destination = replace(source, network=ip_network(network), port=port)
            assert self.gate.kernel.traffic(source, destination) != "clear"
            nets = [net for _, net in self.gate.updown.routes]
            assert ip_network(network).supernet(8) in nets


FLOW_SOURCE = NET.here.selector
Moving.TestCase.settings = settings(max_examples=120, stateful_step_count=30, deadline=None)
TestMoving = Moving.TestCase
