"""Keys and gateways out of the records that `ipsec showhostkey` prints, and out of anybody's."""

from __future__ import annotations

import base64
from ipaddress import ip_address

import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest
from cygnet.crypto.rsa import PublicKey
from cygnet.dns.names import from_text
from cygnet.dns.records import MOST_KEYS, Delegation, delegations, ipseckey, key, keys, txt
from hypothesis import given
from hypothesis import strategies as st

KEYS = [PublicKey((1 << 1024) + 2 * number + 1, 65537) for number in range(12)]
BLOB = KEYS[0].blob
TEXT = base64.b64encode(BLOB).decode()


def data(kind: str, text: str) -> bytes:
    return dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.from_text(kind), text).to_wire()  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("text", "usable"),
    [
        (f"16896 4 1 {TEXT}", True),  # 0x4200, as FreeS/WAN wrote it
        (f"512 255 5 {TEXT}", True),
        (rf"\# {4 + len(BLOB)} c0000401{BLOB.hex()}", False),  # no key, says the flag
        (f"16896 3 1 {TEXT}", False),  # for DNSSEC
        (f"16896 4 3 {TEXT}", False),  # DSA
        ("16896 4 1 AQNE", False),
    ],
)
def test_key_records(text: str, usable: bool) -> None:
    assert key(data("KEY", text)) == (BLOB if usable else b"")


def test_of_many_keys_the_first_are_taken() -> None:
    records = [data("KEY", f"16896 4 1 {base64.b64encode(one.blob).decode()}") for one in KEYS]
    assert keys([records[0], *records]) == [one.blob for one in KEYS[:MOST_KEYS]]


GATE = ip_address("192.0.2.1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f'"X-IPsec-Server(10)=192.0.2.1 {TEXT}"', Delegation(10, GATE, BLOB)),
        (f'"X-IPsec-Server(10)=192.0.2.1" " {TEXT[:100]}" "{TEXT[100:]}"', Delegation(10, GATE, BLOB)),
        (
            f'" X-IPsec-Server ( 7 ) = @gate.example.org {TEXT[:60]} {TEXT[60:]}"',
            Delegation(7, from_text("gate.example.org"), BLOB),
        ),
        ('"X-IPsec-Server(10)=@gate.example.org"', Delegation(10, from_text("gate.example.org"), b"")),
        (f'"X-IPsec-Server(70000)=192.0.2.1 {TEXT}"', None),
        (f'"X-IPsec-Server(10)=192.0.2 {TEXT}"', None),
        (f'"X-IPsec-Server=192.0.2.1 {TEXT}"', None),
        ('"X-IPsec-Server(10)=192.0.2.1 AQNE"', None),
        ('"X-IPsec-Server(10)=192.0.2.1 %%%"', None),
        ('"v=spf1 -all"', None),
    ],
)
def test_txt_records(text: str, expected: Delegation | None) -> None:
    assert txt(data("TXT", text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"10 1 2 192.0.2.1 {TEXT}", Delegation(10, GATE, BLOB)),
        (f"10 2 2 2001:db8::1 {TEXT}", Delegation(10, ip_address("2001:db8::1"), BLOB)),
        (f"10 3 2 gate.example.org. {TEXT}", Delegation(10, from_text("gate.example.org"), BLOB)),
        (f"10 0 2 . {TEXT}", Delegation(10, None, BLOB)),
        (r"\# 7 0a0100c0000201", Delegation(10, GATE, b"")),
        (f"10 0 1 . {TEXT}", None),  # DSA
        ("10 0 2 . AQNE", None),
    ],
)
def test_ipseckey_records(text: str, expected: Delegation | None) -> None:
    assert ipseckey(data("IPSECKEY", text)) == expected


def test_the_preferred_gateway_comes_first_and_others_records_are_passed_over() -> None:
    txts = [data("TXT", text) for text in (f'"X-IPsec-Server(20)=192.0.2.9 {TEXT}"', '"v=spf1 -all"')]
    found = delegations(txts, [data("IPSECKEY", f"10 1 2 192.0.2.1 {TEXT}"), b"", b"\x0a\x01\x02\x00"])
    assert [one.precedence for one in found] == [10, 20]


def test_a_thousand_records_give_a_few() -> None:
    assert (
        len(delegations([data("TXT", f'"X-IPsec-Server({n})=192.0.2.1 {TEXT}"') for n in range(1000)], [])) == MOST_KEYS
    )


@given(st.binary(max_size=100))
def test_noise_is_no_key(noise: bytes) -> None:
    assert key(noise) == b""
    assert txt(noise) is None
    found = ipseckey(noise)
    assert found is None or found.key == b""
