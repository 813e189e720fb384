"""A Cygnet box meets strongSwan and libreswan: tunnels through the box, for hosts behind it, whoever calls."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gateways import Kind
from street import BOX, Street
from tunnels import assert_carries, bring_up

CBC = Kind()
GCM = Kind({"esp": "aes_gcm256"}, {"esp": "aes_gcm256"}, {"esp": "aes256gcm128-modp2048"})
CASES = {
    "it calls strongSwan": (BOX, "strongswan", CBC),
    "strongSwan calls it": ("strongswan", BOX, GCM),
    "it calls libreswan": (BOX, "libreswan", GCM),
    "libreswan calls it": ("libreswan", BOX, CBC),
}


@pytest.fixture
def clean(with_box: Street) -> Iterator[Street]:
    """The street with the box, nothing up before or after."""
    with with_box.cleared():
        yield with_box


@pytest.mark.parametrize("case", CASES)
def test_a_box_and_its_peer(clean: Street, case: str) -> None:
    """A box and a peer agree on a tunnel: its SAs count the hosts' packets, the wire shows nothing else"""
    asks, answers, kind = CASES[case]
    one, other = clean.gateways[asks], clean.gateways[answers]
    bring_up(one, other, kind)
    assert_carries(clean, one, other, kind)
