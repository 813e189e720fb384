"""From facts to a diagnosis: a table of rules in the order of the walk from the configuration to the wire.

A rule that stands is true whatever else is wrong; of the others only the first counts, for what comes later on the way
follows from it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_network
from typing import NamedTuple

from cygnet.connection.connection import HostKind
from cygnet.connection.local import away
from cygnet.why.facts import Facts
from cygnet.why.netfilter import Firewall, Packet, Rule
from cygnet.why.reasons import explain

UDP, ESP, NAT_PORT, IKE_PORT = 17, 50, 4500, 500
# So many packets without an answer are no accident.
FEW = 3
# Seconds that may be between two things that happen at once.
SLACK = 2
PRIVATE = [ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]
NAMES = {UDP: "udp", ESP: "esp", 1: "icmp", 58: "ipv6-icmp"}
WAYS = {"INPUT": "comes in", "OUTPUT": "goes out", "FORWARD": "is forwarded"}


class Diagnosis(NamedTuple):
    """``works``: it carries, or waits for traffic or its peer. ``cause``: a sentence; ``also``: what else is wrong."""

    works: bool
    cause: str
    also: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join([self.cause, *(f"Also: {said}" for said in self.also)])


def _blocked(firewall: Firewall, what: str, *packets: Packet) -> str:
    """That a firewall of this box stops one of these packets, which should pass, and how to let it."""
    for packet in packets:
        verdict = firewall.verdict(packet)
        if verdict.rule and not verdict.passes:
            met = f"`{verdict.rule}` has met {verdict.rule.packets} packets; {_let(firewall, verdict.rule, packet)}"
            return f"this box's own firewall stops {what} that {WAYS[packet.way]}: {met}"
    return ""


def _let(firewall: Firewall, rule: Rule, packet: Packet) -> str:
    """How such packets come past a rule; a policy of Cygnet's has chains for an administrator's own rules."""
    own = f"user-{packet.way.lower()}"
    policy = f"filter {own}" in firewall.chains
    words = {"-p": NAMES.get(packet.protocol), "--dport": packet.port, "-i": packet.enters, "-o": packet.leaves}
    match = [str(word) for pair in words.items() if pair[1] for word in pair]
    before = replace(rule, chain=rule.chain if rule.words or not policy else own, words=(*match, "-j", "ACCEPT"))
    undo = f"`{rule.command('-D')}` takes it away, " if rule.words else ""
    of_policy = policy and not (rule.words and rule.chain in (packet.way, own))
    good = " (for good: a line in /etc/cygnet/firewall, then `ipsec firewall --apply`)" if of_policy else ""
    return f"{undo}`{before.command('-I')}` lets it pass{good}."


def _both(f: Facts, protocol: int, port: int = 0, answers: str = "NEW") -> tuple[Packet, Packet]:
    """A packet to the peer, and one from it."""
    return f.boxes_packet("OUTPUT", protocol, port), f.boxes_packet("INPUT", protocol, port, answers)


def _ike_blocked(f: Facts) -> str:
    answers = "ESTABLISHED" if f.said.get("wanted") and f.sent.times else "NEW"
    ports = (IKE_PORT, NAT_PORT) if "nat" in f.said else (IKE_PORT,)
    return _blocked(f.outer, "IKE", *(packet for port in ports for packet in _both(f, UDP, port, answers)))


def _esp_blocked(f: Facts) -> str:
    if f.back.packets:
        return ""
    if "nat" in f.said:
        return _blocked(f.outer, f"ESP in UDP {NAT_PORT}", *_both(f, UDP, NAT_PORT))
    return _blocked(f.outer, "ESP", *_both(f, ESP))


def _traffic_blocked(f: Facts) -> str:
    """Only if connections can be begun from neither side: from one side alone is what many want.

    With leftfirewall=yes the rules come with the tunnel.
    """
    if not f.connection.there.selector or (f.connection.here.firewall and not f.up):
        return ""
    begun = ("NEW", "ESTABLISHED"), ("ESTABLISHED", "NEW")
    tried = [
        _blocked(f.inner, "the tunnel's traffic", f.traffic(True, out), f.traffic(False, back)) for out, back in begun
    ]
    return tried[0] if all(tried) else ""


def _big_blocked(f: Facts) -> str:
    number = 58 if f.connection.here.host and f.connection.here.host.version == 6 else 1
    packet = Packet("INPUT", protocol=number, enters=f.connection.here.interface, state="RELATED", icmp="frag-needed")
    return _blocked(f.outer, 'ICMP "fragmentation needed"', packet)


def _translated(f: Facts) -> str:
    rule = f.inner.translation(f.traffic(True, "NEW")) if f.tunnels else None
    if rule is None:
        return ""
    spare = f"`{rule.program} -t nat -I POSTROUTING -o {f.tunnel} -j ACCEPT` spares them"
    met = f"it has met {rule.packets} connections"
    return f"`{rule}` gives the tunnel's packets another source, so that they fit it no more ({met}); {spare}."


def _strays(f: Facts) -> bool:
    """Packets to the peer leave by another interface than the connection's."""
    used, meant = f.to_peer.interface, f.connection.here.interface
    return bool(used and meant) and used != meant


