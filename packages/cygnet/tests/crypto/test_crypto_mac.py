"""Hashes, HMACs and ciphers against numbers that others published."""

import pytest
from cygnet.crypto.cbc import BadCiphertext, Cbc
from cygnet.crypto.mac import digest, hmac, same
from cygnet.crypto.transforms import CIPHERS, INTEGRITIES

# RFC 2202 and RFC 4231, test case 2: key "Jefe".
HMAC_ANSWERS = {
    "md5": "750c783e6ab0b503eaa86e310a5db738",
    "sha1": "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
    "sha2_256": "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    "sha2_384": "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
    "sha2_512": (
        "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
    ),
}
# RFC 3602, case 1 (AES-128) and NIST SP 800-38A, F.2.5 (AES-256); 3DES from NIST SP 800-20's monitor key, chained.
CBC_ANSWERS = [
    (
        "aes",
        "06a9214036b8a15b512e03d534120006",
        "3dafba429d9eb430b422da802c9fac41",
        b"Single block msg".hex(),
        "e353779c1079aeb82708942dbe77181a",
    ),
    (
        "aes",
        "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
        "000102030405060708090a0b0c0d0e0f",
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
        "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d",
    ),
    (
        "3des",
        "0123456789abcdeffedcba98765432100123456789abcdef",
        "0000000000000000",
        "4e6f772069732074",
        "d80a0d8b2bae5e4e",
    ),
]


@pytest.mark.parametrize("name", INTEGRITIES)
def test_hmac_gives_the_published_answer_however_the_message_is_cut(name: str) -> None:
    assert hmac(name, b"Jefe", b"what do ya want ", b"for nothing?").hex() == HMAC_ANSWERS[name]


@pytest.mark.parametrize("row", INTEGRITIES.values(), ids=lambda row: row.name)
def test_a_digest_has_the_size_of_the_table(row) -> None:  # type: ignore[no-untyped-def]
    assert len(digest(row.name, b"a", b"bc")) == row.size
    assert digest(row.name, b"a", b"bc") == digest(row.name, b"abc")


def test_md5_and_sha1_of_abc() -> None:
    assert digest("md5", b"abc").hex() == "900150983cd24fb0d6963f7d28e17f72"
    assert digest("sha1", b"abc").hex() == "a9993e364706816aba3e25717850c26c9cd0d89d"


def test_comparison_tells_equal_from_different_and_shorter() -> None:
    assert same(b"\1\2\3", b"\1\2\3")
    assert not same(b"\1\2\3", b"\1\2\4")
    assert not same(b"\1\2\3", b"\1\2")


@pytest.mark.parametrize(("cipher", "key", "iv", "plain", "sealed"), CBC_ANSWERS)
def test_cbc_gives_the_published_ciphertext_and_back(cipher: str, key: str, iv: str, plain: str, sealed: str) -> None:
    cbc = Cbc(cipher, bytes.fromhex(key))
    assert cbc.block == CIPHERS[cipher].block
    assert cbc.encrypt(bytes.fromhex(iv), bytes.fromhex(plain)).hex() == sealed
    assert cbc.decrypt(bytes.fromhex(iv), bytes.fromhex(sealed)).hex() == plain


def test_messages_are_chained_by_their_last_block() -> None:
    cbc = Cbc("3des", bytes(range(24)))
    first = cbc.encrypt(bytes(8), b"sixteen bytes ..")
    second = cbc.encrypt(first[-8:], b"eight ..")
    assert cbc.decrypt(bytes(8), first + second) == b"sixteen bytes ..eight .."


@pytest.mark.parametrize("size", [0, 1, 15, 17])
def test_broken_blocks_are_refused_in_words(size: int) -> None:
    with pytest.raises(BadCiphertext, match="no whole number"):
        Cbc("aes", bytes(16)).decrypt(bytes(16), bytes(size))
