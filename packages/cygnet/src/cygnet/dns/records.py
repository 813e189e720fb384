"""The records that carry RSA keys and name gateways, as FreeS/WAN wrote them and as RFC 4025 has them.

KEY (RFC 2535, section 3; flags 0x4200, protocol 4), TXT `X-IPsec-Server(10)=192.0.2.1 AQ...` (RFC 4322, section 3.2),
IPSECKEY (RFC 4025). What is none of these, or no key that can be used, is passed over, as an administrator may
have any other record beside them.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from cygnet.connection.connection import Address
from cygnet.dns.names import BadName, Name, from_text, read
from cygnet.errors import CygnetError

# More keys than anybody has: what a longer list costs is bounded.
MOST_KEYS = 8
_RSA_MD5, _RSA_SHA1, _RSA = 1, 5, 2
_NO_KEY = 0xC000
_FOR_IPSEC = (4, 255)
_PRECEDENCES = range(65536)
_TXT = re.compile(
    rb"\s*X-IPsec-Server\s*\(\s*(\d{1,5})\s*\)\s*=\s*(@?)\s*([0-9A-Za-z.:_-]{1,255})(?:\s+(\S.*))?", re.DOTALL
)


@dataclass(frozen=True)
class Delegation:
    """An address is served by a gateway: an address or a name; None is the address itself. ``key`` b"": not here."""

    precedence: int
    gateway: Address | Name | None
    key: bytes


def key(data: bytes) -> bytes:
    """The RFC 3110 blob of a KEY record for IPsec, b"" if there is none in it."""
    if len(data) < 4:
        return b""
    flags, protocol, algorithm = int.from_bytes(data[:2], "big"), data[2], data[3]
    for_ipsec = flags & _NO_KEY != _NO_KEY and protocol in _FOR_IPSEC and algorithm in (_RSA_MD5, _RSA_SHA1)
    return _usable(data[4:]) if for_ipsec else b""


def keys(records: Iterable[bytes]) -> list[bytes]:
    """Of the KEY records at a name."""
    return list(dict.fromkeys(filter(None, map(key, records))))[:MOST_KEYS]


def txt(data: bytes) -> Delegation | None:
    """Of a TXT record; its strings are one text."""
    match = _TXT.fullmatch(b"".join(_strings(data)))
    if not match:
        return None
    precedence, at, gateway, text = match.groups(b"")
    blob = _from_base64(text)
    try:
        named = from_text(gateway.decode()) if at else ip_address(gateway.decode())
    except ValueError:
        return None
    usable = int(precedence) in _PRECEDENCES and (blob or not text)
    return Delegation(int(precedence), named, blob) if usable else None


def ipseckey(data: bytes) -> Delegation | None:
    """Of an IPSECKEY record (RFC 4025, section 2)."""
    if len(data) < 3:
        return None
    precedence, kind, algorithm = data[:3]
    try:
        gateway, end = _gateway(kind, data)
    except (ValueError, CygnetError):
        return None
    blob = _usable(data[end:]) if algorithm == _RSA else b""
    return Delegation(precedence, gateway, blob) if blob or (algorithm == 0 and len(data) == end) else None


def delegations(txts: Iterable[bytes], ipseckeys: Iterable[bytes]) -> list[Delegation]:
    """All that an address has, the preferred first."""
    found = dict.fromkeys(filter(None, [*map(ipseckey, ipseckeys), *map(txt, txts)]))
    return sorted(found, key=lambda one: one.precedence)[:MOST_KEYS]


def _gateway(kind: int, data: bytes) -> tuple[Address | Name | None, int]:
    match kind:
        case 0:
            return None, 3
        case 1 if len(data) >= 7:
            return IPv4Address(data[3:7]), 7
        case 2 if len(data) >= 19:
            return IPv6Address(data[3:19]), 19
        case 3:
            return read(data, 3)
    raise BadName("an IPSECKEY record has no gateway")


def _strings(data: bytes) -> Iterator[bytes]:
    """Of a TXT record (RFC 1035, section 3.3.14)."""
    while data:
        yield data[1 : 1 + data[0]]
        data = data[1 + data[0] :]


def _from_base64(text: bytes) -> bytes:
    try:
        return _usable(binascii.a2b_base64(b"".join(text.split()), strict_mode=True))
    except binascii.Error:
        return b""


def _usable(blob: bytes) -> bytes:
    from cygnet.crypto.rsa import BadKey, PublicKey

    try:
        return PublicKey.from_blob(blob).blob
    except BadKey:
        return b""
