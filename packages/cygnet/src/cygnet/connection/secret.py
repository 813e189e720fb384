"""The secrets of ipsec.secrets(5): pre-shared keys and private keys, each with the identities that it is for.

No secret shows in `repr`, in an exception or in a log.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cygnet.connection.identity import Identity, IdType

if TYPE_CHECKING:
    from cygnet.crypto.rsa import PrivateKey

ANY_IPV6 = Identity(IdType.IPV6_ADDR, bytes(16))
_NOBODY = Identity(IdType.KEY_ID, b"")


@dataclass(frozen=True)
class PresharedKey:
    """A PSK entry. ``indices``: identities; None among them is %any, ANY_IPV6 is %any6. () serves everyone."""

    indices: tuple[Identity | None, ...]
    key: bytes = field(repr=False)
    where: str = ""


@dataclass(frozen=True)
class RsaSecret:
    """An RSA entry: a private key and whom it is for."""

    indices: tuple[Identity | None, ...]
    key: PrivateKey = field(repr=False)
    where: str = ""


@dataclass(frozen=True)
class Secrets:
    """All entries in the order of the file; ``problems``: one sentence for each entry that was left out."""

    preshared: Sequence[PresharedKey] = ()
    private: Sequence[RsaSecret] = ()
    problems: Sequence[str] = ()

    def preshared_key(self, here: Identity, there: Identity | None) -> bytes | None:
        """The PSK that fits both best, None if there is none; of equals the first in the file.

        ``there``: the peer's identity, None where nothing is known of it yet.
        """
        fits = [(_fit_both(entry.indices, here, there), entry.key) for entry in self.preshared]
        best = max(fits, key=lambda pair: pair[0], default=(0, None))
        return best[1] if best[0] else None

    def private_keys(self, here: Identity) -> list[PrivateKey]:
        """The private keys that may be ours, best first."""
        fits = [(_fit_here(entry.indices, here), entry.key) for entry in self.private]
        return [key for fit, key in sorted(fits, key=lambda pair: -pair[0]) if fit]


Indices = tuple[Identity | None, ...]
_EVERYONE = 1


def _fit_here(indices: Indices, here: Identity) -> int:
    """How well an RSA entry fits: all its indices are names of this host, so that one of them is enough."""
    if not indices or indices in ((None,), (ANY_IPV6,)):
        return _EVERYONE
    return (3 if len(indices) == 1 else 2) if any(_same(index, here) for index in indices) else 0


def _fit_both(indices: Indices, here: Identity, there: Identity | None) -> int:
    """How well a PSK entry fits, 0 not at all.

    As Pluto has it: both named beats one index that is ours, which beats no index; %any stands for a peer that is
    known by its address. What Pluto never takes is here the last resort: %any for this host.
    """
    if not indices or indices in ((None,), (ANY_IPV6,)):
        return _EVERYONE
    mine = any(_same(index, here) for index in indices)
    theirs = there is not None and any(_same(index, there) for index in indices)
    anyone = _any_for(there) in indices
    match (mine, theirs, anyone):
        case (True, True, _):
            return 6
        case (True, _, True):
            return 5
        case (True, _, _) if len(indices) == 1:
            return 4
        case (_, True, _) if _any_for(here) in indices:
            return 3
    return 2 if anyone and indices.count(_any_for(here)) > 1 else 0


def _any_for(identity: Identity | None) -> Identity | None:
    """The index that stands for any peer of this kind. A peer with a name is found by its name only."""
    if identity is None or identity.type is IdType.IPV4_ADDR:
        return None
    return ANY_IPV6 if identity.type is IdType.IPV6_ADDR else _NOBODY


def _same(index: Identity | None, identity: Identity) -> bool:
    """Names are the same whatever their case, and with or without a dot at the end."""
    if index is None or index.type is not identity.type:
        return False
    if identity.type in (IdType.FQDN, IdType.USER_FQDN):
        return index.data.rstrip(b".").lower() == identity.data.rstrip(b".").lower()
    if identity.type is IdType.DER_ASN1_DN and index.data != identity.data:
        from cygnet.crypto.names import same_name

        return same_name(index.data, identity.data)
    return index.data == identity.data
