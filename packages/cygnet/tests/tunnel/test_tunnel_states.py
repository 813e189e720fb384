"""A connection's way through FreeS/WAN's routing states, as the kernel and the script see it."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from cygnet.connection.connection import Connection, Shunt, Type
from cygnet.connection.proposal import ChildProposal
from cygnet.connection.selector import Selector
from cygnet.errors import CygnetError
from cygnet.kernel.interface import Acquire, KernelError
from cygnet.kernel.policy import Direction
from cygnet.tunnel.policies import fates
from cygnet.tunnel.tunnels import Tunnels
from cygnet.updown.call import UpdownError
from tunnel_scene import BACK, FLOW, Gate, anyone, child, connection, host_to_host, seen_from_east, shunted

NET = connection()


def test_route_lays_a_trap_and_the_packet_names_its_connection() -> None:
    gate = Gate()
    gate.tunnels.add(NET)
    assert gate.tunnels.routing("net") == "unrouted"
    gate.tunnels.route(NET)
    gate.tunnels.route(NET)
    assert gate.tunnels.routing("net") == "prospective erouted"
    assert gate.verbs == ["prepare", "route"]
    assert gate.kernel.traffic(*FLOW) == "acquire"
    (event,) = gate.kernel.events()
    assert isinstance(event, Acquire)
    assert gate.tunnels.owner(event.reqid) == "net"
    assert gate.tunnels.owner(event.reqid + 1) is None


def test_two_gateways_carry_traffic_both_ways_and_nothing_in_the_clear() -> None:
    west, east = Gate(), Gate()
    there = seen_from_east(NET)
    west.up(child(NET, 1))
    east.up(child(there, 1, east=True))
    assert west.kernel.deliver(east.kernel, *FLOW) == "delivered"
    assert east.kernel.deliver(west.kernel, *BACK) == "delivered"
    assert Gate().kernel.deliver(east.kernel, *FLOW) == "refused by policy"
    counters = west.tunnels.counters(child(NET, 1))
    assert counters is not None
    assert counters.packets == 1
    assert west.verbs == ["prepare", "route", "up"]
    assert west.tunnels.routing("net") == "erouted"


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("suite", ["cbc", "gcm", "chacha", "ah", "cbc in ah", "gcm in ah", "ctr in ah"])
@pytest.mark.parametrize("kind", ["tunnel", "transport", "six in four", "four in six"])
def test_every_shape_of_bundle_arrives(suite: str, kind: str, compress: bool) -> None:
    conn, flow = connection(), FLOW
    match kind:
        case "transport":
            conn, flow = host_to_host(type=Type.TRANSPORT), ("192.0.2.1/32", "192.0.2.2/32")
        case "six in four":
            conn = connection("2001:db8:1::/64", "2001:db8:2::/64")
            flow = ("2001:db8:1::5/128", "2001:db8:2::7/128")
        case "four in six":
            ends = (
                replace(conn.here, host=ip_address("2001:db8::1")),
                replace(conn.there, host=ip_address("2001:db8::2")),
            )
            conn = replace(conn, here=ends[0], there=ends[1])
    west, east = Gate(), Gate()
    west.up(child(conn, 1, suite, compress))
    east.up(child(seen_from_east(conn), 1, suite, compress, east=True))
    assert west.kernel.deliver(east.kernel, *flow) == "delivered"
    assert east.kernel.deliver(west.kernel, *flow[::-1]) == "delivered"
    west.tunnels.forget(conn)
    assert west.empty


def test_ah_is_around_esp_and_the_inmost_has_the_mode() -> None:
    gate, bundled = Gate(), replace(NET, child=(ChildProposal("aes", 128, "sha2_256", ah="sha1"),))
    layers = [("esp", "tunnel"), ("ah", "transport")]
    gate.tunnels.route(bundled)
    assert {tuple((t.protocol, t.mode) for t in p.templates) for p in gate.kernel.policies.values()} == {(), (*layers,)}
    gate.up(child(bundled, 1, "cbc in ah"))
    found = [(sa.key.protocol, sa.mode, sa.outbound) for sa in gate.kernel.sas.values()]
    assert found == [(*layer, outbound) for outbound in (False, True) for layer in layers]
    key = gate.kernel.traffic(*FLOW)
    assert not isinstance(key, str)
    assert key.protocol == "ah"
    gate.tunnels.hush(child(bundled, 1, "cbc in ah"))
    assert [sa.outbound for sa in gate.kernel.sas.values()] == [False, False]
    assert gate.kernel.traffic(*FLOW) == "acquire"


def test_esp_without_integrity_is_never_installed_but_within_ah() -> None:
    gate = Gate()
    with pytest.raises(KernelError, match='#1 of "net" would be encryption without integrity'):
        gate.tunnels.inbound(child(NET, 1, "ctr"))
    assert gate.kernel.sas == {}
    gate.up(child(NET, 2, "ctr in ah"))
    assert len(gate.kernel.sas) == 4


def test_a_small_packet_that_was_not_compressed_arrives_too() -> None:
    """IPComp lets it be: then it comes as IP in ESP, and the policy takes the compression as optional."""
    gate = Gate()
    gate.up(child(NET, 1, compress=True))
    inbound = [policy for policy in gate.kernel.policies.values() if policy.direction is Direction.IN and policy.if_id]
    assert [[(t.protocol, t.mode, t.optional) for t in policy.templates] for policy in inbound] == [
        [("comp", "tunnel", True), ("esp", "transport", False)]
    ]


def test_rekeying_adds_and_removes_sas_and_leaves_everything_else_alone() -> None:
    gate = Gate()
    old, new = child(NET, 1), child(NET, 2)
    gate.up(old)
    gate.kernel.calls.clear()
    gate.updown.calls.clear()
    gate.tunnels.inbound(new)
    assert gate.kernel.traffic(*FLOW) == next(key for key in gate.kernel.sas if key.spi == 0x1001)
    gate.tunnels.outbound(new)
    assert gate.kernel.traffic(*FLOW) == next(key for key in gate.kernel.sas if key.spi == 0x2001)
    gate.tunnels.remove(old)
    assert gate.kernel.traffic(*FLOW) == next(key for key in gate.kernel.sas if key.spi == 0x2001)
    assert set(gate.kernel.calls) == {"add_sa", "delete_sa"}
    assert gate.verbs == []


def test_after_down_the_route_and_the_trap_stay() -> None:
    gate = Gate()
    one = child(NET, 1)
    gate.up(one)
    gate.tunnels.remove(one)
    gate.tunnels.remove(one)
    assert gate.verbs == ["prepare", "route", "up", "down"]
    assert gate.kernel.traffic(*FLOW) == "acquire"
    assert gate.kernel.sas == {}
    assert gate.updown.routes == {("ipsec0", ip_network("10.2.0.0/24"))}
    gate.tunnels.unroute(NET)
    assert gate.empty
    assert gate.tunnels.routing("net") == "unrouted"


def test_unroute_is_refused_while_the_tunnel_is_up() -> None:
    gate = Gate()
    gate.up(child(NET, 1))
    with pytest.raises(KernelError, match='cannot unroute "net" while it is up'):
        gate.tunnels.unroute(NET)
    gate.tunnels.unroute(connection(name="other"))


def test_forget_leaves_nothing_of_a_connection_and_its_instances() -> None:
    gate, road = Gate(), anyone()
    gate.tunnels.add(road)
    gate.tunnels.route(NET)
    nets = [Selector(ip_network(net)) for net in ("10.3.0.0/24", "10.4.0.0/24")]
    gate.up(child(NET, 1), *(child(road, 2 + i, instance=f"198.51.100.{i}", theirs=net) for i, net in enumerate(nets)))
    gate.tunnels.forget(road)
    gate.tunnels.forget(NET)
    assert gate.empty
    assert gate.log == []


def test_anyone_cannot_be_routed_but_each_who_calls_gets_its_own_and_leaves_nothing() -> None:
    gate, road = Gate(), anyone()
    with pytest.raises(KernelError, match='cannot route "road"'):
        gate.tunnels.route(road)
    nets = (Selector(ip_network("10.2.0.0/25")), Selector(ip_network("10.2.0.128/25")))
    children = [
        child(road, 1, instance="a", theirs=nets[0]),
        child(road, 2, instance="b", theirs=nets[1], remote=ip_address("198.51.100.8")),
    ]
    gate.up(*children)
    assert gate.tunnels.routing("road") == "erouted"
    assert len({sa.reqid for sa in gate.kernel.sas.values()}) == 2
    for each in children:
        gate.tunnels.remove(each)
    assert gate.empty
    assert gate.verbs[-4:] == ["down", "unroute", "down", "unroute"]


def test_two_connections_to_the_same_net_share_a_route_and_the_last_takes_it_away() -> None:
    gate, other = Gate(), connection("10.9.0.0/24", name="other")
    gate.tunnels.route(NET)
    gate.tunnels.route(other)
    gate.tunnels.forget(NET)
    assert gate.updown.routes == {("ipsec0", ip_network("10.2.0.0/24"))}
    gate.tunnels.forget(other)
    assert gate.empty


def test_two_connections_of_the_same_traffic_with_one_peer_replace_each_other_and_give_it_back() -> None:
    gate, twin = Gate(), connection(name="twin")
    gate.up(child(NET, 1))
    first = gate.kernel.traffic(*FLOW)
    gate.up(child(twin, 2))
    second = gate.kernel.traffic(*FLOW)
    assert second != first
    gate.tunnels.forget(twin)
    assert gate.kernel.traffic(*FLOW) == first
    assert gate.kernel.paths.keys() == {ip_address("192.0.2.2")}


RIVAL = replace(connection(name="rival", where="ipsec.conf:9"), there=replace(NET.there, host=ip_address("192.0.2.3")))


def test_the_same_traffic_with_another_peer_waits_until_the_first_is_down() -> None:
    """Routed they may both be; who is up keeps it, both ways, and the other is refused with the places of both."""
    gate, first = Gate(), replace(NET, where="ipsec.conf:4")
    gate.tunnels.route(first)
    gate.up(one := child(first, 1))
    gate.tunnels.route(shunted(Type.DROP, west="10.9.0.0/24", name="other"))
    sentence = r'cannot route "rival" \(ipsec.conf:9\): "net" \(ipsec.conf:4\) has the same traffic'
    for step in (lambda: gate.tunnels.route(RIVAL), lambda: gate.tunnels.inbound(child(RIVAL, 2))):
        with pytest.raises(KernelError, match=sentence):
            step()
    assert gate.kernel.traffic(*FLOW) in gate.kernel.sas
    gate.tunnels.remove(one)
    gate.tunnels.route(RIVAL)
    assert gate.kernel.traffic(*FLOW) == "acquire"
    gate.up(two := child(RIVAL, 2))
    assert gate.kernel.traffic(*FLOW) in gate.kernel.sas
    with pytest.raises(KernelError, match="has the same traffic"):
        gate.tunnels.inbound(child(first, 3))
    gate.tunnels.remove(two)
    gate.up(child(first, 4))
    assert gate.kernel.traffic(*FLOW) in gate.kernel.sas


def test_who_waits_takes_nothing_from_who_is_up() -> None:
    """Whichever was routed last: a trap for the same traffic neither holds what goes nor refuses what comes."""
    west, east = Gate(), Gate()
    west.tunnels.route(RIVAL)
    west.up(child(NET, 1))
    west.tunnels.route(connection(name="twin"))
    east.up(child(seen_from_east(NET), 1, east=True))
    assert west.kernel.deliver(east.kernel, *FLOW) == "delivered"
    assert east.kernel.deliver(west.kernel, *BACK) == "delivered"


def test_one_network_has_one_route() -> None:
    """A passthrough of the very network of a tunnel would lead the tunnel's packets out in the clear."""
    gate, web = Gate(), shunted(Type.PASSTHROUGH, name="web")
    web = replace(web, here=replace(web.here, protocol=6), there=replace(web.there, protocol=6, port=80))
    gate.tunnels.route(NET)
    with pytest.raises(KernelError, match='cannot route "web"'):
        gate.tunnels.route(web)
    assert gate.updown.routes == {("ipsec0", ip_network("10.2.0.0/24"))}
    transport = replace(host_to_host(type=Type.TRANSPORT, name="transport"))
    gate.tunnels.route(host_to_host(name="hosts"))
    gate.tunnels.route(transport)


