"""Policy groups: files of networks, and the conns that they make."""

from __future__ import annotations

from pathlib import Path

import pytest
from cygnet.conf import Configuration
from cygnet.connection.connection import Auto, HostKind, Shunt, Type

HEAD = "version 2\nconfig setup\n\tinterfaces=%defaultroute\n"


@pytest.fixture
def grouped(read, tmp_path: Path):
    """Files of groups, then ipsec.conf."""

    def load(text: str = HEAD, **groups: str) -> Configuration:
        folder = tmp_path / "ipsec.d/policies"
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in groups.items():
            (folder / name.replace("_", "-")).write_text(content)
        return read(text)

    return load


@pytest.mark.parametrize(
    ("group", "kind", "there", "shunt"),
    [
        ("clear", Type.PASSTHROUGH, HostKind.ADDRESS, Shunt.NONE),
        ("block", Type.REJECT, HostKind.ADDRESS, Shunt.NONE),
        ("private", Type.TUNNEL, HostKind.OPPORTUNISTIC, Shunt.DROP),
        ("private_or_clear", Type.TUNNEL, HostKind.OPPORTUNISTIC, Shunt.PASSTHROUGH),
        ("clear_or_private", Type.PASSTHROUGH, HostKind.OPPORTUNISTIC, Shunt.PASSTHROUGH),
    ],
)
def test_an_implicit_conn_is_there_once_its_file_is(grouped, group, kind, there, shunt):
    assert grouped().connections == {}
    name = group.replace("_", "-")
    one = grouped(**{group: "# everybody\n192.0.2.0/24 198.51.100.7\n"}).connections[f"{name}#192.0.2.0/24"]
    assert (one.type, one.there.kind, one.failure_shunt, one.auto) == (kind, there, shunt, Auto.ROUTE)
    # Only what must be private must be sure of its keys.
    assert one.dnssec is (group == "private")
    assert str(one.there.selector) == "192.0.2.0/24"
    assert str(one.here.host) == "10.0.0.1"
    assert f"{name}#198.51.100.7/32" in grouped().connections


def test_a_conn_of_the_file_takes_the_place_of_the_implicit_one(grouped):
    found = grouped(HEAD + "conn clear\n\tauto=ignore\n", clear="192.0.2.0/24\n")
    assert list(found.connections) == []


def test_a_group_of_ones_own(grouped):
    text = HEAD + "conn friends\n\talso=private\n\tleftsubnet=10.1.0.0/24\n\tdnssec=no\n\tauto=route\n"
    one = grouped(text, friends="192.0.2.0/24\n").connections["friends#192.0.2.0/24"]
    assert (str(one.here.selector), one.dnssec) == ("10.1.0.0/24", False)


def test_networks_of_the_other_family_are_left_out(grouped):
    assert [name for name in grouped(clear="2001:db8::/32\n192.0.2.0/24\n").connections if "#" in name] == [
        "clear#192.0.2.0/24"
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("192.0.2.1/24\n", "clear:1: 192.0.2.1/24 has host bits set"),
        ("\nexample.org\n", "clear:2: 'example.org' does not appear"),
        ("\0", "NUL"),
    ],
)
def test_what_is_no_network_is_named_with_its_line(grouped, text, problem):
    found = grouped(clear=text)
    assert problem in found.problems[0]


def test_a_group_is_bounded(grouped):
    found = grouped(clear="".join(f"10.{n >> 8}.{n & 255}.0/24\n" for n in range(10_001)))
    assert sum("#" in name for name in found.connections) == 10_000
    assert "10000 networks at the most" in found.problems[0]
