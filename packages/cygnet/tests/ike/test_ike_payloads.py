"""Payloads and messages: what is built is read back as it was, and whatever comes is a payload or Malformed."""

from __future__ import annotations

import contextlib
import struct

import pytest
from cygnet.ike import payloads as p
from cygnet.ike.fields import MOST_ATTRIBUTES, MOST_ITEMS, Malformed, build, parse, parse_attributes
from cygnet.ike.message import (
    HEADER_SIZE,
    LAYOUT,
    MOST_BYTES,
    MOST_PAYLOADS,
    Header,
    join,
    read_clear,
    read_header,
    split,
)
from cygnet.ike.numbers import Exchange, PayloadType
from hypothesis import given
from hypothesis import strategies as st

BYTE, SHORT, LONG = st.integers(0, 0xFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
SOME = st.binary(max_size=64)
ATTRIBUTE = st.tuples(st.integers(0, 0x7FFF), SHORT | st.binary(max_size=20))
TRANSFORM = st.builds(p.Transform, BYTE, BYTE, st.lists(ATTRIBUTE, max_size=8).map(tuple))
PROPOSAL = st.builds(p.Proposal, BYTE, BYTE, st.binary(max_size=16), st.lists(TRANSFORM, max_size=4).map(tuple))
SPIS = st.integers(1, 16).flatmap(
    lambda size: st.lists(st.binary(min_size=size, max_size=size), min_size=1, max_size=9).map(tuple)
)
DATA = (p.KeyExchangeData, p.HashData, p.SignatureData, p.Nonce, p.VendorId, p.NatDiscovery)
PAYLOAD = st.one_of(
    st.builds(p.SecurityAssociation, st.lists(PROPOSAL, max_size=4).map(tuple), LONG, LONG),
    st.builds(p.Identification, BYTE, SOME, BYTE, SHORT),
    st.builds(p.Certificate, BYTE, SOME),
    st.builds(p.CertificateRequest, BYTE, SOME),
    st.builds(p.Notification, SHORT, SOME, st.binary(max_size=16), BYTE, LONG),
    st.builds(p.Delete, BYTE, SPIS, LONG),
    st.builds(p.NatOriginalAddress, BYTE, SOME),
    st.builds(p.Fragment, SHORT, BYTE, BYTE, SOME),
    *(st.builds(kind, SOME) for kind in DATA),
)
MAIN = Header(b"initiate", b"responds", PayloadType.NOTIFY, Exchange.MAIN, 0, 0)


@given(PAYLOAD)
def test_a_payload_that_is_built_reads_back_as_it_was(payload: p.Wire) -> None:
    assert parse(type(payload), build(payload)) == payload


@given(st.lists(PAYLOAD, min_size=1, max_size=MOST_PAYLOADS).map(tuple), st.integers(0, 15))
def test_a_chain_reads_back_with_padding_behind_it(payloads: tuple[p.Wire, ...], padding: int) -> None:
    chain = join(payloads)
    received = split(payloads[0].TYPE, chain + bytes(padding))
    assert [p.decode(got.type, got.body) for got in received] == list(payloads)
    assert received[-1].end == len(chain)


@given(BYTE, st.binary(max_size=300))
def test_any_bytes_are_a_payload_or_malformed(kind: int, body: bytes) -> None:
    try:
        payload = p.decode(kind, body)
    except Malformed:
        return
    assert parse(type(payload), build(payload)) == payload
    assert len(p.describe(payload)) < 400


@given(BYTE, st.binary(max_size=400))
def test_any_bytes_are_a_chain_or_malformed(first: int, chain: bytes) -> None:
    try:
        received = split(first, chain)
    except Malformed:
        return
    assert 1 <= len(received) <= MOST_PAYLOADS


@given(st.binary(max_size=200))
def test_any_bytes_are_a_header_or_malformed(packet: bytes) -> None:
    try:
        header = read_header(packet)
    except Malformed:
        return
    assert header.pack(len(packet)) == packet[:HEADER_SIZE]


@pytest.mark.parametrize("kind", p.KINDS.values(), ids=lambda kind: kind.__name__)
def test_a_payload_of_zeros_is_read_or_malformed_at_every_length(kind: type[p.Wire]) -> None:
    for size in range(24):
        with contextlib.suppress(Malformed):
            assert len(build(parse(kind, bytes(size)))) == size


@pytest.mark.parametrize("number", [0, 2, 3, 14, 15, 19, 33, 46, 128, 131, 255])
def test_types_that_ikev1_does_not_have_are_malformed(number: int) -> None:
    with pytest.raises(Malformed, match="not one of IKEv1"):
        p.decode(number, b"")


TRANSFORM_BYTES = b"\0\0\0\x08\x01\x01\0\0"


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("a transform's length goes beyond", b"\0\0\0\x01" * 2 + b"\0\0\0\x14\x01\x01\0\x01" + b"\0\0\0\x40\x01\x01\0\0"),
        ("a transform's length is less than its header", b"\0\0\0\x01" * 2 + b"\0\0\0\x10\x01\x01\0\x01" + b"\0\0\0\x03\x01\x01\0\0"),
        ("fewer transforms than announced", b"\0\0\0\x01" * 2 + b"\0\0\0\x10\x01\x01\0\x02" + TRANSFORM_BYTES),
        ("more transforms than announced", b"\0\0\0\x01" * 2 + b"\0\0\0\x18\x01\x01\0\x01\x03" + TRANSFORM_BYTES[1:] + TRANSFORM_BYTES),
        ("the next proposal is of another type", b"\0\0\0\x01" * 2 + b"\x05\0\0\x10\x01\x01\0\x01" + TRANSFORM_BYTES),
        ("the SPI is longer than the proposal", b"\0\0\0\x01" * 2 + b"\0\0\0\x10\x01\x01\xff\x01" + TRANSFORM_BYTES),
        ("bytes after the last proposal", b"\0\0\0\x01" * 2 + b"\0\0\0\x10\x01\x01\0\x01" + TRANSFORM_BYTES + b"\0"),
    ],
)  # fmt: skip
def test_an_sa_payload_whose_lengths_lie_is_malformed(what: str, body: bytes) -> None:
    with pytest.raises(Malformed):
        parse(p.SecurityAssociation, body)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (p.Delete, struct.pack(">IBBH", 1, 3, 4, 2) + bytes(4)),
        (p.Delete, struct.pack(">IBBH", 1, 3, 0, 65535)),
        (p.Delete, struct.pack(">IBBH", 1, 3, 4, 0) + bytes(4)),
        (p.Notification, struct.pack(">IBBH", 1, 1, 16, 24578) + bytes(15)),
        (p.Certificate, b""),
        (p.Identification, b"\x01\0\0"),
        (p.Fragment, b"\0\x01\x01"),
    ],
)
def test_a_count_that_does_not_fit_is_malformed(kind: type[p.Wire], body: bytes) -> None:
    with pytest.raises(Malformed):
        parse(kind, body)


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("cut short", b"\x80\x01\x00"),
        ("longer than what is left", b"\x00\x0c\x00\x05\x00\x00\x0e\x10"),
        ("too many", b"\x80\x01\x00\x07" * (MOST_ATTRIBUTES + 1)),
    ],
)
def test_bad_attributes_are_malformed(what: str, body: bytes) -> None:
    with pytest.raises(Malformed, match="attributes"):
        parse_attributes(body)


