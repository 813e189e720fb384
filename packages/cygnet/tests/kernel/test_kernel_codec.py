"""Our messages are those that `ip xfrm` sends, and we read what Linux multicasts."""

import sys
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from cygnet.connection.selector import Selector
from cygnet.kernel import decode, encode, ours, structs
from cygnet.kernel.interface import Acquire, Mapping
from cygnet.kernel.netlink import Refusal, attribute, attributes, messages, pack_number
from cygnet.kernel.netlink import _raise_error as raise_error
from cygnet.kernel.policy import Action, Direction, Policy, Template
from cygnet.kernel.sa import Algorithm, Encapsulation, Sa, SaCounters, SaKey
from hypothesis import given
from hypothesis import strategies as st

LINES = Path(__file__).with_name("captured.txt").read_text().splitlines()
CAPTURED = {line.split()[0]: bytes.fromhex(line.split()[1]) for line in LINES if not line.startswith("#")}
WEST, EAST = ip_address("192.0.2.1"), ip_address("192.0.2.2")
WEST6, EAST6 = ip_address("2001:db8::1"), ip_address("2001:db8::2")


def select(network: str, protocol: int = 0, port: int = 0) -> Selector:
    return Selector(ip_network(network), protocol, port)


TUNNEL = Sa(
    WEST,
    SaKey(EAST, "esp", 0x1000),
    0x4000,
    "tunnel",
    outbound=False,
    encryption=Algorithm("cbc(aes)", bytes.fromhex("00112233445566778899aabbccddeeff")),
    integrity=Algorithm("hmac(sha256)", bytes(range(32)), 128),
    hard_seconds=3600,
    if_id=1,
    encapsulation=Encapsulation(4500, 4501),
    set_mark=0x40000000,
)
TRANSPORT = Sa(
    WEST6,
    SaKey(EAST6, "esp", 0x1000),
    0x4000,
    "transport",
    outbound=False,
    aead=Algorithm("rfc4106(gcm(aes))", bytes(range(20)), 128),
    selectors=(select("2001:db8::1/128", 17, 1701), select("2001:db8::2/128", 17)),
)
BUNDLE = Policy(
    Direction.OUT,
    select("10.1.0.0/24"),
    select("10.2.0.0/24"),
    207165984,
    templates=(Template("comp", "tunnel", 0x4000, WEST, EAST), Template("esp", "transport", 0x4000)),
    if_id=1,
    mark=7,
)
BLOCK = Policy(Direction.IN, select("2001:db8:1::/64", 6), select("2001:db8:2::/64", 6, 80), 207165985, Action.BLOCK)


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("tunnel", encode.sa(TUNNEL)),
        ("transport", encode.sa(TRANSPORT)),
        ("bundle", encode.policy(BUNDLE)),
        ("block", encode.policy(BLOCK)),
        ("delete", encode.policy_id(BUNDLE)),
    ],
)
def test_our_bytes_are_those_of_iproute2(name: str, ours: bytes) -> None:
    assert ours == CAPTURED[name]


def test_an_acquire_tells_the_packet_and_the_connection() -> None:
    event = decode.acquire(CAPTURED["acquire"])
    assert event == Acquire(0x4000, select("192.0.2.1/32", 17, 4000), select("10.2.0.8/32", 17, 53))


def test_an_expire_tells_the_sa_and_whether_it_is_gone() -> None:
    event = decode.expire(CAPTURED["expire"])
    assert event is not None
    assert (event.key, event.reqid, event.hard) == (SaKey(EAST, "esp", 0), 0x4000, True)


def test_a_mapping_tells_where_the_peer_went() -> None:
    new, port = ip_address("198.51.100.7").packed, (41000).to_bytes(2, "big")
    body = encode.sa_id(SaKey(WEST, "esp", 0x2000)) + pack_number(0x4001) + EAST.packed.ljust(16, b"\0")
    body += new.ljust(16, b"\0") + bytes(2) + port
    key = SaKey(WEST, "esp", 0x2000)
    assert decode.mapping(body) == Mapping(key, 0x4001, ip_address("198.51.100.7"), 41000)


