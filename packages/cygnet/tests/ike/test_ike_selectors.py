"""Identities on the wire: traffic in quick mode, names in main mode."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from cygnet.connection.identity import Identity, IdType
from cygnet.connection.selector import Selector
from cygnet.ike.fields import Malformed
from cygnet.ike.payloads import Identification
from cygnet.ike.v1 import authentication, selectors
from cygnet.ike.v1.exchange import Refused
from hypothesis import given
from hypothesis import strategies as st
from simulation import EAST, WEST, connection

NETWORK = st.ip_addresses().flatmap(
    lambda address: st.integers(0, address.max_prefixlen).map(
        lambda bits: ip_network(f"{address}/{bits}", strict=False)
    )
)
TRAFFIC = st.integers(0, 255).flatmap(
    lambda protocol: st.tuples(st.just(protocol), st.integers(0, 0xFFFF) if protocol else st.just(0))
)


@given(NETWORK, TRAFFIC)
def test_a_selector_reads_back_as_it_was_written(network: object, traffic: tuple[int, int]) -> None:
    selector = Selector(network, *traffic)  # type: ignore[arg-type]
    assert selectors.read(selectors.write(selector)) == selector


@given(
    st.builds(Identification, st.integers(0, 255), st.binary(max_size=40), st.integers(0, 255), st.integers(0, 65535))
)
def test_any_identity_is_a_selector_or_refused(payload: Identification) -> None:
    try:
        selector = selectors.read(payload)
    except Refused as refusal:
        assert "the peer asks for" in str(refusal)
        return
    assert selectors.read(selectors.write(selector)) == selector


@pytest.mark.parametrize(
    ("kind", "data", "network"),
    [
        (IdType.IPV4_ADDR_RANGE, "0a0100000a0100ff", "10.1.0.0/24"),
        (IdType.IPV4_ADDR_RANGE, "0a0100010a010001", "10.1.0.1/32"),
        (IdType.IPV4_ADDR_RANGE, "00000000ffffffff", "0.0.0.0/0"),
        (IdType.IPV4_ADDR_SUBNET, "0000000000000000", "0.0.0.0/0"),
    ],
)
def test_a_range_that_is_a_network_is_one(kind: IdType, data: str, network: str) -> None:
    assert selectors.read(Identification(kind, bytes.fromhex(data))).network == ip_network(network)


@pytest.mark.parametrize(
    ("what", "kind", "data"),
    [
        ("a range that is no network", IdType.IPV4_ADDR_RANGE, "0a0100010a0100ff"),
        ("a range of a network's size that does not begin with it", IdType.IPV4_ADDR_RANGE, "0a0100800a01017f"),
        ("a range that ends before it begins", IdType.IPV4_ADDR_RANGE, "0a0100ff0a010000"),
        ("a mask with a hole", IdType.IPV4_ADDR_SUBNET, "0a010000ff00ff00"),
        ("a mask from the wrong side", IdType.IPV4_ADDR_SUBNET, "0a010000000000ff"),
        ("bits of a host in the network", IdType.IPV4_ADDR_SUBNET, "0a010005ffffff00"),
        ("a network of IPv6 with IPv4's size", IdType.IPV6_ADDR_SUBNET, "0a010000ffffff00"),
        ("an address of three bytes", IdType.IPV4_ADDR, "0a0100"),
        ("no address", IdType.IPV4_ADDR, ""),
        ("an odd subnet", IdType.IPV4_ADDR_SUBNET, "0a010000ffffff"),
        ("a name", IdType.FQDN, "65617374"),
        ("an unknown type", 77, "0a010000"),
    ],
)
def test_traffic_that_is_no_network_is_refused(what: str, kind: int, data: str) -> None:
    with pytest.raises(Refused, match="no network"):
        selectors.read(Identification(kind, bytes.fromhex(data)))


def test_a_port_needs_a_protocol() -> None:
    with pytest.raises(Refused, match="port without a protocol"):
        selectors.read(Identification(IdType.IPV4_ADDR, bytes(4), 0, 80))


@pytest.mark.parametrize(
    ("what", "payload"),
    [
        ("a subnet", Identification(IdType.IPV4_ADDR_SUBNET, bytes(8))),
        ("a range", Identification(IdType.IPV4_ADDR_RANGE, bytes(8))),
        ("a general name", Identification(IdType.DER_ASN1_GN, b"abc")),
        ("an unknown type", Identification(0, b"abc")),
        ("an unknown type", Identification(200, b"abc")),
        ("no name", Identification(IdType.FQDN, b"")),
        ("an endless name", Identification(IdType.FQDN, bytes(1025))),
        ("an address of five bytes", Identification(IdType.IPV4_ADDR, bytes(5))),
        ("another protocol than UDP", Identification(IdType.IPV4_ADDR, bytes(4), 6, 500)),
        ("another port than IKE's", Identification(IdType.IPV4_ADDR, bytes(4), 17, 80)),
    ],
)
def test_who_cannot_be_a_peer_is_malformed(what: str, payload: Identification) -> None:
    with pytest.raises(Malformed):
        authentication.identity(payload)


@given(st.sampled_from(IdType), st.binary(max_size=120))
def test_an_identity_of_a_stranger_prints_safely(kind: IdType, data: bytes) -> None:
    text = str(Identity(kind, data))
    assert text.isprintable()
    assert text.isascii()
    assert not set(text) & set("`$'\"")


def test_our_identity_is_our_address_if_nothing_else_is_said() -> None:
    payload = authentication.identification(connection(WEST, EAST))
    assert authentication.identity(payload) == Identity(IdType.IPV4_ADDR, bytes((192, 0, 2, 1)))
