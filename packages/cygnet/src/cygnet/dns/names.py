"""Names of the DNS (RFC 1035, section 3.1): labels as bytes, in lower case; the root is ()."""

from __future__ import annotations

from cygnet.connection.connection import Address
from cygnet.connection.identity import printable
from cygnet.errors import CygnetError

Name = tuple[bytes, ...]
MOST_OF_A_LABEL, MOST_OF_A_NAME = 63, 255
_POINTER = 0xC0
# More labels than a name can have; each pointer goes back, so a loop ends here at the latest.
_MOST_JUMPS = 128


class BadName(CygnetError, ValueError):
    """Not a name of the DNS."""


def from_text(text: str) -> Name:
    """Of gate.example.org, with or without the dot at its end. Raises BadName."""
    try:
        labels = text.removesuffix(".").encode("ascii").lower().split(b".")
    except UnicodeEncodeError:
        labels = [b""]
    if not all(0 < len(label) <= MOST_OF_A_LABEL for label in labels) or len(text) > MOST_OF_A_NAME - 2:
        raise BadName(f"{printable(text[:64].encode())} is no name of the DNS")
    return tuple(labels)


def to_text(name: Name) -> str:
    """Safe to print, whoever sent it."""
    return ".".join(map(printable, name)) or "."


def reverse(address: Address) -> Name:
    """The name that an address has in the reverse map (RFC 1035, section 3.5; RFC 3596, section 2.5)."""
    return from_text(address.reverse_pointer)


def to_wire(name: Name) -> bytes:
    """As it stands in a message, uncompressed."""
    return b"".join(bytes((len(label),)) + label for label in name) + b"\0"


def read(message: bytes, place: int) -> tuple[Name, int]:
    """A name in a message, and where what follows it begins. Pointers only go back. Raises BadName."""
    labels: list[bytes] = []
    end, size = 0, 1
    for _ in range(_MOST_JUMPS):
        length = _byte(message, place)
        if length >= _POINTER:
            target = (length & ~_POINTER) << 8 | _byte(message, place + 1)
            end = end or place + 2
            if target >= place:
                raise BadName("a name in a DNS message does not end")
            place = target
            continue
        if length > MOST_OF_A_LABEL or place + 1 + length > len(message):
            raise BadName("a name in a DNS message is cut short")
        if length == 0:
            return tuple(labels), end or place + 1
        labels.append(message[place + 1 : place + 1 + length].lower())
        place += 1 + length
        size += 1 + length
        if size > MOST_OF_A_NAME:
            break
    raise BadName("a name in a DNS message is too long")


def _byte(message: bytes, place: int) -> int:
    if place >= len(message):
        raise BadName("a name in a DNS message is cut short")
    return message[place]
