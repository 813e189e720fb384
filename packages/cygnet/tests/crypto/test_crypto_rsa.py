"""RSA: key blobs, FreeS/WAN's key ids, bare-hash signatures, and the forgeries that lax verifiers let through."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils
from cygnet.crypto import rsa_private
from cygnet.crypto.rsa import NUMBER_NAMES, BadKey, PrivateKey, PublicKey
from cygnet.errors import CygnetError
from hypothesis import given, settings
from hypothesis import strategies as st

HASH = bytes(range(20))
HAS_BARE_SIGNATURES = hasattr(utils, "NoDigestInfo")


@pytest.fixture(scope="module")
def key() -> PrivateKey:
    return PrivateKey.generate(2048)


@pytest.fixture(scope="module")
def cubic() -> PrivateKey:
    """A key with exponent 3, as FreeS/WAN made them, which is what forgers look for."""
    numbers = rsa.generate_private_key(3, 2048).private_numbers()
    n, e = numbers.public_numbers.n, numbers.public_numbers.e
    return PrivateKey.from_numbers(n, e, numbers.d, numbers.p, numbers.q, numbers.dmp1, numbers.dmq1, numbers.iqmp)


class PythonExponent:
    """Stands for OpenSSL's exponentiation where the library refuses primes that are not safe (from 49 on)."""

    def __init__(self, prime: int, generator: int, secret: int) -> None:
        self.prime, self.secret = prime, secret

    def power(self, base: int) -> bytes:
        return pow(base, self.secret, self.prime).to_bytes((self.prime.bit_length() + 7) // 8, "big")


def by_parts(key: PrivateKey, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], bytes]:
    if HAS_BARE_SIGNATURES:
        monkeypatch.setattr(rsa_private, "Exponent", PythonExponent)
    n, e, _, p, q, dp, dq, qinv = key._numbers
    return rsa_private.by_parts(n, e, p, q, dp, dq, qinv)


def raw(key: PrivateKey, encoded: bytes) -> bytes:
    """The signature that recovers to these bytes."""
    n, _, d, *_ = key._numbers
    return pow(int.from_bytes(encoded, "big"), d, n).to_bytes(len(encoded), "big")


def encoding(size: int, hash: bytes) -> bytes:
    return b"\0\1" + b"\xff" * (size - 3 - len(hash)) + b"\0" + hash


# Blobs


def test_a_blob_is_read_and_written_as_it_was(key: PrivateKey) -> None:
    again = PublicKey.from_blob(key.public.blob)
    assert again == key.public
    assert again.blob == key.public.blob
    assert again.bits == 2048


def test_a_blob_whose_exponent_length_has_three_octets_is_the_same_key(key: PrivateKey) -> None:
    short = key.public.blob
    assert PublicKey.from_blob(b"\0\0" + short) == key.public


def test_a_key_id_is_the_first_nine_digits_of_the_blob() -> None:
    """The example of ipsec_keyblobtoid(3)."""
    blob = bytes.fromhex("010385f2d6769b0359b62152") + bytes(117) + b"\1"
    assert PublicKey.from_blob(blob).key_id == "AQOF8tZ2m"
    assert base64.b64encode(blob).startswith(b"AQOF8tZ2m")


N1024 = (1 << 1023 | 1).to_bytes(128, "big")


@pytest.mark.parametrize(
    ("blob", "reason"),
    [
        (b"", "cut short"),
        (b"\0", "cut short"),
        (b"\0\0\0" + N1024, "cut short"),
        (b"\1\3", "cut short"),
        (b"\5\1\0\1", "cut short"),
        (b"\0\xff\xff\1" + N1024, "cut short"),
        (b"\1\3\0" + N1024, "begin with zeros"),
        (b"\2\0\3" + N1024, "begin with zeros"),
        (b"\1\3" + N1024[:64], "512 bits"),
        (b"\1\3\x7f" + b"\xff" * 127, "1023 bits"),
        (b"\1\3" + b"\xff" * 1025, "longer than 8192"),
        (b"\1\3" + b"\xff" * 60000, "longer than 8192"),
        (b"\1\1" + N1024, "exponent"),
        (b"\1\4" + N1024, "exponent"),
        (b"\5\1\0\0\0\1" + N1024, "exponent"),
        (b"\x80" + b"\xff" * 128 + N1024, "exponent"),
        (b"\1\3" + N1024[:-1] + b"\2", "even"),
    ],
)
def test_malformed_and_dangerous_public_keys_are_refused_with_the_reason(blob: bytes, reason: str) -> None:
    """CVE-2017-9022 and CVE-2018-17540's class."""
    with pytest.raises(BadKey, match=reason):
        PublicKey.from_blob(blob)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.binary(max_size=40).map(lambda start: start + N1024))
