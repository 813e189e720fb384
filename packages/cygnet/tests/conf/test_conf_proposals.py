"""ike= and esp= in the spellings of FreeS/WAN, Openswan and strongSwan."""

from __future__ import annotations

import pytest
from cygnet.conf import proposals
from cygnet.crypto.transforms import CIPHERS, GROUPS, INTEGRITIES


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("3des-md5-modp1024", "3des_192-md5-group2"),
        ("3des-md5-96-modp1536", "3des_192-md5-group5"),
        ("aes128-sha1;modp1024", "aes_128-sha1-group2"),
        ("aes-128-sha;dh14", "aes_128-sha1-group14"),
        ("aes256-sha2_256-modp2048!", "aes_256-sha2_256-group14"),
        ("AES256-SHA256-MODP2048", "aes_256-sha2_256-group14"),
        ("aes_cbc192-sha2-384-ecp256", "aes_192-sha2_384-group19"),
        ("aes256-sha512-x25519", "aes_256-sha2_512-group31"),
        ("aes256-hmac-sha2_512-curve25519", "aes_256-sha2_512-group31"),
        ("aes128-sha1-modp1024, 3des-md5-group5", "aes_128-sha1-group2 3des_192-md5-group5"),
        ("aes128-aes256-sha256-modp2048", "aes_128-sha2_256-group14 aes_256-sha2_256-group14"),
    ],
)
def test_lists_for_phase_1(text, shown):
    assert " ".join(map(str, proposals.ike(text)[0])) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("3des-md5-96", "3des_192-md5"),
        ("3des-hmac-md5-96", "3des_192-md5"),
        ("aes", "aes_128-sha2_256"),
        ("aes-sha1,aes256-sha2_512", "aes_128-sha1 aes_256-sha2_512"),
        ("aes_gcm_c-256-null", "aes_gcm_256"),
        ("aes_gcm_a-128-null", "aes_gcm8_128"),
        ("aes_gcm128-null;modp3072", "aes_gcm_128"),
        ("aes256gcm16", "aes_gcm_256"),
        ("aes256gcm128-modp2048", "aes_gcm_256"),
        ("aes128gcm96", "aes_gcm12_128"),
        ("aes_ctr256-sha2_256", "aes_ctr_256-sha2_256"),
        ("aes128ctr-sha1", "aes_ctr_128-sha1"),
        ("chacha20poly1305", "chacha20poly1305_256"),
        ("aes128-sha1-sha256", "aes_128-sha1 aes_128-sha2_256"),
        ("aes256-sha2_256-128", "aes_256-sha2_256"),
        ("aes128-sha1,aes128-sha1", "aes_128-sha1"),
    ],
)
def test_lists_for_phase_2(text, shown):
    assert " ".join(map(str, proposals.child(text, "esp")[0])) == shown


@pytest.mark.parametrize("text", ["sha1", "hmac-sha1-96", "hmac_sha1"])
def test_lists_for_ah(text):
    assert [str(one) for one in proposals.child(text, "ah")[0]] == ["sha1"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("des-md5", "single DES is broken"),
        ("null-sha1", "null encryption protects nothing"),
        ("aes128-null", "encryption without integrity"),
        ("aes128-sha1-modp768", "group 1"),
        ("aes128-sha1-dh1", "group 1"),
        ("twofish-sha1", "'twofish' is no cipher, hash or group"),
        ("chacha20poly1350", "did you mean chacha20poly1305?"),
        ("aes128-sha1-modp2049", "did you mean modp2048?"),
        ("aes512-sha1", "is no cipher"),
        ("aes128-sha1-128", "128 is no size of what stands before it"),
        ("128-aes", "128 is no size"),
        ("aes128-sha1-dh22", "'dh22' is no cipher"),
        ("sha1", "ESP needs a cipher"),
        ("aes128--sha1", "a name is missing"),
        ("aes128,", "a name is missing"),
        ("", "a name is missing"),
        ("!", "a name is missing"),
        ("aes-" * 100 + "aes", "more than 60 words"),
        ("é", "is no cipher"),
    ],
)
def test_what_is_refused_and_why(text, reason):
    with pytest.raises(ValueError, match=reason.replace("?", "[?]")):
        proposals.child(text, "esp")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("aes_gcm-sha1", "is for esp= only"),
        ("sha1-modp1024", "needs a cipher"),
        ("aes128-aes192-aes256-sha1-sha2_256" + "".join(f"-{group.name}" for group in GROUPS.values()), "combinations"),
    ],
)
def test_what_phase_1_cannot_have(text, reason):
    with pytest.raises(ValueError, match=reason):
        proposals.ike(text)


def test_what_is_used_when_nothing_is_named_holds_no_weak_transform():
    ike, weak = proposals.ike(proposals.SAFE_IKE)
    esp, groups, weak_child = proposals.child(proposals.SAFE_ESP, "esp")
    assert not weak + weak_child + groups
    assert {one.group for one in ike} == {14, 15, 16, 19, 31}
    assert len(ike) <= 20
    for one in (*ike, *esp):
        assert not CIPHERS[one.encryption].weak
    assert [str(one) for one in esp] == [
        "aes_gcm_256", "aes_gcm_128", "aes_256-sha2_256", "aes_128-sha2_256", "chacha20poly1305_256"
    ]  # fmt: skip


def test_what_a_list_leaves_open_is_filled_with_what_is_safe():
    found = proposals.ike("3des")[0]
    assert not any(GROUPS[one.group].weak or INTEGRITIES[one.hash].weak for one in found)


def test_weak_transforms_are_those_that_the_list_names():
    assert proposals.ike("3des-md5-modp1024,aes256-sha2_256")[1] == ["3des", "md5", "modp1024"]
    assert proposals.child("aes128-sha1;modp1536", "esp")[1:] == ([5], ["sha1", "modp1536"])