FAILURES = [
    (Shunt.NONE, "acquire", "prospective erouted", True),
    (Shunt.PASSTHROUGH, "clear", "fail erouted", False),
    (Shunt.DROP, "drop", "fail erouted", True),
    (Shunt.REJECT, "reject", "fail erouted", True),
]


@pytest.mark.parametrize(("shunt", "verdict", "routing", "route"), FAILURES)
def test_failureshunt_says_what_becomes_of_packets_and_success_ends_it(
    shunt: Shunt, verdict: str, routing: str, route: bool
) -> None:
    gate, conn = Gate(), replace(NET, failure_shunt=shunt)
    gate.tunnels.failed(conn)
    assert gate.kernel.traffic(*FLOW) == "clear"
    gate.tunnels.route(conn)
    gate.tunnels.failed(conn)
    assert (gate.kernel.traffic(*FLOW), gate.tunnels.routing("net"), bool(gate.updown.routes)) == (
        verdict,
        routing,
        route,
    )
    one = child(conn, 1)
    gate.up(one)
    assert gate.kernel.traffic(*FLOW) in gate.kernel.sas
    assert gate.updown.routes
    gate.tunnels.remove(one)
    assert gate.kernel.traffic(*FLOW) == "acquire"
    gate.tunnels.forget(conn)
    assert gate.empty


