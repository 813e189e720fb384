"""``ipsec verify``: a good box is OK throughout; each thing that is wrong is found, named, and has its remedy."""

from __future__ import annotations

import datetime
import gzip
from collections.abc import Callable, Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cygnet.cli import main, verify
from cygnet.cli.hostkeys import public_text
from cygnet.cli.verify import CHECKS, files
from cygnet.cli.verify.scene import Finding, Scene
from cygnet.conf import load, load_secrets
from cygnet.connection.connection import Address
from cygnet.connection.local import Local
from cygnet.crypto.rsa import PrivateKey
from cygnet.dns.cache import Answer
from cygnet.dns.message import KEY as KEY_TYPE
from cygnet.dns.message import TXT, Question
from cygnet.dns.names import to_text
from cygnet.firewall.read import parse
from cygnet.firewall.render import render
from cygnet.firewall.settings import DEFAULTS, Settings
from cygnet.why import netfilter
from cygnet.why.host import Link, Way

STOCK = Path(__file__).parents[4] / "overlay/etc/cygnet/firewall"
NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
LOCAL = Local(
    {"eth0": (ip_address("192.0.2.1"),), "eth1": (ip_address("10.1.0.1"),)},
    "eth0",
    ip_address("192.0.2.254"),
    ip_address("192.0.2.1"),
)
SETUP = 'version 2\nconfig setup\n\tinterfaces="ipsec0=eth0"\n'
WEST = "left=192.0.2.1 leftsubnet=10.1.0.0/24 right=192.0.2.2 rightsubnet=10.2.0.0/24 authby=secret auto=start"
SECRETS = '192.0.2.1 192.0.2.2 : PSK "a long and random text"\n'
SOCKETS = "  sl  local_address\n   1: 00000000:01F4 0\n   2: 00000000:1194 0\n"
SYMBOLS = "XFRM_USER=y XFRM_INTERFACE=m INET_ESP=y INET_AH=y INET_IPCOMP=y NETFILTER_XT_MATCH_POLICY=y"
CERTIFIED = [rsa.generate_private_key(65537, 2048) for _ in range(2)]
KEY, OTHER = PrivateKey.generate(1024), PrivateKey.generate(1024)
NAMES = {"box": ["127.0.1.1"], "peer.example": [ip_address("192.0.2.2")]}
OPEN = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n{}COMMIT\n"
CLOSED = OPEN.replace("INPUT ACCEPT", "INPUT DROP").replace("FORWARD ACCEPT", "FORWARD DROP")
HOLES = """\
[0:0] -A INPUT -p udp -m multiport --dports 500,4500 -j ACCEPT
[0:0] -A INPUT -p esp -j ACCEPT
[0:0] -A FORWARD -i ipsec+ -m policy --dir in --pol ipsec -j ACCEPT
[0:0] -A FORWARD -i eth1 -o ipsec+ -j ACCEPT
"""
NAT = "*nat\n:POSTROUTING ACCEPT [0:0]\n[0:0] -A POSTROUTING {} -j MASQUERADE\nCOMMIT\n"
Change = Callable[[Scene], Scene]


def way(address: Address) -> Way:
    """The routes of a box whose tunnel stands."""
    if address in (ip_address("192.0.2.1"), ip_address("10.1.0.1")):
        return Way("lo")
    cards = {"192.0.2.0/24": "eth0", "10.1.0.0/24": "eth1", "10.2.0.0/24": "ipsec0"}
    near = [card for network, card in cards.items() if address in ip_network(network)]
    return Way(near[0]) if near else Way("eth0", LOCAL.default_gateway)


def conns(folder: Path, *connections: str, setup: str = SETUP) -> dict[str, Any]:
    """A configuration: each connection is its parameters, the first is called west0."""
    text = setup + "".join(
        f"conn west{at}\n\t{one.replace(' ', chr(10) + chr(9))}\n" for at, one in enumerate(connections)
    )
    (folder / "ipsec.conf").write_text(text)
    return {"configuration": load(folder / "ipsec.conf", LOCAL, lambda name: NAMES.get(name, []))}


def secrets(folder: Path, text: str, mode: int = 0o600) -> dict[str, Any]:
    (folder / "ipsec.secrets").write_text(text)
    (folder / "ipsec.secrets").chmod(mode)
    return {"secrets": load_secrets(folder / "ipsec.secrets", lambda _: [])}


