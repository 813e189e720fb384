"""Values: times, numbers, addresses, subnets, identities, keys."""

from __future__ import annotations

from pathlib import Path

import pytest
from conf_box import BOX, resolve
from cygnet.conf import hosts, values
from cygnet.conf.values import Scope, to_data
from cygnet.connection.identity import IdType

SCOPE = Scope(BOX, Path("/etc"), resolve)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("5m", 300), ("1.5m", 90), ("8.0h", 28800), ("0.5d", 43200), ("1d", 86400)],
)
def test_times(text, seconds):
    assert values.duration(24)(text, SCOPE) == seconds


@pytest.mark.parametrize("text", ["", "h", "-1h", "1.5", "1.5s", "1 h", "1H", "1w", "25h", "1.h", "\u0661h", "9" * 40])
def test_what_is_no_time(text):
    with pytest.raises(ValueError):
        values.duration(24)(text, SCOPE)


# Facts of ipsec_ttosubnet(3): what is taken, and what it means.
@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("1.2.3.0/255.255.255.0", "1.2.3.0/24"),
        ("1.2.3.0/24", "1.2.3.0/24"),
        ("1.2.3.1/255.255.255.240", "1.2.3.0/28"),
        ("1.2.3.1/32", "1.2.3.1/32"),
        ("1.2.3.1/0", "0.0.0.0/0"),
        ("128.009.000.032/32", "128.9.0.32/32"),
        ("0x80090020/32", "128.9.0.32/32"),
        ("128.9.0.32/0xffFF0000", "128.9.0.0/16"),
        ("10/8", "10.0.0.0/8"),
        ("10.0.1/24", "10.0.1.0/24"),
        ("0/0", "0.0.0.0/0"),
        ("%default", "0.0.0.0/0"),
        ("peer.example/32", "10.12.12.1/32"),
        ("3049:1::8007:2040/64", "3049:1::/64"),
        ("::/0", "::/0"),
        ("1:0:0:0:0:0:0:2/128", "1::2/128"),
        ("10.1.2.3", "10.1.2.3/32"),
    ],
)
def test_subnets(text, network):
    assert str(hosts.subnet(text, SCOPE)) == network


@pytest.mark.parametrize(
    "text",
    """1.2.3.1/255.255.127.0 128.0x9.0.32/32 0x800x0020/32 128.9.0.32/0xff0000FF 128.9.0.32/0x0000ffFF 128.9.0.32/0xffFF
    128.9.0.32.27/32 128.9.0k32/32 328.9.0.32/32 128.9..32/32 _ _/_ 1.2.3.1/_ 1.2.3.1/24._ 1.2.3.1/99 1.2.3.0/24:80 /24
    3049:1::8007::2040/128 3049:1::8007:2040/ffff:0 3049:1::80071:2040/128 1::/129 vhost:%priv vnet:%no
    10.1.0.0/16,10.2.0.0/16 nowhere.example/32 fe80::1%eth0/64""".split(),
)
def test_what_is_no_subnet(text):
    with pytest.raises(ValueError):
        hosts.subnet(text, SCOPE)


@pytest.mark.parametrize(
    ("text", "kind", "data", "shown"),
    [
        ("10.0.0.1", IdType.IPV4_ADDR, bytes([10, 0, 0, 1]), "10.0.0.1"),
        ("2001:db8::9", IdType.IPV6_ADDR, bytes.fromhex("20010db8" + 22 * "0" + "09"), "2001:db8::9"),
        ("peer.example", IdType.IPV4_ADDR, bytes([10, 12, 12, 1]), "10.12.12.1"),
        ("@xy.example.com", IdType.FQDN, b"xy.example.com", "@xy.example.com"),
        ("joe@example.com", IdType.USER_FQDN, b"joe@example.com", "joe@example.com"),
        ("@#0a1b", IdType.KEY_ID, b"\x0a\x1b", "@#0a1b"),
        ("@[ab1]", IdType.KEY_ID, b"ab1", "@[ab1]"),
        ("C=CH, O=Cygnet, CN=west", IdType.DER_ASN1_DN, None, "C=CH, O=Cygnet, CN=west"),
        ("/C=CH/O=Cygnet/CN=west", IdType.DER_ASN1_DN, None, "C=CH, O=Cygnet, CN=west"),
        ("C=CH/O=Cygnet/CN=west", IdType.DER_ASN1_DN, None, "C=CH, O=Cygnet, CN=west"),
    ],
)
def test_identities(text, kind, data, shown):
    found = hosts.identity(text, SCOPE)
    assert found is not None
    assert (found.type, str(found)) == (kind, shown)
    assert data is None or found.data == data