def test_a_shunted_failure_stays_when_another_attempt_breaks_off() -> None:
    gate, conn = Gate(), replace(NET, failure_shunt=Shunt.PASSTHROUGH)
    gate.tunnels.route(conn)
    gate.tunnels.failed(conn)
    gate.tunnels.inbound(child(conn, 1))
    gate.tunnels.remove(child(conn, 1))
    assert gate.kernel.traffic(*FLOW) == "clear"
    assert Gate().kernel.deliver(gate.kernel, *BACK) == "clear"


SHUNTS = [(Type.PASSTHROUGH, "clear"), (Type.DROP, "drop"), (Type.REJECT, "reject")]


@pytest.mark.parametrize(("type_", "verdict"), SHUNTS)
def test_plain_policies_win_over_a_larger_tunnel(type_: Type, verdict: str) -> None:
    gate = Gate()
    large, small = connection("10.1.0.0/16", "10.2.0.0/16", "large"), shunted(type_, name="small")
    gate.tunnels.route(large)
    gate.tunnels.route(small)
    assert gate.tunnels.routing("small") == "erouted"
    if type_ is Type.PASSTHROUGH:
        # It goes by the physical interface, so the policies of ipsec0 are never asked.
        assert ("eth0", ip_network("10.2.0.0/24")) in gate.updown.routes
        assert Gate().kernel.deliver(gate.kernel, *BACK) == "clear"
    else:
        assert gate.kernel.traffic(*FLOW) == verdict
        assert Gate().kernel.deliver(gate.kernel, *BACK) == "refused by policy"
    assert gate.kernel.traffic("10.1.9.5/32", "10.2.9.7/32") == "acquire"
    gate.tunnels.forget(small)
    gate.tunnels.forget(large)
    assert gate.empty


