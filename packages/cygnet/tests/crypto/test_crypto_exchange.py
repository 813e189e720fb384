"""Diffie-Hellman: published answers, both sides agree, and public values that give the secret away are refused."""

import contextlib
import hashlib
import warnings
from typing import Any

import pytest
from cygnet.crypto import exchange
from cygnet.crypto.exchange import MODP, BadPublicValue, KeyExchange, modp_prime
from cygnet.crypto.exponentiation import Exponent
from cygnet.crypto.transforms import GROUPS
from hypothesis import given, settings
from hypothesis import strategies as st

# SHA-256 of each prime as RFC 2409 and RFC 3526 print it.
PRIMES = {
    2: "3f35a3f5f6c4376a744acad409bb22f8d897f949d2311d885adaa890981b67a0",
    5: "64fcc83ec403930bf18393dbc883ccaa1fbb08ac876f77f7aa99748ca945019b",
    14: "d66436f79bbd6b2e38c0ffbd079be904d2641415e2e67140e09448be9a60890e",
    15: "48cf8b092fbce4359d9871abf74f98e25b6163379eaa15cd9087e800c6d1c55c",
    16: "4ee95187682bcb230ad26a95205f6920e84708f6251b3894329b09ec23919e33",
    17: "d1bfe6d0925ce7e4da262b62861514a7755e35831e429f343e7b864848657efd",
    18: "39ab4feab950a3128fb71accb9fc3965d857012e081998a85996e3ea8b3c3bcf",
}
# Group, our secret, our public value, the peer's, what is shared. RFC 5114 (ECP), RFC 8031; MODP: strongSwan's numbers.
ANSWERS = [
    (
        2,
        "e53c205da0d8e4bfb4174944320fc6e4ea66fe44e3c931ac5da1450aea47ebcf",
        (
            "66617c9bbe91ee9900d806415b7384ecb0b6b80a39bd5b070396ee32375a8f68376b352b97baf32f95c4d18c06ab96bfe3f3"
            "752df1e3c55741b6f4244117eebda1015983c6ba008fe89fe51cf4c9692592ebf742436c393df61a60ccc64fd7907a6d2626"
            "7c0f1556230c3e332b2e11d118a6982589793a2f6d66b86676bae47a"
        ),
        (
            "7b9010609ebf2c497017458afaab4202885d25de7b5e5ce9b05bd442a3e97b52cea760d7dbcb21dd71d80cd4347caa9edfbc"
            "2df4c1cdc1669b8ad244eb345b331d875492883df04a3d0b1a8b8927d50991fe03e7357eb6bdfce3d8c684c9861bc5ce0396"
            "2ffb87bf05dabd5a3727994ddee5d3c6ecc589859991b93255761fd5"
        ),
        (
            "95790f5c46ae7ca1a471dd786aa8e444073ecec9695d004620cd7c9d3609a6973c89a230750935638b86d1e65b27b7848881"
            "f9013abd036280d1862bb03ca60ba90b70f9ae7edf71ff80f5a7eefbe26729b5bbb1bb1feb0d240e53c9d74b4fe9d262b53b"
            "d5d8a7383f90f01e359647d04802d74a4f753b294a96503f2605d3f1"
        ),
    ),
    (
        14,
        "af3bfd3862caa11774ce2b74840807c1de5cd6a7619bb3a0c7af39eedaa6eb89e2e9c144b3625b2731879cb58fa3766d",
        (
            "1a27c5a7237ae8fe0a71c0af6494faeccdd4a5031d47a1a6b7162dfcdf03bb17b7bb089bd652a5f31b3661bb114d7c48d83d"
            "244f46db64870c9c8327f1a830abf531e518dd521a2e94e7061e944209ba5331012b3dff00849eaab58c7c7af15265210fbc"
            "f0f87b9dd932f8ba4e9a9f91b63294530a1200b88b3a03e1a0c7fd34deec6fad501ede06ce7ec9e291d47b69b3a4b61bb087"
            "63b6d46bfbdab97bdecea0ff09a872221fb4b6ccca6b5c6faad8eb873b9a2f39b63e62cfadd47607e68e2c290583f7268fb4"
            "3fc00a7dc8810ecdac1a59bd1b477aaf41cb4b24ada3e5f7b8cb986f1ae476afc7677aa62570a1b1838dda26be7863ee2f40"
            "b5e538a4e181"
        ),
        (
            "667282318d65cb05cd323c25091e664cc75a3a20c014b2f6389d3b27f5c1e908e0d40ff8552bd587752550302285b49f75f8"
            "ffaec937fb2e69c8150f88d6508bf0fb1f16e9676f5ecf718f874f3d8de3c8688749dbcf1affd4d62ff9ea5d9e3035b2ce4a"
            "6eae281c408fc8084ae235d998a037610a8cb48c878cd0635fa1369fc90b864c532367384597fdeefdb6742b006adedae201"
            "5bc4ce2f9c5451c9636a16ed7d10b4e40d825b50aa7633a0e8fb813bebc049f7ff6a71ecfb14e880f509d38b571a809808a4"
            "96b451b5b5567a3608b01a22e4998355f181b879de262304f29de142ff5e52cc564f3a2d1e84a0c33d8f3da7bf6412b3f018"
            "e00d90fa5b94"
        ),
        (
            "26f9e8457cf2d7d56dd819c2a867d7c3a90aa2b944e20b8bded3a5bf91aa1ff81a7ea89d524c365f3823510835cd8644c4d5"
            "dacf893e610d2c1a140616d1c8c1d35f46de2c5faad9aecec6b677acd984098142a8aa0c8542e9ac98b3bc7b577c59b8ec53"
            "346e1567a90039ac92b224635ab216731b06353925642c330a201ba4b31284a9515860f35e9308f5515a779984fbd9f5ce41"
            "77db78d1cb0384b63c739c6d744ad7a700b95a531b29f3b744ed38e69aee67072c45a91cee6b14215e04f27c31358c86dce4"
            "48d60a223bdc554edaa3e4072ef603a0f4619f8db39cec291c860174155d8abf9e1082931df58ed9ee9c1215dd2393de02f5"
            "c1767f070e28"
        ),
    ),
    (
        19,
        "814264145f2f56f2e96a8e337a1284993faf432a5abce59e867b7291d507a3af",
        (
            "2af502f3be8952f2c9b5a8d4160d09e97165be50bc42ae4a5e8d3b4ba83aeb15eb0faf4ca986c4d38681a0f9872d79d56795"
            "bd4bff6e6de3c0f5015ece5efd85"
        ),
        (
            "b120de4aa36492795346e8de6c2c8646ae06aaea279fa775b3ab0715f6ce51b09f1b7eece20d7b5ed8ec685fa3f071d83727"
            "027092a8411385c34dde5708b2b6"
        ),
        "dd0f5396219d1ea393310412d19a08f1f5811e9dc8ec8eea7f80d21c820c2788",
    ),
    (
        20,
        "d27335ea71664af244dd14e9fd1260715dfd8a7965571c48d709ee7a7962a156d706a90cbcb5df2986f05feadb9376f1",
        (
            "793148f1787634d5da4c6d9074417d05e057ab62f82054d10ee6b0403d6279547e6a8ea9d1fd77427d016fe27a8b8c66c6c4"
            "1294331d23e6f480f4fb4cd40504c947392e94f4c3f06b8f398bb29e42368f7a685923de3b67baced214a1a1d128"
        ),
        (
            "5cd42ab9c41b5347f74b8d4efb708b3d5b36db65915359b44abc17647b6b9999789d72a84865ae2f223f12b5a1abc120e171"
            "458feaa939aaa3a8bfac46b404bd8f6d5b348c0fa4d80ceca16356ca933240bde8723415a8ece035b0edf36755de"
        ),
        "5ea1fc4af7256d2055981b110575e0a8cae53160137d904c59d926eb1b8456e427aa8a4540884c37de159a58028abc0e",
    ),
    (
        21,
        (
            "0113f82da825735e3d97276683b2b74277bad27335ea71664af2430cc4f33459b9669ee78b3ffb9b8683015d344dcbfef6fb"
            "9af4c6c470be254516cd3c1a1fb47362"
        ),
        (
            "01ebb34dd75721abf8adc9dbed17889cbb9765d90a7c60f2cef007bb0f2b26e14881fd4442e689d61cb2dd046ee30e3ffd20"
            "f9a45bbdf6413d583a2dbf59924fd35c00f6b632d194c0388e22d8437e558c552ae195adfd153f92d74908351b2f8c4eda94"
            "edb0916d1b53c020b5eecaed1a5fc38a233e4830587bb2ee3489b3b42a5a86a4"
        ),
        (
            "010ebfafc6e85e08d24bfffcc1a4511db0e634beeb1b6dec8c5939ae44766201af6200430ba97c8ac6a0e9f08b33ce7e9fee"
            "b5ba4ee5e0d81510c24295b8a08d023500a4a6ec300df9e257b0372b5e7abfef093436719a77887ebb0b18cf8099b9f4212b"
            "6e30a1419c18e029d36863cc9d448f4dba4d2a0e60711be572915fbd4fef2695"
        ),
        (
            "00cdea89621cfa46b132f9e4cfe2261cde2d4368eb5656634c7cc98c7a00cde54ed1866a0dd3e6126c9d2f845daff82ceb1d"
            "a08f5d87521bb0ebeca77911169c20cc"
        ),
    ),
    (
        31,
        "751fb4308655b476b6789b7325f9ea8cddd16a58533ff6d9e60009464a5f9d94",
        "48d5ddd4061257ba166fa3f9bbdb74f1a4e81c089384fa77f790709f0dfbc766",
        "0be7c1f5aad87d7e448662673298a443478b859745179eaf564c79c0ef6eee25",
        "c74950607a12327f3204d94b6825bfb068b7f8319a9e3708ed3d43ce8130c950",
    ),
]


