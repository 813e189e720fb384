"""Peers whose keys stand in the DNS: asked for when they have to prove themselves, believed only as far as they may."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import pytest
from cygnet.connection.connection import AuthBy
from cygnet.connection.identity import Identity, IdType
from cygnet.connection.secret import RsaSecret, Secrets
from cygnet.crypto.rsa import PrivateKey
from cygnet.ike.directory import questions
from cygnet.ike.v1.exchange import Refused
from name_server import NameServer
from simulation import EAST, NAME, WEST, Box, Network, deaf, pair, works

NAMES = {WEST: b"west.example.org", EAST: b"east.example.org"}
REVERSE = {WEST: "1.2.0.192.in-addr.arpa", EAST: "2.2.0.192.in-addr.arpa"}
Keys = tuple[PrivateKey, PrivateKey]


def text(key: PrivateKey) -> str:
    return base64.b64encode(key.public.blob).decode()


def delegation(gateway: str, key: str) -> str:
    """A TXT record; a string of it has 255 bytes at the most."""
    return f'"X-IPsec-Server(10)={gateway}" " {key[:200]}" "{key[200:]}"'


def by_name(keys: Sequence[PrivateKey]) -> NameServer:
    """Both keys at the boxes' names."""
    records = [(NAMES[end].decode(), [f"16896 4 1 {text(key)}"]) for end, key in zip((WEST, EAST), keys, strict=True)]
    return NameServer({(name, "KEY"): data for name, data in records})


def boxes(keys: Keys, names: NameServer, named: bool = True, **changes: Any) -> tuple[Network, Box, Box]:
    """Two boxes that have their own private keys, and of each other nothing but names or addresses."""
    secrets = tuple(Secrets(private=(RsaSecret((), key),)) for key in keys)
    ends = {
        end: {"keys_from_dns": True} | ({"id": Identity(IdType.FQDN, NAMES[end])} if named else {}) for end in NAMES
    }
    network, west, east = pair(secrets=secrets, ends=ends, names=names, auth_by=AuthBy.RSASIG, **changes)  # type: ignore[arg-type]
    west.up()
    return network, west, east


def test_keys_at_the_names_of_both_ends(rsa_keys: Keys) -> None:
    network, west, east = boxes(rsa_keys, by_name(rsa_keys))
    network.run(5)
    assert west.statuses == [0], west.log + east.log
    assert works(west, east)
    assert set(network.names.asked) == {
        (name.decode(), kind) for name in NAMES.values() for kind in ("KEY", "TXT", "IPSECKEY")
    }
    assert network.bugs() == []


def test_keys_in_the_reverse_map_as_each_record_has_them(rsa_keys: Keys) -> None:
    west_key, east_key = map(text, rsa_keys)
    records = {
        (REVERSE[WEST], "TXT"): [delegation(WEST, west_key), '"v=spf1 -all"'],
        (REVERSE[EAST], "IPSECKEY"): [f"10 0 2 . {east_key}"],
    }
    network, west, east = boxes(rsa_keys, NameServer(records), named=False)
    network.run(5)
    assert west.statuses == [0], west.log + east.log
    assert works(west, east)


def test_the_key_of_another_gateway_is_not_the_peers(rsa_keys: Keys) -> None:
    west_key, east_key = map(text, rsa_keys)
    records = {
        (REVERSE[WEST], "TXT"): [delegation(WEST, west_key)],
        (REVERSE[EAST], "TXT"): [delegation("198.51.100.9", east_key)],
    }
    network, west, _ = boxes(rsa_keys, NameServer(records), named=False, keying_tries=1)
    network.run(120)
    assert west.statuses != [0]
    assert west.said("the DNS gives no key for 192.0.2.2")


def test_a_key_that_is_not_theirs_is_refused(rsa_keys: Keys) -> None:
    network, west, east = boxes(rsa_keys, by_name(rsa_keys[::-1]), keying_tries=1)
    network.run(120)
    assert east.said("the signature of @west.example.org was not made by the private key")
    assert (west.isakmp(), east.isakmp()) == (0, 0)
    assert west.statuses != [0]


def test_a_name_without_a_key_is_said_in_words_and_asked_for_once(rsa_keys: Keys) -> None:
    network, west, east = boxes(rsa_keys, NameServer(), keying_tries=1)
    network.run(60)
    assert east.said("the DNS gives no key for @west.example.org: KEY of west.example.org does not exist; TXT of")
    assert east.said("ipsec showhostkey on the peer prints the record")
    assert network.names.asked.count(("west.example.org", "KEY")) == 1
    assert west.statuses != [0]


def test_a_dead_name_server_costs_time_and_is_named(rsa_keys: Keys) -> None:
    names = by_name(rsa_keys)
    names.dead = True
    network, west, east = boxes(rsa_keys, names, keying_tries=0)
    network.run(30)
    assert east.said("KEY of west.example.org cannot be looked up: the name server 192.0.2.53 does not answer")
    assert west.pairs() == 0
    # When it is back the peer's next attempt succeeds.
    names.dead = False
    network.run(120)
    assert works(west, east), west.log + east.log
    assert network.bugs() == []


@pytest.mark.parametrize("authentic", [True, False])
def test_dnssec_can_be_demanded(authentic: bool, rsa_keys: Keys) -> None:
    names = by_name(rsa_keys)
    names.authentic = authentic
    network, west, east = boxes(rsa_keys, names, keying_tries=1, dnssec=True)
    network.run(60)
    assert (west.statuses == [0]) is authentic
    assert east.said("not authenticated (DNSSEC), which dnssec=yes demands") is not authentic


def test_what_waits_ends_with_its_negotiation(rsa_keys: Keys) -> None:
    names = by_name(rsa_keys)
    names.dead = True
    network, west, east = boxes(rsa_keys, names, keying_tries=1)
    network.run(2)
    west.down()
    network.tamper = deaf(west)
    network.run(300)
    assert east.sizes()["ISAKMP SAs"] == 0
    assert (east.engine.directory._kept, east.engine.directory._asked) == ({}, set())
    assert network.bugs() == []


@pytest.mark.parametrize(
    ("kind", "data"),
    [(IdType.USER_FQDN, b"me@example.org"), (IdType.KEY_ID, b"x"), (IdType.FQDN, b"a..b"), (IdType.FQDN, b"a" * 64)],
)
def test_identities_that_the_dns_does_not_know(kind: IdType, data: bytes) -> None:
    with pytest.raises(Refused, match="the DNS gives no key for"):
        questions(Identity(kind, data))


def test_without_a_dns_the_old_words_stand(rsa_keys: Keys) -> None:
    secrets = tuple(Secrets(private=(RsaSecret((), key),)) for key in rsa_keys)
    network, west, east = pair(secrets=secrets, auth_by=AuthBy.RSASIG, keying_tries=1)  # type: ignore[arg-type]
    west.up(NAME)
    network.run(60)
    assert east.said("no public key known for 192.0.2.1")
