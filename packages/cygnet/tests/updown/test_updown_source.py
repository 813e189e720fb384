"""leftsourceip=: with this machine's `ip`, the address that the route names is this box's, and goes with the last route."""

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
