"""The holes that a firewall needs: for IKE, for ESP and AH, for what goes through the tunnels; and none for NAT."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network

from cygnet.cli.verify.scene import Finding, Problem, Scene
from cygnet.connection.connection import Connection
from cygnet.why.netfilter import PROTOCOLS, Firewall, NetfilterError, Packet

UDP, NAT_PORT = PROTOCOLS["udp"], 4500
MOST_SHOWN = 5
# A packet, and the matches of the rule that would let it through.
Case = tuple[Packet, str]


def findings(scene: Scene) -> Iterator[Finding]:
    """By IP version, as netfilter is: of what is around the tunnels, and of what is in them."""
    for version in (4, 6):
        outer = [one for one in scene.connections if one.here.host and one.here.host.version == version]
        inner = [one for one in scene.tunnels if one.here.selector and one.here.selector.network.version == version]
        if outer or inner:
            yield from _version(scene, version, outer, inner)


def _version(scene: Scene, version: int, outer: list[Connection], inner: list[Connection]) -> Iterator[Finding]:
    try:
        rules = scene.firewall(version)
    except NetfilterError as problem:
        remedy = "run this as root; if nftables is in use, see that UDP 500 and 4500, ESP and AH pass"
        yield Finding(f"Firewall, IPv{version}", (Problem(str(problem), remedy, grave=False),))
        return
    program = "iptables" if version == 4 else "ip6tables"
    around = [case for one in outer for case in _outside(scene, one)]
    through = [case for one in inner for case in _inside(scene, one)]
    yield _finding(f"Firewall lets IKE, ESP and AH pass, IPv{version}", _shut(rules, around, program))
    # The rules of leftfirewall=yes come and go with the tunnel.
    by_hand = [case for one in inner if not one.here.firewall for case in _inside(scene, one)]
    yield _finding(f"Firewall lets the tunnels' traffic through, IPv{version}", _shut(rules, by_hand, program))
    yield _finding(f"No address translation in the tunnels, IPv{version}", _translated(rules, through, program))


def _finding(what: str, problems: Iterator[Problem]) -> Finding:
    found = list(dict.fromkeys(problems))
    left_out = len(found) - MOST_SHOWN
    more = [Problem(f"and {left_out} more like these", "the same for each")] if left_out > 0 else []
    return Finding(what, (*found[:MOST_SHOWN], *more))


def _outside(scene: Scene, connection: Connection) -> Iterator[Case]:
    """Both ways, for each of the protocols that carry it."""
    here, peer = connection.here, connection.there.host
    setup = scene.configuration.setup
    kinds = [
        (UDP, port, f"-p udp --dport {port}") for port in (setup.port, *([NAT_PORT] if setup.nat_traversal else []))
    ]
    layers = {layer.protocol for proposal in connection.child for layer in proposal.layers}
    kinds += [(PROTOCOLS[name], 0, f"-p {name}") for name in sorted(layers)]
    ours, theirs = (ip_network(host) if host else None for host in (here.host, peer))
    for protocol, port, words in kinds:
        comes = Packet("INPUT", theirs, ours, protocol, port, port, enters=here.interface)
        yield comes, f"-i {here.interface} {words}"
        goes = replace(comes, way="OUTPUT", source=ours, destination=theirs, enters="", leaves=here.interface)
        yield goes, f"-o {here.interface} {words}"


def _inside(scene: Scene, connection: Connection) -> Iterator[Case]:
    """The traffic in clear, as it goes into ipsecN and comes out of it; the first packet of anything."""
    here, there, tunnel = connection.here, connection.there, scene.virtual(connection)
    if here.selector is None or there.selector is None:
        return
    ours, theirs = here.selector.network, there.selector.network
    lan = scene.inward(ours).interface if here.subnet else ""
    ways = ("FORWARD", "FORWARD") if here.subnet else ("OUTPUT", "INPUT")
    yield Packet(ways[0], ours, theirs, here.protocol, enters=lan, leaves=tunnel), "-o ipsec+"
    yield Packet(ways[1], theirs, ours, here.protocol, enters=tunnel, leaves=lan, ipsec="in"), "-i ipsec+"


def _shut(rules: Firewall, cases: list[Case], program: str) -> Iterator[Problem]:
    """A note, where a rule that cannot be judged may accept it first."""
    for packet, words in cases:
        verdict = rules.verdict(packet)
        if verdict.rule:
            spared = next((str(rule) for rule in verdict.doubts if rule.target == "ACCEPT"), "")
            text = f"{_shown(packet, words)} is stopped by: {verdict.rule}" + (
                f" (unless by: {spared})" if spared else ""
            )
            yield Problem(text, f"{program} -I {packet.way} {words} -j ACCEPT", grave=not spared)


def _translated(rules: Firewall, cases: list[Case], program: str) -> Iterator[Problem]:
    for packet, words in cases:
        rule = rules.translation(packet) if packet.leaves.startswith("ipsec") else None
        if rule:
            text = f"{_shown(packet, words)} gets another address, for which there is no tunnel, by: {rule}"
            yield Problem(text, f"{program} -t nat -I POSTROUTING {words} -j ACCEPT")


def _shown(packet: Packet, words: str) -> str:
    return f"{packet.source or 'any peer'} -> {packet.destination or 'any peer'} ({words})"
