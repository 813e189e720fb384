"""Which secret is for whom: the rules of ipsec.secrets(5)."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
from cygnet.connection.identity import Identity, IdType
from cygnet.connection.secret import ANY_IPV6, PresharedKey, RsaSecret, Secrets


def ident(text: str) -> Identity | None:
    """An identity by a short name: an address, @name, user@name, %any or %any6."""
    if text.startswith("%any"):
        return ANY_IPV6 if text.endswith("6") else None
    if "@" in text:
        return Identity(IdType.FQDN, text[1:].encode()) if text[0] == "@" else Identity(IdType.USER_FQDN, text.encode())
    return Identity.address(ip_address(text))


def secrets(*lines: str) -> Secrets:
    """Entries "a b" whose key is the line itself."""
    return Secrets([PresharedKey(tuple(map(ident, line.split())), line.encode()) for line in lines])


@pytest.mark.parametrize(
    ("entries", "here", "there", "found"),
    [
        # The most specific entry wins, wherever it stands.
        (["", "10.0.0.1", "10.0.0.1 10.0.0.2"], "10.0.0.1", "10.0.0.2", "10.0.0.1 10.0.0.2"),
        (["10.0.0.1 10.0.0.2", "10.0.0.1", ""], "10.0.0.1", "10.0.0.2", "10.0.0.1 10.0.0.2"),
        (["10.0.0.1 10.0.0.2"], "10.0.0.2", "10.0.0.1", "10.0.0.1 10.0.0.2"),
        (["", "10.0.0.1"], "10.0.0.1", "10.0.0.9", "10.0.0.1"),
        (["", "10.0.0.1"], "10.0.0.7", "10.0.0.9", ""),
        # One index is the host's own; the peer's alone is nothing.
        (["10.0.0.2"], "10.0.0.1", "10.0.0.2", None),
        (["10.0.0.1"], "10.0.0.1", "@anyone", "10.0.0.1"),
        # Of several indices both ends must be there.
        (["10.0.0.1 10.0.0.2 @c"], "10.0.0.1", "@c", "10.0.0.1 10.0.0.2 @c"),
        (["10.0.0.1 10.0.0.2 @c"], "10.0.0.1", "@d", None),
        (["10.0.0.1 10.0.0.2 @c"], "@d", "10.0.0.1", None),
        # %any is a peer that is known by its address, when no entry names it.
        (["10.0.0.1 %any", "10.0.0.1 10.0.0.2"], "10.0.0.1", "10.0.0.2", "10.0.0.1 10.0.0.2"),
        (["10.0.0.1 10.0.0.2", "10.0.0.1 %any"], "10.0.0.1", "10.0.0.3", "10.0.0.1 %any"),
        (["10.0.0.1", "10.0.0.1 %any"], "10.0.0.1", "10.0.0.3", "10.0.0.1 %any"),
        (["10.0.0.1 %any"], "10.0.0.1", None, "10.0.0.1 %any"),
        (["10.0.0.1 %any"], "10.0.0.1", "@west", None),
        (["10.0.0.1 %any"], "10.0.0.1", "2001:db8::1", None),
        (["2001:db8::2 %any6"], "2001:db8::2", "2001:db8::1", "2001:db8::2 %any6"),
        (["2001:db8::2 %any6"], "2001:db8::2", "10.0.0.1", None),
        # %any for this host is the last resort.
        (["%any"], "10.0.0.1", "@x", "%any"),
        (["", "%any %any"], "10.0.0.1", "10.0.0.2", "%any %any"),
        (["%any 10.0.0.2", "10.0.0.1"], "10.0.0.1", "10.0.0.2", "10.0.0.1"),
        (["%any 10.0.0.2", ""], "10.0.0.1", "10.0.0.2", "%any 10.0.0.2"),
        (["%any 10.0.0.9"], "10.0.0.1", "10.0.0.2", None),
        # Names are the same whatever their case and with a dot at the end; kinds of identity are not.
        (["@West.Example.com. @east"], "@west.example.COM", "@EAST", "@West.Example.com. @east"),
        (["west@example.com @east"], "@west@example.com", "@east", None),
        # Equals: the first in the file.
        (["@a @b", "@b @a"], "@a", "@b", "@a @b"),
        ([], "@a", "@b", None),
    ],
)
def test_a_preshared_key(entries, here, there, found):
    answer = secrets(*entries).preshared_key(ident(here), ident(there) if there else None)  # type: ignore[arg-type]
    assert answer == (None if found is None else found.encode())


@pytest.mark.parametrize(
    ("entries", "here", "found"),
    [
        (["", "@a", "@a @b", "@c"], "@a", ["@a", "@a @b", ""]),
        (["@a @b"], "@b", ["@a @b"]),
        (["@a"], "@b", []),
        (["%any", ""], "@b", ["%any", ""]),
    ],
)
def test_private_keys_best_first(entries, here, found):
    def entry(line: str) -> RsaSecret:
        key: Any = line
        return RsaSecret(tuple(map(ident, line.split())), key)

    own = ident(here)
    assert own is not None
    assert Secrets(private=[entry(line) for line in entries]).private_keys(own) == found


def test_distinguished_names_are_compared_as_names():
    from cygnet.crypto.names import name_to_der

    def name(text: str) -> Identity:
        return Identity(IdType.DER_ASN1_DN, name_to_der(text))

    known = Secrets([PresharedKey((name("C=CH, O=Cygnet"), name("CN=b")), b"x")])
    assert known.preshared_key(name("C=ch, O=CYGNET"), name("CN=b")) == b"x"
    assert known.preshared_key(name("C=ch, O=Other"), name("CN=b")) is None
