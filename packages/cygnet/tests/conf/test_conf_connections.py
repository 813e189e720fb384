"""What a conn is as a whole: which end is this box, and what cannot go together."""

from __future__ import annotations

import subprocess
import sys
from ipaddress import ip_address

import pytest
from conf_box import BOX
from cygnet.connection.connection import HostKind
from cygnet.connection.local import Local, away

KEY = "0x0103" + "c5" * 128


@pytest.mark.parametrize(
    ("left", "right", "here", "host"),
    [
        ("10.0.0.1", "10.12.12.1", "left", "10.12.12.1"),
        ("10.12.12.1", "192.168.0.1", "right", "10.12.12.1"),
        ("%defaultroute", "peer.example", "left", "10.12.12.1"),
        ("%any", "%defaultroute", "right", "None"),
        ("0.0.0.0", "10.0.0.1", "right", "None"),
        ("2001:db8::1", "2001:db8::2", "left", "2001:db8::2"),
        ("%opportunistic", "%defaultroute", "right", "None"),
    ],
)
def test_the_end_that_is_this_box_is_found_by_its_address(read, left, right, here, host):
    found = read(f"version 2\nconn west\n\tleft={left}\n\tright={right}\n")
    west = found.connections["west"]
    assert (west.here.side, str(west.there.host)) == (here, host)
    assert west.here.interface in ("eth0", "eth1")
    assert west.there.interface == ""


def test_the_same_conn_on_the_other_box_is_the_same_tunnel_seen_from_there(read):
    text = (
        "version 2\nconn a\n\tleft=10.0.0.1\n\tleftsubnet=10.1.0.0/16\n\tright=10.12.12.1\n\trightsubnet=10.2.0.0/16\n"
    )
    other = Local({"ppp0": [ip_address("10.12.12.1")]})
    here, there = read(text).connections["a"], read(text, box=other).connections["a"]
    assert (here.here.subnet, here.there.subnet) == (there.there.subnet, there.here.subnet)
    assert (here.here.selector, here.here.host) == (there.there.selector, there.there.host)
    assert there.here.interface == "ppp0"


def test_percent_defaultroute_brings_the_router_and_the_interface(read):
    west = read("version 2\nconn west\n\tleft=%defaultroute\n\tright=10.12.12.1\n").connections["west"]
    assert (str(west.here.host), str(west.here.nexthop), west.here.interface) == ("10.0.0.1", "10.0.0.254", "eth0")


def test_a_point_to_point_default_route_has_no_router(read):
    ppp = Local({"ppp0": [ip_address("10.9.9.9")]}, "ppp0", None, ip_address("10.9.9.9"))
    west = read("version 2\nconn west\n\tleft=%defaultroute\n\tright=10.12.12.1\n", box=ppp).connections["west"]
    assert (west.here.nexthop, west.here.interface) == (None, "ppp0")


