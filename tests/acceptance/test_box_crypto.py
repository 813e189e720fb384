"""PyCA `cryptography` on the box computes known answers: one case an algorithm.

The program on the box knows questions, this file knows answers: from the RFCs and NIST papers that
are named, or from Python's integers (group 14) and OpenSSL (RSA signature, 3DES-CBC) on the host.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builder.smoke.box import Box

HERE = Path(__file__).parent / "on_target"
PROGRAM = HERE / "crypto_answers.py"
GROUP_14 = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD"
    "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED"
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F"
    "83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B"
    "E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA0510"
    "15728E5A8AACAA68FFFFFFFFFFFFFFFF",
    16,
)
EXPONENT_A = int.from_bytes(b"cygnet acceptance: exponent of box a", "big")
EXPONENT_B = int.from_bytes(b"cygnet acceptance: exponent of box b", "big")
SHARED = f"{pow(2, EXPONENT_A * EXPONENT_B, GROUP_14):0512x}"
ONLY_GOOD = {"good": "accepted", "signature": "refused", "message": "refused"}

ANSWERS: dict[str, object] = {
    # SP 800-38A, F.2.1 and F.2.5
    "aes-128-cbc": "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"
    "73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7",
    "aes-256-cbc": "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"
    "39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b",
    # McGrew and Viega, test case 4: ciphertext and tag
    "aes-gcm": "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
    "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e0915bc94fbc3221a5db94fae95ae7121a47",
    "aes-gcm-tampered": "refused",
    # SP 800-67, appendix B
    "3des-ecb": "a826fd8ce53b855fcce21c8112256fe668d5c05dd9b6b900",
    "3des-cbc": "f368d06f3bbd614e60f2d0245cad3f818d5c69f2cb3fd5c7",
    # RFC 4231, sections 4.2 and 4.3; RFC 2202, sections 3 and 2
    "hmac-sha256-1": "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    "hmac-sha256-2": "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    "hmac-sha1": "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
    "hmac-md5": "750c783e6ab0b503eaa86e310a5db738",
    "dh-group-14": [SHARED, SHARED],
    "rsa-pkcs1-sign": "b8f05cc9abe579098fa8875ad269e822d9f10c87faafde630964792e6cfedb72"
    "a648fd94efc7370035769ebaf04a8169f2e7b1cfc33a8efec33bf3265c66ed41df2384edf4404a0d9c4346831cadf83b"
    "75c7f3ce63e193769a4e49eb7d9871549f138de9dea3a1af6cee8829074aff8b32bd3abed65299a4d6bc339334a4f57f"
    "c873f8573ada3f6a70e94818e476b90102066492855b3ce7e87f835697f02b1d7a19d1a81b03738fd9e2707c62132aea"
    "d5600bdc71382ffad4074373b199af70188d6e35448a33c4d7747e984c4697e498b418fabaf39d3a04e39e151c0d5a3d"
    "9eec6a93cc7ddbd151462a702b3fc1c41086568fd664da9da421ce8258b5299e",
    "rsa-pkcs1-verify": ONLY_GOOD,
    # RFC 7748, section 6.1
    "x25519": "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742",
    # RFC 8032, section 7.1, test 3
    "ed25519": [
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        "refused",
    ],
    # RFC 6979, appendix A.2.5
    "ecdsa-p256": ONLY_GOOD,
    "x509": {
        "subject": "CN=gate.example.org,O=Cygnet acceptance (test only),C=CH",
        "issuer": "CN=Test authority,O=Cygnet acceptance (test only)",
        "serial": 0x1C96E7,
        "from": "2026-11-23T12:49:24+00:00",
        "until": "2046-11-18T12:49:24+00:00",
        "dns": ["gate.example.org"],
        "ip": ["192.0.2.1"],
        "email": ["vpn@example.org"],
        "own key": True,
        "by authority": "accepted",
        "by itself": "refused",
    },
}


@pytest.fixture(scope="module")
def answers(boxes: dict[str, Box]) -> dict[str, Any]:
    """What the box computed; the program runs once."""
    box = boxes["box-a"]
    box.log_in()
    for file in sorted(HERE.glob("test-only-*.pem")):
        box.send(file, f"/tmp/{file.name}")
    return dict(json.loads(box.python(PROGRAM, timeout=180)))


@pytest.mark.parametrize("algorithm", ANSWERS)
def test_known_answer(answers: dict[str, Any], algorithm: str, record_property: Callable[[str, object], None]) -> None:
    """`cryptography` on the box computes the known answer"""
    found = answers[algorithm]
    assert "error" not in found, found["error"]
    assert found["answer"] == ANSWERS[algorithm]
    record_property("ms", found["ms"])


def test_no_answer_is_left_unlooked_at(answers: dict[str, Any]) -> None:
    """Every case that the box computes is compared"""
    assert answers.keys() == ANSWERS.keys()
