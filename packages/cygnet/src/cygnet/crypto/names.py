"""Distinguished names (X.501) as text and as DER: RFC 4514's escapes, in the order that FreeS/WAN writes.

Names come from strangers: whatever the bytes, the text is printable ASCII and does nothing to a terminal or a shell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from cygnet.crypto.der import OID, SEQUENCE, SET, elements, tlv

# The first word of each is the one that is written.
ATTRIBUTES = {
    "2.5.4.6": "C countryName",
    "2.5.4.8": "ST SP stateOrProvinceName",
    "2.5.4.7": "L localityName",
    "2.5.4.9": "street streetAddress",
    "2.5.4.10": "O organizationName",
    "2.5.4.11": "OU organizationalUnitName",
    "2.5.4.3": "CN commonName",
    "2.5.4.4": "S surname",
    "2.5.4.5": "SN serialNumber",
    "2.5.4.12": "T title",
    "2.5.4.13": "D description",
    "2.5.4.41": "N name",
    "2.5.4.42": "G GN givenName",
    "2.5.4.43": "I initials",
    "2.5.4.45": "ID x500UniqueIdentifier",
    "2.5.4.46": "dnQualifier",
    "0.9.2342.19200300.100.1.1": "UID userid",
    "0.9.2342.19200300.100.1.25": "DC domainComponent",
    "1.2.840.113549.1.9.1": "E Email emailAddress",
    "1.2.840.113549.1.9.2": "UN unstructuredName",
}
OIDS = {word.lower(): oid for oid, words in ATTRIBUTES.items() for word in words.split()}
UTF8, PRINTABLE, IA5 = 0x0C, 0x13, 0x16
STRINGS = {
    UTF8: "utf-8", 0x12: "ascii", PRINTABLE: "ascii", 0x14: "latin-1", IA5: "ascii", 0x1A: "ascii",
    0x1C: "utf-32-be", 0x1E: "utf-16-be",
}  # fmt: skip
IA5_ATTRIBUTES = {OIDS["e"], OIDS["dc"]}
PRINTABLE_TEXT = re.compile(r"[A-Za-z0-9 '()+,./:=?-]*")
# A backslash at the end stood before a space that was stripped.
ESCAPE = re.compile(rb"\\([0-9A-Fa-f]{2})|\\(.?)", re.DOTALL)
# Where a name is cut, but for escapes; "+" and "/" stand in values too, so an attribute must follow those.
COMMA, PLUS, SLASH = r",", r"\+(?= *[A-Za-z0-9.]+ *=)", r"/(?= *[A-Za-z0-9.]+ *=)"
MAX_BYTES = 8192
MAX_OID_BYTES = 32

Attribute = tuple[str, int, bytes]  # OID, tag of the value, value


def name_to_text(der: bytes) -> str:
    """The name as ipsec.conf(5) writes it; bytes that are no name become @# and some hexadecimal digits."""
    try:
        return ", ".join("+".join(map(_attribute_text, rdn)) for rdn in _parse(der))
    except ValueError:
        return "@#" + der[:256].hex()


def name_to_der(text: str) -> bytes:
    """From "C=CH, O=x, CN=y" or "/C=CH/O=x/CN=y"; ValueError says what is wrong."""
    text = text.strip()
    parts = _split(SLASH, text)[1:] if text.startswith("/") else _split(COMMA, text)
    if not text or not parts:
        raise ValueError(f"{text!r} is no distinguished name: write C=.., O=.., CN=..")
    return tlv(SEQUENCE, *(tlv(SET, *sorted(map(_attribute_der, _split(PLUS, part)))) for part in parts))


def same_name(a: bytes, b: bytes, wildcards: bool = False) -> bool:
    """Whether two names are equal, but for case, spaces and string types. ``wildcards``: "*" in ``b`` is any value."""
    try:
        ours, theirs = _comparable(a), _comparable(b)
    except ValueError:
        return a == b
    return len(ours) == len(theirs) and all(
        x == y or (wildcards and x[:2] == y[:2] and y[2:] == (UTF8, b"*")) for x, y in zip(ours, theirs, strict=True)
    )


def _comparable(der: bytes) -> list[tuple[int, str, int, bytes]]:
    """All attributes, each with the number of its relative name."""
    return [(number, *pair) for number, rdn in enumerate(_parse(der)) for pair in sorted(map(_normal, rdn))]


