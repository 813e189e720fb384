"""The firewall of a box: what it promises is held against packets, in every direction; and it never leaves a box open."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from keying import PROJECT, configure, conn, forget, start, up
from offices import PATIENCE, PATTERN, PINGS, POLICY, Offices, add_host, lan_of, offices, quiet_wire, read_sas, wan_of
from zones import PREFIXES, Promise, Told, add_zones, remove_zones, set_policy, tell

from builder.smoke.box import Box
from builder.smoke.capture import Capture, holds, kinds

pytestmark = pytest.mark.once

SECRETS = '192.0.2.1 192.0.2.2 : PSK "a firewall is no secret"\n'
EVERYTHING = {
    "four": ("leftsubnet=0.0.0.0/0", "rightsubnet=10.2.0.0/24"),
    "six": ("leftsubnet=::/0", "rightsubnet=fd00:2::/64"),
}
# The stock policy with a LAN of both versions, one gateway that is known, and two zones more.
MORE = """
zone guest guest 10.8.0.0/24 fd00:8::/64
zone dmz dmz 10.9.0.0/24 fd00:9::/64
allow guest wan dns http https
masquerade guest wan
reject guest box
allow lan,vpn dmz tcp 80 ssh
allow vpn dmz esp ah
deny lan dmz log
allow dmz wan ntp
forward wan tcp 8443 to 10.9.0.11:443
allow wan dmz https to fd00:9::12
"""
ORIGINS = ("wan", "lan", "guest", "dmz", "vpn", "box")
SSH = "timeout 5 nc {} 22 </dev/null | head -n 1"


def stock() -> str:
    return (PROJECT / "overlay/etc/cygnet/firewall").read_text()


def policy() -> str:
    text = re.sub(r"^zone lan .*", "zone lan $LAN 10.1.0.0/24 fd00:1::/64", stock(), flags=re.MULTILINE)
    return text.replace("\nike wan\n", "\nike wan from 192.0.2.2\n") + MORE


def false_sources() -> Iterator[Promise]:
    """What would be let through if it did not come with another zone's address, or with one that the zone has not."""
    for origin, target, kind, port in (
        ("wan", "box", "icmp", "8"), ("lan", "wan", "tcp", "80"), ("lan", "vpn", "udp", "9"), ("guest", "wan", "tcp", "80"),
        ("lan", "box", "tcp", "22"), ("dmz", "wan", "udp", "123"), ("vpn", "lan", "tcp", "80"),
    ):  # fmt: skip
        for name, prefixes in PREFIXES.items():
            # Those of WAN and tunnels are of anybody there.
            known = name in ("lan", "guest", "dmz") or origin in ("lan", "guest", "dmz")
            for version, prefix in enumerate(prefixes):
                if name != origin and known:
                    which = "icmpv6" if kind == "icmp" and version else kind
                    number = "128" if which == "icmpv6" else port
                    yield Promise(0, "46"[version], origin, target, which, number, f"{prefix}10", "-", "deny")


@pytest.fixture(scope="module")
def town(boxes: dict[str, Box], capture: Capture) -> Iterator[Offices]:
    """Both boxes, with a tunnel to everything between box-b's LAN and box-a, where the policy is in force."""
    for box in boxes.values():
        box.log_in()
    text = "".join(conn(name, "authby=secret", *lines, "auto=add", lans=False) for name, lines in EVERYTHING.items())
    with quiet_wire(*boxes.values()), offices(boxes, capture) as made:
        before = made.a.box.text(f"cat {POLICY}") + "\n"
        add_zones(made)
        set_policy(made.a.box, policy())
        for side, _ in made.both:
            configure(side, text, SECRETS)
            start(side)
        for name in EVERYTHING:
            up(made.a, name)
        yield made
        for side, _ in made.both:
            forget(side)
        remove_zones(made)
        set_policy(made.a.box, before)


