"""A box for the tests of conf/: 10.0.0.1 on eth0, where the default route goes, and 192.168.0.1 on eth1."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

from cygnet.connection.connection import Address
from cygnet.connection.local import Local

NAMES = {
    "peer.example": [ip_address("10.12.12.1")],
    "both.example": [ip_address("2001:db8::2"), ip_address("10.12.12.2")],
}
BOX = Local(
    addresses={"eth0": [ip_address("10.0.0.1"), ip_address("2001:db8::1")], "eth1": [ip_address("192.168.0.1")]},
    default_interface="eth0",
    default_gateway=ip_address("10.0.0.254"),
    default_address=ip_address("10.0.0.1"),
)


def resolve(name: str) -> Sequence[Address]:
    """The only names there are."""
    return NAMES.get(name, [])
