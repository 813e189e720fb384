"""Distinguished names: what users write, what peers send, and that a stranger's bytes stay harmless."""

import string

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from cygnet.connection.identity import Identity, IdType
from cygnet.crypto.der import OID, SEQUENCE, SET, elements, integer, tlv
from cygnet.crypto.names import STRINGS, name_to_der, name_to_text, same_name
from hypothesis import given
from hypothesis import strategies as st

SAFE = set(string.printable) - set("\t\n\r\x0b\x0c\"'`$;<>")
CN = bytes.fromhex("0603550403")


def name_of(*values: bytes) -> bytes:
    """A name of common names with these encoded values."""
    return tlv(SEQUENCE, *(tlv(SET, tlv(SEQUENCE, CN, value)) for value in values))


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("C=CH, O=Linux strongSwan, CN=moon", "C=CH, O=Linux strongSwan, CN=moon"),
        ("/C=CH/O=x/CN=y", "C=CH, O=x, CN=y"),
        ("  c = ch ,o= x,  cn =y  ", "C=ch, O=x, CN=y"),
        ("/C=DE/O=a, b/CN=http/west", r"C=DE, O=a\, b, CN=http/west"),
        ("O=Salt+Pepper Ltd", r"O=Salt\+Pepper Ltd"),
        ("CN=x+OU=y", "CN=x+OU=y"),
        (r"O=a\, b, CN=c\\d", r"O=a\, b, CN=c\\d"),
        (r"CN=Z\C3\BCrich", r"CN=Z\C3\BCrich"),
        ("CN=Zürich", r"CN=Z\C3\BCrich"),
        ("CN=\\ padded\\ ", r"CN=\20padded\20"),
        ("CN=", "CN="),
        ("CN=#1 shop", r"CN=\231 shop"),
        ("E=a@example.org, Email=b@c, emailAddress=d@e", "E=a@example.org, E=b@c, E=d@e"),
        (
            "DC=org, DC=example, UID=joe, SN=12, S=Doe, ST=Zug, L=Baar",
            "DC=org, DC=example, UID=joe, SN=12, S=Doe, ST=Zug, L=Baar",
        ),
        ("1.2.3.4=x, 2.999.1=#0403010203", "1.2.3.4=x, 2.999.1=#0403010203"),
        ("CN=`reboot`$(x)\"'", r"CN=\60reboot\60\24(x)\22\27"),
    ],
)
def test_names_are_read_as_written_and_shown_alike(written: str, shown: str) -> None:
    der = name_to_der(written)
    assert name_to_text(der) == shown
    assert name_to_der(shown) == der


@pytest.mark.parametrize(
    "bad",
    [
        "",
        " ",
        "/",
        "moon",
        "C=CH, moon",
        "C=CH,,O=x",
        "=x",
        "XX=1",
        r"CN=\FF",
        "9.9=x",
        "1.40.1=x",
        "1=x",
        "1.2." + "9" * 90 + "=x",
    ],
)
def test_what_is_no_name_is_refused(bad: str) -> None:
    with pytest.raises(ValueError):
        name_to_der(bad)


def test_the_library_reads_what_we_write() -> None:
    """Zürich is UTF-8, moon is printable, an address is IA5: as the library itself would choose, but for UTF-8."""
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CH"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Zürich"),
            x509.NameAttribute(NameOID.EMAIL_ADDRESS, "a@b.org"),
        ]
    )
    assert name_to_der("C=CH, O=Zürich, E=a@b.org") == name.public_bytes()


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("C=CH, O=Linux strongSwan", "c=ch,o=linux  STRONGSWAN"),
        ("CN=x+OU=y", "OU=Y+CN=X"),
    ],
)
def test_case_and_spaces_make_no_other_name(a: str, b: str) -> None:
    assert same_name(name_to_der(a), name_to_der(b))


def test_string_types_make_no_other_name() -> None:
    forms = [tlv(tag, "Moon".encode(encoding)) for tag, encoding in STRINGS.items()]
    assert all(same_name(name_of(form), name_to_der("CN=moon")) for form in forms)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("C=CH, O=x", "C=CH, O=y"),
        ("C=CH, O=x", "O=x, C=CH"),
        ("C=CH, O=x", "C=CH"),
        ("C=CH, O=x", "C=CH+O=x"),
        ("O=x", "OU=x"),
        ("CN=Straße", "CN=Strasse"),
        ("CN=K", "CN=\u212a"),
        ("CN=a b", "CN=ab"),
        ("CN=*", "CN=x"),
    ],
)
def test_other_names_stay_others(a: str, b: str) -> None:
    assert not same_name(name_to_der(a), name_to_der(b))
    assert not same_name(name_to_der(b), name_to_der(a))