def _private(f: Facts) -> bool:
    """Only this end has an address that others cannot answer to."""
    ends = [end.host for end in (f.connection.here, f.connection.there)]
    return [any(one in net for net in PRIVATE) for one in ends if one and one.version == 4] == [True, False]


def _icmp(f: Facts) -> str:
    """It may be forged, so the daemon goes on trying; to whoever asks why, it is the best hint there is."""
    number, _, speaker = f.lost.what.partition(" ")
    if not number.isdecimal() or f.lost.ago > min(f.received.ago, f.sent.ago + SLACK):
        return ""
    peer = f.connection.there.host
    if int(number) == errno.ECONNREFUSED:
        return (
            f"{peer} is there and says that nobody listens at its IKE port (ICMP, {f.lost.ago:.0f} s ago): IPsec does "
            "not run there, or its firewall rejects UDP 500. Start it there: `ipsec setup start`."
        )
    if int(number) == errno.EMSGSIZE:
        return "our IKE packets are too large for the way to the peer: set fragmentation=yes at both ends."
    who = "this box" if speaker == "-" else speaker
    hint = "is the peer off, or a cable out?" if speaker == "-" else "look at the routes there."
    return f'packets to {peer} do not arrive: {who} says "{os.strerror(int(number))}"; {hint}'


def _explained(f: Facts) -> str:
    here, there = f.connection.here.selector, f.connection.there.selector
    return explain(f.reason, f.connection.name, str(here), str(there))


def _refused(f: Facts) -> str:
    return f.reason and _explained(f)


def _silent(f: Facts) -> bool:
    """Our first message came again without an answer, or was given up so."""
    again = f.said.get("phase1") == "STATE_MAIN_I1" and _again(f)
    return again or "first IKE message" in f.said.get("why", "")


def _again(f: Facts) -> bool:
    return int(f.said.get("copies", "0")) > 1


def _half_heard(f: Facts) -> bool:
    """The peer has begun, and not come to its end."""
    begun = f.received.times > 1 and f.sent.times > 0
    return begun and "wanted" not in f.said and f.said.get("phase1") != "established"


def _idle(f: Facts) -> bool:
    traps = f.said.get("routing") == "prospective erouted"
    return not traps and f.connection.there.kind is HostKind.ADDRESS and _is_negotiated(f)


def _is_negotiated(f: Facts) -> bool:
    """Whether it is no plain policy."""
    return f.connection.type.value in ("tunnel", "transport")


