"""Values that read alike for many parameters: yes and no, times, numbers, words of a list.

Every reader takes the text and the scope it is read in, and raises ValueError with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cygnet.conf.keys import to_data
from cygnet.conf.local import Local
from cygnet.conf.resolve import Resolve
from cygnet.connection.identity import Identity


@dataclass(frozen=True)
class Scope:
    """What values are read against. ``folder``: of the main file. ``version``: of addresses, 0 for either."""

    local: Local
    folder: Path
    resolve: Resolve
    my_id: Identity | None = None
    version: int = 0


Reader = Callable[[str, Scope], Any]
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_BOOLEAN = {"yes": True, "true": True, "on": True, "1": True, "no": False, "false": False, "off": False, "0": False}


def text(value: str, _scope: Scope) -> str:
    """As it is written."""
    return value


def words(value: str, _scope: Scope) -> tuple[str, ...]:
    """A quoted list, separated by white space."""
    return tuple(value.split())


def yes_no(value: str, _scope: Scope) -> bool:
    """A boolean."""
    if value.lower() not in _BOOLEAN:
        raise ValueError("it must be yes or no")
    return _BOOLEAN[value.lower()]


def choice(**meaning: Any) -> Reader:
    """One of some words, each with its meaning."""

    def read(value: str, _scope: Scope) -> Any:
        if value.lower() not in meaning:
            raise ValueError(f"it must be one of {', '.join(meaning)}")
        return meaning[value.lower()]

    return read


def only(reason: str, *accepted: str) -> Reader:
    """A parameter of which only some values can be had, and ``reason`` why not the others."""

    def read(value: str, _scope: Scope) -> str:
        if value.lower() not in accepted:
            raise ValueError(f"{reason}; write {accepted[0]}, or leave it out")
        return value.lower()

    return read


def whole(least: int, most: int) -> Reader:
    """A whole number, decimal or 0x."""

    def read(value: str, _scope: Scope) -> int:
        if not re.fullmatch(r"\d{1,10}|0[xX][0-9a-fA-F]{1,8}", value, re.ASCII):
            raise ValueError("it must be a whole number")
        number = int(value, 16 if value[1:2] in "xX" and len(value) > 1 else 10)
        if not least <= number <= most:
            raise ValueError(f"it must be from {least} to {most}")
        return number

    return read


def duration(most: str = "", least: float = 0) -> Reader:
    """A time: a whole number of seconds, or a decimal number followed by m, h or d; ``most``: the longest, "" any."""

    def read(value: str, scope: Scope) -> float:
        match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smhd]?)", value, re.ASCII)
        if not match or ("." in match[1] and match[2] in ("", "s")):
            raise ValueError("it must be a time: a number followed by s, m, h or d, such as 90s or 8.0h")
        seconds = float(int(float(match[1]) * _SECONDS[match[2]]))
        if most and seconds > duration()(most, scope):
            raise ValueError(f"the maximum is {most}")
        if seconds < least:
            raise ValueError("it must be more than 0")
        return seconds

    return read


def percent(value: str, _scope: Scope) -> float:
    """A whole number followed by %, as a fraction."""
    if not re.fullmatch(r"\d{1,5}%", value, re.ASCII):
        raise ValueError("it must be a whole number followed by %, such as 100%")
    return int(value[:-1]) / 100


def tries(value: str, scope: Scope) -> int:
    """A whole number, or %forever, which is 0."""
    return 0 if value == "%forever" else int(whole(0, 1_000_000)(value, scope))


@dataclass(frozen=True)
class Key:
    """rsasigkey=: a public key (RFC 3110), or where it is found."""

    blob: bytes = b""
    from_dns: bool = False


def rsa_key(value: str, _scope: Scope) -> Key:
    """Any form of rsasigkey=. %cert needs nothing here: the certificate brings the key."""
    if value in ("%none", "%cert", "0x00"):
        return Key()
    if value in ("%dns", "%dnsonload", "%dnsondemand"):
        return Key(from_dns=True)
    if value.startswith("%"):
        raise ValueError("it must be a key, %dnsondemand, %dnsonload, %cert or %none")
    from cygnet.crypto.rsa import PublicKey

    blob = to_data(value)
    PublicKey.from_blob(blob)
    return Key(blob)


def certificate(value: str, scope: Scope) -> Path:
    """The path of a certificate; a plain name is in ipsec.d/certs beside the main file."""
    if value.startswith("%"):
        raise ValueError("smart cards are not supported: name a file")
    return scope.folder / "ipsec.d" / "certs" / value


def authority(value: str, _scope: Scope) -> str:
    """The subject of a CA as text; "" for any."""
    if value in ("%any", "%same"):
        return "" if value == "%any" else value
    distinguished_name(value)
    return value


def distinguished_name(value: str) -> bytes:
    """The DER of a name whose parts are separated by commas or by slashes."""
    from cygnet.crypto.names import name_to_der

    return name_to_der(f"/{value}" if "/" in value and "," not in value and value[0] != "/" else value)


def interfaces(value: str, scope: Scope) -> tuple[tuple[str, str], ...]:
    """Pairs such as ipsec0=eth1; %none; %defaultroute, which adds nothing while there is no default route."""
    pairs: dict[str, str] = {}
    for word in () if value == "%none" else value.split():
        if word == "%defaultroute" and not scope.local.default_interface:
            continue
        pair = f"ipsec0={scope.local.default_interface}" if word == "%defaultroute" else word
        virtual, _, physical = pair.partition("=")
        if not re.fullmatch(r"ipsec[0-9]{1,2}", virtual) or not re.fullmatch(r"[\w.:@-]{1,15}", physical, re.ASCII):
            raise ValueError(f"{word} is no pair such as ipsec0=eth1, nor %defaultroute, nor %none")
        if virtual in pairs or physical in pairs.values():
            raise ValueError(f"{word}: {virtual} or {physical} is in two pairs")
        pairs[virtual] = physical
    return tuple(pairs.items())