@pytest.mark.parametrize("text", ["%nobody", "@", "@#xyz", "@#", "not a name", "nowhere.example", "=", "@" + "a" * 256])
def test_what_is_no_identity(text):
    with pytest.raises(ValueError):
        hosts.identity(text, SCOPE)


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("17/1701", (17, 1701)),
        ("udp/l2tp", (17, 1701)),
        ("tcp", (6, 0)),
        ("6/", (6, 0)),
        ("17/%any", (17, 0)),
        ("0", (0, 0)),
    ],
)
def test_protocols_and_ports(text, pair):
    assert hosts.protoport(text, SCOPE) == pair


@pytest.mark.parametrize("text", ["256", "17/65536", "nothing", "udp/nothing", "0/80", "-1", "17/-1"])
def test_what_is_no_protocol_and_port(text):
    with pytest.raises(ValueError):
        hosts.protoport(text, SCOPE)


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("0x0a1B", b"\x0a\x1b"),
        ("0x0a_1b", b"\x0a\x1b"),
        ("0sAQID", b"\1\2\3"),
        ("0sAQ==", b"\1"),
        ("0tas it is", b"as it is"),
    ],
)
def test_keys_as_text(text, data):
    assert to_data(text) == data


@pytest.mark.parametrize(
    "text", ["", "0", "0x", "0s", "0t", "0xabc", "0xzz", "0x_ab", "0xab__cd", "0sAQI", "0sA Q=", "AQID", "0sé"]
)
def test_broken_keys_are_refused_without_showing_them(text):
    with pytest.raises(ValueError) as caught:
        to_data(text)
    assert len(text) < 5 or text[2:] not in str(caught.value)


def test_what_looks_like_an_address_is_not_asked_of_dns():
    for text in ("256.0.0.1", "1.2.3.4.5", "10000000000000001", "1..2"):
        with pytest.raises(ValueError, match="is no address"):
            hosts.address(text, SCOPE)


def test_a_name_with_addresses_of_both_families_gives_the_one_that_is_asked_for(read):
    head = "version 2\nconn west\n\tright=both.example\n"
    assert str(read(f"{head}\tleft=10.0.0.1\n").connections["west"].there.host) == "10.12.12.2"
    six = read(f"{head}\tleft=2001:db8::1\n\tconnaddrfamily=ipv6\n").connections["west"]
    assert (str(six.there.host), six.there.name) == ("2001:db8::2", "both.example")


def test_names_are_asked_for_once_and_no_more_when_the_time_is_up(monkeypatch):
    from cygnet.conf import resolve as module

    now, asked = [0.0], []

    def slow(name: str, *_args: object, **_options: object) -> list[object]:
        asked.append(name)
        now[0] += 4
        if name == "b.example":
            raise module.socket.gaierror
        return [(2, 2, 17, "", ("10.1.1.1", 0)), (10, 2, 17, "", ("fe80::1%eth0", 0, 0, 2))]

    monkeypatch.setattr(module.socket, "getaddrinfo", slow)
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    resolver = module.Resolver(seconds=10)
    found = [len(resolver(name)) for name in ("a.example", "a.example", "b.example", "c.example", "d.example")]
    assert found == [2, 2, 0, 2, 0]
    assert asked == ["a.example", "b.example", "c.example"]