def test_what_is_not_ours_is_not_heard() -> None:
    others = CAPTURED["acquire"].replace((0x4000).to_bytes(4, "little"), (0x3FFF).to_bytes(4, "little"))
    assert decode.acquire(others) is None
    other = decode.policy(CAPTURED["block"].replace((207165985).to_bytes(4, "little"), bytes(4)))
    assert other is not None
    assert not ours.DAEMON.has(other)


def test_our_own_policies_and_sas_are_known_again() -> None:
    mine = decode.policy(encode.policy(BUNDLE))
    assert mine is not None
    assert ours.DAEMON.has(mine)
    assert encode.policy_id(mine) == encode.policy_id(BUNDLE)
    assert decode.sa_key(encode.sa(TUNNEL)) == TUNNEL.key
    assert decode.sa_reqid(encode.sa(TUNNEL)) == TUNNEL.reqid


BY_INTERFACE = replace(BLOCK, interface=7)


@pytest.mark.parametrize("wanted", [BUNDLE, BLOCK, BY_INTERFACE], ids=["bundle", "block", "interface"])
def test_a_policy_is_read_whole(wanted: Policy) -> None:
    assert decode.policy(encode.policy(wanted)) == wanted


def test_when_an_sa_was_used_last_is_an_attribute_and_the_first_time_stands_in_for_it() -> None:
    body = bytearray(encode.sa(TUNNEL)[: structs.SA_SIZE])
    structs.CURRENT.pack_into(body, structs.SA_CURRENT_AT, 840, 10, 1000, 1010)
    first = decode.counters(bytes(body))
    last = decode.counters(bytes(body) + attribute(15, (1500).to_bytes(8, sys.byteorder)))
    assert first == SaCounters(840, 10, 1000, 1010)
    assert last == SaCounters(840, 10, 1000, 1500)


def test_a_tunnel_carries_either_family_and_says_so() -> None:
    flags = encode.sa(TUNNEL)[216], encode.sa(TRANSPORT)[216]
    assert flags == (32, 0)


def test_an_interface_is_part_of_the_name_of_a_policy() -> None:
    names = {encode.policy_id(policy) for policy in (BLOCK, BY_INTERFACE)}
    assert len(names) == 2
    assert all((7).to_bytes(4, sys.byteorder) in name for name in names - {encode.policy_id(BLOCK)})


def test_what_hides_the_type_of_service_says_so() -> None:
    """XFRMA_SA_EXTRA_FLAGS with XFRM_SA_XFLAG_DONT_ENCAP_DSCP."""
    assert encode.sa(replace(TUNNEL, hide_tos=True)) == encode.sa(TUNNEL) + attribute(24, pack_number(1))


def test_a_large_window_goes_in_the_longer_attribute() -> None:
    body = encode.sa(Sa(WEST, TUNNEL.key, 0x4000, "tunnel", outbound=False, replay_window=100, esn=True))
    found = attributes(body[structs.SA_SIZE :])[encode.ATTR_REPLAY_ESN]
    assert structs.REPLAY_ESN.unpack_from(found) == (4, 0, 0, 0, 0, 100)
    assert len(found) == structs.REPLAY_ESN.size + 16
    assert (body[215], body[216]) == (0, 32 | 128)


def test_secrets_do_not_show() -> None:
    assert "\\x11" not in repr(TUNNEL)
    assert "001122" not in repr(TUNNEL)


def test_the_kernels_own_words_are_kept() -> None:
    text = attribute(1, b"Requested type not found\0")
    with pytest.raises(Refusal) as caught:
        raise_error(0x300, (-93).to_bytes(4, "little", signed=True) + bytes(16) + text)
    assert (caught.value.number, caught.value.text) == (93, "Requested type not found")


@given(st.binary(max_size=700))
def test_no_bytes_make_the_decoder_fail(noise: bytes) -> None:
    for read in (decode.acquire, decode.expire, decode.mapping, decode.counters, decode.sa_key, decode.policy):
        read(noise)
    list(messages(noise))
    attributes(noise)


@given(st.sampled_from(sorted(CAPTURED)), st.integers(0, 480), st.binary(min_size=1, max_size=8))
def test_nor_do_damaged_messages(name: str, at: int, noise: bytes) -> None:
    body = CAPTURED[name]
    damaged = body[:at] + noise + body[at + len(noise) :]
    for read in (decode.acquire, decode.expire, decode.mapping, decode.counters, decode.sa_key, decode.policy):
        read(damaged)
        read(damaged[:at])
