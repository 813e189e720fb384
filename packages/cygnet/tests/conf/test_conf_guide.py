"""The configurations that FreeS/WAN's guide prints, put together as it tells the reader to, load as they stand."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from cygnet.connection.connection import AuthBy, Auto, HostKind
from cygnet.connection.local import Local

GATE = Local(
    {"eth0": [ip_address("1.2.3.4")], "eth1": [ip_address("42.42.42.1")]},
    "eth0",
    ip_address("1.2.3.1"),
    ip_address("1.2.3.4"),
)
STANDALONE = """\
# general IPsec setup
config setup
        # Use the default interface
        interfaces=%defaultroute
        # Use auto= parameters in conn descriptions to control startup actions.
        plutoload=%search
        plutostart=%search

# defaults for subsequent connection descriptions
conn %default
        # How to authenticate gateways
        authby=rsasig
        auto=add

# description for opportunistic connections
conn me-to-anyone
        also=our_stuff             # our system details, stored below
        right=%opportunistic       # anyone we can authenticate
        rightrsasigkey=%dns        # look up their key in DNS
        auto=route                 # set up for opportunistic
        rekey=no                   # let unused connections die
{more}
# description of our system
conn our_stuff
        # all connections should use our default route
        left=%defaultroute
        leftid=@xy.example.com
"""
SAMPLE = """\
# sample tunnel
conn sample
        # left security gateway (public-network address)
        left=10.0.0.1
        # next hop to reach right
        leftnexthop=10.44.55.66
        # subnet behind left (omit if there is no subnet)
        leftsubnet=172.16.0.0/24
        # right s.g., subnet behind it, and next hop to reach left
        right=10.12.12.1
        rightnexthop=10.88.77.66
        rightsubnet=192.168.0.0/24
        auto=start
"""


def test_an_opportunistic_standalone_system(read):
    found = read(STANDALONE.format(more=""), box=GATE)
    assert not found.problems
    assert found.setup.interfaces == (("ipsec0", "%defaultroute"),)
    [one] = found.connections.values()
    assert (one.there.kind, one.there.keys_from_dns, one.auto, one.rekey) == (
        HostKind.OPPORTUNISTIC,
        True,
        Auto.ROUTE,
        False,
    )
    assert (str(one.here.identity), str(one.here.host), str(one.here.nexthop)) == (
        "@xy.example.com",
        "1.2.3.4",
        "1.2.3.1",
    )
    assert one.auth_by is AuthBy.RSASIG


def test_an_opportunistic_gateway_for_subnets(read):
    more = """
conn subnet-to-anyone
        also=our_stuff              # our system details, stored below
        also=public_subnet          # subnet description, below
        auto=route                  # set up for opportunistic
        right=%opportunistic        # anyone we can authenticate via DNS
        rekey=no                    # let unused connections die

# description of the subnet this gateway encrypts for
conn public_subnet
       leftsubnet=42.42.42.0/24
"""
    found = read(STANDALONE.format(more=more), box=GATE)
    assert not found.problems
    assert str(found.connections["subnet-to-anyone"].here.subnet) == "42.42.42.0/24"


def test_road_warriors_in_files_of_their_own(read, tmp_path):
    road = tmp_path / "ipsec.road"
    road.mkdir()
    (road / "xy.conf").write_text(
        "# connection description for Road Warrior\nconn gate-xy\n        also=our_stuff\n        right=%any\n"
        "        rightid=@xy.example.com\n        rightrsasigkey=%dnsondemand\n"
    )
    found = read(STANDALONE.format(more=f"include {road}/*.conf\n"), box=GATE)
    assert not found.problems
    one = found.connections["gate-xy"]
    assert (one.auto, one.there.kind, str(one.there.identity)) == (Auto.ADD, HostKind.ANY, "@xy.example.com")


def test_a_network_to_network_tunnel_that_works_on_either_end(read):
    west = read(SAMPLE).connections["sample"]
    east = read(SAMPLE, box=Local({"eth0": [ip_address("10.12.12.1")]})).connections["sample"]
    assert (str(west.here.subnet), str(west.here.nexthop), west.auto) == ("172.16.0.0/24", "10.44.55.66", Auto.START)
    assert (str(east.here.subnet), str(east.here.nexthop)) == ("192.168.0.0/24", "10.88.77.66")


def test_a_conn_that_only_holds_settings_under_a_plain_name_is_no_connection_and_no_problem(read):
    found = read(f"conn default\n        keyingtries=3\n        keylife=30m\n{SAMPLE}")
    assert list(found.connections) == ["sample"]
    assert not found.problems


def test_the_misprints_of_the_guide_are_found_and_the_right_names_told(read):
    more = """
conn us-to-office
        #
        left=1.2.3.4                # gateway IP address
        lefttsubnet=42.42.42.0/24   # the office network
        right=%defaultroute
        righttid=@xy.example.com
"""
    found = read(STANDALONE.format(more=more), box=GATE)
    [problem] = found.problems
    assert "there is no parameter lefttsubnet; did you mean leftsubnet?" in problem
    assert list(found.connections) == ["me-to-anyone"]


def test_the_example_of_config_setup_in_the_manual(read):
    found = read(
        'version 2\nconfig setup\n    interfaces="ipsec0=eth1 ipsec1=ppp0"\n    klipsdebug=none\n    plutodebug=all\n    manualstart=\n'
    )
    assert not found.problems
    assert found.setup.interfaces == (("ipsec0", "eth1"), ("ipsec1", "ppp0"))
    assert found.setup.debug == ("all",)


@pytest.mark.parametrize("head", ["", "version 2.0\t# conforms to second version of ipsec.conf specification\n"])
def test_the_parts_that_one_gateway_describes_and_every_tunnel_appends(read, head):
    """As FreeS/WAN's own tests write it: everything is told of left, and flipped where it stands on the right."""
    found = read(
        head + "conn net-net\n\talsoflip=east-net\n\talso=west-net\n\n"
        "conn east-net\n\tleftsubnet=192.0.2.0/24\n\talso=east-base\n\n"
        "conn east-base\n\t# a comment, indented\n\tleft=192.1.2.23\n\tleftid=@east\n\tleftnexthop=192.1.2.45\n\n"
        "conn west-net\n\tleftsubnet=192.0.1.0/24\n\talso=west-base\n\n"
        "conn west-base\n\tleft=192.1.2.45\n\tleftid=@west\n\tleftnexthop=192.1.2.23\n",
        box=Local({"eth1": [ip_address("192.1.2.45")]}),
    )
    assert not found.problems
    [one] = found.connections.values()
    assert [str(x) for x in (one.here.selector, one.here.identity, one.there.selector, one.there.identity)] == [
        "192.0.1.0/24", "@west", "192.0.2.0/24", "@east"
    ]  # fmt: skip
    assert (one.here.side, one.there.side) == ("left", "right")