def test_a_star_in_the_pattern_is_any_value_of_that_attribute() -> None:
    pattern = name_to_der("C=CH, O=x, CN=*")
    assert same_name(name_to_der("C=CH, O=x, CN=moon"), pattern, wildcards=True)
    assert not same_name(name_to_der("C=CH, O=y, CN=moon"), pattern, wildcards=True)
    assert not same_name(name_to_der("C=CH, O=x, OU=moon"), pattern, wildcards=True)
    assert not same_name(name_to_der("C=CH, O=x, OU=a, CN=moon"), pattern, wildcards=True)
    assert not same_name(pattern, name_to_der("C=CH, O=x, CN=moon"), wildcards=True)


HOSTILE = {
    "a terminal escape": name_of(tlv(0x0C, b"\x1b]0;owned\x07\r\n")),
    "a NUL": name_of(tlv(0x13, b"good\0.evil")),
    "not the encoding it says": name_of(tlv(0x0C, b"\xff\xfe")),
    "half a character": name_of(tlv(0x1E, b"\0")),
    "a lone surrogate": name_of(tlv(0x1E, b"\xd8\0")),
    "a value that is no text": name_of(tlv(0x30, integer(1))),
    "an object identifier without end": tlv(SEQUENCE, tlv(SET, tlv(SEQUENCE, tlv(OID, b"\xff" * 20), tlv(0x13, b"x")))),
    "an object identifier of 4,000 octets": tlv(
        SEQUENCE, tlv(SET, tlv(SEQUENCE, tlv(OID, b"\xff" * 3999 + b"\1"), tlv(0x13, b"x")))
    ),
    "an attribute without a value": tlv(SEQUENCE, tlv(SET, tlv(SEQUENCE, CN))),
    "a length of four gigabytes": b"\x30\x84\xff\xff\xff\xff",
    "a length of 127 octets": b"\x30\xff" + b"\xff" * 127,
    "an indefinite length": b"\x30\x80\0\0",
    "a name and more": name_of(tlv(0x13, b"x")) + b"\0\0",
    "two names": name_of(tlv(0x13, b"x")) * 2,
    "another structure": tlv(SEQUENCE, tlv(SEQUENCE, tlv(SET, CN))),
    "a very long one": name_of(*[tlv(0x13, b"x" * 100)] * 200),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_names_give_harmless_text(kind: str) -> None:
    """CVE-2013-2052 to 2054 and CVE-2013-6075's class."""
    text = name_to_text(HOSTILE[kind])
    assert set(text) <= SAFE
    assert not same_name(HOSTILE[kind], name_to_der("CN=x"))
    assert str(Identity(IdType.DER_ASN1_DN, HOSTILE[kind])) == text


def test_bytes_that_are_no_name_are_shown_in_hexadecimal_and_not_at_length() -> None:
    assert name_to_text(b"\x01\x02") == "@#0102"
    assert len(name_to_text(bytes(60000))) < 600


@given(st.binary(max_size=300) | st.binary(max_size=60).map(lambda value: name_of(value, tlv(0x0C, value))))
def test_any_bytes_give_printable_text(der: bytes) -> None:
    assert set(name_to_text(der)) <= SAFE
    assert same_name(der, der)
    same_name(der, name_to_der("CN=x"), wildcards=True)


@given(st.text(max_size=200))
def test_any_text_is_a_name_or_a_value_error(text: str) -> None:
    try:
        der = name_to_der(text)
    except ValueError:
        return
    assert name_to_text(name_to_der(name_to_text(der))) == name_to_text(der)


@given(
    st.lists(
        st.tuples(st.sampled_from(["C", "O", "OU", "CN", "E", "DC", "2.5.4.99"]), st.text(max_size=30)), min_size=1
    )
)
def test_every_value_survives_being_shown_and_read(pairs: list[tuple[str, str]]) -> None:
    values = [tlv(0x0C, value.encode("utf-8", "ignore")) for _, value in pairs]
    oids = [elements(elements(elements(elements(name_to_der(f"{word}=x"))[0][1])[0][1])[0][1])[0] for word, _ in pairs]
    der = tlv(SEQUENCE, *(tlv(SET, tlv(SEQUENCE, tlv(*oid), value)) for oid, value in zip(oids, values, strict=True)))
    assert same_name(name_to_der(name_to_text(der)), der)


@given(st.binary(max_size=100))
def test_elements_are_read_back_or_refused(data: bytes) -> None:
    try:
        found = elements(data)
    except ValueError:
        return
    assert elements(b"".join(tlv(*element) for element in found)) == found
