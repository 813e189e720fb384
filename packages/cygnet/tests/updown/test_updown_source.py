"""With this machine's `ip`: which address this box has in a tunnel.

leftsourceip= is this box's, and goes with the last route.  A tunnel for one of its addresses has that one.
"""

from collections.abc import Iterator

import pytest
from own_namespace import OwnNamespace


@pytest.fixture
def box() -> Iterator[OwnNamespace]:
    """ipsec0 is there, and an inside card with an address."""
    made = OwnNamespace(["sh"])
    for name in ("ipsec0", "inside"):
        made.output("ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}-far")
        made.output("ip", "link", "set", name, "up")
    made.output("ip", "address", "add", "10.1.0.1/24", "dev", "inside")
    yield made
    made.close()


def addresses(box: OwnNamespace) -> list[str]:
    """Of ipsec0, IPv4 and global IPv6."""
    lines = box.output("ip", "-o", "address", "show", "dev", "ipsec0", "scope", "global").splitlines()
    return [line.split()[3] for line in lines]


SIX = {"MY_CLIENT": "2001:db8:1::7/128", "PEER_CLIENT": "2001:db8:2::/64", "MY_SOURCEIP": "2001:db8:1::7"}


@pytest.mark.parametrize(
    ("changes", "address"), [({"MY_SOURCEIP": "10.3.0.1"}, "10.3.0.1/32"), (SIX, "2001:db8:1::7/128")]
)
def test_an_address_that_nobody_has_is_there_as_long_as_a_route_needs_it(
    box: OwnNamespace, changes: dict[str, str], address: str
) -> None:
    family = "-6" if ":" in address else "-4"
    other = changes | {"PEER_CLIENT": "2001:db8:3::/64" if family == "-6" else "10.9.0.0/24"}
    # When two tunnels go from it, each called twice,
    for facts in (changes, changes, other):
        box.call("route-client", **facts)
    assert addresses(box) == [address]
    source, _, _ = address.partition("/")
    assert f"src {source}" in box.output("ip", family, "route", "show", other["PEER_CLIENT"])
    # then it stays with the first, and goes with the last.
    box.call("unroute-client", **changes)
    assert addresses(box) == [address]
    for _ in range(2):
        box.call("unroute-client", **other)
        assert addresses(box) == []


def test_an_address_that_a_card_has_stays_there(box: OwnNamespace) -> None:
    box.call("route-client", MY_SOURCEIP="10.1.0.1")
    box.call("unroute-client", MY_SOURCEIP="10.1.0.1")
    assert addresses(box) == []
    assert "10.1.0.1/24" in box.output("ip", "address", "show", "dev", "inside")


HOSTS = {"MY_CLIENT": "192.0.2.1/32", "PEER_CLIENT": "192.0.2.2/32"}


def source(box: OwnNamespace, destination: str) -> str:
    """The address that this box sends with, and where."""
    return box.output("ip", "route", "get", destination).splitlines()[0].partition(" uid")[0].strip()


def test_a_tunnel_of_the_box_itself_has_its_address_and_not_an_earlier_cards(box: OwnNamespace) -> None:
    box.output("ip", "link", "add", "wan", "type", "veth", "peer", "name", "wan-far")
    box.output("ip", "address", "add", "192.0.2.1/24", "dev", "wan")
    box.output("ip", "link", "set", "wan", "up")
    for _ in range(2):
        box.call("route-host", **HOSTS)
        assert source(box, "192.0.2.2") == "192.0.2.2 dev ipsec0 src 192.0.2.1"
    box.output("ip", "address", "del", "192.0.2.1/24", "dev", "wan")
    assert " dev ipsec0 " in source(box, "192.0.2.2")
    box.output("ip", "address", "add", "192.0.2.9/24", "dev", "wan")
    box.call("route-host", **HOSTS | {"MY_CLIENT": "192.0.2.9/32"})
    assert source(box, "192.0.2.2") == "192.0.2.2 dev ipsec0 src 192.0.2.9"
    box.call("unroute-host", **HOSTS)
    assert "ipsec0" not in box.output("ip", "route")
