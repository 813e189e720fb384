"""Questions that other programs read, answers that other programs wrote, and what is no answer."""

from __future__ import annotations

import contextlib

import dns.message
import pytest
from cygnet.dns.message import MOST_ANSWERS, TXT, BadReply, Question, Reply, parse, query
from cygnet.dns.names import BadName, from_text, read, reverse, to_text, to_wire
from cygnet.errors import CygnetError
from dns_server import SOA, answering, asked
from hypothesis import given
from hypothesis import strategies as st

NUMBER = 0x1234
TEXT = 'gate.example.org. 300 IN TXT "one" "two"'


def reply(*lines: str, name: str = "gate.example.org", kind: str = "TXT", **how: object) -> Reply:
    question = asked(name, kind)
    made = answering(*lines, **how)(dns.message.from_wire(query(NUMBER, question)))  # type: ignore[arg-type]
    assert isinstance(made, dns.message.Message)
    return parse(made.to_wire(), NUMBER, question)


def test_another_program_reads_the_question() -> None:
    made = dns.message.from_wire(query(NUMBER, asked("Gate.Example.ORG.", "KEY")))
    assert made.id == NUMBER
    assert made.question[0].to_text() == "gate.example.org. IN KEY"
    assert dns.flags.to_text(made.flags) == "RD AD"
    assert (made.edns, made.payload) == (0, 1232)


def test_records_and_their_time() -> None:
    found = reply(TEXT, ad=True)
    assert (found.data, found.ttl, found.authentic, found.truncated) == ((b"\x03one\x03two",), 300, True, False)


def test_an_alias_is_followed() -> None:
    """As RFC 2317 delegates a part of the reverse map."""
    lines = ("1.2.0.192.in-addr.arpa. 60 IN CNAME 1.0/25.2.0.192.in-addr.arpa.",
             '1.0/25.2.0.192.in-addr.arpa. 300 IN TXT "one"', '9.0/25.2.0.192.in-addr.arpa. 5 IN TXT "other"')  # fmt: skip
    found = reply(*lines, name="1.2.0.192.in-addr.arpa")
    assert (found.data, found.ttl) == ((b"\x03one",), 60)


def test_aliases_in_a_circle_are_no_answer() -> None:
    assert reply("a.org. 60 IN CNAME b.org.", "b.org. 60 IN CNAME a.org.", name="a.org").data == ()


def test_a_no_holds_as_long_as_its_soa_says() -> None:
    found = reply(rcode="NXDOMAIN", authority=SOA)
    assert (found.rcode, found.data, found.ttl) == (3, (), 300)


def test_records_of_other_names_and_types_are_no_answer() -> None:
    assert reply('other.example.org. 300 IN TXT "x"', "gate.example.org. 300 IN A 192.0.2.1").data == ()


def packet(change: str = "") -> bytes:
    made = answering(TEXT)(dns.message.from_wire(query(NUMBER, asked("gate.example.org", "TXT"))))
    assert isinstance(made, dns.message.Message)
    whole = made.to_wire()
    match change:
        case "number":
            return b"\0\0" + whole[2:]
        case "question":
            return whole[:2] + b"\x01\0" + whole[4:]
        case "type":
            return whole.replace(b"\x03org\0\0\x10", b"\x03org\0\0\x19", 1)
        case "name":
            return whole.replace(b"gate", b"late", 1)
        case "count":
            return whole[:6] + (MOST_ANSWERS + 1).to_bytes(2, "big") + whole[8:]
        case "loop":
            return whole[:12] + b"\xc0\x0c" + whole[14:]
    return whole


@pytest.mark.parametrize("change", ["number", "question", "type", "name", "count", "loop"])
def test_what_answers_nothing_is_refused(change: str) -> None:
    with pytest.raises((BadReply, BadName)):
        parse(packet(change), NUMBER, asked("gate.example.org", "TXT"))
    assert parse(packet(), NUMBER, asked("gate.example.org", "TXT")).data


def test_a_packet_cut_anywhere_is_refused_or_lacks_nothing_that_counts() -> None:
    whole, question = packet(), asked("gate.example.org", "TXT")
    for size in range(len(whole)):
        try:
            found = parse(whole[:size], NUMBER, question)
        except CygnetError:
            continue
        assert found.data == (b"\x03one\x03two",)


@given(st.binary(max_size=300))
def test_nothing_but_our_own_errors_comes_of_noise(noise: bytes) -> None:
    head = query(NUMBER, Question(from_text("a.org"), TXT))[:23]
    for made in (noise, head[:2] + b"\x80\0\0\1\0\1\0\1\0\0" + head[12:] + noise):
        with contextlib.suppress(CygnetError):
            parse(made, NUMBER, Question(from_text("a.org"), TXT))


@given(st.lists(st.binary(min_size=1, max_size=63), max_size=3))
def test_names_survive_the_wire(labels: list[bytes]) -> None:
    name = tuple(label.lower() for label in labels)
    assert read(b"xx" + to_wire(name) + b"yy", 2) == (name, 2 + len(to_wire(name)))


@pytest.mark.parametrize("text", ["", ".", "a..b", "a" * 64, "a." * 127 + "bc", "ä.org"])
def test_bad_names(text: str) -> None:
    with pytest.raises(BadName):
        from_text(text)


def test_names_of_addresses() -> None:
    from ipaddress import ip_address

    assert to_text(reverse(ip_address("192.0.2.1"))) == "1.2.0.192.in-addr.arpa"
    assert to_text(reverse(ip_address("2001:db8::1"))).startswith("1.0.0.0")
    assert to_text((b"a\x1b[2J", b"org")) == "a\\x1b[2J.org"
