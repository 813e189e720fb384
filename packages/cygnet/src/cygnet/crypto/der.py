"""As much of DER (X.690) as keys and names need: one element is written or read at a time."""

from __future__ import annotations

INTEGER, BIT_STRING, OCTET_STRING, OID = 0x02, 0x03, 0x04, 0x06
SEQUENCE, SET = 0x30, 0x31


def tlv(tag: int, *contents: bytes) -> bytes:
    """An element."""
    content = b"".join(contents)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def integer(value: int) -> bytes:
    """An INTEGER that is not negative."""
    return tlv(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def elements(data: bytes) -> list[tuple[int, bytes]]:
    """Tag and content of all elements, which must fill ``data``; ValueError otherwise."""
    found = []
    while data:
        tag, content, data = _first(data)
        found.append((tag, content))
    return found


def _first(data: bytes) -> tuple[int, bytes, bytes]:
    """Tag and content of the first element, and what follows it."""
    start, size = 2, data[1] if len(data) > 1 else 0x80
    if size > 0x80:
        start += size & 0x7F
        size = int.from_bytes(data[2:start], "big")
    elif size == 0x80:
        raise ValueError("an element without a length")
    if start > 6 or start + size > len(data):
        raise ValueError("an element that is cut short")
    return data[0], data[start : start + size], data[start + size :]