def test_what_this_box_does_not_have_yet_is_no_problem(read):
    """An interface that is away: its conns are known, and wait."""
    box = Local({"eth0": [ip_address("10.0.0.1")]})
    found = read(
        "version 2\nconn a\n\tleft=%defaultroute\n\tright=10.12.12.1\n\trightnexthop=%defaultroute\n"
        "conn b\n\tleft=10.0.0.1\n\tleftnexthop=%defaultroute\n\tright=10.12.12.1\n"
        "conn c\n\tleft=%any\n\tright=10.3.3.3\nconn d\n\tleft=10.3.3.3\n\tright=10.4.4.4\n",
        box=box,
    )
    assert not found.problems
    assert {name: away(one) for name, one in found.connections.items()} == {
        "a": "there is no default route now that would say which address %defaultroute is",
        "b": "",
        "c": "this box has no address 10.3.3.3 now",
        "d": "this box has no address 10.3.3.3 or 10.4.4.4 now",
    }
    assert found.connections["c"].here.side == "right"


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (
            "left=10.0.0.1\nright=192.168.0.1",
            '2: left=10.0.0.1 and right=192.168.0.1 are both this box: correct the one that is to be the peer; conn "west" is left out',
        ),
        ("left=%defaultroute\nright=10.0.0.1", "are both this box"),
        ("left=%any\nright=%any", "neither left=%any nor right=%any is this box"),
        ("left=%defaultroute\nright=%defaultroute", "are both this box"),
        ("left=%nobody\nright=10.0.0.1", "3: left=%nobody: it must be an address, a name, %defaultroute or one of"),
        (
            "left=nowhere.example\nright=10.0.0.1",
            "3: left=nowhere.example: the name nowhere.example has no address now",
        ),
        ("left=10.0.0.1\nauto=add", "2: it has no right="),
        ("left=10.0.0.1\nright=2001:db8::2", "must all be IPv4 or all be IPv6"),
        ("left=10.0.0.1\nright=10.12.12.1\nleftnexthop=2001:db8::9", "must all be IPv4 or all be IPv6"),
        (
            "left=10.0.0.1\nright=10.12.12.1\nleftsubnet=2001:db8:1::/48",
            "leftsubnet, rightsubnet and leftsourceip must",
        ),
        ("left=10.0.0.1\nright=10.12.12.1\nleftnexthop=10.0.0.1", "5: leftnexthop=10.0.0.1: it is left itself"),
        ("left=%defaultroute\nright=10.12.12.1\nleftnexthop=10.0.0.9", "left=%defaultroute brings its own"),
        (
            "left=10.0.0.1\nright=10.12.12.1\nleftupdown=x\nleftfirewall=yes",
            "6: leftfirewall=yes: it steers the standard script",
        ),
        (
            "left=10.0.0.1\nright=10.12.12.1\ntype=transport\nleftsubnet=10.1.0.0/16",
            "from host to host, without subnets",
        ),
        ("left=10.0.0.1\nright=10.12.12.1\nauthby=never", "5: authby=never: what is never negotiated needs type="),
        ("left=10.0.0.1\nright=10.12.12.1\nkeylife=10m", "5: keylife=10m: it must be longer than rekeymargin"),
        ("left=10.0.0.1\nright=10.12.12.1\nrekeymargin=40m", "ikelifetime: it must be longer than rekeymargin"),
        ("left=10.0.0.1\nright=10.12.12.1\nkeylife=25h", "5: keylife=25h: the maximum is 24h"),
        ("left=10.0.0.1\nright=10.12.12.1\nikelifetime=9h", "5: ikelifetime=9h: the maximum is 8h"),
        ("left=10.0.0.1\nright=10.12.12.1\nkeylife=0", "it must be more than 0"),
        ("left=10.0.0.1\nright=10.12.12.1\nrekeyfuzz=100", "5: rekeyfuzz=100: it must be a whole number followed by %"),
        ("left=10.0.0.1\nright=10.12.12.1\nkeyingtries=-1", "5: keyingtries=-1: it must be a whole number"),
        ("left=10.0.0.1\nright=10.12.12.1\npfs=maybe", "5: pfs=maybe: it must be yes or no"),
        (
            "left=10.0.0.1\nright=10.12.12.1\ntype=tunel",
            "5: type=tunel: this is no value of it: write tunnel or transport or",
        ),
        ("left=10.0.0.1\nright=10.12.12.1\nike=des-md5", "5: ike=des-md5: des is refused: single DES is broken"),
        ("left=10.0.0.1\nright=10.12.12.1\nesp=null-md5", "5: esp=null-md5: null is refused"),
        ("left=10.0.0.1\nright=10.12.12.1\nphase2alg=des", "5: esp=des: des is refused"),
        ("left=10.0.0.1\nright=10.12.12.1\npfsgroup=modp768", "5: pfsgroup=modp768: modp768 is refused: group 1"),
        ("left=10.0.0.1\nright=10.12.12.1\nauth=ah\nah=aes", "6: ah=aes: AH takes hashes only"),
        ("left=10.0.0.1\nright=10.12.12.1\nauth=ah\nesp=null-md5", "6: esp=null-md5: null is refused"),
        (
            "left=10.0.0.1\nright=10.12.12.1\nleftsubnet=vhost:%priv",
            "virtual addresses (vhost:, vnet:) are not supported",
        ),
        ("left=10.0.0.1\nright=10.12.12.1\nrightsourceip=%config", "mode config"),
        ("left=10.0.0.1\nright=10.12.12.1\nrightid=%any", "%any goes only with right=%any"),
        ("left=10.0.0.1\nright=10.12.12.1\nrightid=C", "5: rightid=C: the name C has no address now"),
        ("left=10.0.0.1\nright=10.12.12.1\nrightrsasigkey=0sAQO", "5: rightrsasigkey=0sAQO: it is no whole"),
        ("left=10.0.0.1\nright=10.12.12.1\nrightrsasigkey=0sAQOx", "5: rightrsasigkey=0sAQOx: "),
        ("left=10.0.0.1\nright=10.12.12.1\nrightrsasigkey=%key", "5: rightrsasigkey=%key: it must be a key"),
        (
            f"left=10.0.0.1\nright=%any\nrightrsasigkey={KEY}",
            "whose key is this? A right that can be anyone needs rightid=",
        ),
        ("left=10.0.0.1\nright=10.12.12.1\nleftcert=%smartcard", "smart cards are not supported"),
    ],
)
def test_a_conn_that_cannot_be_is_left_out_with_place_and_reason(problem, lines, sentence):
    assert sentence in problem(lines)


