"""A Cygnet box meets strongSwan and libreswan: tunnels through the box, for hosts behind it, whoever calls."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gateways import Kind
from street import BOX, Street
from tunnels import assert_carries, bring_up

KINDS = {
    "aes cbc": Kind(),
    "aes gcm": Kind({"esp": "aes_gcm256"}, {"esp": "aes_gcm256"}, {"esp": "aes256gcm128-modp2048"}),
}
PAIRS = [(BOX, "strongswan"), ("strongswan", BOX), (BOX, "libreswan"), ("libreswan", BOX)]


@pytest.fixture
def tidy(with_box: Street) -> Iterator[Street]:
    """Nothing is up before or after."""
    yield with_box
    for gateway in with_box.gateways.values():
        gateway.down()
    for gateway in with_box.gateways.values():
        gateway.machine.wait_for("ip xfrm state", lambda said: "proto" not in said)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(("asks", "answers"), PAIRS, ids=[f"{one} calls {other}" for one, other in PAIRS])
def test_a_box_and_its_peer(tidy: Street, asks: str, answers: str, name: str) -> None:
    """A box and a peer agree on a tunnel: its SAs count the hosts' packets, the wire shows nothing else"""
    one, other = tidy.gateways[asks], tidy.gateways[answers]
    bring_up(one, other, KINDS[name])
    assert_carries(tidy, one, other, KINDS[name])