def test_a_smaller_tunnel_wins_over_a_larger_drop() -> None:
    gate, larger = Gate(), connection("10.1.0.0/16", "10.2.0.0/16", name="drop", type=Type.DROP, child=())
    gate.tunnels.route(larger)
    gate.up(child(NET, 1))
    assert gate.kernel.traffic(*FLOW) in gate.kernel.sas
    assert gate.kernel.traffic("10.1.9.5/32", "10.2.9.7/32") == "drop"


def test_a_forced_protocol_and_port_wins_over_the_whole_and_leaves_the_rest() -> None:
    gate = Gate()
    narrow = replace(NET, name="www", here=replace(NET.here, protocol=6), there=replace(NET.there, protocol=6, port=80))
    gate.up(child(NET, 1), child(narrow, 2))
    web = (Selector(ip_network(FLOW[0]), 6, 4000), Selector(ip_network(FLOW[1]), 6, 80))
    mail = (Selector(ip_network(FLOW[0]), 6, 4000), Selector(ip_network(FLOW[1]), 6, 25))
    spis = [key.spi for key in (gate.kernel.traffic(*web), gate.kernel.traffic(*mail)) if not isinstance(key, str)]
    assert spis == [0x2001, 0x1001]


def test_a_tunnel_to_everything_leaves_the_own_network_alone() -> None:
    """A guard against all of the world would shut the box off from its own LAN."""
    gate, all_of_it = Gate(), connection("10.1.0.0/24", "0.0.0.0/0")
    gate.up(child(all_of_it, 1))
    assert Gate().kernel.deliver(gate.kernel, "10.1.0.9/32", "10.1.0.1/32") == "clear"