@pytest.fixture(scope="module")
def told(town: Offices, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """A packet was sent for each promise."""
    return tell(town, policy(), false_sources(), tmp_path_factory.mktemp("zones"))


@pytest.mark.parametrize("origin", ORIGINS)
def test_every_promise_is_kept(told: Told, origin: str) -> None:
    """From a zone to every other, each packet that `ipsec firewall --table` names ends as it says"""
    # What the VPN says to itself does not come by this box: there is one tunnel.
    rows = [one for one in told.promises if one.origin == origin and (origin, one.target) != ("vpn", "vpn")]
    assert {one.target for one in rows} == {*ORIGINS} - ({origin} & {"vpn", "box"})
    assert {one.version for one in rows} == {"4", "6"}
    assert told.broken(rows) == []


def test_every_verdict_is_among_the_promises(told: Told) -> None:
    """The table has packets of every fate, so that a look at them can fail"""
    assert {one.verdict for one in told.promises} == {"allow", "deny", "reject", "forward"}


def test_only_what_the_policy_names_has_the_boxes_address(told: Told) -> None:
    """Masquerading: what goes from LAN and guests to the WAN has the box's address; nothing in a tunnel ever has"""
    seen = {
        (one.origin, one.target): {sight.source for sight in told.arrivals(one)}
        for one in told.promises
        if one.version == "4" and one.source == "-" and told.arrivals(one) and "box" not in (one.origin, one.target)
    }
    assert seen[("lan", "wan")] == seen[("guest", "wan")] == {"192.0.2.1"}
    assert seen[("lan", "vpn")] == {"10.1.0.10"}
    assert seen[("vpn", "lan")] == seen[("vpn", "dmz")] == {"10.2.0.10"}
    assert seen[("dmz", "wan")] == {"10.9.0.10"}


def test_a_forwarded_port_answers(town: Offices) -> None:
    """A port of the WAN that is forwarded is answered by the host in the DMZ"""
    town.a.box.text("ip netns exec dmz sh -c 'echo hello from the dmz | nc -l -p 443 >/dev/null 2>&1 &'")
    assert town.b.box.text("timeout 5 nc 192.0.2.1 8443 </dev/null; true") == "hello from the dmz"


def test_ssh_is_answered_in_the_lan_only(town: Offices) -> None:
    """SSH of the box answers a host in the LAN, and none in the WAN"""
    town.a.box.wait_for(SSH.format("127.0.0.1"), lambda said: said.startswith("SSH-2.0-"))
    assert town.a.at_host(f"sh -c '{SSH.format('10.1.0.1')}'")[0].startswith("SSH-2.0-")
    assert "SSH" not in town.b.box.run(SSH.format("192.0.2.1"))[0]


def test_pings_from_the_wan_are_answered_ten_a_second(town: Offices) -> None:
    """A ping from the WAN is answered, a flood of them is not"""
    assert "3 packets received" in town.b.box.text("ping -c 3 192.0.2.1")
    flood = town.b.box.run("ping -c 100 -i 0.01 -W 1 192.0.2.1")[0]
    found = re.search(r"100 packets transmitted, (\d+) packets received", flood)
    assert found, flood
    assert 0 < int(found[1]) < 100


def test_a_policy_that_nobody_confirms_goes(town: Offices) -> None:
    """A policy on trial that locks its administrator out is taken back by itself"""
    box, ping = town.a.box, "ping -c 1 -W 1 10.1.0.1"
    box.text(f"cp {POLICY} /tmp/kept")
    assert "1 packets received" in town.a.at_host(ping)[0]
    box.text(f"sed -i 's/^allow lan box .*/allow vpn box ssh/' {POLICY}")
    said = box.text("ipsec firewall --apply --seconds 12", PATIENCE)
    assert "on trial for 12 s" in said
    assert "0 packets received" in town.a.at_host(ping)[0]
    box.wait_for(f"ip netns exec host {ping}", lambda text: "1 packets received" in text)
    box.wait_for("logread", lambda text: "nobody confirmed" in text)
    assert "is not in force: ipsec firewall --apply" in box.run("box status", PATIENCE)[0]
    box.text(f"cp /tmp/kept {POLICY}")


GUIDE = {
    # "Firewalling for a standalone system", and its optional third step.
    "standalone": """
iptables -A INPUT  -p udp -i $world --sport 500 --dport 500 -j ACCEPT
iptables -A OUTPUT -p udp -o $world --sport 500 --dport 500 -j ACCEPT
iptables -A INPUT  -p 50 -i $world -j ACCEPT
iptables -A OUTPUT -p 50 -o $world -j ACCEPT
iptables -A INPUT  -i ipsec+ -j ACCEPT
iptables -A OUTPUT -o ipsec+ -j ACCEPT
""",
    # "Firewalling for gateways".
    "gateway": """
iptables -A FORWARD -d $localnet -i ipsec+ -j ACCEPT
iptables -A FORWARD -s $localnet -i $internal -j ACCEPT
""",
    # The same as today's manual pages of iptables have it.
    "policy": """
iptables -D FORWARD -d $localnet -i ipsec+ -j ACCEPT
iptables -A FORWARD -d $localnet -m policy --dir in --pol ipsec -j ACCEPT
""",
}


def type_in(box: Box, rules: str) -> None:
    """At the console, as the guide has it."""
    where = f"world=eth0 localnet=10.1.0.0/24 internal={lan_of(box)}"
    box.all_of(*(f"{where}; {line}" for line in rules.strip().splitlines()))


def test_the_guides_rules_work_as_written(town: Offices) -> None:
    """FreeS/WAN's own rules, typed in: each lets through what the guide says it is for, and nothing does without"""
    box, own = town.a.box, "ping -c 1 -W 2 -I 10.1.0.1 10.2.0.2"
    tables = " && ".join(f"iptables -t {table} -F" for table in ("raw", "mangle", "nat", "filter"))
    box.text("iptables-save >/tmp/before; for c in INPUT OUTPUT FORWARD; do iptables -P $c DROP; done")
    box.text(tables)
    town.a.box.text("ipsec auto --down four", PATIENCE)
    # Without rules not even a key is negotiated; with the standalone system's the box itself is there,
    assert town.a.ping(town.b.host, 1) == 0
    type_in(box, GUIDE["standalone"])
    up(town.a, "four")
    assert "1 packets received" in box.run(own)[0]
    # for the hosts behind it the gateway's are wanted, too.
    assert town.a.ping(town.b.host, 1) == 0
    type_in(box, GUIDE["gateway"])
    assert town.a.ping(town.b.host) == town.b.ping(town.a.host) == PINGS
    type_in(box, GUIDE["policy"])
    assert town.a.ping(town.b.host) == town.b.ping(town.a.host) == PINGS
    assert re.search(r"^firewall: other", box.run("box status", PATIENCE)[0], re.MULTILINE)
    box.text("iptables-restore </tmp/before")


def test_without_the_daemon_private_networks_are_not_reached(town: Offices) -> None:
    """`ipsec setup stop`: the box goes on as a router, and not one packet for a private network goes in clear"""
    box = town.a.box
    box.text("ipsec setup stop", PATIENCE)
    mark = town.wire.mark()
    assert read_sas(box) == []
    assert box.text("cat /proc/sys/net/ipv4/ip_forward") == "1"
    assert town.a.ping(town.b.host) == 0
    frames = town.wire.since(mark)
    assert "icmp" not in kinds(frames)
    assert not holds(frames, PATTERN)


def test_damaged_rules_close_the_box(town: Offices) -> None:
    """A box that finds its rules damaged at boot is closed, says so, lets its administrator in, and is mended by one command"""
    box, rules = town.a.box, "/etc/cygnet/firewall.rules/rules.v4"
    box.all_of(f"sed -i 's/^:to-box .*/:to-box damaged/' {rules}", "sync")
    box.pull_plug()
    said = box.run("box status", PATIENCE)[0]
    assert re.search(r"^firewall: fallback$", said, re.MULTILINE), said
    box.text(f"ip address add 192.0.2.1/24 dev {wan_of(box)}")
    add_host(town.a, town.b)
    assert town.a.at_host(f"sh -c '{SSH.format('10.1.0.1')}'")[0].startswith("SSH-2.0-")
    assert town.a.ping("10.1.0.1", 1) == 0
    assert "0 packets received" in town.b.box.run("ping -c 2 -W 1 192.0.2.1")[0]
    assert "problem: the firewall's rules could not be loaded" in said
    assert "FIREWALL'S RULES IN /etc/cygnet/firewall.rules CANNOT BE USED" in box.text("dmesg")
    # When it is mended, all is as it was.
    assert "kept" in box.text("ipsec firewall --apply --confirm", PATIENCE)
    assert re.search(r"^firewall: policy$", box.run("box status", PATIENCE)[0], re.MULTILINE)
