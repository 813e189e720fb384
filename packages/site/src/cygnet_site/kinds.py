"""What the value of a key may be: how it is read, and how a JSON schema says the same.

Reading raises ValueError with a sentence: what it is not, and what to write. It never repeats what may be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any, NamedTuple

MOST_ITEMS = 1000
MOST_SHOWN = 60


class Kind(NamedTuple):
    """``read``: from TOML's value to ours; ``schema``: of TOML's value."""

    read: Callable[[Any], Any]
    schema: Mapping[str, object]


class Secret(NamedTuple):
    """A file with a secret, as the site file names it: relative to itself."""

    file: str


class Range(NamedTuple):
    """Addresses from the first to the last."""

    first: IPv4Address
    last: IPv4Address

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


class Endpoint(NamedTuple):
    """An address or a host name, and a port; 0 where none is given."""

    host: str
    port: int = 0

    def __str__(self) -> str:
        return f"{self.host}:{self.port}" if self.port else self.host


def shown(value: object) -> str:
    """A value in an error: one line, not long, nothing that a terminal obeys."""
    text = f'"{value}"' if isinstance(value, str) else str(value)
    text = "".join(char if char.isprintable() else "?" for char in text)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def words(pattern: str, what: str, convert: Callable[[str], Any] = str) -> Kind:
    """A text in one line that fits ``pattern`` as a whole, and which ``convert`` takes (ValueError if not)."""

    def read(value: Any) -> Any:
        try:
            if isinstance(value, str) and re.fullmatch(pattern, value, re.ASCII):
                return convert(value)
        except ValueError:
            pass
        raise ValueError(f"{shown(value)} is not {what}")

    return Kind(read, {"type": "string", "pattern": f"^(?:{pattern})$"})


def number(first: int, last: int, what: str) -> Kind:
    """A whole number."""

    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not first <= value <= last:
            raise ValueError(f"{shown(value)} is not {what}")
        return value

    return Kind(read, {"type": "integer", "minimum": first, "maximum": last})


def choice(*options: str) -> Kind:
    """One of some words."""

    def read(value: Any) -> str:
        if value not in options:
            raise ValueError(f"{shown(value)} is not {' or '.join(options)}")
        return str(value)

    return Kind(read, {"enum": list(options)})


def either(word: str, other: Kind, what: str) -> Kind:
    """A word, or what another kind reads."""

    def read(value: Any) -> Any:
        if value == word:
            return word
        try:
            return other.read(value)
        except ValueError:
            raise ValueError(f"{shown(value)} is not {what}") from None

    return Kind(read, {"anyOf": [{"const": word}, dict(other.schema)]})


class Listed(NamedTuple):
    """An array of one kind; each of its items is read, and told about, by itself."""

    item: Kind

    @property
    def schema(self) -> Mapping[str, object]:
        """Of the array."""
        return {"type": "array", "items": dict(self.item.schema), "maxItems": MOST_ITEMS}


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{shown(value)} is not true or false, without quotes")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError('this is no text: write it between """ and """')
    if any(not char.isprintable() and char not in "\n\t" for char in value):
        raise ValueError("this text has characters that cannot be printed: leave them out")
    return value


def _secret(value: Any) -> Secret:
    if not isinstance(value, dict) or value.keys() != {"file"} or not isinstance(value["file"], str):
        raise ValueError('a secret never stands in this file: write { file = "NAME" }, a file that only you can read')
    return Secret(FILE.read(value["file"]))


def _host_address(text: str) -> IPv4Address:
    address = IPv4Address(text)
    # As is_host_ipv4 of the box has it.
    if address.packed[0] in (0, 127) or address.packed[0] >= 224:
        raise ValueError
    return address


def _interface_address(text: str) -> IPv4Interface:
    found = IPv4Interface(text)
    _host_address(str(found.ip))
    if found.network.prefixlen < 31 and found.ip in (found.network.network_address, found.network.broadcast_address):
        raise ValueError
    return found


def _range(text: str) -> Range:
    first, last = map(_host_address, text.split("-"))
    if first > last:
        raise ValueError
    return Range(first, last)


def _endpoint(text: str) -> Endpoint:
    host, _, port = text.partition(":")
    _server(host)
    if port and not 0 < int(port) < 65536:
        raise ValueError
    return Endpoint(host, int(port or 0))


def _server(text: str) -> str:
    if not text.replace(".", "").isdigit():
        return text
    return str(_host_address(text))


def _address_port(text: str) -> Endpoint:
    found = _endpoint(text)
    _host_address(found.host)
    return found


_ADDRESS = r"\d{1,3}(?:\.\d{1,3}){3}"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_NAME = rf"{_LABEL}(?:\.{_LABEL})*"
_PREFIX = rf"{_ADDRESS}/\d{{1,2}}"

FLAG = Kind(_flag, {"type": "boolean"})
TEXT = Kind(_text, {"type": "string"})
SECRET = Kind(
    _secret,
    {
        "type": "object",
        "properties": {"file": {"type": "string", "pattern": r"^[^\x00-\x1f\x7f]+$"}},
        "required": ["file"],
        "additionalProperties": False,
    },
)
FILE = words(r"[^\x00-\x1f\x7f]{1,255}", "the name of a file")
HOST = words(_LABEL, "a host name: letters, digits and hyphens, 63 at most")
ZONE = words(r"[A-Za-z0-9+,./:<>_-]{1,63}", "a time zone such as Europe/Vienna or CET-1CEST,M3.5.0,M10.5.0/3")
DOMAIN = words(rf"(?=.{{1,253}}$){_NAME}", "a domain name such as shop.example.org")
SERVER = words(rf"(?=.{{1,253}}$){_NAME}", "a host name or an IPv4 address", _server)
INTERFACE = words(
    r"(?!lo$|ipsec|ppp)[A-Za-z0-9_][A-Za-z0-9_-]{0,14}",
    "the name of a network card, such as eth0 (a VLAN is the key vlan)",
)
VLAN = number(1, 4094, "a VLAN: write a number from 1 to 4094, without quotes")
ADDRESS = words(_ADDRESS, "an IPv4 address that a machine can have, such as 192.0.2.1", _host_address)
PREFIX = words(
    _PREFIX, "an IPv4 address of a machine with its prefix length, such as 192.168.77.1/24", _interface_address
)
NETWORK = words(rf"{_PREFIX}|{_ADDRESS}", "an IPv4 network without bits of a machine, such as 10.1.0.0/16", IPv4Network)
RANGE = words(
    rf"{_ADDRESS}-{_ADDRESS}", "two IPv4 addresses, the lower one first: 192.168.77.100-192.168.77.199", _range
)
ENDPOINT = words(
    rf"{_NAME}(?::\d{{1,5}})?", "a host name or IPv4 address, perhaps with a port: 10.0.0.5:514", _endpoint
)
TARGET = words(rf"{_ADDRESS}(?::\d{{1,5}})?", "an IPv4 address with or without port: 192.168.77.11:443", _address_port)
MAC = words(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}", "a hardware address such as 52:54:00:12:34:56", str.lower)
