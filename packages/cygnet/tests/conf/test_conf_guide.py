"""The configurations that FreeS/WAN's guide prints, put together as it tells the reader to, load as they stand."""

from __future__ import annotations

from base64 import b64encode
from ipaddress import ip_address

import pytest
from cygnet.connection.connection import AuthBy, Auto, Connection, HostKind, Shunt
from cygnet.connection.identity import Identity
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
# "Real keys are much longer": exponent 3 and 1,024 bits.
BLOB = b"\1\3" + b"\xc5" * 128
KEY = "0s" + b64encode(BLOB).decode()
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
    # Whoever has no key is spoken to in the clear.
    assert one.failure_shunt is Shunt.PASSTHROUGH


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


OFFICE = f"""
        left=1.2.3.4
        leftsubnet=42.42.42.0/24
        leftid=@gateway.example.com
        leftrsasigkey={KEY}
"""
WARRIOR = f"""
        rightid=@xy.example.com
        rightrsasigkey={KEY}
"""


def ends(one: Connection) -> list[str]:
    """Who is at either end, and the traffic."""
    return [str(x) for x in (one.here.selector, one.here.identity, one.there.selector, one.there.identity)]


def test_what_office_and_road_warrior_send_each_other_goes_into_both_files(read, tmp_path):
    """The lines of `ipsec showhostkey --left` and `--right`, put where the guide has them put."""
    # At the office the warrior's lines are in a file of the warrior's own,
    road = tmp_path / "ipsec.road"
    road.mkdir()
    (road / "xy.conf").write_text(f"conn gate-xy\n        also=gate_stuff\n        right=%any{WARRIOR}")
    office = read(STANDALONE.format(more=f"include {road}/*.conf\nconn gate_stuff{OFFICE}"), box=GATE)
    assert not office.problems
    gate = office.connections["gate-xy"]
    assert ends(gate) == ["42.42.42.0/24", "@gateway.example.com", "None", "@xy.example.com"]
    assert (gate.auto, gate.there.kind, gate.there.public_keys) == (Auto.ADD, HostKind.ANY, (BLOB,))
    # and the warrior has the office's in the conn that it starts.
    laptop = Local(
        {"ppp0": [ip_address("198.51.100.9")]}, "ppp0", ip_address("198.51.100.1"), ip_address("198.51.100.9")
    )
    warrior = read(STANDALONE.format(more=f"conn us-to-office{OFFICE}        right=%defaultroute{WARRIOR}"), box=laptop)
    assert not warrior.problems
    us = warrior.connections["us-to-office"]
    assert ends(us) == ["198.51.100.9/32", "@xy.example.com", "42.42.42.0/24", "@gateway.example.com"]
    assert (str(us.there.host), us.there.public_keys) == ("1.2.3.4", (BLOB,))


def test_a_gateway_that_is_known_by_its_address(read):
    """leftid= for peers that know nothing else of it."""
    found = read(STANDALONE.format(more="").replace("@xy.example.com", "1.2.3.4"), box=GATE)
    assert not found.problems
    assert found.connections["me-to-anyone"].here.identity == Identity.address(ip_address("1.2.3.4"))


SHORT = """\
conn sample
        {ours}=%defaultroute
        leftsubnet=172.16.0.0/24
        {theirs}={peer}
        rightsubnet=192.168.0.0/24
        auto=start
"""


@pytest.mark.parametrize(
    ("ours", "theirs", "address", "peer", "inside"),
    [
        ("left", "right", "10.0.0.1", "10.12.12.1", "172.16.0.0/24"),
        ("right", "left", "10.12.12.1", "10.0.0.1", "192.168.0.0/24"),
    ],
)
def test_a_network_to_network_tunnel_that_each_end_describes_from_its_own_side(
    read, ours, theirs, address, peer, inside
):
    """With %defaultroute neither end needs to know a next hop, and its own comes from the default route."""
    local = Local({"eth0": [ip_address(address)]}, "eth0", ip_address("10.0.0.254"), ip_address(address))
    found = read(SHORT.format(ours=ours, theirs=theirs, peer=peer), box=local)
    assert not found.problems
    one = found.connections["sample"]
    assert (str(one.here.subnet), str(one.here.host), str(one.here.nexthop)) == (inside, address, "10.0.0.254")
    assert (str(one.there.host), one.there.nexthop) == (peer, None)


DOUBLE_NAT = f"""\
conn netone-nettwo
        left=203.0.113.6
        leftsubnet=10.0.1.0/24
        leftnexthop=203.0.113.10
        leftfirewall=yes
        leftid=@firewall.netone.nl
        leftrsasigkey=0x{BLOB.hex()}
        right=198.51.100.4
        rightsubnet=10.0.0.0/24
        rightnexthop=198.51.100.5
        rightfirewall=yes
        rightid=@firewall.nettwo.nl
        rightrsasigkey=0x{BLOB.hex()}
        auto=add
"""


@pytest.mark.parametrize(("address", "net"), [("203.0.113.6", "one"), ("198.51.100.4", "two")])
def test_two_masqueraded_networks_with_a_tunnel_between_them(read, address, net):
    found = read(DOUBLE_NAT, box=Local({"ppp0": [ip_address(address)]}))
    assert not found.problems
    [one] = found.connections.values()
    assert str(one.here.identity) == f"@firewall.net{net}.nl"
    assert (one.here.firewall, one.here.public_keys, one.there.public_keys) == (True, (BLOB,), (BLOB,))


# What the guide gives as lines without a conn around them: the subnets of each end, and what they become.
SUBNETS = [
    pytest.param("198.51.100.0/25", "198.51.100.240/32", id="a head office, and an address of its network elsewhere"),
    pytest.param("198.51.100.0/24", "198.51.100.240/28", id="a piece of the whole network"),
    pytest.param("192.168.8.0/24", "203.0.113.0/24", id="one of two neighbours"),
    pytest.param("192.168.8.0/23", "203.0.113.0/24", id="both at once"),
]


@pytest.mark.parametrize(("ours", "theirs"), SUBNETS)
def test_subnets_that_the_questions_are_about(read, ours, theirs):
    text = f"conn abc-xyz\n     left=1.2.3.4\n     leftsubnet={ours}\n     right=4.3.2.1\n     rightsubnet={theirs}\n"
    found = read(text, box=GATE)
    assert not found.problems
    one = found.connections["abc-xyz"]
    assert (str(one.here.selector), str(one.there.selector)) == (ours, theirs)


def test_settings_that_the_questions_name(read):
    found = read("config setup\n\tuniqueids=no\n\thidetos=no\n\tklipsdebug=all\n", box=GATE)
    assert not found.problems
    assert found.setup.unique_ids is False
    assert list(found.setup.ignored) == ["klipsdebug"]