def test_a_long_attribute_is_read_as_a_number_up_to_eight_bytes() -> None:
    transform = p.Transform(1, 1, ((12, (3600).to_bytes(4, "big")), (14, bytes(9))))
    assert (transform.get(12), transform.get(14), transform.get(1)) == (3600, None, None)


def test_there_is_a_bound_on_nested_items() -> None:
    body = p.build(p.SecurityAssociation((p.Proposal(1, 1, b"", (p.Transform(1, 1),) * (MOST_ITEMS + 1)),)))
    with pytest.raises(Malformed, match="too many"):
        parse(p.SecurityAssociation, body)


def test_there_is_a_bound_on_payloads() -> None:
    with pytest.raises(Malformed, match="more than"):
        split(PayloadType.VENDOR, join((p.VendorId(b""),) * (MOST_PAYLOADS + 1)))


@pytest.mark.parametrize(
    ("what", "packet"),
    [
        ("too short", bytes(HEADER_SIZE - 1)),
        ("too long", LAYOUT.pack(b"i", b"r", 1, 0x10, 2, 0, 0, MOST_BYTES + 1) + bytes(MOST_BYTES + 1 - HEADER_SIZE)),
        ("its length says less", LAYOUT.pack(b"i", b"r", 1, 0x10, 2, 0, 0, HEADER_SIZE - 1)),
        ("its length says more", LAYOUT.pack(b"i", b"r", 1, 0x10, 2, 0, 0, 0xFFFFFFFF)),
    ],
)
def test_a_header_that_lies_is_malformed(what: str, packet: bytes) -> None:
    with pytest.raises(Malformed):
        read_header(packet)


def test_nothing_may_follow_the_last_payload_of_a_message_in_clear() -> None:
    chain = join((p.Notification(14),))
    packet = MAIN.pack(HEADER_SIZE + len(chain) + 4) + chain + bytes(4)
    with pytest.raises(Malformed, match="after the last payload"):
        read_clear(MAIN, packet)


def test_expect_names_what_is_missing_and_what_has_no_place() -> None:
    chain = join((p.Notification(14),))
    message = read_clear(MAIN, MAIN.pack(HEADER_SIZE + len(chain)) + chain)
    with pytest.raises(Malformed, match="no payload of kind Nonce"):
        message.expect((p.Nonce,), (p.Notification,))
    with pytest.raises(Malformed, match="payload type 11 has no place"):
        message.expect((), (p.Nonce,))
    with pytest.raises(Malformed, match="0 payloads of kind Nonce"):
        message.one(p.Nonce)


def test_two_payloads_where_one_is_wanted_are_malformed() -> None:
    chain = join((p.Nonce(b"12345678"), p.Nonce(b"12345678")))
    header = Header(b"initiate", b"responds", PayloadType.NONCE, Exchange.MAIN)
    message = read_clear(header, header.pack(HEADER_SIZE + len(chain)) + chain)
    with pytest.raises(Malformed, match="2 payloads of kind Nonce"):
        message.one(p.Nonce)
    with pytest.raises(Malformed, match="2 payloads of kind Nonce"):
        message.maybe(p.Nonce)


@pytest.mark.parametrize("kind", [p.HashData, p.Nonce, p.KeyExchangeData])
def test_what_may_help_to_guess_a_key_is_left_out_of_descriptions(kind: type[p.Data]) -> None:
    assert p.describe(kind(b"\xaa" * 32)) == f"{kind.__name__} (32 bytes)"


@given(st.binary(max_size=400))
def test_a_notification_is_safe_to_print(data: bytes) -> None:
    text = str(p.Notification(14, data))
    assert text.isascii()
    assert text.isprintable()
    assert len(text) < 440