def test_transport_mode_needs_no_interface() -> None:
    gate, conn = Gate(), host_to_host(type=Type.TRANSPORT)
    gate.up(child(conn, 1))
    assert {policy.if_id for policy in gate.kernel.policies.values()} == {0}
    assert {sa.set_mark for sa in gate.kernel.sas.values()} == {0}
    assert gate.updown.occasions[0].interface == "eth0"
    assert gate.kernel.paths == {}


def test_esp_of_a_tunnel_between_hosts_keeps_its_own_path() -> None:
    gate, conn = Gate(), host_to_host()
    conn = replace(conn, here=replace(conn.here, nexthop=ip_address("192.0.2.254")))
    gate.up(child(conn, 1))
    assert gate.kernel.paths == {ip_address("192.0.2.2"): ("eth0", ip_address("192.0.2.254"))}
    assert {sa.set_mark for sa in gate.kernel.sas.values()} == {0, 0x40000000}
    gate.tunnels.forget(conn)
    assert gate.empty


def test_an_interface_without_ipsec_is_named_in_the_refusal() -> None:
    gate = Gate()
    conn = replace(NET, here=replace(NET.here, interface="eth7"))
    gate.tunnels._registry._if_ids = {"eth0": ("ipsec0", 1), "eth1": ("ipsec1", 2)}
    with pytest.raises(KernelError, match='"net" is on eth7, which has no ipsecN: name it in interfaces='):
        gate.tunnels.route(conn)


@pytest.mark.parametrize("routed", [False, True])
@pytest.mark.parametrize("port", [4500, 61000])
def test_a_peer_that_moves_is_followed_with_its_counters(routed: bool, port: int) -> None:
    gate, road = Gate(), anyone()
    conn, instance = (NET, "") if routed else (road, "x")
    if routed:
        gate.tunnels.route(conn)
    one = child(conn, 1, instance=instance, ports=(4500, 1024))
    gate.up(one)
    two = gate.tunnels.rehome(one, ip_address("203.0.113.77"), port)
    assert (two.remote, two.ports) == (ip_address("203.0.113.77"), (4500, port))
    key = gate.kernel.traffic(*FLOW)
    assert not isinstance(key, str)
    sa = gate.kernel.sas[key]
    assert (str(key.destination), sa.encapsulation.destination_port if sa.encapsulation else 0) == (
        "203.0.113.77",
        port,
    )
    assert gate.kernel.paths.keys() == {ip_address("203.0.113.77")}
    assert gate.verbs.count("up") == 1
    gate.tunnels.remove(two)
    gate.tunnels.forget(conn)
    assert gate.empty


def test_a_peer_can_move_between_receiving_and_sending() -> None:
    gate = Gate()
    gate.tunnels.route(NET)
    gate.tunnels.inbound(one := child(NET, 1, ports=(4500, 1024)))
    two = gate.tunnels.rehome(one, ip_address("203.0.113.77"), 1025)
    assert gate.tunnels.routing("net") == "prospective erouted"
    gate.tunnels.outbound(two)
    assert gate.kernel.traffic(*FLOW) in gate.kernel.sas


def test_after_down_the_trap_is_the_connections_own_again() -> None:
    """Not what its last child was: compressed, and with a peer that had moved."""
    gate = Gate()
    gate.tunnels.route(NET)
    trap = dict(gate.kernel.policies)
    one = child(NET, 1, compress=True, ports=(4500, 1024))
    gate.up(one)
    gate.tunnels.remove(gate.tunnels.rehome(one, ip_address("203.0.113.77"), 1025))
    assert gate.kernel.policies == trap


