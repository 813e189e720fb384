"""Runs on the box: computes with `cryptography` what test_box_crypto.py knows the answers to.

Prints one JSON object: case -> {"answer": ..., "ms": ...} or {"error": ...}.  No answer stands here.
The key and certificates beside it were made for this test and are used nowhere else.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import dh, ec, ed25519, padding, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher, aead, algorithms, modes

HERE = Path(__file__).parent
CASES: dict[str, Callable[[], object]] = {}
# RFC 3526, section 3 (group 14).
PRIME = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD"
    "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED"
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F"
    "83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B"
    "E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA0510"
    "15728E5A8AACAA68FFFFFFFFFFFFFFFF",
    16,
)
# SP 800-38A, appendix F: its four blocks and the two keys used here.
BLOCKS = bytes.fromhex(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)
AES_128 = "2b7e151628aed2a6abf7158809cf4f3c"
AES_256 = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"
# SP 800-67, appendix B.
TDES = "0123456789abcdef23456789abcdef01456789abcdef0123"
FOX = bytes.fromhex("54686520717566636b2062726f776e20666f78206a756d70")
# The GCM paper of McGrew and Viega, test case 4.
GCM = {
    "key": "feffe9928665731c6d6a8f9467308308",
    "nonce": "cafebabefacedbaddecaf888",
    "data": "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
    "aad": "feedfacedeadbeeffeedfacedeadbeefabaddad2",
}


def case(name: str) -> Callable[[Callable[[], object]], Callable[[], object]]:
    """Register a case; it returns bytes or JSON."""

    def register(function: Callable[[], object]) -> Callable[[], object]:
        CASES[name] = function
        return function

    return register


def refused(error: type[Exception], attempt: Callable[[], object]) -> str:
    """What became of something that must not be accepted."""
    try:
        attempt()
    except error:
        return "refused"
    return "accepted"


def pem(name: str) -> bytes:
    """A file beside this program."""
    return (HERE / name).read_bytes()


def cbc(algorithm: object, iv: bytes, data: bytes) -> bytes:
    """Encrypt, and decrypt as a check."""
    cipher = Cipher(algorithm, modes.CBC(iv))
    one = cipher.encryptor()
    encrypted = one.update(data) + one.finalize()
    two = cipher.decryptor()
    assert two.update(encrypted) + two.finalize() == data, "decryption did not give the plaintext back"
    return encrypted


@case("aes-128-cbc")
def aes_128_cbc() -> bytes:
    return cbc(algorithms.AES(bytes.fromhex(AES_128)), bytes(range(16)), BLOCKS)


@case("aes-256-cbc")
def aes_256_cbc() -> bytes:
    return cbc(algorithms.AES(bytes.fromhex(AES_256)), bytes(range(16)), BLOCKS)


@case("aes-gcm")
def aes_gcm() -> bytes:
    key, nonce, data, aad = (bytes.fromhex(value) for value in GCM.values())
    return aead.AESGCM(key).encrypt(nonce, data, aad)


@case("aes-gcm-tampered")
def aes_gcm_tampered() -> str:
    key, nonce, data, aad = (bytes.fromhex(value) for value in GCM.values())
    sealed = bytearray(aead.AESGCM(key).encrypt(nonce, data, aad))
    sealed[0] ^= 1
    return refused(InvalidTag, lambda: aead.AESGCM(key).decrypt(nonce, bytes(sealed), aad))


@case("3des-ecb")
def tdes_ecb() -> bytes:
    one = Cipher(algorithms.TripleDES(bytes.fromhex(TDES)), modes.ECB()).encryptor()  # noqa: S305 - NIST's example
    return one.update(FOX) + one.finalize()


@case("3des-cbc")
def tdes_cbc() -> bytes:
    return cbc(algorithms.TripleDES(bytes.fromhex(TDES)), bytes(range(8)), FOX)


def mac(algorithm: hashes.HashAlgorithm, key: bytes, data: bytes) -> bytes:
    one = hmac.HMAC(key, algorithm)
    one.update(data)
    return one.finalize()


@case("hmac-sha256-1")
def hmac_sha256_1() -> bytes:
    return mac(hashes.SHA256(), b"\x0b" * 20, b"Hi There")


@case("hmac-sha256-2")
def hmac_sha256_2() -> bytes:
    return mac(hashes.SHA256(), b"Jefe", b"what do ya want for nothing?")


@case("hmac-sha1")
def hmac_sha1() -> bytes:
    return mac(hashes.SHA1(), b"Jefe", b"what do ya want for nothing?")  # noqa: S303 - FreeS/WAN peers


@case("hmac-md5")
def hmac_md5() -> bytes:
    return mac(hashes.MD5(), b"Jefe", b"what do ya want for nothing?")  # noqa: S303 - FreeS/WAN peers


def group_14(private: int) -> dh.DHPrivateKey:
    """A key of group 14 with a given private exponent."""
    public = dh.DHPublicNumbers(pow(2, private, PRIME), dh.DHParameterNumbers(PRIME, 2))
    return dh.DHPrivateNumbers(private, public).private_key()


@case("dh-group-14")
def dh_group_14() -> list[str]:
    one = group_14(int.from_bytes(b"cygnet acceptance: exponent of box a", "big"))
    two = group_14(int.from_bytes(b"cygnet acceptance: exponent of box b", "big"))
    here, there = one.exchange(two.public_key()), two.exchange(one.public_key())
    return [here.hex(), there.hex()]


def rsa_key() -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(pem("test-only-key.pem"), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


@case("rsa-pkcs1-sign")
def rsa_sign() -> bytes:
    return rsa_key().sign(b"abc", padding.PKCS1v15(), hashes.SHA256())


@case("rsa-pkcs1-verify")
def rsa_verify() -> dict[str, str]:
    key = rsa_key()
    good = key.sign(b"abc", padding.PKCS1v15(), hashes.SHA256())
    bad = bytes([*good[:-1], good[-1] ^ 1])

    def verify(signature: bytes, message: bytes) -> str:
        return refused(
            InvalidSignature,
            lambda: key.public_key().verify(signature, message, padding.PKCS1v15(), hashes.SHA256()),
        )

    return {"good": verify(good, b"abc"), "signature": verify(bad, b"abc"), "message": verify(good, b"abd")}


@case("x25519")
def x25519_exchange() -> bytes:
    # RFC 7748, section 6.1: Alice's private key, Bob's public key.
    alice = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"
    bob = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
    private = x25519.X25519PrivateKey.from_private_bytes(bytes.fromhex(alice))
    return private.exchange(x25519.X25519PublicKey.from_public_bytes(bytes.fromhex(bob)))


@case("ed25519")
def ed25519_sign() -> list[str]:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(
        bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")
    )
    signature = key.sign(b"\xaf\x82")
    key.public_key().verify(signature, b"\xaf\x82")
    wrong = refused(InvalidSignature, lambda: key.public_key().verify(signature, b"\xaf\x83"))
    return [signature.hex(), wrong]


@case("ecdsa-p256")
def ecdsa_p256() -> dict[str, str]:
    # RFC 6979, appendix A.2.5, SHA-256, message "sample".
    public = ec.EllipticCurvePublicNumbers(
        0x60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6,
        0x7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299,
        ec.SECP256R1(),
    ).public_key()
    r = 0xEFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716
    s = 0xF7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8

    def verify(s: int, message: bytes) -> str:
        signature = encode_dss_signature(r, s)
        return refused(InvalidSignature, lambda: public.verify(signature, message, ec.ECDSA(hashes.SHA256())))

    return {"good": verify(s, b"sample"), "signature": verify(s ^ 1, b"sample"), "message": verify(s, b"simple")}


@case("x509")
def certificate() -> dict[str, object]:
    gate = x509.load_pem_x509_certificate(pem("test-only-gate.pem"))
    authority = x509.load_pem_x509_certificate(pem("test-only-authority.pem"))
    names = gate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {
        "subject": gate.subject.rfc4514_string(),
        "issuer": gate.issuer.rfc4514_string(),
        "serial": gate.serial_number,
        "from": gate.not_valid_before_utc.isoformat(),
        "until": gate.not_valid_after_utc.isoformat(),
        "dns": names.get_values_for_type(x509.DNSName),
        "ip": [str(address) for address in names.get_values_for_type(x509.IPAddress)],
        "email": names.get_values_for_type(x509.RFC822Name),
        "own key": gate.public_key() == rsa_key().public_key(),
        "by authority": refused(InvalidSignature, lambda: gate.verify_directly_issued_by(authority)),
        "by itself": refused((ValueError, InvalidSignature, TypeError), lambda: gate.verify_directly_issued_by(gate)),
    }


def answer(function: Callable[[], object]) -> dict[str, object]:
    """Run one case; whatever goes wrong is its answer, and the others still run."""
    began = time.monotonic()
    try:
        found = function()
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
    text = found.hex() if isinstance(found, bytes) else found
    return {"answer": text, "ms": round(1000 * (time.monotonic() - began))}


print(json.dumps({name: answer(function) for name, function in CASES.items()}))
