"""From facts to the paragraph: one row for each thing that can be wrong, and for each that only looks so."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from cygnet.connection.connection import AuthBy, Connection, End, HostKind, Type
from cygnet.firewall.read import parse as parse_policy
from cygnet.firewall.render import render
from cygnet.firewall.settings import DEFAULTS, Settings
from cygnet.why.facts import Carried, Facts
from cygnet.why.host import Link, Way
from cygnet.why.netfilter import parse
from cygnet.why.rules import RULES, diagnose, looked, walk

STOCK = Path(__file__).resolve().parents[4] / "overlay/etc/cygnet/firewall"
HERE = End("left", host=ip_address("192.0.2.1"), subnet=ip_network("10.1.0.0/24"), interface="eth0")
THERE = End("right", host=ip_address("192.0.2.2"), subnet=ip_network("10.2.0.0/24"))
WEST = Connection("west", HERE, THERE, auth_by=AuthBy.SECRET, where="/etc/ipsec.conf:7")
DOWN = {"digest": "d", "routing": "unrouted", "why": "nobody has asked for it yet"}
TRIED = DOWN | {"wanted": "yes", "routing": "prospective erouted"}
UP = {"digest": "d", "routing": "erouted", "expires": "28000", "phase1": "established", "tries": "0"}
CARRIES = {"out": Carried(1, 9, 3000, 2), "back": Carried(1, 8, 2500, 2)}
GOOD: dict[str, Any] = {"to_peer": Way("eth0"), "homeward": Way("eth0"), "to_theirs": Way("ipsec0"), "lan": "eth1"}


def facts(said: dict[str, str] | None, **more: Any) -> Facts:
    return Facts(more.pop("connection", WEST), said=said or {}, **(GOOD | more))


def firewall(*rules: str, policy: str = "ACCEPT", table: str = "filter", more: str = "") -> Any:
    chains = [f":{name} {policy} [77:0]" for name in ("INPUT", "FORWARD", "OUTPUT", "POSTROUTING")]
    return parse("\n".join([f"*{table}", *chains, more, *rules, "COMMIT"]))


DEAD = 'Pluto is not running (no "/run/pluto/pluto.ctl"); start it with "ipsec setup start"'
IKE_DROPPED = firewall("[5:900] -A INPUT -p udp -m udp --dport 500 -j DROP")
ESP_DROPPED = firewall("[5:900] -A INPUT -p esp -j DROP")
MASQUERADED = firewall("[3:252] -A POSTROUTING -j MASQUERADE", table="nat")
ESTABLISHED_ONLY = "[0:0] -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
OUTWARD = "[4:336] -A FORWARD -s 10.1.0.0/24 -o ipsec+ -j ACCEPT"

# What is known; how the paragraph begins.
WRONG: dict[str, tuple[Facts, str]] = {
    "daemon dead": (facts(None, daemon=DEAD), DEAD),
    "daemon dead, keys left": (facts(None, daemon=DEAD, **CARRIES), f"{DEAD}. Also: the kernel goes on with the keys"),
    "daemon dead, and masquerading": (facts(None, daemon=DEAD, forwards=False, inner=MASQUERADED), f"{DEAD}. Also: `iptables -t nat -A POSTROUTING -j MASQUERADE`"),
    "not loaded": (facts(None), "the daemon has it not loaded: `ipsec auto --add west`, then `ipsec auto --up west`"),
    "file changed": (facts(TRIED, changed=True), "it has changed in the file (/etc/ipsec.conf:7) since the daemon read it: `ipsec auto --replace west`."),
    "no such address": (
        facts(TRIED, connection=replace(WEST, here=replace(HERE, interface=""))),
        "this box has no address 192.0.2.1 or 192.0.2.2 now: it waits, and comes up by itself",
    ),
    "interface down": (facts(TRIED, link=Link(up=False)), "interface eth0 is down: `ip link set eth0 up`"),
    "cable": (facts(TRIED, link=Link(carrier=False)), "interface eth0 has no link"),
    "no route": (facts(TRIED, to_peer=Way(problem="Network unreachable")), "there is no route to the peer 192.0.2.2 (Network unreachable)"),
    "other way": (
        facts(TRIED, to_peer=Way("ppp0", ip_address("10.64.0.1"))),
        "packets to the peer 192.0.2.2 leave by ppp0 via 10.64.0.1, and the connection is for 192.0.2.1 on eth0",
    ),
    "no secret, and nobody asked": (facts(DOWN | {"routing": "prospective erouted"}, lacking="It needs a line."), "It needs a line."),
    "no secret": (facts(TRIED, lacking="/etc/ipsec.secrets needs a line."), "/etc/ipsec.secrets needs a line."),
    "IKE dropped here": (
        facts(TRIED | {"sent": "3 1 main mode", "why": "No response (or no ...) to our first IKE message"}, outer=IKE_DROPPED),
        "this box's own firewall stops IKE that comes in: `iptables -A INPUT -p udp -m udp --dport 500 -j DROP` has met 5 "
        "packets; `iptables -D INPUT -p udp -m udp --dport 500 -j DROP` takes it away, `iptables -I INPUT -p udp --dport 500 "
        "-i eth0 -j ACCEPT` lets it pass.",
    ),
    "everything dropped here": (facts(DOWN, outer=firewall(policy="DROP")), "this box's own firewall stops IKE that goes out: `iptables -P OUTPUT DROP`"),
    "everything dropped by a policy of the box": (
        facts(DOWN, outer=firewall("[0:0] -A OUTPUT -j ACCEPT", policy="DROP", more=":user-input - [0:0]")),
        "this box's own firewall stops IKE that comes in: `iptables -P INPUT DROP` has met 77 packets; `iptables -I user-input "
        "-p udp --dport 500 -i eth0 -j ACCEPT` lets it pass (for good: a line in /etc/cygnet/firewall, then `ipsec firewall --apply`).",
    ),
    "a rule of one's own beside a policy": (
        facts(DOWN, outer=firewall("[5:9] -A INPUT -p udp -j DROP", more=":user-input - [0:0]")),
        "this box's own firewall stops IKE that comes in: `iptables -A INPUT -p udp -j DROP` has met 5 packets; `iptables -D INPUT "
        "-p udp -j DROP` takes it away, `iptables -I INPUT -p udp --dport 500 -i eth0 -j ACCEPT` lets it pass.",
    ),
    "no one may call": (
        facts(DOWN, outer=firewall("[0:0] -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT", "[9:0] -A INPUT -j DROP")),
        "this box's own firewall stops IKE that comes in: `iptables -A INPUT -j DROP`",
    ),
    "4500 dropped": (
        facts(TRIED | {"nat": "here"}, outer=firewall("[5:9] -A OUTPUT -p udp -m udp --dport 4500 -j DROP")),
        "this box's own firewall stops IKE that goes out: `iptables -A OUTPUT -p udp -m udp --dport 4500 -j DROP`",
    ),
    "NAT without traversal": (
        facts(TRIED, connection=replace(WEST, here=replace(HERE, host=ip_address("192.168.1.5"))), nat_traversal=False),
        "this box has a private address (192.168.1.5)",
    ),
    "no daemon there": (facts(TRIED | {"sent": "2 3 main mode", "lost": "2 3 111 192.0.2.2"}), "192.0.2.2 is there and says that nobody listens at its IKE port (ICMP, 3 s ago)"),
    "no ARP": (facts(TRIED | {"sent": "2 3 main mode", "lost": "1 3 113 -"}), 'packets to 192.0.2.2 do not arrive: this box says "No route to host"; is the peer off'),
    "router": (facts(TRIED | {"sent": "1 4 x", "lost": "1 3 113 198.51.100.9"}), 'packets to 192.0.2.2 do not arrive: 198.51.100.9 says "No route to host"; look at the routes there.'),
    "too large": (facts(TRIED | {"sent": "1 3 x", "lost": "1 3 90 198.51.100.9"}), "our IKE packets are too large for the way"),
    "ICMP that was overtaken": (facts(TRIED | {"sent": "1 30 x", "lost": "1 30 111 192.0.2.2", "received": "2 1 main mode", "copies": "2"}), "it is being negotiated just now"),
    "silence": (facts(TRIED | {"sent": "4 5 main mode", "phase1": "STATE_MAIN_I1", "copies": "2"}), "IKE packets go to 192.0.2.2 (the last one 5 s ago), and nothing comes back"),
    "silence after better times": (
        facts(TRIED | {"sent": "9 5 main mode", "received": "4 99 quick mode", "why": "... reached STATE_MAIN_I1. No response (or ...) to our first IKE message"}),
        "IKE packets go to 192.0.2.2 (the last one 5 s ago), and nothing comes back",
    ),
    "ICMP of another time": (
        facts(TRIED | {"sent": "9 5 main mode", "lost": "2 99 111 192.0.2.2", "phase1": "STATE_MAIN_I1", "copies": "2", "why": "the peer has taken it down"}),
        "IKE packets go to 192.0.2.2 (the last one 5 s ago), and nothing comes back",
    ),
    "UDP 4500": (facts(TRIED | {"nat": "here", "phase1": "STATE_MAIN_I3", "copies": "2"}), "an address translator is between the two ends, so IKE went on at UDP 4500"),
    "refused by notification": (facts(DOWN | {"notified": "1 4 NO_PROPOSAL_CHOSEN"}), "the peer refuses what was proposed"),
    "clock": (facts(TRIED | {"why": "the certificate of CN=a is not valid before 2026-01-01 00:00:00 UTC; the clock here says 1970-01-01"}), "a certificate is not valid yet by the clock"),
    "CA": (facts(TRIED | {"why": "the peer refused: INVALID_CERTIFICATE"}), "a certificate was not accepted"),
    "key": (facts(TRIED | {"why": "the signature of @b was not made by the private key ..."}), "one end does not believe the other's proof"),
    "peer gone": (facts(DOWN | {"why": "the peer was declared dead after 120 s of silence (dpdtimeout)"}), "the peer answered no more, and was given up"),
    "updown": (facts(TRIED | {"why": "updown exited with status 1: cannot set the route"}), "it was negotiated and could not be installed on this box"),
    "AH": (facts(TRIED | {"why": "AH cannot pass the address translator"}), "an address translator is between the two ends"),
    "what nobody foresaw": (facts(TRIED | {"why": "the moon is full"}), 'the last attempt failed: "the moon is full".'),
    "just begun": (facts(TRIED | {"copies": "1", "sent": "1 0 main mode"}), "it is being negotiated just now"),
    "nobody asked": (facts(DOWN), "nobody has asked for it yet: `ipsec auto --up west`"),
    "keys flushed": (facts(UP), "the daemon has keys for it, and the kernel has none"),
    "ESP dropped here": (
        facts(UP, out=Carried(1, 5, 700, 1), back=Carried(1), outer=ESP_DROPPED),
        "this box's own firewall stops ESP that comes in: `iptables -A INPUT -p esp -j DROP` has met 5 packets",
    ),
    "UDP 4500 dropped here": (
        facts(UP | {"nat": "there"}, out=Carried(1), back=Carried(1), outer=firewall("[1:1] -A INPUT -p udp --dport 4500 -j DROP")),
        "this box's own firewall stops ESP in UDP 4500 that comes in",
    ),
    "ESP dropped elsewhere": (
        facts(UP, out=Carried(1, 5, 700, 1), back=Carried(1)),
        "the tunnel stands and IKE passes, but 5 encrypted packets went out and none came back: ESP (protocol 50",
    ),
    "rp_filter": (
        facts(UP, out=Carried(1, 5), back=Carried(1), strict=True, homeward=Way("ipsec0")),
        "rp_filter drops what comes from 192.0.2.2, since the route back to it leads by ipsec0",
    ),
    "forwarding": (facts(UP, **CARRIES, forwards=False), "this box forwards nothing between 10.1.0.0/24 and the tunnel: `sysctl -w net.ipv4.ip_forward=1`"),
    "masquerading": (
        facts(UP, **CARRIES, inner=MASQUERADED),
        "`iptables -t nat -A POSTROUTING -j MASQUERADE` gives the tunnel's packets another source, so that they fit it no more "
        "(it has met 3 connections); `iptables -t nat -I POSTROUTING -o ipsec0 -j ACCEPT` spares them.",
    ),
    "nothing forwarded": (facts(UP, **CARRIES, inner=firewall(policy="DROP")), "this box's own firewall stops the tunnel's traffic that is forwarded: `iptables -P FORWARD DROP` has met 77"),
    "only answers forwarded": (facts(UP, **CARRIES, inner=firewall(ESTABLISHED_ONLY, policy="DROP")), "this box's own firewall stops the tunnel's traffic"),
    "past the tunnel": (facts(UP, **CARRIES, to_theirs=Way("eth2")), "packets to 10.2.0.0/24 leave by eth2 and not by ipsec0"),
    "damaged": (facts(UP, out=Carried(1, 9), back=Carried(1, 90, failed=9)), "9 packets had a wrong integrity value (against 90 right ones)"),
    "replayed": (facts(UP, out=Carried(1, 9), back=Carried(1, 90, replayed=9)), "9 packets were refused as replayed or too late (against 90 taken)"),
    "thrown away": (facts(UP, out=Carried(1), back=Carried(1, 9), thrown="XfrmInNoPols 9"), "9 packets came and some were thrown away after decryption (XfrmInNoPols 9)"),
    "no host answers": (facts(UP, out=Carried(1), back=Carried(1, 9)), "9 packets came out of the tunnel and none went back: "),
    "rekeying fails": (facts(UP | {"tries": "2", "why": "the peer refused: NO_PROPOSAL_CHOSEN"}, **CARRIES), "it carries for another 28000 s, and no new keys could be negotiated: the peer refuses"),
    "large packets": (
        facts(TRIED | {"copies": "1"}, outer=firewall("[2:9] -A INPUT -p icmp -j DROP")),
        "it is being negotiated just now: ask again in some seconds. Also: this box's own firewall stops ICMP "
        '"fragmentation needed" that comes in: `iptables -A INPUT -p icmp -j DROP`',
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_the_first_cause_begins_the_paragraph(name: str) -> None:
    known, begins = WRONG[name]
    diagnosis = diagnose(known)
    assert str(diagnosis).startswith(begins)
    assert not diagnosis.works


def test_every_rule_has_its_row_here() -> None:
    found = {what for known, _ in WRONG.values() for what, said, *_ in walk(known) if said}
    assert {rule[0] for rule in RULES} - found == {"our answers"}  # tests/ike/test_ike_why.py has it


ROAD = replace(WEST, there=End("right", kind=HostKind.ANY))
WORKS: dict[str, tuple[Facts, str]] = {
    "carries": (facts(UP, **CARRIES), "works: out 9 packets (3000 bytes), the last 2 s ago; in 8 packets (2500 bytes), the last 2 s ago."),
    "unused": (facts(UP, out=Carried(1), back=Carried(1)), "stands, and nothing has used it yet."),
    "an answer or two may be under way": (facts(UP, out=Carried(1, 2), back=Carried(1)), "works: out 2 packets"),
    "trap": (facts(DOWN | {"routing": "prospective erouted"}), "waits: the first packet to 10.2.0.0/24 brings it up"),
    "any peer": (facts(DOWN, connection=ROAD, to_peer=Way(), homeward=Way()), "waits for its peer to call"),
    "callers": (facts(DOWN, connection=ROAD, callers=2, **CARRIES), "works: "),
    "plain policy": (facts(DOWN, connection=replace(WEST, type=Type.PASSTHROUGH)), "is a plain policy (type=passthrough)"),
    # A host has nothing to forward, and translates nothing of transport mode.
    "host to host": (facts(UP, connection=replace(WEST, here=replace(HERE, subnet=None)), **CARRIES, forwards=False), "works: "),
    "transport": (
        facts(UP, connection=replace(WEST, type=Type.TRANSPORT, here=replace(HERE, subnet=None)), **CARRIES, to_theirs=Way("eth0"), inner=MASQUERADED),
        "works: ",
    ),
    # Connections from this side alone are what many want; so is one service alone.
    "one way": (facts(UP, **CARRIES, inner=firewall(ESTABLISHED_ONLY, OUTWARD, policy="DROP")), "works: "),
    "one service": (facts(UP, **CARRIES, inner=firewall("[9:9] -A FORWARD -p tcp -m tcp --dport 22 -j ACCEPT", policy="DROP")), "works: "),
    "masquerading past the tunnel": (facts(UP, **CARRIES, inner=firewall("[3:252] -A POSTROUTING -o eth0 -j MASQUERADE", table="nat")), "works: "),
    "IKE from the peer closed, and never needed": (facts(UP, **CARRIES, outer=IKE_DROPPED), "works: "),
    "ESP by state": (facts(UP, **CARRIES, outer=ESP_DROPPED), "works: "),
    "one damaged packet": (facts(UP, out=Carried(1, 9), back=Carried(1, 900, failed=1, replayed=3)), "works: "),
    "and something to be mended": (
        facts(UP, **CARRIES, changed=True, lacking="/etc/ipsec.secrets has changed.", outer=firewall("[2:9] -A INPUT -p icmp -j DROP")),
        "works: out 9 packets (3000 bytes), the last 2 s ago; in 8 packets (2500 bytes), the last 2 s ago. Also: "
        "it has changed in the file (/etc/ipsec.conf:7) since the daemon read it: `ipsec auto --replace west`. Also: /etc/ipsec.secrets has changed. Also: this box's own firewall stops ICMP",
    ),
    "a remark on one that waits": (
        facts(DOWN | {"routing": "prospective erouted"}, outer=firewall("[2:9] -A INPUT -p icmp -j DROP")),
        "waits: the first packet to 10.2.0.0/24 brings it up, and nothing here is in the way. Also: this box's own",
    ),
    "rules that come with the tunnel": (
        facts(DOWN | {"routing": "prospective erouted"}, connection=replace(WEST, here=replace(HERE, firewall=True)), inner=firewall(policy="DROP")),
        "waits: ",
    ),
    "rp_filter that lets pass": (facts(UP, **CARRIES, strict=True, homeward=Way("ipsec0")), "works: "),
}  # fmt: skip


@pytest.mark.parametrize("name", WORKS)
def test_what_works_or_waits_is_not_called_wrong(name: str) -> None:
    known, begins = WORKS[name]
    diagnosis = diagnose(known)
    assert str(diagnosis).startswith(begins)
    assert diagnosis.works


def test_the_stock_policy_of_a_box_is_in_no_tunnels_way() -> None:
    """Given the rules of a new box, then a tunnel that stands works, and one that is to be negotiated may."""
    settings = Settings(DEFAULTS | {"WAN": "eth0", "LAN": "eth1", "LAN_ADDRESS": "10.1.0.1/24"})
    saved = ""
    for line in render(parse_policy(STOCK.read_bytes(), "/f", settings))["rules.v4"].splitlines():
        saved += f"[0:0] {line}\n" if line.startswith("-A") else f"{line}\n"
        if line in ("*raw", "*mangle", "*nat"):
            saved += ":PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n"
    stock = parse(saved)
    for said in (UP, TRIED | {"sent": "2 9 x"}, TRIED | {"nat": "here"}, DOWN | {"routing": "prospective erouted"}):
        assert diagnose(facts(said, out=Carried(1), back=Carried(1), outer=stock, inner=stock)).works
    spoofing = facts(UP, out=Carried(1), back=Carried(1), inner=stock, lan="eth7")
    assert str(diagnose(spoofing)).startswith(
        "this box's own firewall stops the tunnel's traffic that is forwarded: `iptables -t raw -A spoofed"
    )


def test_what_else_is_wrong_follows_if_it_is_wrong_whatever_the_first_cause() -> None:
    """Given no route, forwarding off and old ICMP, then the last is not told: it follows from the first."""
    known = facts(
        TRIED | {"sent": "1 3 x", "lost": "1 3 111 192.0.2.2"},
        to_peer=Way(problem="Network unreachable"),
        forwards=False,
    )
    assert str(diagnose(known)).startswith("there is no route to the peer 192.0.2.2 (Network unreachable)")
    assert [said.partition(":")[0] for said in diagnose(known).also] == [
        "this box forwards nothing between 10.1.0.0/24 and the tunnel"
    ]


def test_the_list_of_what_was_looked_at() -> None:
    known = facts(TRIED | {"sent": "4 5 main mode, in clear, 196 bytes", "why": "no answer"}, **CARRIES)
    found = dict(looked(known))
    assert found["this end"] == "192.0.2.1 on eth0, MTU 1500"
    assert found["IKE sent"] == "4, the last 5 s ago: main mode, in clear, 196 bytes"
    assert found["IKE received"] == "none"
    assert found["encrypted, in"].startswith("8 packets (2500 bytes), the last 2 s ago, 1 SA")
    assert found["traffic there"] == "10.2.0.0/24 by ipsec0"