def with_secret(group: int, secret: bytes) -> KeyExchange:
    """A key exchange whose secret is known."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    ours = KeyExchange(group)
    half: Any = ours._secret
    if group in MODP:
        half._exponent = int.from_bytes(secret, "big")
        half._key = half._load(2)
    elif group == 31:
        half._key = X25519PrivateKey.from_private_bytes(secret)
    else:
        half._key = ec.derive_private_key(int.from_bytes(secret, "big"), half._curve)
    ours.public = half.public()
    return ours


@pytest.mark.parametrize("group", MODP)
def test_the_primes_are_those_of_the_rfcs(group: int) -> None:
    prime = modp_prime(group).to_bytes(GROUPS[group].size, "big")
    assert hashlib.sha256(prime).hexdigest() == PRIMES[group]


@pytest.mark.parametrize(("group", "secret", "ours", "theirs", "shared"), ANSWERS, ids=lambda value: str(value)[:8])
def test_the_published_secret_comes_out(group: int, secret: str, ours: str, theirs: str, shared: str) -> None:
    exchange = with_secret(group, bytes.fromhex(secret))
    assert exchange.public.hex() == ours
    assert exchange.shared(bytes.fromhex(theirs)).hex() == shared


@pytest.mark.parametrize("group", GROUPS)
def test_both_sides_share_a_secret_and_every_value_has_its_fixed_length(group: int) -> None:
    initiator, responder = KeyExchange(group), KeyExchange(group)
    assert len(initiator.public) == len(responder.public) == GROUPS[group].size
    secret = initiator.shared(responder.public)
    assert secret == responder.shared(initiator.public)
    assert len(secret) == (GROUPS[group].size // 2 if group in exchange.ECP else GROUPS[group].size)


def test_a_short_value_keeps_its_leading_zeros() -> None:
    """One exchange in 256 begins with a zero octet; 2^64 in group 14 begins with 247 of them."""
    ours = with_secret(14, bytes([64]))
    assert ours.public == bytes(247) + b"\1" + bytes(8)
    assert with_secret(14, bytes([2])).shared(bytes(255) + b"\3") == bytes(255) + b"\x09"


def test_every_exchange_has_its_own_secret() -> None:
    assert len({KeyExchange(group).public for group in GROUPS for _ in range(2)}) == 2 * len(GROUPS)


@pytest.mark.parametrize("group", MODP)
def test_degenerate_modp_values_are_refused(group: int) -> None:
    """CVE-2015-3240's class: 0, 1, p-1, p and more."""
    ours, prime, size = KeyExchange(group), modp_prime(group), GROUPS[group].size
    top = (1 << 8 * size) - 1
    for value in (0, 1, prime - 1, prime, prime + 1, top):
        with pytest.raises(BadPublicValue, match=GROUPS[group].name):
            ours.shared(value.to_bytes(size, "big"))