@pytest.mark.parametrize("routed", [False, True])
@pytest.mark.parametrize("what", ["add_sa", "put_policy", "up"])
def test_a_call_that_fails_halfway_leaves_nothing_behind(what: str, routed: bool) -> None:
    gate, one = Gate(), child(NET, 1, compress=True)
    if routed:
        gate.tunnels.route(NET)
    gate.tunnels.inbound(one)
    before = (dict(gate.kernel.sas), dict(gate.kernel.policies), set(gate.updown.routes), gate.kernel.traffic(*FLOW))
    gate.updown.fail(what) if what == "up" else gate.kernel.fail(what)
    with pytest.raises((KernelError, UpdownError), match="told to"):
        gate.tunnels.outbound(one)
    assert before == (gate.kernel.sas, gate.kernel.policies, gate.updown.routes, gate.kernel.traffic(*FLOW))
    gate.tunnels.remove(one)
    assert gate.kernel.sas == {}
    assert (gate.kernel.traffic(*FLOW) == "acquire") is routed
    gate.up(child(NET, 2))
    assert gate.kernel.traffic(*FLOW) in gate.kernel.sas


@pytest.mark.parametrize("conn", [NET, anyone()])
def test_nothing_leaves_in_the_clear_once_the_peer_has_been_answered(conn: Connection) -> None:
    """Between QR1 and QI2 there is nothing to send by: packets wait, and wait no more if nothing comes of it."""
    gate, one = Gate(), child(conn, 1, instance="" if conn is NET else "198.51.100.7")
    gate.tunnels.inbound(one)
    assert gate.kernel.traffic(*FLOW) == "acquire"
    assert gate.kernel.traffic(*FLOW, by="eth0") == "drop"
    assert gate.updown.routes == {("ipsec0", ip_network("10.2.0.0/24"))}
    gate.tunnels.remove(one)
    assert gate.empty
    gate.up(child(conn, 2, instance=one.instance))
    assert gate.kernel.traffic(*FLOW) in gate.kernel.sas
    assert gate.kernel.traffic(*FLOW, by="eth0") == "drop"
    assert gate.verbs[-3:] == ["prepare", "route", "up"]


@pytest.mark.parametrize("what", ["add_sa", "put_policy", "prepare", "route"])
def test_a_peer_that_cannot_be_served_is_not_answered(what: str) -> None:
    gate, road = Gate(), anyone()
    gate.tunnels.add(road)
    gate.updown.fail(what) if what in ("prepare", "route") else gate.kernel.fail(what)
    with pytest.raises(CygnetError, match="told to"):
        gate.tunnels.inbound(child(road, 1, instance="198.51.100.7"))
    assert gate.empty
    assert gate.tunnels.routing("road") == "unrouted"


def test_the_own_lan_of_a_tunnel_to_everything_is_not_walled_in() -> None:
    """From the LAN nothing leaves by the outer interface but through the tunnel; within it all is as always."""
    gate, far = Gate(), "198.51.100.9/32"
    gate.up(child(connection("10.1.0.0/24", "0.0.0.0/0"), 1))
    verdicts = [gate.kernel.traffic("10.1.0.5/32", *flow) for flow in (("10.1.0.9/32", "eth1"), (far, "eth0"))]
    assert verdicts == ["clear", "drop"]
    assert gate.kernel.traffic("192.0.2.1/32", far, "eth0") == "clear"


def test_a_box_that_sends_everything_through_a_tunnel_still_reaches_its_neighbours() -> None:
    gate = Gate()
    gate.up(child(connection("", "0.0.0.0/0"), 1))
    assert gate.kernel.traffic("192.0.2.1/32", "192.0.2.9/32", "eth0") == "clear"


@pytest.mark.parametrize("kind", ["trapped", "up", "dropped"])
def test_a_daemon_that_takes_over_leaves_no_gap(kind: str) -> None:
    """Given one that died, when the next has emptied the kernel, then what was stopped still is, until it is released."""
    gate, lost = Gate(), connection(east="10.3.0.0/24", name="lost")
    conn = shunted(Type.DROP) if kind == "dropped" else NET
    gate.tunnels.route(lost)
    gate.up(child(conn, 1)) if kind == "up" else gate.tunnels.route(conn)
    # The interface is made anew, so no route leads into it.
    left = gate.kernel.flush(keep_blocks=True)
    assert (gate.kernel.sas, gate.kernel.paths) == ({}, {})
    assert gate.kernel.traffic(*FLOW, by="eth0") == "drop"
    assert Gate().kernel.deliver(gate.kernel, *BACK) == "refused by policy"
    after = Gate(gate.kernel)
    after.tunnels.inherit(left)
    after.tunnels.route(conn)
    assert after.kernel.traffic(*FLOW, by="eth0") == "drop"
    assert after.kernel.traffic("10.1.0.5/32", "10.3.0.7/32", by="eth0") == "drop"
    after.tunnels.inherit(())
    assert after.kernel.traffic(*FLOW, by="eth0") == "drop"
    assert after.kernel.traffic("10.1.0.5/32", "10.3.0.7/32", by="eth0") == "clear"
    after.tunnels.forget(conn)
    assert after.kernel.policies == {}