def test_any_blob_is_a_key_or_the_one_error(blob: bytes) -> None:
    try:
        found = PublicKey.from_blob(blob)
    except BadKey:
        return
    assert PublicKey.from_blob(found.blob) == found
    assert not found.verify_hash(bytes(len(N1024)), HASH)


# Signatures


@pytest.mark.parametrize("size", [16, 20, 32, 48, 64])
def test_what_one_signs_the_other_verifies(key: PrivateKey, size: int) -> None:
    hash = bytes(range(size))
    signature = key.sign_hash(hash)
    assert len(signature) == 256
    assert key.public.verify_hash(signature, hash)
    assert not key.public.verify_hash(signature, hash[:-1] + b"\xff")


def test_a_signature_holds_the_bare_hash_and_no_digest_info(key: PrivateKey) -> None:
    assert key.sign_hash(HASH) == raw(key, encoding(256, HASH))


@pytest.mark.parametrize("which", ["key", "cubic"])
def test_both_ways_of_signing_give_the_same(
    which: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer: PrivateKey = request.getfixturevalue(which)
    sign = by_parts(signer, monkeypatch)
    assert sign(HASH) == sign(HASH) == signer.sign_hash(HASH) == raw(signer, encoding(signer.public.bits // 8, HASH))


def test_a_key_of_uneven_size_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    """FreeS/WAN's default was 2192 bits; 1101 is not even whole octets."""
    for bits in (1101, 2192):
        key = PrivateKey.generate(bits)
        assert key.public.bits == bits
        signature = key.sign_hash(HASH)
        assert key.public.verify_hash(signature, HASH)
        assert by_parts(key, monkeypatch)(HASH) == signature


def test_a_signature_that_a_fault_spoilt_never_leaves(key: PrivateKey) -> None:
    victim = PrivateKey(key._numbers)
    good = victim.sign_hash(HASH)
    victim._sign = lambda _: good[:-1] + bytes([good[-1] ^ 1])
    with pytest.raises(BadKey, match="wrong signatures"):
        victim.sign_hash(HASH)


@pytest.mark.parametrize("size", [0, 246, 300])
def test_a_hash_that_leaves_no_room_for_padding_is_not_signed(cubic: PrivateKey, size: int) -> None:
    with pytest.raises(BadKey, match="cannot be signed"):
        cubic.sign_hash(bytes(size))


SHA1_DIGEST_INFO = bytes.fromhex("3021300906052b0e03021a05000414")


def shifted(size: int, padding: int) -> bytes:
    """Short padding, the hash, and garbage to the end: Bleichenbacher's forgery of 2006."""
    start = b"\0\1" + b"\xff" * padding + b"\0" + HASH
    return start + b"\x5a" * (size - len(start))


FORGERIES = {
    "garbage after the hash": lambda size: shifted(size, 8),
    "garbage and long padding": lambda size: shifted(size, size - 40),
    "one octet after the hash": lambda size: encoding(size, HASH + b"\0"),
    "one octet before the hash": lambda size: encoding(size, b"\0" + HASH),
    "padding of seven octets": lambda size: shifted(size, 7),
    "no padding": lambda size: b"\0\1\0" + HASH + bytes(size - 23),
    "a hash cut short": lambda size: encoding(size, HASH[:-1]),
    "an empty hash": lambda size: encoding(size, b""),
    "no zero before the hash": lambda size: b"\0\1" + b"\xff" * (size - 22) + HASH,
    "padding other than ff": lambda size: b"\0\1" + b"\xff" * 40 + b"\xfe" + b"\xff" * (size - 64) + b"\0" + HASH,
    "padding of block type 0": lambda size: bytes(size - 20) + HASH,
    "padding of block type 2": lambda size: b"\0\2" + b"\xa5" * (size - 23) + b"\0" + HASH,
    "a first octet that is not zero": lambda size: b"\1\1" + b"\xff" * (size - 23) + b"\0" + HASH,
    "a DigestInfo": lambda size: encoding(size, SHA1_DIGEST_INFO + HASH),
}


@pytest.mark.parametrize("name", FORGERIES)
@pytest.mark.parametrize("which", ["key", "cubic"])
def test_forged_encodings_are_rejected(name: str, which: str, request: pytest.FixtureRequest) -> None:
    """CVE-2018-16151 and CVE-2018-16152's class."""
    signer: PrivateKey = request.getfixturevalue(which)
    forged = FORGERIES[name](signer.public.bits // 8)
    assert len(forged) == signer.public.bits // 8
    assert not signer.public.verify_hash(raw(signer, forged), HASH)


def test_a_cube_root_made_without_the_private_key_is_rejected(cubic: PrivateKey) -> None:
    target = int.from_bytes(shifted(256, 8)[:40] + bytes(216), "big")
    low, high = 0, 1 << 683
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if middle**3 < target else (low, middle)
    assert (low**3).to_bytes(256, "big").startswith(shifted(256, 8)[:40])
    assert not cubic.public.verify_hash(low.to_bytes(256, "big"), HASH)


def test_signatures_of_another_length_or_beyond_the_modulus_are_rejected(cubic: PrivateKey) -> None:
    good = cubic.sign_hash(HASH)
    beyond = int.from_bytes(good, "big") + cubic.public.n
    bad = [b"", b"\0" + good, good + b"\0", good[:-1], bytes(256), b"\xff" * 256, bytes(255) + b"\1", bytes(1 << 16)]
    if beyond < 1 << 2048:
        bad.append(beyond.to_bytes(256, "big"))
    for signature in bad:
        assert not cubic.public.verify_hash(signature, HASH)


@settings(max_examples=100, deadline=None)
@given(signature=st.binary(min_size=128, max_size=128), hash=st.binary(max_size=70))
def test_no_chance_signature_is_accepted_and_nothing_is_raised(signature: bytes, hash: bytes) -> None:
    assert PublicKey.from_blob(b"\1\3" + N1024).verify_hash(signature, hash) is False


# Private keys


def test_the_eight_numbers_of_ipsec_secrets_make_the_same_key(key: PrivateKey) -> None:
    numbers = key.secret_numbers()
    assert tuple(numbers) == NUMBER_NAMES
    again = PrivateKey.from_numbers(*numbers.values())
    assert again.public == key.public
    assert again.sign_hash(HASH) == key.sign_hash(HASH)


@pytest.mark.parametrize("index", range(8))
@pytest.mark.parametrize("change", [2, -2, 1], ids=str)
def test_a_wrong_number_is_found_and_none_is_shown(key: PrivateKey, index: int, change: int) -> None:
    numbers = list(key._numbers)
    numbers[index] += change
    with pytest.raises(ValueError, match="RSA") as caught:
        PrivateKey.from_numbers(*numbers)
    assert isinstance(caught.value, CygnetError)
    assert not any(word.isdigit() and len(word) > 5 for word in str(caught.value).split())


@pytest.mark.parametrize("number", [0, -1, 1])
def test_absurd_numbers_are_no_key(key: PrivateKey, number: int) -> None:
    for index in range(8):
        numbers = list(key._numbers)
        numbers[index] = number
        with pytest.raises(BadKey):
            PrivateKey.from_numbers(*numbers)


def test_primes_that_are_none_never_give_a_wrong_signature() -> None:
    """Numbers that fit each other, from a composite "prime": whatever happens, no signature comes out."""
    p, q = ((1 << 521) - 1) * 7, (1 << 607) - 1
    n, e = p * q, 65537
    d = pow(e, -1, (p - 1) * (q - 1))
    key = PrivateKey.from_numbers(n, e, d, p, q, d % (p - 1), d % (q - 1), pow(q, -1, p))
    with pytest.raises(CygnetError):
        key.sign_hash(HASH)


def pem(key: Any, passphrase: bytes | None = None, old: bool = False) -> bytes:
    encryption = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    form = serialization.PrivateFormat.TraditionalOpenSSL if old else serialization.PrivateFormat.PKCS8
    return bytes(key.private_bytes(serialization.Encoding.PEM, form, encryption))


@pytest.mark.parametrize("old", [True, False], ids=["traditional", "pkcs8"])
@pytest.mark.parametrize("passphrase", [None, b"open sesame"])
def test_a_key_is_read_from_pem(old: bool, passphrase: bytes | None) -> None:
    made = rsa.generate_private_key(65537, 2048)
    key = PrivateKey.from_pem(pem(made, passphrase, old), passphrase)
    assert key.public.n == made.public_key().public_numbers().n


def test_what_is_no_usable_pem_is_refused_in_words() -> None:
    made = rsa.generate_private_key(65537, 2048)
    cases: list[tuple[bytes, bytes | None, str]] = [
        (b"", None, "no PEM private key"),
        (b"-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n", None, "no PEM private key"),
        (pem(made, b"secret"), None, "has no passphrase"),
        (pem(made, b"secret"), b"wrong", "passphrase is wrong"),
        (pem(made), b"needless", "is not encrypted"),
        (pem(ec.generate_private_key(ec.SECP256R1())), None, "not an RSA key"),
    ]
    for data, passphrase, words in cases:
        with pytest.raises(BadKey, match=words) as caught:
            PrivateKey.from_pem(data, passphrase)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("bits", [0, 512, 1023, 8193, 1 << 40])
def test_keys_too_small_or_too_large_are_not_made(bits: int) -> None:
    with pytest.raises(BadKey, match="at least 1024"):
        PrivateKey.generate(bits)


def test_no_number_shows(key: PrivateKey) -> None:
    key.sign_hash(HASH)
    shown = repr(key) + str(key) + repr([key, key.public]) + f"{key}"
    assert all(str(number) not in shown and f"{number:x}" not in shown for number in key._numbers[2:])
    assert repr(key) == f"PrivateKey({key.public.key_id}, 2048 bits)"