# What is looked at. When: "" for always, down, up; a note keeps no tunnel that is up from working, a remark none at
# all. Whether it stands. What is found there, False for nothing wrong. The sentence, with {f}, the facts, and {found}.
Row = tuple[str, str, bool, Callable[[Facts], object], str]
RULES: tuple[Row, ...] = (
    ("daemon", "", True, lambda f: f.daemon, "{found}."),
    ("keys without a daemon", "", True, lambda f: f.daemon and f.out.sas,
     "the kernel goes on with the keys that it has until they expire."),
    ("loaded", "down", False, lambda f: not f.daemon and not f.said,
     "the daemon has it not loaded: `ipsec auto --add {name}`, then `ipsec auto --up {name}`; auto=start in ipsec.conf "
     "does both at each start."),
    ("as in the file", "note", True, lambda f: f.said and f.changed,
     "it has changed in the file ({f.connection.where}) since the daemon read it: `ipsec auto --replace {name}`."),
    ("own address", "down", True, lambda f: away(f.connection),
     "{found}: it waits, and comes up by itself with the address (`ip address`); or correct left= and right=."),
    ("interface", "", True, lambda f: not f.link.up, "interface {here.interface} is down: `ip link set "
     "{here.interface} up`."),
    ("cable", "", True, lambda f: f.link.up and not f.link.carrier,
     "interface {here.interface} has no link: look at the cable."),
    ("route to the peer", "", True, lambda f: f.to_peer.problem,
     "there is no route to the peer {peer} ({found}): add one, or a default route (`ip route`)."),
    ("way to the peer", "", True, _strays,
     "packets to the peer {peer} leave {f.to_peer}, and the connection is for {here.host} on {here.interface}: correct "
     "the route, or what left= or right= names."),
    ("secret or key", "note", True, lambda f: f.lacking, "{found}"),
    ("firewall, IKE", "down", True, _ike_blocked, "{found}"),
    ("NAT traversal", "down", True, lambda f: not f.nat_traversal and _private(f),
     "this box has a private address ({here.host}), so an address translator is between it and the peer, and "
     "ipsec.conf says nat_traversal=no: take that line out, then `ipsec setup restart`."),
    ("ICMP", "down", False, _icmp, "{found}"),
    ("the peer's answers", "down", False, _silent,
     "IKE packets go to {peer} (the last one {f.sent.ago:.0f} s ago), and nothing comes back, not even ICMP; this "
     "box's own firewall lets them pass. So the peer is off or is not at this address, or something there or on the "
     "way drops UDP 500: run `ipsec why` there, and let UDP 500, UDP 4500 and protocol 50 (ESP) pass in its firewall."),
    ("UDP 4500", "down", False, lambda f: "nat" in f.said and f.said.get("phase1") == "STATE_MAIN_I3" and _again(f),
     "an address translator is between the two ends, so IKE went on at UDP 4500, and nothing comes back from there: "
     "let UDP 4500 pass in both firewalls and on the way."),
    ("negotiation", "down", False, _refused, "{found}"),
    ("our answers", "down", False, _half_heard,
     "{f.received.times} IKE packets came from {peer} and {f.sent.times} went back, and it does not go on: our answers "
     "or its next packets are lost. Let UDP 500 and UDP 4500 pass both ways, here, there and on the way."),
    ("under way", "down", False, lambda f: "copies" in f.said or "retry" in f.said,
     "it is being negotiated just now: ask again in some seconds."),
    ("asked for", "down", False, _idle,
     "nobody has asked for it yet: `ipsec auto --up {name}`, or auto=start in ipsec.conf."),
    ("keys in the kernel", "up", False, lambda f: not (f.out.sas and f.back.sas),
     "the daemon has keys for it, and the kernel has none: something else has flushed them. `ipsec auto --down "
     "{name}`, then `ipsec auto --up {name}`."),
    ("firewall, ESP", "up", True, _esp_blocked, "{found}"),
    ("rp_filter", "up", True, lambda f: f.strict and not f.back.packets and f.homeward.interface != f.to_peer.interface,
     "rp_filter drops what comes from {peer}, since the route back to it leads {f.homeward}: `sysctl -w "
     "net.ipv4.conf.all.rp_filter=2`."),
    # On a Cygnet box forwarding comes and goes with the daemon.
    ("forwarding", "", True, lambda f: f.tunnels and f.connection.here.subnet and not (f.forwards or f.daemon),
     "this box forwards nothing between {here.subnet} and the tunnel: `sysctl -w net.ipv4.ip_forward=1` (IPv6: "
     "net.ipv6.conf.all.forwarding=1), and the same in /etc/sysctl.conf; on a Cygnet box `box status` says why."),
    ("masquerading", "", True, _translated, "{found}"),
    ("firewall, traffic", "", True, _traffic_blocked, "{found}"),
    ("route of the traffic", "up", True, lambda f: f.tunnels and f.to_theirs.interface != f.tunnel,
     "packets to {theirs} leave {f.to_theirs} and not by {f.tunnel}, so they go past the tunnel: remove the other "
     "route, then `ipsec auto --replace {name}` and `ipsec auto --up {name}`."),
    ("ESP that comes back", "up", False, lambda f: f.out.packets >= FEW and not (f.back.packets or f.back.failed),
     "the tunnel stands and IKE passes, but {f.out.packets} encrypted packets went out and none came back: ESP "
     "(protocol 50; behind NAT UDP 4500) is filtered on the way or at the peer, or nobody there answers. Let it pass "
     "in the peer's firewall, or set forceencaps=yes, which puts ESP into UDP 4500; `ipsec why` there tells whether "
     "ours arrive."),
    ("integrity", "up", False, lambda f: f.back.failed > f.back.packets // 100,
     "{f.back.failed} packets had a wrong integrity value (against {f.back.packets} right ones): something on the way "
     "changes them, or the ends have different keys. `ipsec auto --up {name}` makes new ones."),
    ("replay", "up", False, lambda f: f.back.replayed > f.back.packets // 20,
     "{f.back.replayed} packets were refused as replayed or too late (against {f.back.packets} taken): the way changes "
     "their order, or somebody replays them. A larger replay_window= in this conn takes later ones."),
    ("after decryption", "up", False, lambda f: f.back.packets >= FEW and not f.out.packets and f.thrown,
     "{f.back.packets} packets came and some were thrown away after decryption ({found}): they do not fit the "
     "policies. `ipsec auto --replace {name}`, then `ipsec auto --up {name}`."),
    ("hosts that answer", "up", False, lambda f: f.back.packets >= FEW and not f.out.packets,
     "{f.back.packets} packets came out of the tunnel and none went back: what they are for does not answer, or not by "
     "way of this box. Is this box the gateway of {ours}?"),
    ("new keys", "up", False, lambda f: f.said.get("tries", "0") != "0" and f.reason and _explained(f),
     "it carries for another {f.said[expires]} s, and no new keys could be negotiated: {found}"),
    ("large packets", "remark", True, _big_blocked, "{found} Until then large packets vanish, and small ones pass."),
)  # fmt: skip
FIGURES: tuple[tuple[Callable[[Facts], object], str], ...] = (
    (
        lambda f: not _is_negotiated(f),
        "is a plain policy (type={f.connection.type.value}): nothing is negotiated for it.",
    ),
    (lambda f: f.up and not f.out.packets and not f.back.packets, "stands, and nothing has used it yet."),
    (lambda f: f.up, "works: out {f.out}; in {f.back}."),
    (lambda f: f.connection.there.host is None, "waits for its peer to call, and nothing here is in the way."),
    (lambda _: True, "waits: the first packet to {theirs} brings it up, and nothing here is in the way."),
)
LOOKED = (
    ("in the file", "{f.connection.where}"),
    ("this end", "{here.host} on {here.interface}, MTU {f.link.mtu}"),
    ("way to the peer", "{peer} {f.to_peer}"),
    ("IKE sent", "{f.sent}"),
    ("IKE received", "{f.received}"),
    ("the peer's refusals", "{f.notified}"),
    ("not delivered", "{f.lost}"),
    ("last reason", "{f.reason}"),
    ("encrypted, out", "{f.out}, {f.out.sas} SA"),
    ("encrypted, in", "{f.back}, {f.back.sas} SA, {f.back.failed} of wrong integrity, {f.back.replayed} replayed"),
    ("traffic here", "{ours}"),
    ("traffic there", "{theirs} {f.to_theirs}"),
    ("thrown away", "{f.thrown}"),
)