def test_one_bad_conn_leaves_the_others(read):
    good = "\tleft=10.0.0.1\n\tright=10.12.12.{}\n"
    found = read(f"version 2\nconn a\n{good.format(1)}conn b\n{good.format(2)}\tpfs=x\nconn c\n{good.format(3)}")
    assert list(found.connections) == ["a", "c"]
    assert len(found.problems) == 1


def test_two_peers_for_the_same_traffic_are_told_of(read):
    body = "\tleft=10.0.0.1\n\tleftsubnet=10.1.0.0/16\n\trightsubnet=10.2.0.0/16\n\tauto={}\n\tright={}\n"
    text = f"version 2\nconn a\n{body.format('start', '10.12.12.1')}conn b\n{body.format('add', '10.12.12.2')}"
    [problem] = read(text).problems
    assert '.conf:8: conn "b" is for the same traffic as conn "a" at ' in problem
    assert not read(text.replace("auto=add", "auto=ignore")).problems
    assert not read(text.replace("10.12.12.2", "10.12.12.1")).problems


FOR_ONE_PORT = "\ttype={}\n\tleftprotoport=tcp\n\trightprotoport=tcp/80\n"


@pytest.mark.parametrize(("second", "told"), [("passthrough", True), ("tunnel", False), ("drop", False)])
def test_two_interfaces_for_the_same_network_are_told_of(read, second, told):
    """What passes by the tunnel of its own network would need the route that the tunnel has."""
    body = "\tleft=10.0.0.1\n\tleftsubnet=10.1.0.0/16\n\trightsubnet=10.2.0.0/16\n\tright=10.12.12.1\n\tauto=add\n"
    found = read(f"version 2\nconn a\n{body}conn b\n{body}{FOR_ONE_PORT.format(second)}").problems
    assert [problem for problem in found if "by another" in problem] == []
    assert len([problem for problem in found if '"b" is for the same traffic as conn "a" at' in problem]) == told


def test_a_road_warrior_may_have_any_address_and_asks_dns_only_with_an_identity(read):
    found = read(
        "version 2\nconn a\n\tleft=10.0.0.1\n\tright=%any\nconn b\n\tleft=10.0.0.1\n\tright=%any\n\trightid=@rw\n"
    )
    a, b = found.connections.values()
    assert (a.there.kind, a.there.keys_from_dns, a.there.identity) == (HostKind.ANY, False, None)
    assert (b.there.keys_from_dns, str(b.there.identity)) == (True, "@rw")


def test_rekeying_too_early_does_not_matter_where_there_is_none(read):
    assert "a" in read("version 2\nconn a\n\tleft=10.0.0.1\n\tright=%any\n\trekey=no\n\tkeylife=5m\n").connections


def test_a_certificate_without_a_path_is_in_ipsec_d_certs_beside_the_file(read, tmp_path):
    found = read("version 2\nconn a\n\tleft=10.0.0.1\n\tright=10.12.12.1\n\tleftcert=west.pem\n")
    assert found.connections["a"].here.cert == tmp_path / "ipsec.d/certs/west.pem"
    assert not found.connections["a"].here.keys_from_dns


def test_knowing_the_box_does_not_load_the_readers():
    code = "import sys, cygnet.connection.local; sys.exit('cygnet.conf.configuration' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, check=False).returncode
        == 0
    )


def test_the_box_of_these_tests_knows_its_interfaces():
    assert BOX.interface_of(ip_address("192.168.0.1")) == "eth1"
    assert BOX.interface_of(ip_address("10.12.12.1")) == ""
    assert BOX.interface_of(None) == ""