@pytest.mark.parametrize("group", GROUPS)
def test_a_value_of_the_wrong_length_is_refused(group: int) -> None:
    ours, good = KeyExchange(group), KeyExchange(group).public
    for value in (b"", good[:-1], good + b"\0", b"\0" + good, b"\4" + good):
        with pytest.raises(BadPublicValue, match="bytes, not"):
            ours.shared(value)


@pytest.mark.parametrize("group", exchange.ECP)
def test_points_off_the_curve_are_refused(group: int) -> None:
    ours, size = KeyExchange(group), GROUPS[group].size
    good = KeyExchange(group).public
    for value in (
        bytes(size),
        good[:-1] + bytes([good[-1] ^ 1]),
        b"\xff" * size,
        good[size // 2 :] + good[: size // 2],
    ):
        with pytest.raises(BadPublicValue):
            ours.shared(value)


@pytest.mark.parametrize(
    "low_order",
    [
        "00" * 32,
        "01" + "00" * 31,
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ],
)
def test_curve25519_points_of_small_order_are_refused(low_order: str) -> None:
    with pytest.raises(BadPublicValue):
        KeyExchange(31).shared(bytes.fromhex(low_order))


@settings(max_examples=60, deadline=None)
@given(data=st.data(), group=st.sampled_from([14, 19, 21, 31]))
def test_whatever_a_peer_sends_only_the_one_error_comes_out(data: st.DataObject, group: int) -> None:
    size = GROUPS[group].size
    value = data.draw(st.binary(max_size=size + 2) | st.binary(min_size=size, max_size=size))
    with contextlib.suppress(BadPublicValue):
        assert KeyExchange(group).shared(value)


def test_no_deprecation_reaches_the_log() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert KeyExchange(14).shared(KeyExchange(14).public)


def test_the_exponent_is_at_least_twice_the_strength() -> None:
    """RFC 3526 section 8: strengths; the exponent's top bit is set."""
    strengths = {2: 80, 5: 90, 14: 110, 15: 130, 16: 150, 17: 170, 18: 190}
    for group, (_, bits) in MODP.items():
        half: Any = KeyExchange(group)._secret
        assert half._exponent.bit_length() == bits >= 2 * strengths[group]


def test_exponentiation_is_that_of_the_integers() -> None:
    prime = modp_prime(14)
    exponent = Exponent(prime, 2, 0x1234567)
    assert exponent.public() == pow(2, 0x1234567, prime)
    assert int.from_bytes(exponent.power(3), "big") == pow(3, 0x1234567, prime)
