"""Keys as text: the 0x, 0s and 0t notations of ipsec_ttodata(3)."""

from __future__ import annotations

import binascii


def to_data(text: str) -> bytes:
    """The bytes that ``text`` stands for. ValueError never shows the text: it may be secret."""
    prefix, body = text[:2].lower(), text[2:]
    try:
        match prefix:
            case "0x":
                data = _hexadecimal(body)
            case "0s":
                data = binascii.a2b_base64(body.encode("ascii"), strict_mode=True)
            case "0t":
                data = body.encode("utf-8", "surrogateescape")
            case _:
                raise ValueError("it must begin with 0x (hexadecimal), 0s (base 64) or 0t (text)")
    except (binascii.Error, UnicodeEncodeError):
        raise ValueError("it is no whole hexadecimal or base 64 number; was it cut off?") from None
    if not data:
        raise ValueError("it is empty")
    return data


def _hexadecimal(body: str) -> bytes:
    """An underscore may stand between two bytes."""
    groups = body.split("_")
    if len(groups) > 1 and "" in groups:
        raise binascii.Error
    return b"".join(binascii.unhexlify(group.encode("ascii")) for group in groups)
