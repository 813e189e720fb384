"""Parsing, building and printing of anything that is declared as a table of fields.

A class names its fields in FIELDS, in the order of the wire, as (name, kind):

    "B" "H" "I"     an unsigned number of 1, 2 or 4 bytes, network order
    "x" "xx"        reserved bytes: zero when sent, ignored when received
    "B#" "H#"       counts the bytes or items of the later field of the same name
    "bytes"         as many bytes as were counted, else all that is left
    "list"          as many items as were counted, each of as many bytes as the field ``size`` says
    a class         nested items of that class, as many as were counted, to the end
    "attributes"    SA attributes (RFC 2408, section 3.3), to the end
"""

from __future__ import annotations

import struct
from typing import Any, ClassVar, TypeVar

from cygnet.errors import CygnetError

Attributes = tuple[tuple[int, int | bytes], ...]
SHORT = 0x8000
HEADER = struct.Struct(">BxH")
# More than any peer sends; what it bounds is the work for one packet.
MOST_ITEMS = 120
MOST_ATTRIBUTES = 24
SIZES = {"B": 1, "H": 2, "I": 4}


class Malformed(CygnetError):
    """Bytes that are no message, payload or attribute; says which, and what is wrong."""


class Wire:
    """Anything with FIELDS; its instances have an attribute for each named field."""

    FIELDS: ClassVar[tuple[tuple[str, Any], ...]] = ()
    TYPE: ClassVar[int] = 0


W = TypeVar("W", bound=Wire)


def parse(kind: type[W], body: bytes) -> W:
    """Read ``body``, all of it, as a ``kind``. Raises Malformed."""
    values: dict[str, Any] = {}
    counts: dict[str, int] = {}
    place = 0
    for name, form in kind.FIELDS:
        if not isinstance(form, str):
            values[name] = _parse_items(form, body[place:], counts.get(name))
            place = len(body)
        elif form == "bytes":
            end = place + counts[name] if name in counts else len(body)
            values[name] = _take(kind, body, place, end)
            place = end
        elif form == "attributes":
            values[name] = parse_attributes(body[place:])
            place = len(body)
        elif form == "list":
            values[name] = _split(kind, body[place:], counts[name], values["size"])
            place = len(body)
        else:
            place = _parse_number(kind, name, form, body, place, values, counts)
    if place != len(body):
        raise Malformed(f"{kind.__name__}: {len(body) - place} bytes too many")
    return kind(**{name: value for name, value in values.items() if name != "size"})


def _parse_number(
    kind: type[Wire], name: str, form: str, body: bytes, place: int, values: dict[str, Any], counts: dict[str, int]
) -> int:
    if form.startswith("x"):
        _take(kind, body, place, place + len(form))
        return place + len(form)
    end = place + SIZES[form[0]]
    number = int.from_bytes(_take(kind, body, place, end), "big")
    if len(form) > 1:
        counts[name] = number
    else:
        values[name] = number
    return end


def _take(kind: type[Wire], body: bytes, start: int, end: int) -> bytes:
    if end > len(body):
        raise Malformed(f"{kind.__name__}: {end - len(body)} bytes too few")
    return body[start:end]


def _split(kind: type[Wire], body: bytes, count: int, size: int) -> tuple[bytes, ...]:
    if count > MOST_ITEMS or size == 0 or len(body) != count * size:
        raise Malformed(f"{kind.__name__}: {count} items of {size} bytes do not make {len(body)} bytes")
    return tuple(body[start : start + size] for start in range(0, len(body), size))


def _parse_items(kind: type[W], body: bytes, count: int | None) -> tuple[W, ...]:
    """A chain of one kind: its header's first byte is the type of the next, or 0."""
    found: list[W] = []
    more = bool(body)
    while more:
        if len(body) < HEADER.size or len(found) == MOST_ITEMS:
            raise Malformed(f"{kind.__name__}: too many, or cut short")
        following, length = HEADER.unpack_from(body)
        if following not in (0, kind.TYPE) or not HEADER.size <= length <= len(body):
            raise Malformed(f"{kind.__name__}: wrong chain or length")
        found.append(parse(kind, body[HEADER.size : length]))
        body, more = body[length:], following != 0
    if body or (count is not None and count != len(found)):
        raise Malformed(f"{kind.__name__}: {len(found)} found, {count} announced, {len(body)} bytes left over")
    return tuple(found)


def parse_attributes(body: bytes) -> Attributes:
    """SA attributes, short ones as numbers, long ones as bytes."""
    found: list[tuple[int, int | bytes]] = []
    while body:
        if len(body) < 4 or len(found) == MOST_ATTRIBUTES:
            raise Malformed("attributes: too many, or cut short")
        kind, value = struct.unpack_from(">HH", body)
        if kind & SHORT:
            found.append((kind & ~SHORT, value))
            body = body[4:]
        else:
            if len(body) < 4 + value:
                raise Malformed("attributes: one is longer than the payload")
            found.append((kind, body[4 : 4 + value]))
            body = body[4 + value :]
    return tuple(found)


def build(item: Wire) -> bytes:
    """The bytes of ``item``, the inverse of `parse`."""
    out: list[bytes] = []
    for name, form in item.FIELDS:
        value = None if form in ("x", "xx") or name == "size" else getattr(item, name)
        if not isinstance(form, str):
            out.append(b"".join(_items(value)))
        elif form.startswith("x"):
            out.append(bytes(len(form)))
        elif form == "attributes":
            out.append(b"".join(_attribute(*pair) for pair in value or ()))
        elif name == "size":
            out.append(bytes([len(next(iter(getattr(item, "spis", ())), b""))]))
        elif form in ("bytes", "list"):
            out.append(value if isinstance(value, bytes) else b"".join(value or ()))
        else:
            number = len(value) if isinstance(value, (bytes, tuple)) else int(value or 0)
            out.append(number.to_bytes(SIZES[form[0]], "big"))
    return b"".join(out)


def _items(values: Any) -> list[bytes]:
    bodies = [(item.TYPE, build(item)) for item in values]
    last = len(bodies) - 1
    return [
        HEADER.pack(kind if index < last else 0, HEADER.size + len(body)) + body
        for index, (kind, body) in enumerate(bodies)
    ]


def _attribute(kind: int, value: int | bytes) -> bytes:
    if isinstance(value, int) and value < 0x10000:
        return struct.pack(">HH", kind | SHORT, value)
    data = value.to_bytes(4, "big") if isinstance(value, int) else value
    return struct.pack(">HH", kind, len(data)) + data
