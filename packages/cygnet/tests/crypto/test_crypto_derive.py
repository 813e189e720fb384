"""IKEv1's key derivation: ACVP cases by others, and each formula of RFC 2409 written out once more."""

import hashlib
import hmac as stdlib_hmac

import pytest
from cygnet.crypto import derive
from cygnet.crypto.derive import PhaseOneKeys

# The two cases (SHA-1) that libreswan's ACVP runs carry: g^xy, Ni, Nr, CKY-I, CKY-R; then SKEYID and d, a, e.
PSK_CASE = (
    "739003ba2c11c982946c65e26acf661fbf8ebb78011a9fead79efa12fe3e71cc",
    "b9a2d0e922dc66dd", "2130166863b5ddef", "83d374c30b3b5082", "5afc0da06c728029",
    "62b04d112877e442fc3282fc37c076997718a0b9",
    "369e5aad1bdb5faf6a3d929d500cdc236710a9ab",
    "588e957d8d790d093b3a39f121473473af78e9bb",
    "cd74b0c048219db81384d3fda8f6cda51e398a2b",
)  # fmt: skip
SIGNATURE_CASE = (
    "8ba4cbc73c0187301dc19a975823854dbd641c597f637f8d053a83b9514673eb",
    "69a62284195f1680", "80c94ba25c8abda5", "8c3bcd3a69831d7f", "d2d9a7ff4fbe95a7",
    "707197817fb2d90cf54d1842606bdea59b9f4823",
    "384be709a8a5e63c3ed160cfe3921c4b37d5b32d",
    "48b327575abe3adba0f279849e289022a13e2b47",
    "a4a415c8e0c38c0da847c356cc61c24df8025560",
)  # fmt: skip


def prf(key: bytes, message: bytes) -> bytes:
    return stdlib_hmac.new(key, message, hashlib.sha256).digest()


def keys_of(case: tuple[str, ...], psk: bytes | None) -> PhaseOneKeys:
    g_xy, ni, nr, cky_i, cky_r = map(bytes.fromhex, case[:5])
    skeyid = derive.skeyid_psk("sha1", psk, ni, nr) if psk else derive.skeyid_signature("sha1", ni, nr, g_xy)
    return derive.derive("sha1", skeyid, g_xy, cky_i, cky_r, 16)


@pytest.mark.parametrize(("case", "psk"), [(PSK_CASE, b"\x75"), (SIGNATURE_CASE, None)], ids=["psk", "signature"])
def test_acvp_cases(case: tuple[str, ...], psk: bytes | None) -> None:
    keys = keys_of(case, psk)
    assert (keys.skeyid.hex(), keys.d.hex(), keys.a.hex(), keys.e.hex()) == case[5:]
    assert keys.cipher == keys.e[:16]


def test_a_key_that_skeyid_e_is_too_short_for_is_lengthened_by_the_chain_of_appendix_b() -> None:
    g_xy, cky_i, cky_r = b"g" * 256, b"i" * 8, b"r" * 8
    keys = derive.derive("md5", b"skeyid", g_xy, cky_i, cky_r, 40)
    k1 = stdlib_hmac.new(keys.e, b"\0", "md5").digest()
    k2 = stdlib_hmac.new(keys.e, k1, "md5").digest()
    k3 = stdlib_hmac.new(keys.e, k2, "md5").digest()
    assert keys.cipher == (k1 + k2 + k3)[:40]


def test_a_key_as_long_as_skeyid_e_is_skeyid_e() -> None:
    keys = derive.derive("sha2_256", b"skeyid", b"g", b"i" * 8, b"r" * 8, 32)
    assert keys.cipher == keys.e


def test_initialization_vectors_begin_with_the_public_values_and_go_on_with_the_message_id() -> None:
    first = derive.first_iv("sha2_256", b"gxi", b"gxr", 16)
    assert first == hashlib.sha256(b"gxigxr").digest()[:16]
    assert derive.exchange_iv("sha2_256", first, b"\0\0\0\7", 16) == hashlib.sha256(first + b"\0\0\0\7").digest()[:16]


@pytest.mark.parametrize("g_xy", [b"", b"quick mode's own secret"], ids=["without pfs", "with pfs"])
def test_key_material_goes_on_as_long_as_is_asked(g_xy: bytes) -> None:
    seed = g_xy + b"\x03" + b"\xde\xad\xbe\xef" + b"ni" + b"nr"
    k1 = prf(b"d", seed)
    k2 = prf(b"d", k1 + seed)
    k3 = prf(b"d", k2 + seed)
    assert derive.keymat("sha2_256", b"d", 3, b"\xde\xad\xbe\xef", b"ni", b"nr", g_xy, 70) == (k1 + k2 + k3)[:70]


def test_each_side_proves_itself_with_its_own_values_first() -> None:
    ours = derive.hash_i("sha2_256", b"s", b"gxi", b"gxr", b"ci", b"cr", b"sa", b"id")
    assert ours == prf(b"s", b"gxigxrcicrsaid")
    theirs = derive.hash_r("sha2_256", b"s", b"gxi", b"gxr", b"ci", b"cr", b"sa", b"id")
    assert theirs == prf(b"s", b"gxrgxicrcisaid")


def test_the_three_hashes_of_quick_mode() -> None:
    assert derive.hash_1("sha2_256", b"a", b"mid!", b"rest") == prf(b"a", b"mid!rest")
    assert derive.hash_2("sha2_256", b"a", b"mid!", b"ni", b"rest") == prf(b"a", b"mid!nirest")
    assert derive.hash_3("sha2_256", b"a", b"mid!", b"ni", b"nr") == prf(b"a", b"\0mid!ninr")


def test_no_key_shows() -> None:
    assert repr(keys_of(PSK_CASE, b"\x75")) == "PhaseOneKeys()"
