"""Whatever happens, in whatever order: a routed connection sends nothing in the clear and takes nothing in the clear."""

from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_address, ip_network

from cygnet.connection.connection import Connection, Shunt
from cygnet.connection.selector import Selector
from cygnet.errors import CygnetError
from cygnet.tunnel.child import ChildSa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tunnel_scene import Gate, child, connection

NET = connection()
# The same traffic by another peer; a part of it; another net, which goes in the clear when negotiation fails.
TWIN = replace(
    connection(name="twin", failure_shunt=Shunt.DROP), there=replace(NET.there, host=ip_address("192.0.2.3"))
)
WEB = replace(NET, name="web", here=replace(NET.here, protocol=6), there=replace(NET.there, protocol=6, port=80))
OPEN = connection(east="10.3.0.0/24", name="open", failure_shunt=Shunt.PASSTHROUGH)
CONNECTIONS = {conn.name: conn for conn in (NET, TWIN, WEB, OPEN)}
FLOWS = {
    "net": ("10.2.0.7/32", 0, 0),
    "twin": ("10.2.0.7/32", 0, 0),
    "web": ("10.2.0.7/32", 6, 80),
    "open": ("10.3.0.7/32", 0, 0),
}
names = st.sampled_from(sorted(CONNECTIONS))
failing = st.sampled_from(
    ["", "", "", "add_sa", "put_policy", "delete_sa", "prepare", "route", "up", "down", "add_path"]
)


class Life(RuleBasedStateMachine):
    """``routed``: what must be held back now; ``failed``: what may go in the clear by its failureshunt."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate()
        self.routed: set[str] = set()
        self.failed: set[str] = set()
        self.receiving: list[ChildSa] = []
        self.sending: list[ChildSa] = []
        self.serial = 0

    def attempt(self, trouble: str, step) -> bool:  # type: ignore[no-untyped-def]
        """Whether a step, which something may be in the way of, was done."""
        kernel = trouble.startswith(("add_", "put_", "delete_"))
        if trouble:
            (self.gate.kernel if kernel else self.gate.updown).fail(trouble)
        done = False
        with suppress(CygnetError):
            step()
            done = True
        self.gate.kernel._failures.clear()
        self.gate.updown._failures.clear()
        return done

    def children_of(self, name: str) -> list[ChildSa]:
        return [one for one in self.receiving + self.sending if one.connection.name == name]

    @rule(name=names, trouble=failing)
    def route(self, name: str, trouble: str) -> None:
        if self.attempt(trouble, lambda: self.gate.tunnels.route(CONNECTIONS[name])):
            self.routed.add(name)
            self.failed.discard(name)

    @rule(name=names)
    def unroute(self, name: str) -> None:
        if self.attempt("", lambda: self.gate.tunnels.unroute(CONNECTIONS[name])):
            assert not self.children_of(name)
            self.routed.discard(name)
            self.failed.discard(name)

    @rule(name=names, trouble=failing, compress=st.booleans())
    def inbound(self, name: str, trouble: str, compress: bool) -> None:
        self.serial += 1
        one = child(CONNECTIONS[name], self.serial, compress=compress)
        if self.attempt(trouble, lambda: self.gate.tunnels.inbound(one)):
            self.receiving.append(one)

    @precondition(lambda self: self.receiving)
    @rule(data=st.data(), trouble=failing)
    def outbound(self, data: st.DataObject, trouble: str) -> None:
        one = data.draw(st.sampled_from(self.receiving))
        if self.attempt(trouble, lambda: self.gate.tunnels.outbound(one)):
            self.receiving.remove(one)
            self.sending.append(one)
            self.routed.add(one.connection.name)
            self.failed.discard(one.connection.name)

    @precondition(lambda self: self.receiving or self.sending)
    @rule(data=st.data(), trouble=st.sampled_from(["", "down"]))
    def remove(self, data: st.DataObject, trouble: str) -> None:
        one = data.draw(st.sampled_from(self.receiving + self.sending))
        self.attempt(trouble, lambda: self.gate.tunnels.remove(one))
        (self.receiving if one in self.receiving else self.sending).remove(one)

    @precondition(lambda self: self.receiving or self.sending)
    @rule(data=st.data(), last=st.integers(10, 13))
    def rehome(self, data: st.DataObject, last: int) -> None:
        one = data.draw(st.sampled_from(self.receiving + self.sending))
        remote = ip_address(f"203.0.113.{last}")
        place = self.receiving if one in self.receiving else self.sending
        self.attempt("", lambda: place.append(self.gate.tunnels.rehome(one, remote, 4500)) or place.remove(one))

    @rule(name=names, trouble=st.sampled_from(["", "put_policy"]))
    def fail(self, name: str, trouble: str) -> None:
        conn = CONNECTIONS[name]
        trapped = self.gate.tunnels.routing(name) == "prospective erouted" and not self.children_of(name)
        if self.attempt(trouble, lambda: self.gate.tunnels.failed(conn)) and trapped:
            self.failed |= {name} if conn.failure_shunt is Shunt.PASSTHROUGH else set()

    @rule(name=names)
    def forget(self, name: str) -> None:
        self.gate.tunnels.forget(CONNECTIONS[name])
        self.receiving = [one for one in self.receiving if one.connection.name != name]
        self.sending = [one for one in self.sending if one.connection.name != name]
        self.routed.discard(name)
        self.failed.discard(name)

    @invariant()
    def nothing_routed_goes_in_the_clear(self) -> None:
        for name in self.routed - self.failed:
            network, protocol, port = FLOWS[name]
            source = Selector(ip_network("10.1.0.5/32"), protocol, 4000 if port else 0)
            for way in ("ipsec0", "eth0"):
                flow = (source, Selector(ip_network(network), protocol, port))
                assert self.gate.kernel.traffic(*flow, way) != "clear"
            assert ("ipsec0", ip_network(network).supernet(8)) in self.gate.updown.routes

    @invariant()
    def nothing_routed_comes_in_the_clear(self) -> None:
        for name in self.routed - self.failed:
            network, protocol, port = FLOWS[name]
            there = Selector(ip_network(network), protocol, port)
            here = Selector(ip_network("10.1.0.5/32"), protocol, 4000 if port else 0)
            assert Gate().kernel.deliver(self.gate.kernel, there, here) == "refused by policy"

    @invariant()
    def what_is_up_sends_by_a_living_sa(self) -> None:
        for one in self.sending:
            name = one.connection.name
            assert self.gate.tunnels.routing(name) == "erouted"
            assert self.gate.tunnels.counters(one) is not None

    def teardown(self) -> None:
        for conn in CONNECTIONS.values():
            self.gate.tunnels.forget(conn)
        assert self.gate.empty


Life.TestCase.settings = settings(max_examples=120, stateful_step_count=30, deadline=None)
TestLife = Life.TestCase


def test_the_table_of_flows_fits_the_connections() -> None:
    conn: Connection
    for conn in CONNECTIONS.values():
        network, protocol, port = FLOWS[conn.name]
        selector = conn.there.selector
        assert selector is not None
        assert selector.holds(Selector(ip_network(network), protocol, port))
