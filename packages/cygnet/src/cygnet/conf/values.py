"""Values that read alike for many parameters: yes and no, times, numbers, words of a list, keys.

Every reader takes the text and the scope it is read in, and raises ValueError with the reason.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cygnet.connection.connection import Address
from cygnet.connection.identity import Identity
from cygnet.connection.local import Local


@dataclass(frozen=True)
class Scope:
    """What values are read against. ``folder``: of the main file. ``version``: of addresses, 0 for either."""

    local: Local
    folder: Path
    resolve: Callable[[str], Sequence[Address]]
    my_id: Identity | None = None
    version: int = 0


Reader = Callable[[str, Scope], Any]
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
YES_NO = dict.fromkeys(("yes", "true", "on", "1"), True) | dict.fromkeys(("no", "false", "off", "0"), False)


def text(value: str, _scope: Scope) -> str:
    """As it is written."""
    return value


def words(value: str, _scope: Scope) -> tuple[str, ...]:
    """A quoted list, separated by white space."""
    return tuple(value.split())


def choice(meaning: dict[str, Any], reason: str = "") -> Reader:
    """One of some words, each with its meaning; ``reason``: why others cannot be had."""

    def read(value: str, _scope: Scope) -> Any:
        if value.lower() not in meaning:
            raise ValueError(f"{reason or 'this is no value of it'}: write {' or '.join(meaning)}")
        return meaning[value.lower()]

    return read


def yes_no(value: str, _scope: Scope) -> bool:
    """A boolean."""
    if value.lower() not in YES_NO:
        raise ValueError("it must be yes or no")
    return YES_NO[value.lower()]


def never(reason: str) -> Reader:
    """A feature that there is not: it can only be switched off."""
    return choice(dict.fromkeys(("no", "false", "off", "never"), False), reason)


def whole(least: int, most: int) -> Reader:
    """A whole number, decimal or 0x."""

    def read(value: str, _scope: Scope) -> int:
        if not re.fullmatch(r"[0-9]{1,10}|0[xX][0-9a-fA-F]{1,8}", value):
            raise ValueError("it must be a whole number")
        number = int(value, 16 if value[1:2] in ("x", "X") else 10)
        if not least <= number <= most:
            raise ValueError(f"it must be from {least} to {most}")
        return number

    return read


def duration(hours: int, least: int = 0) -> Reader:
    """A time: a whole number of seconds, or a decimal number followed by m, h or d; at most so many hours."""

    def read(value: str, _scope: Scope) -> float:
        match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smhd]?)", value)
        if not match or ("." in match[1] and match[2] in ("", "s")):
            raise ValueError("it must be a time: a number followed by s, m, h or d, such as 90s or 8.0h")
        seconds = int(float(match[1]) * _SECONDS[match[2]])
        if not least <= seconds <= hours * 3600:
            raise ValueError(f"the maximum is {hours}h" if seconds else "it must be more than 0")
        return float(seconds)

    return read


def percent(value: str, scope: Scope) -> float:
    """A whole number followed by %, as a fraction."""
    if not value.endswith("%"):
        raise ValueError("it must be a whole number followed by %, such as 100%")
    return int(whole(0, 10_000)(value[:-1], scope)) / 100


def tries(value: str, scope: Scope) -> int:
    """A whole number, or %forever, which is 0."""
    return 0 if value == "%forever" else int(whole(0, 1_000_000)(value, scope))


def to_data(value: str) -> bytes:
    """The bytes of a key: the 0x, 0s and 0t of ipsec_ttodata(3). ValueError never shows the text: it may be secret."""
    prefix, body = value[:2].lower(), value[2:]
    try:
        if prefix == "0x":
            data = binascii.unhexlify(re.sub(r"(?<=[0-9a-fA-F])_(?=[0-9a-fA-F])", "", body).encode("ascii"))
        elif prefix == "0s":
            data = binascii.a2b_base64(body.encode("ascii"), strict_mode=True)
        elif prefix == "0t":
            data = body.encode("utf-8", "surrogateescape")
        else:
            raise ValueError("it must begin with 0x (hexadecimal), 0s (base 64) or 0t (text)")
    except (binascii.Error, UnicodeEncodeError):
        raise ValueError("it is no whole hexadecimal or base 64 number; was it cut off?") from None
    if not data:
        raise ValueError("it is empty")
    return data


def rsa_key(value: str, _scope: Scope) -> bytes | bool:
    """rsasigkey=: the key (RFC 3110), or True for one in DNS; b"" for none and for %cert: a certificate brings it."""
    if value in ("%none", "%cert", "0x00"):
        return b""
    if value in ("%dns", "%dnsonload", "%dnsondemand"):
        return True
    if value.startswith("%"):
        raise ValueError("it must be a key, %dnsondemand, %dnsonload, %cert or %none")
    from cygnet.crypto.rsa import PublicKey

    blob = to_data(value)
    PublicKey.from_blob(blob)
    return blob


def certificate(value: str, scope: Scope) -> Path:
    """The path of a certificate; a plain name is in ipsec.d/certs beside the main file."""
    if value.startswith("%"):
        raise ValueError("smart cards are not supported: name a file")
    return scope.folder / "ipsec.d" / "certs" / value


def authority(value: str, _scope: Scope) -> str:
    """The subject of a CA as text; "" for any."""
    if value not in ("%any", "%same"):
        distinguished_name(value)
    return "" if value == "%any" else value


def distinguished_name(value: str) -> bytes:
    """The DER of a name whose parts are separated by commas or by slashes."""
    from cygnet.crypto.names import name_to_der

    return name_to_der(f"/{value}" if "/" in value and "," not in value and value[0] != "/" else value)


def interfaces(value: str, scope: Scope) -> tuple[tuple[str, str], ...]:
    """Pairs such as ipsec0=eth1; %none; %defaultroute, which is ipsec0 over whatever the default route goes."""
    pairs: dict[str, str] = {}
    taken = set()
    for word in () if value == "%none" else value.split():
        match = re.fullmatch(r"(ipsec[0-9]{1,2})=([\w.:@-]{1,15})", word, re.ASCII)
        virtual, physical = match.groups() if match else ("ipsec0", word)
        if not match and word != "%defaultroute":
            raise ValueError(f"{word} is no pair such as ipsec0=eth1, nor %defaultroute, nor %none")
        now = physical if match else scope.local.default_interface
        if virtual in pairs or now in taken:
            raise ValueError(f"{word}: {virtual} or {physical} is in two pairs")
        pairs[virtual] = physical
        taken.add(now)
    return tuple(pairs.items())