def _normal(attribute: Attribute) -> Attribute:
    """Text in one string type, case folded in ASCII only so that no two letters of other scripts become one."""
    oid, tag, value = attribute
    if tag not in STRINGS:
        return attribute
    return oid, UTF8, b" ".join(value.decode(STRINGS[tag]).encode().lower().split())


def _parse(der: bytes) -> list[list[Attribute]]:
    """The relative names, each with its attributes; ValueError if it is no name."""
    if len(der) > MAX_BYTES:
        raise ValueError("a name that is too long")
    [name] = _contents(der, SEQUENCE)
    return [[_attribute(pair) for pair in _contents(rdn, SEQUENCE)] for rdn in _contents(name, SET)]


def _contents(data: bytes, tag: int) -> Iterator[bytes]:
    for found, content in elements(data):
        if found != tag:
            raise ValueError("a name of another structure")
        yield content


def _attribute(pair: bytes) -> Attribute:
    (oid_tag, oid), (tag, value) = elements(pair)
    if oid_tag != OID:
        raise ValueError("an attribute without its type")
    return _oid_text(oid), tag, value


def _attribute_text(attribute: Attribute) -> str:
    oid, tag, value = attribute
    word = ATTRIBUTES.get(oid, oid).split()[0]
    try:
        return f"{word}={_escape(value.decode(STRINGS[tag]).encode())}"
    except (KeyError, ValueError):
        return f"{word}=#{tlv(tag, value).hex()}"


def _escape(value: bytes) -> str:
    last = len(value) - 1
    return "".join(
        f"\\{octet:02X}" if (octet in b" #" and i == 0) or (octet == 0x20 and i == last) else _escape_octet(octet)
        for i, octet in enumerate(value)
    )


def _escape_octet(octet: int) -> str:
    if octet in b",+\\":
        return "\\" + chr(octet)
    return chr(octet) if 0x20 <= octet < 0x7F and octet not in b"\"'`$;<>" else f"\\{octet:02X}"


def _split(separator: str, text: str) -> list[str]:
    """The parts between separators that are not escaped."""
    masked = re.sub(r"\\.", "__", text)
    cuts = [match.span() for match in re.finditer(separator, masked)]
    starts = [0, *(end for _, end in cuts)]
    ends = [*(start for start, _ in cuts), len(text)]
    return [text[start:end] for start, end in zip(starts, ends, strict=True)]


def _attribute_der(text: str) -> bytes:
    word, equals, value = text.partition("=")
    word = word.strip()
    oid = OIDS.get(word.lower(), word)
    if not equals or not re.fullmatch(r"[0-9]+(\.[0-9]+)+", oid):
        raise ValueError(f"{text.strip()!r} in a distinguished name is no known attribute with a value")
    return tlv(SEQUENCE, _oid_der(oid), _value_der(oid, value.strip()))


def _value_der(oid: str, text: str) -> bytes:
    if re.fullmatch(r"#([0-9A-Fa-f]{2})+", text):
        [(tag, content)] = elements(bytes.fromhex(text[1:]))
        return tlv(tag, content)
    value = ESCAPE.sub(lambda match: bytes.fromhex(match[1].decode()) if match[1] else match[2] or b" ", text.encode())
    if oid in IA5_ATTRIBUTES and value.isascii():
        return tlv(IA5, value)
    try:
        return tlv(PRINTABLE if PRINTABLE_TEXT.fullmatch(value.decode()) else UTF8, value)
    except UnicodeDecodeError:
        raise ValueError(f"{text!r} in a distinguished name is not UTF-8") from None


def _oid_text(oid: bytes) -> str:
    if not oid or oid[-1] & 0x80 or len(oid) > MAX_OID_BYTES:
        raise ValueError("an object identifier that is cut short or too long")
    numbers, number = [], 0
    for octet in oid:
        number = number << 7 | octet & 0x7F
        if not octet & 0x80:
            numbers.append(number)
            number = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, (first, numbers[0] - first * 40, *numbers[1:])))


def _oid_der(text: str) -> bytes:
    first, second, *rest = map(int, text.split("."))
    if first > 2 or (first < 2 and second > 39):
        raise ValueError(f"{text} is no object identifier")
    octets = b"".join(map(_base_128, (first * 40 + second, *rest)))
    if len(octets) > MAX_OID_BYTES:
        raise ValueError(f"the object identifier {text} is too long")
    return tlv(OID, octets)


def _base_128(number: int) -> bytes:
    groups = [number & 0x7F]
    while number := number >> 7:
        groups.append(0x80 | number & 0x7F)
    return bytes(reversed(groups))
