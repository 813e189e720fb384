"""A box that checks the DNS's signatures itself: unbound, asked by the keying daemon, forwards to a name server.

    box-a, its own unbound ==== WAN ==== box-b, an unbound that serves zones and checks nothing

example.org is signed here, and is what box-a is told to trust in the root's place. One record was changed since.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import dns.dnssec
import dns.rdtypes.ANY.DNSKEY
import dns.zone
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from keying import write
from offices import NETWORK, PATIENCE, WAN_ADDRESSES, wan_of

from builder.smoke.box import Box

pytestmark = [pytest.mark.once, pytest.mark.needs("unbound")]

ASK = Path(__file__).parent / "on_target/ask_names.py"
YEAR = 31_536_000
RESIDENT_KIB = 8 * 1024
HEAD = "$TTL 1\n@ IN SOA ns root 1 60 60 60 1\n@ IN NS ns\n@ IN TXT zone\nns IN A {server}\n"
RECORDS = 'gate IN TXT "right"\nforged IN TXT "right"\ntime IN TXT "noon"\n'
SERVER = """server:
  interface: {server}
  access-control: 0.0.0.0/0 allow
  username: ""
  use-syslog: no
  directory: "/tmp"
  module-config: "iterator"
{zones}"""
ZONE = """auth-zone:
  name: "{name}"
  zonefile: "/tmp/{name}zone"
  for-upstream: no
  for-downstream: yes
"""
ZONES = ("example.org.", "plain.example.")


def signed(server: str) -> tuple[str, str]:
    """The zone, with one record changed afterwards; and the key to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = dns.dnssec.make_dnskey(key.public_key(), "ECDSAP256SHA256", flags=257)
    zone = dns.zone.from_text(HEAD.format(server=server) + RECORDS, ZONES[0], relativize=False)
    dns.dnssec.sign_zone(zone, keys=[(key, public)], lifetime=YEAR, dnskey_ttl=1)
    text = zone.to_text(relativize=False)
    forged = text.replace('forged.example.org. 1 IN TXT "right"', 'forged.example.org. 1 IN TXT "wrong"')
    assert forged != text
    return forged, f"{ZONES[0]} IN DNSKEY {public}\n"


@pytest.fixture(scope="module")
def box(boxes: dict[str, Box]) -> Iterator[Box]:
    """The box, booted with such settings; the other one serves the zones."""
    box, other = boxes.values()
    for each in (box, other):
        each.log_in()
    here, server = (WAN_ADDRESSES[each.name] for each in (box, other))
    zone, anchor = signed(server)
    write(other, f"/tmp/{ZONES[0]}zone", zone)
    write(other, f"/tmp/{ZONES[1]}zone", HEAD.format(server=server) + RECORDS)
    zones = "".join(ZONE.format(name=name) for name in ZONES)
    write(other, "/tmp/server.conf", SERVER.format(server=server, zones=zones))
    other.run("sv down /run/service/udhcpc")
    other.all_of(
        f"ip address flush dev {wan_of(other)}",
        f"ip address add {server}/24 dev {wan_of(other)}",
        f"ip link set {wan_of(other)} up",
        "iptables -I INPUT -p udp --dport 53 -j ACCEPT",
        "(unbound -d -p -c /tmp/server.conf >/tmp/server.said 2>&1 & echo $! >/tmp/server.pid)",
    )
    change = f"WAN_ADDRESS={here}/24|DNS={server}|DNSSEC=box|NTP=time.example.org"
    box.all_of(
        f"cp {NETWORK} /root/network",
        *(f"sed -i 's,^{one.partition('=')[0]}=.*,{one},' {NETWORK}" for one in change.split("|")),
        "mkdir /data/unbound && cp /usr/share/dns/root.ds /data/unbound/",
    )
    write(box, "/data/unbound/root.key", anchor)
    box.restart("reboot")
    box.send(ASK, "/tmp/ask_names.py")
    yield box
    box.all_of(f"cp /root/network {NETWORK}", "rm -r /root/network /data/unbound", "sync")
    box.restart("reboot")
    other.all_of("kill $(cat /tmp/server.pid)", "iptables -D INPUT -p udp --dport 53 -j ACCEPT")
    other.run("sv up /run/service/udhcpc")


def ask(box: Box, *names: str) -> list[tuple[str, bool, str]]:
    """What the keying daemon would hear: text, whether it is authentic, what is wrong; of each name's TXT."""
    said = box.text(f"python3 /tmp/ask_names.py {' '.join(names)}", PATIENCE).splitlines()[-1]
    return [(text, authentic, problem) for text, authentic, problem in json.loads(said)]


def test_signatures_are_checked_on_the_box(box: Box) -> None:
    """What is signed is authentic, what was changed is not answered, what is not signed is only an answer; IPsec's policies let it pass"""
    box.wait_for("netstat -lnu", lambda said: "127.0.0.1:53 " in said)
    policies = [f"{end} {WAN_ADDRESSES['box-b']}/32 dir {way}" for end, way in (("dst", "out"), ("src", "in"))]
    box.all_of(*(f"ip xfrm policy add {one} action block priority 1000" for one in policies))
    good, forged, plain = ask(box, "gate.example.org", "forged.example.org", "gate.plain.example")
    assert box.run(f"ping -c 1 -W 1 {WAN_ADDRESSES['box-b']}")[1] != 0
    box.all_of(*(f"ip xfrm policy del {one}" for one in policies))
    assert (good, plain) == (("right", True, ""), ("right", False, ""))
    assert forged[:2] == ("", False)
    assert "SERVFAIL" in forged[2]
    assert "validation failure <forged.example.org. TXT IN>" in box.text("dmesg")


def test_it_serves_this_box_alone_with_few_rights(box: Box) -> None:
    """It listens on 127.0.0.1 alone, is nobody else's user, sees one folder, needs little memory, keeps the root's keys"""
    assert box.text("cat /etc/resolv.conf") == "nameserver 127.0.0.1"
    listening = [line.split()[3] for line in box.text("netstat -lntu").splitlines() if ":53 " in line]
    assert listening == ["127.0.0.1:53"] * 2
    pid = box.text("pidof unbound")
    status = dict(line.split(":", 1) for line in box.text(f"cat /proc/{pid}/status").splitlines())
    assert status["Uid"].split() == ["53"] * 4
    assert int(status["VmRSS"].split()[0]) < RESIDENT_KIB
    assert box.text(f"readlink /proc/{pid}/root") == "/data/unbound"
    # As RFC 5011 wants it: unbound keeps account of the key that it was given.
    assert "[  VALID  ]" in box.text("cat /data/unbound/root.key")
    assert {"dnssec: box", "service.unbound: run"} <= set(box.run("box status", PATIENCE)[0].splitlines())


def test_a_wrong_clock_believes_nothing_but_the_time_servers_name(box: Box) -> None:
    """With a clock years ahead no signature holds and no answer comes, but of the time server, which sets the clock"""
    box.text(f"date +%s >/tmp/now && date -s @$(($(cat /tmp/now) + {2 * YEAR})) && sv restart /run/service/unbound")
    late, time = ask(box, "gate.example.org", "time.example.org")
    assert (late[0], time) == ("", ("noon", False, ""))
    box.text("date -s @$(cat /tmp/now) && stratum=3 /usr/lib/cygnet/ntp-event step")
    assert ask(box, "gate.example.org") == [("right", True, "")]