def diagnose(f: Facts) -> Diagnosis:
    """What is wrong, the first cause first; or that it works, with figures."""
    found = [(said, when, stands) for _, said, when, stands in walk(f) if said]
    if any(when not in (("note", "remark") if f.up else ("remark",)) for _, when, _ in found):
        return Diagnosis(False, found[0][0], tuple(said for said, _, stands in found[1:] if stands))
    figures = next(text for fits, text in FIGURES if fits(f))
    return Diagnosis(True, _filled(figures, f), tuple(said for said, _, _ in found))


def walk(f: Facts) -> list[tuple[str, str, str, bool]]:
    """Each rule that is for this state: what it looks at, its sentence ("" if all is well), when, whether it stands."""
    states = ("", "note", "remark", "up" if f.up else "down")
    asked = [(what, when, stands, check(f), text) for what, when, stands, check, text in RULES if when in states]
    return [(what, _filled(text, f, found) if found else "", when, stands) for what, when, stands, found, text in asked]


def looked(f: Facts) -> list[tuple[str, str]]:
    """What was found, by what was looked at."""
    return [(what, _filled(text, f)) for what, text in LOOKED]


def _filled(text: str, f: Facts, found: object = "") -> str:
    here, there = f.connection.here, f.connection.there
    words = {"name": f.connection.name, "peer": there.host, "ours": here.selector, "theirs": there.selector}
    return text.format(f=f, found=found, here=here, **words)