def test_each_traffic_is_shown_once_in_freeswans_words() -> None:
    gate = Gate()
    for number, type_ in enumerate((Type.DROP, Type.REJECT, Type.PASSTHROUGH)):
        gate.tunnels.route(shunted(type_, east=f"10.{3 + number}.0.0/24", name=type_.value))
    gate.tunnels.route(connection(east="10.6.0.0/24", name="trapped"))
    failed = connection(east="10.7.0.0/24", name="failed", failure_shunt=Shunt.PASSTHROUGH)
    gate.tunnels.route(failed)
    gate.tunnels.failed(failed)
    gate.tunnels.inbound(child(connection(east="10.8.0.0/24", name="answered"), 2))
    gate.up(child(NET, 1), child(host_to_host(type=Type.TRANSPORT, name="transport"), 3))
    found = [(str(policy.destination), word) for policy, word in fates(gate.kernel.policies.values())]
    assert sorted(found) == [
        ("10.2.0.0/24", ""),
        ("10.3.0.0/24", "%drop"),
        ("10.4.0.0/24", "%reject"),
        ("10.5.0.0/24", "%pass"),
        ("10.6.0.0/24", "%trap"),
        ("10.7.0.0/24", "%pass"),
        ("10.8.0.0/24", "%trap"),
        ("192.0.2.2/32", ""),
    ]


@pytest.mark.parametrize("hide", [False, True])
def test_hidetos_is_a_matter_of_what_leaves_a_tunnel(hide: bool) -> None:
    gate = Gate()
    gate.tunnels = Tunnels(gate.kernel, gate.updown, gate.log.append, {"eth0": ("ipsec0", 1)}, hide)
    gate.up(child(NET, 1, "cbc in ah"), child(host_to_host(type=Type.TRANSPORT, name="transport"), 2))
    found = {(sa.outbound, sa.mode) for sa in gate.kernel.sas.values() if sa.hide_tos}
    assert found == ({(True, "tunnel")} if hide else set())


@pytest.mark.parametrize("what", ["put_policy", "prepare", "route"])
def test_a_route_that_cannot_be_set_leaves_no_trap(what: str) -> None:
    gate = Gate()
    gate.kernel.fail(what) if what == "put_policy" else gate.updown.fail(what)
    with pytest.raises(CygnetError):
        gate.tunnels.route(NET)
    assert gate.empty
    assert gate.tunnels.routing("net") == "unrouted"


def test_what_cannot_be_removed_is_said_and_the_rest_is_removed() -> None:
    gate, one = Gate(), child(NET, 1)
    gate.up(one)
    gate.updown.fail("down")
    gate.kernel.fail("delete_sa")
    gate.tunnels.remove(one)
    assert len(gate.log) == 2
    assert len(gate.kernel.sas) == 1
    assert gate.kernel.traffic(*FLOW) != "clear"


def test_sending_needs_receiving_first() -> None:
    with pytest.raises(KernelError, match='#1 of "net" cannot send'):
        Gate().tunnels.outbound(child(NET, 1))


def test_the_kernels_lifetime_is_a_little_longer_than_the_engines() -> None:
    gate = Gate()
    gate.up(child(NET, 1), child(NET, 2, lifetime=0.0))
    assert sorted({sa.hard_seconds for sa in gate.kernel.sas.values()}) == [0, 3840]


def test_reqids_are_not_given_again_soon() -> None:
    gate = Gate()
    seen = []
    for _ in range(3):
        gate.tunnels.route(NET)
        gate.kernel.traffic(*FLOW)
        seen += [event.reqid for event in gate.kernel.events() if isinstance(event, Acquire)]
        gate.tunnels.forget(NET)
    assert seen == [0x4000, 0x4001, 0x4002]