def key_entry(key: PrivateKey) -> str:
    return (
        ": RSA {\n"
        + "".join(f"\t{name}: 0s{text(number)}\n" for name, number in key.secret_numbers().items())
        + "\t}\n"
    )


def text(number: int) -> str:
    import base64

    return base64.b64encode(number.to_bytes((number.bit_length() + 7) // 8, "big")).decode()


@pytest.fixture
def good(tmp_path: Path) -> Scene:
    """A box whose tunnel stands."""
    for name, content in {
        "proc/net/udp": SOCKETS,
        "proc/crypto": "name : deflate",
        "proc/sys/kernel/hostname": "box",
        "etc/resolv.conf": "nameserver 192.0.2.254",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    configure_kernel(tmp_path, SYMBOLS)
    switches = {"ipv4/ip_forward": 1, "ipv4/conf/all/rp_filter": 1, "ipv4/conf/eth0/rp_filter": 1}
    return Scene(
        **conns(tmp_path, WEST),
        **secrets(tmp_path, SECRETS),
        local=LOCAL,
        attached={ip_network("192.0.2.0/24"): "eth0", ip_network("10.1.0.0/24"): "eth1"},
        pid=77,
        links={"eth0": Link(True, True, 1500), "eth1": Link(True, True, 1500), "ipsec0": Link(True, True, 1438)},
        way=way,
        switch=lambda name: switches.get(name, 0),
        firewall=lambda version: netfilter.parse(CLOSED.format(HOLES)),
        has=lambda name: True,
        xfrm=True,
        algorithm=lambda kind, name: True,
        resolve=lambda name: NAMES.get(name, []),
        ask=lambda asked: dict.fromkeys(asked, Answer(problem="does not exist")),
        root=tmp_path,
        folder=tmp_path,
        now=NOW,
    )


def configure_kernel(root: Path, symbols: str) -> None:
    lines = "".join(f"CONFIG_{symbol}\n" for symbol in symbols.split())
    (root / "proc/config.gz").write_bytes(gzip.compress(lines.encode()))


def found(scene: Scene) -> list[Finding]:
    config, secret = scene.folder / "ipsec.conf", scene.folder / "ipsec.secrets"
    return [*files(scene, config, secret), *(each for check in CHECKS for each in check(scene))]


@pytest.fixture(autouse=True)
def root_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)


def test_a_good_box_is_ok_throughout(good: Scene) -> None:
    assert [finding for finding in found(good) if finding.problems] == []
    assert len(found(good)) > 12


def rules(text: str) -> Change:
    return lambda scene: replace(scene, firewall=lambda version: netfilter.parse(text))


def conn(*lines: str, **more: Any) -> Change:
    """West, with some parameters besides or instead."""
    given = dict(word.split("=", 1) for word in WEST.split()) | dict(line.split("=", 1) for line in lines)
    words = " ".join(f"{name}={value}" for name, value in given.items() if value)
    return lambda scene: replace(scene, **conns(scene.folder, words, **more))


def reads(path: str, content: str) -> Change:
    def change(scene: Scene) -> Scene:
        (scene.root / path).write_text(content)
        return scene

    return change


def kernel(symbols: str) -> Change:
    def change(scene: Scene) -> Scene:
        configure_kernel(scene.root, symbols)
        return scene

    return change


def bare(scene: Scene) -> Scene:
    (scene.root / "proc/config.gz").unlink()
    return replace(scene, xfrm=False)


def link(name: str, *facts: Any) -> Change:
    return lambda scene: replace(scene, links={**scene.links, name: Link(*facts)})


def without_link(name: str) -> Change:
    return lambda scene: replace(scene, links={key: each for key, each in scene.links.items() if key != name})


def routed(address: str, to: Way) -> Change:
    return lambda scene: replace(scene, way=lambda asked: to if asked == ip_address(address) else way(asked))


def switch(name: str, value: int) -> Change:
    return lambda scene: replace(scene, switch=lambda asked: value if asked == name else scene.switch(asked))


def refuse(scene: Scene) -> Scene:
    def firewall(version: int) -> netfilter.Firewall:
        raise netfilter.NetfilterError("iptables-save: it is not there")

    return replace(scene, firewall=firewall)


def all_of(*changes: Change) -> Change:
    def change(scene: Scene) -> Scene:
        for each in changes:
            scene = each(scene)
        return scene

    return change


HOST = conn("leftsubnet=", "rightsubnet=")
RSA = conn(
    "authby=rsasig", f"leftrsasigkey=0s{public_text(KEY.public)}", f"rightrsasigkey=0s{public_text(OTHER.public)}"
)
OWN = lambda scene: replace(scene, **secrets(scene.folder, key_entry(KEY)))  # noqa: E731


def key_record(key: PrivateKey) -> bytes:
    return b"\x42\x00\x04\x01" + key.public.blob


def txt_record(gateway: str, key: PrivateKey) -> bytes:
    text = f"X-IPsec-Server(10)={gateway} {public_text(key.public)}".encode()
    return bytes((len(text),)) + text


def answers(asked: Sequence[Question], records: dict[tuple[str, int], bytes]) -> dict[Question, Answer]:
    """Of a name server that has these records."""
    known = {one: records.get((to_text(one.name), one.type), b"") for one in asked}
    return {one: Answer((data,)) if data else Answer(problem="does not exist") for one, data in known.items()}


# What is changed on the good box; verdict; whose finding it is; words of what is wrong; words of the remedy.
FAULTS: dict[str, tuple[Change, str, str, str, str]] = {
    "no root": (lambda scene: scene, "FAILED", "Run by root", "without root's rights", "run it as root"),
    "no xfrm": (bare, "FAILED", "Kernel has XFRM", "CONFIG_XFRM_USER", "use a kernel"),
    "no esp": (kernel(SYMBOLS.replace("INET_ESP=y", "")), "FAILED", "Kernel has XFRM", "CONFIG_INET_ESP", "use a kernel"),
    "no ah": (
        all_of(conn("phase2=ah", "ah=sha2_256"), kernel(SYMBOLS.replace("INET_AH=y", ""))),
        "FAILED", "Kernel has XFRM", "CONFIG_INET_AH", "use a kernel",
    ),
    "no policy match": (
        all_of(conn("leftfirewall=yes"), kernel(SYMBOLS.replace("NETFILTER_XT", ""))),
        "FAILED", "Kernel has XFRM", "XT_MATCH_POLICY", "use a kernel",
    ),
    "no gcm": (
        lambda scene: replace(scene, algorithm=lambda kind, name: "gcm" not in name),
        "FAILED", "Kernel has the algorithms", 'lacks rfc4106(gcm(aes)), which connection "west0"', "out of esp=",
    ),
    "no deflate": (
        all_of(conn("compress=yes"), reads("proc/crypto", "name : aes")),
        "FAILED", "Kernel has the algorithms", "deflate", "compress=no",
    ),
    "no ip": (lambda scene: replace(scene, has=lambda name: False), "FAILED", 'Program "ip"', "routes", "iproute2"),
    "no iptables": (
        all_of(conn("leftfirewall=yes"), lambda scene: replace(scene, has=lambda name: name == "ip")),
        "FAILED", 'Program "iptables"', "leftfirewall=yes", "leftfirewall=no",
    ),
    "dead daemon": (
        all_of(lambda scene: replace(scene, pid=0), reads("proc/net/udp", "")),
        "FAILED", "Pluto is running", "does not run", '"ipsec setup start"',
    ),
    "deaf daemon": (reads("proc/net/udp", "head\n1: 00:01F4\n"), "FAILED", "Pluto is running", "4500 is not open", "restart"),
    "another daemon": (lambda scene: replace(scene, pid=0), "FAILED", "Pluto is running", "another program has UDP port 500", "end"),
    "no pair": (conn(setup=SETUP.replace("ipsec0=eth0", "%none")), "FAILED", "Interfaces", "interfaces=%none", "ipsec0=eth0"),
    "no card": (without_link("eth0"), "FAILED", "Interface ipsec0", "no interface eth0", "interfaces="),
    "no ipsec0": (without_link("ipsec0"), "FAILED", "Interface ipsec0", "no ipsec0", "restart"),
    "card down": (link("eth0", False, True, 1500), "FAILED", "Interface ipsec0", "eth0 is down", "ip link set eth0 up"),
    "ipsec0 down": (link("ipsec0", False, True, 1400), "FAILED", "Interface ipsec0", "ipsec0 is down", "ip link set ipsec0 up"),
    "no cable": (link("eth0", True, False, 1500), "FAILED", "Interface ipsec0", "plugged into eth0", "cable"),
    "no address": (lambda scene: replace(scene, local=Local()), "FAILED", "Interface ipsec0", "no address", "DHCP"),
    "mtu": (link("ipsec0", True, True, 9000), "NOTE", "Interface ipsec0", "9000", "mtu 1500"),
    "no default": (lambda scene: replace(scene, local=replace(LOCAL, default_interface="")), "NOTE", "Default route", "none", "set"),
    "unreachable": (
        routed("192.0.2.2", Way(problem="Network is unreachable")),
        "FAILED", "Routes to", "192.0.2.2 cannot be reached: Network", "ip route add 192.0.2.2",
    ),
    "other card": (routed("192.0.2.2", Way("eth1")), "FAILED", "Routes to", "by eth1, left=192.0.2.1 is on eth0", "dev eth0"),
    "far nexthop": (conn("leftnexthop=203.0.113.1"), "FAILED", "Routes to", "leftnexthop=203.0.113.1 is not next", "leave"),
    "no forwarding": (switch("ipv4/ip_forward", 0), "FAILED", "IPv4 forwarding", "is 0", "sysctl -w net.ipv4.ip_forward=1"),
    "rp_filter": (HOST, "FAILED", "rp_filter", "eth0 is strict", "net.ipv4.conf.eth0.rp_filter=2"),
    "rp_filter, anybody": (
        conn("leftsubnet=", "rightsubnet=", "right=%any", "auto=add"),
        "FAILED", "rp_filter", "(west0)", "net.ipv4.conf.eth0.rp_filter=2",
    ),
    "ike shut": (
        rules(CLOSED.format(HOLES.replace("500,4500", "4500"))),
        "FAILED", "Firewall lets IKE", "192.0.2.2/32 -> 192.0.2.1/32 (-i eth0 -p udp --dport 500) is stopped by: iptables -P INPUT DROP",
        "iptables -I INPUT -i eth0 -p udp --dport 500 -j ACCEPT",
    ),
    "nat-t shut": (rules(CLOSED.format(HOLES.replace(",4500", ""))), "FAILED", "Firewall lets IKE", "--dport 4500", "--dport 4500 -j"),
    "esp shut": (rules(CLOSED.format(HOLES.replace("-p esp", "-p ah"))), "FAILED", "Firewall lets IKE", "-p esp", "-p esp -j ACCEPT"),
    "ah shut": (
        all_of(conn("phase2=ah", "ah=sha2_256"), rules(CLOSED.format(HOLES))),
        "FAILED", "Firewall lets IKE", "-p ah", "-p ah -j ACCEPT",
    ),
    "nothing leaves": (
        rules(OPEN.format("[0:0] -A OUTPUT -o eth0 -j DROP\n")),
        "FAILED", "Firewall lets IKE", "iptables -A OUTPUT -o eth0 -j DROP", "-I OUTPUT -o eth0 -p udp",
    ),
    "perhaps": (
        rules(CLOSED.format(HOLES.replace("-p esp", "-p esp -m limit --limit 9/sec"))),
        "NOTE", "Firewall lets IKE", "(unless by: iptables -A INPUT -p esp -m limit", "-p esp -j ACCEPT",
    ),
    "traffic shut": (
        rules(CLOSED.format(HOLES.replace("-i ipsec+", "-i ppp+"))),
        "FAILED", "Firewall lets the tunnels", "10.2.0.0/24 -> 10.1.0.0/24 (-i ipsec+)", "iptables -I FORWARD -i ipsec+ -j ACCEPT",
    ),
    "masquerade": (
        rules(CLOSED.format(HOLES) + NAT.format("-s 10.1.0.0/24")),
        "FAILED", "No address translation", "gets another address", "iptables -t nat -I POSTROUTING -o ipsec+ -j ACCEPT",
    ),
    "no rules": (refuse, "NOTE", "Firewall, IPv4", "iptables-save: it is not there", "UDP 500"),
    "no dns": (
        all_of(conn("right=peer.example"), reads("etc/resolv.conf", "")),
        "FAILED", "DNS server", "peer.example", "DNS=",
    ),
    "no own name": (reads("proc/sys/kernel/hostname", "wolke"), "NOTE", "Own host name", "wolke", "/etc/hosts"),
    "unknown parameter": (conn("rightsubnett=10.2.0.0/24"), "FAILED", "Configuration", "no parameter rightsubnett", "correct"),
    "of klips": (conn(setup=SETUP + "\tklipsdebug=none\n"), "NOTE", "Parameter klipsdebug", "it has no effect", "take"),
    "open secrets": (
        lambda scene: replace(scene, **secrets(scene.folder, SECRETS, 0o644)),
        "FAILED", "Secrets", "others may read it (mode 644)", "ipsec secrets",
    ),
    "nothing secret": (lambda scene: replace(scene, **secrets(scene.folder, "")), "FAILED", "A key or password", "none", "newhostkey"),
    "ignored": (conn("auto=ignore"), "NOTE", 'Connection "west0"', "auto=ignore", "auto=add"),
    "cannot call": (
        all_of(conn("right=%any"), lambda scene: replace(scene, **secrets(scene.folder, ': PSK "a long and random text"'))),
        "NOTE", 'Connection "west0"', "has to call", "auto=add",
    ),
    "weak": (conn("ike=3des-md5-modp1024"), "NOTE", 'Connection "west0"', "3des, md5, modp1024", "leave ike="),
    "same subnet": (conn("rightsubnet=10.1.0.0/24"), "FAILED", 'Connection "west0"', "are the same", "other addresses"),
    "within": (conn("rightsubnet=10.0.0.0/8"), "NOTE", 'Connection "west0"', "not apart", "other addresses"),
    "overlap": (
        conn("leftsubnet=10.9.0.0/24", "rightsubnet=10.1.0.128/25"),
        "FAILED", 'Connection "west0"', "rightsubnet=10.1.0.128/25 overlaps with 10.1.0.0/24, which is on eth1", "other addresses",
    ),
    "not behind": (conn("leftsubnet=10.7.0.0/24"), "NOTE", 'Connection "west0"', "leftsubnet=10.7.0.0/24 is behind no", "ip route add"),
    "sourceip": (conn("leftsourceip=10.1.0.9"), "FAILED", 'Connection "west0"', "leftsourceip=10.1.0.9 is no address", "its addresses"),
    "same id": (
        all_of(conn("leftid=@box.example", "rightid=@box.example"), lambda scene: replace(scene, **secrets(scene.folder, ': PSK "a long and random text"'))),
        "FAILED", 'Connection "west0"', "both ends say they are @box.example", "another rightid=",
    ),
    "no secret": (
        conn("right=192.0.2.3"),
        "FAILED", 'Connection "west0"', "no secret for 192.0.2.1 and 192.0.2.3", '192.0.2.1 192.0.2.3 : PSK "..."',
    ),
    "short secret": (
        lambda scene: replace(scene, **secrets(scene.folder, ': PSK "short"')),
        "NOTE", 'Connection "west0"', "is short", "ipsec ranbits",
    ),
    "no own key": (RSA, "FAILED", 'Connection "west0"', "no private key for 192.0.2.1", "newhostkey"),
    "other key": (
        all_of(RSA, conn("authby=rsasig", f"leftrsasigkey=0s{public_text(OTHER.public)}", f"rightrsasigkey=0s{public_text(OTHER.public)}"), OWN),
        "FAILED", 'Connection "west0"', "leftrsasigkey= belongs to none", "ipsec showhostkey --left",
    ),
    "no peer key": (all_of(conn("authby=rsasig"), OWN), "FAILED", 'Connection "west0"', "nothing is known to prove", "--right on the peer"),
    "no certificate": (
        all_of(conn("authby=rsasig", "rightcert=peer.pem"), OWN),
        "FAILED", 'Connection "west0"', "peer.pem: No such file", "put the certificate there",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_wrong_is_found_and_has_its_remedy(name: str, good: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    change, verdict, what, wrong, remedy = FAULTS[name]
    if name == "no root":
        monkeypatch.setattr("os.geteuid", lambda: 1000)
    judged = found(change(good))
    hits = [finding for finding in judged if finding.what.startswith(what) and finding.problems]
    assert [finding.verdict for finding in hits] == [verdict], judged
    assert [one for one in hits[0].problems if wrong in one.text and remedy in one.remedy], hits[0].problems
    assert all(problem.remedy for finding in judged for problem in finding.problems)


def test_a_peers_key_may_be_in_the_dns(good: Scene) -> None:
    """What proves the peer is looked up at its name, as the daemon does."""
    scene = OWN(conn("authby=rsasig", "rightid=@peer.example")(good))
    at_peer = {("peer.example", KEY_TYPE): key_record(OTHER)}
    scene = replace(scene, ask=lambda asked: answers(asked, at_peer))
    assert [finding for finding in found(scene) if finding.problems] == []


def test_an_ignored_connection_fails_nobody(good: Scene) -> None:
    """Given a connection that nothing loads, when it could not come up, then that is a note."""
    judged = found(conn("auto=ignore", "right=192.0.2.3")(good))
    assert {finding.verdict for finding in judged} == {"OK", "NOTE"}


def test_a_tunnel_whose_script_opens_the_firewall_needs_no_rules_before(good: Scene) -> None:
    rules_of_ike = "".join(line + "\n" for line in HOLES.splitlines() if "INPUT" in line)
    assert not [
        each
        for each in found(all_of(conn("leftfirewall=yes"), rules(CLOSED.format(rules_of_ike)))(good))
        if each.problems
    ]


CALLER = "left=192.0.2.1 leftid=@road.example.org right=%opportunistic rightrsasigkey=%dns auto=route rekey=no"
AT_NAME, AT_ADDRESS = ("road.example.org", KEY_TYPE), ("1.2.0.192.in-addr.arpa", TXT)


OWN_RECORDS = {
    "all there": (CALLER, {AT_NAME: key_record(KEY), AT_ADDRESS: txt_record("192.0.2.1", KEY)}, "OK OK", ""),
    "can call only": (CALLER, {AT_NAME: key_record(KEY)}, "OK NOTE", "this host can call, and cannot be called"),
    "no key at the name": (CALLER, {AT_ADDRESS: txt_record("192.0.2.1", KEY)}, "FAILED OK", "KEY of road.example.org does not"),
    "another key": (CALLER, {AT_NAME: key_record(OTHER)}, "FAILED NOTE", "is no key of this host's"),
    "another gateway": (
        CALLER.replace(" leftid=@road.example.org", ""),
        {AT_ADDRESS: txt_record("192.0.2.9", KEY)}, "FAILED", "is no key of this host's",
    ),
    "of no use as a name": (CALLER.replace("@road.example.org", "me@example.org"), {}, "FAILED NOTE", "only names of hosts"),
}  # fmt: skip


@pytest.mark.parametrize("name", OWN_RECORDS)
def test_own_records_in_the_dns(good: Scene, name: str) -> None:
    """A box that meets strangers: what these find of it, at its name and at its address."""
    conn_, records, verdicts, wrong = OWN_RECORDS[name]
    scene = replace(good, **conns(good.folder, conn_), ask=lambda asked: answers(asked, records))
    judged = found(OWN(scene))
    own = [finding for finding in judged if finding.what.startswith("DNS: own key")]
    assert [finding.verdict for finding in own] == verdicts.split()
    assert any(wrong in problem.text for finding in own for problem in finding.problems) or not wrong
    # What it says of peers' keys is that they are in the DNS.
    assert not [each for each in judged if each.what.startswith("Connection") and each.problems]


def test_the_boxs_own_policy_lets_tunnels_through(good: Scene) -> None:
    """Given the policy of a new box as iptables-save prints it, then neither IKE nor the tunnel's traffic is stopped."""
    settings = Settings(DEFAULTS | {"WAN": "eth0", "LAN": "eth1", "LAN_ADDRESS": "10.1.0.1/24"})
    saved = ""
    for line in render(parse(STOCK.read_bytes(), "/f", settings))["rules.v4"].splitlines():
        saved += f"[0:0] {line}\n" if line.startswith("-A") else f"{line}\n"
        if line in ("*raw", "*mangle", "*nat"):
            saved += "".join(
                f":{chain} ACCEPT [0:0]\n" for chain in ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
            )
    assert [finding for finding in found(rules(saved)(good)) if finding.problems] == []


def test_many_peers_behind_one_wall_are_not_listed_all(good: Scene) -> None:
    peers = [
        WEST.replace("192.0.2.2", f"192.0.2.{number}").replace("10.2.", f"10.{number}.") for number in range(10, 30)
    ]
    judged = found(replace(rules(CLOSED.format(""))(good), **conns(good.folder, *peers)))
    [wall] = [finding for finding in judged if finding.what.startswith("Firewall lets IKE")]
    assert [problem.text for problem in wall.problems[5:]] == ["and 55 more like these"]


@pytest.mark.parametrize(
    ("start", "end", "identity", "own", "verdict", "wrong"),
    [
        (-10, 100, "", True, "OK", ""),
        (-10, 100, "@moon.example", True, "OK", ""),
        (-10, -1, "", True, "FAILED", "it expired at 2026-05-31 00:00:00 UTC"),
        (1, 100, "", True, "FAILED", "not valid before 2026-06-02 00:00:00 UTC, and the clock here says 2026-06-01"),
        (-10, 20, "", True, "NOTE", "it expires at 2026-06-21"),
        (-10, 100, "@sun.example", True, "FAILED", "leftid=@sun.example does not stand in"),
        (-10, 100, "", False, "FAILED", "no private key in ipsec.secrets belongs to it"),
    ],
)
def test_our_certificate(good: Scene, start: int, end: int, identity: str, own: bool, verdict: str, wrong: str) -> None:
    """Its time, its names, and whether its key is here."""
    keys = CERTIFIED
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "moon")])
    times = [NOW + datetime.timedelta(days=days) for days in (start, end)]
    builder = x509.CertificateBuilder(subject, subject, keys[0].public_key(), 7, *times)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("moon.example")]), False)
    for folder, name, data in (
        ("certs", "moon.pem", builder.sign(keys[0], hashes.SHA256()).public_bytes(Encoding.PEM)),
        (
            "private",
            "moon.key",
            keys[not own].private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
        ),
    ):
        (good.folder / "ipsec.d" / folder).mkdir(parents=True)
        (good.folder / "ipsec.d" / folder / name).write_bytes(data)
        (good.folder / "ipsec.d" / folder / name).chmod(0o600)
    lines = [
        "authby=rsasig",
        "leftcert=moon.pem",
        f"rightrsasigkey=0s{public_text(OTHER.public)}",
        f"leftid={identity}",
    ]
    scene = replace(conn(*lines)(good), **secrets(good.folder, ": RSA moon.key\n"))
    [mine] = [finding for finding in found(scene) if finding.what == 'Connection "west0"']
    assert mine.verdict == verdict, mine.problems
    assert wrong in "".join(problem.text for problem in mine.problems)


@pytest.mark.parametrize(("change", "status"), [("", 0), ("auto=ignore", 0), ("rightsubnet=10.1.0.0/24", 1)])
def test_the_command_prints_verdicts_and_remedies(
    good: Scene, change: str, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = conn(*change.split())(good)
    monkeypatch.setattr(verify, "look", lambda *_: scene)
    monkeypatch.setenv("IPSEC_CONFS", str(good.folder))
    assert main(["verify"]) == status
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Checking that this system has what IPsec needs"
    assert [line[-4:] for line in lines if line.startswith("Pluto is running")] == ["[OK]"]
    assert ("[FAILED]" in "".join(lines)) is bool(status)
    assert len([line for line in lines if line.startswith("\t  remedy: ")]) == len(
        [line for line in lines if line.startswith("\t") and "remedy" not in line]
    )


def test_on_this_machine_it_looks_at_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Given any Linux at all, when verify runs on it, then it comes to its end, and knows that no daemon runs."""
    conns(tmp_path, WEST)
    secrets(tmp_path, SECRETS)
    monkeypatch.setenv("IPSEC_CONFS", str(tmp_path))
    assert main(["verify", "--ctlbase", str(tmp_path / "pluto")]) == 1
    assert "Pluto is running, and listens" in capsys.readouterr().out


def test_a_configuration_that_cannot_be_read_is_one_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ipsec.conf").write_text("version 7\n")
    secrets(tmp_path, SECRETS)
    monkeypatch.setenv("IPSEC_CONFS", str(tmp_path))
    assert main(["verify"]) == 1
    assert "version 7 is not known" in capsys.readouterr().out
