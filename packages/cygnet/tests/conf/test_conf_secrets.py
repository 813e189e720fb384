"""ipsec.secrets(5): entries, RSA keys as FreeS/WAN wrote them, PEM files; and that no secret is shown."""

from __future__ import annotations

from functools import cache

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cygnet.conf import load_secrets
from cygnet.connection.identity import Identity, IdType

KING = "KiNgOfCoRn"


@cache
def new_key() -> RSAPrivateKey:
    """One key for all of these tests."""
    return generate_private_key(65537, 2048)


def entry(indices: str = "", brace: str = "\t}") -> str:
    """As `ipsec newhostkey` and `ipsec rsasigkey` write it."""
    key = new_key().private_numbers()
    public = key.public_numbers
    numbers = {
        "Modulus": public.n,
        "PublicExponent": public.e,
        "PrivateExponent": key.d,
        "Prime1": key.p,
        "Prime2": key.q,
        "Exponent1": key.dmp1,
        "Exponent2": key.dmq1,
        "Coefficient": key.iqmp,
    }
    lines = [
        "\t# RSA 2048 bits   west.example.com   Fri Aug 24 16:09:25 2001",
        "\t# for signatures only, UNSAFE FOR ENCRYPTION",
    ]
    lines += [
        "\t#pubkey=0sAQNzGEFs18VK",
        "\t#IN KEY 0x4200 4 1 AQNzGEFs18VK",
        "\t# (0x4200 = auth-only host-level, 4 = IPSec, 1 = RSA)",
    ]
    for name, number in numbers.items():
        digits = f"{number:x}"
        lines.append(f"\t{name}: 0x{'0' * (len(digits) % 2)}{digits}")
    lines.insert(7, "\t# everything after this point is secret")
    return "\n".join([f"{indices}: RSA\t{{", *lines, brace, '# do not change the indenting of that "}"', ""])


def test_the_sample_of_the_manual(read_secrets):
    found = read_secrets(
        '# sample /etc/ipsec.secrets file for 10.1.0.1\n10.1.0.1 10.2.0.1: PSK "secret shared by two hosts"\n\n'
        "# an entry may be split across lines,\n# but indentation matters\npeer.example @www.kremvax.ru\n"
        '    10.6.0.1 10.7.0.1 1.8.0.1: PSK "secret shared by 5"\n\ninclude ipsec.*.secrets  # get secrets from other files\n'
    )
    assert not found.problems
    first, second = found.preshared
    assert (first.key, [str(index) for index in first.indices]) == (
        b"secret shared by two hosts",
        ["10.1.0.1", "10.2.0.1"],
    )
    assert second.key == b"secret shared by 5"
    assert [str(index) for index in second.indices] == [
        "10.12.12.1",
        "@www.kremvax.ru",
        "10.6.0.1",
        "10.7.0.1",
        "1.8.0.1",
    ]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (': PSK "two words"', b"two words"),
        (": psk 'it is \"so\"'", b'it is "so"'),
        (': PSK "a # b"  # comment', b"a # b"),
        (': PSK "tab\there"', b"tab\there"),
        (': PSK "gr\u00fcn"', "grün".encode()),
        (": PSK 0x0a1b_2c3d", bytes.fromhex("0a1b2c3d")),
        (": PSK 0sAQIDBA==", b"\1\2\3\4"),
        (": PSK 0tas it is # this too", b"as it is # this too"),
        ('10.0.0.1 10.0.0.2 "the old form"', b"the old form"),
        ('10.0.0.1 10.0.0.2:\n\tPSK\n\n\t# comment\n\t"over lines"', b"over lines"),
        ('10.0.0.1 10.0.0.2 : PSK "spaced colon"', b"spaced colon"),
    ],
)
def test_preshared_keys(read_secrets, text, key):
    found = read_secrets(text + "\n")
    assert not found.problems
    assert [one.key for one in found.preshared] == [key]


@pytest.mark.parametrize(
    ("index", "identity"),
    [
        ("%any", None),
        ("0.0.0.0", None),
        ("%any6", Identity(IdType.IPV6_ADDR, bytes(16))),
        ("2001:db8::1", Identity(IdType.IPV6_ADDR, bytes.fromhex("20010db8000000000000000000000001"))),
        ("@west.example", Identity(IdType.FQDN, b"west.example")),
        ("joe@example.com", Identity(IdType.USER_FQDN, b"joe@example.com")),
        ("peer.example", Identity(IdType.IPV4_ADDR, bytes([10, 12, 12, 1]))),
        ("@[key1]", Identity(IdType.KEY_ID, b"key1")),
    ],
)
def test_indices(read_secrets, index, identity):
    found = read_secrets(f'{index} : PSK "x"\n')
    assert not found.problems
    assert found.preshared[0].indices == (identity,)


@pytest.mark.parametrize("indices", ["", "@west.example", "10.0.0.1 %any"])
def test_an_rsa_key_as_newhostkey_wrote_it(read_secrets, indices):
    found = read_secrets(entry(indices))
    assert not found.problems
    [secret] = found.private
    assert secret.key.public.n == new_key().private_numbers().public_numbers.n
    assert len(secret.indices) == len(indices.split())
    assert secret.where.endswith("ipsec.secrets:1")


def test_base_64_numbers_and_names_in_any_case(read_secrets):
    from base64 import b64encode

    def line(words: str) -> str:
        name, number = words.split(": 0x")
        return f"{name.upper()}: 0s{b64encode(bytes.fromhex(number)).decode()}"

    text = "\n".join(line(words) if ": 0x" in words else words for words in entry().split("\n"))
    assert len(read_secrets(text).private) == 1


@pytest.mark.parametrize("passphrase", [None, b"open sesame"])
@pytest.mark.parametrize("place", ["ipsec.d/private", "."])
def test_a_pem_file_beside(read_secrets, tmp_path, passphrase, place):
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    folder = tmp_path / place
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "west.pem").write_bytes(new_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    (folder / "west.pem").chmod(0o600)
    words = f' "{passphrase.decode()}"' if passphrase else ""
    found = read_secrets(f"@west : RSA west.pem{words}\n")
    assert not found.problems
    assert found.private[0].key.public.n == new_key().private_numbers().public_numbers.n


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"10.0.0.1 {KING}", "it has no secret: up to 100 indices, a colon"),
        (f"10.0.0.1 :PSK {KING}", "it has no secret"),
        (f'10.0.0.1 :PSK "{KING}"', "its index 2 is no"),
        (f'nowhere.example 10.0.0.1: PSK "{KING}"', "its index 1 is no"),
        (f'{KING} 10.0.0.1: PSK "x"', "its index 1 is no"),
        (f'%myid : PSK "{KING}"', "its index 1 is no"),
        (f": PSK {KING}", "must begin with 0x"),
        (f": PSK 0x{KING}", "no whole hexadecimal"),
        (f": PSK 0s{KING}!", "no whole hexadecimal or base 64"),
        (f': PSK "{KING}', "quotes are not closed"),
        (f': PSK "{KING}" {KING}', "a PSK is one word"),
        (f": PSK {KING} {KING}", "a PSK is one word"),
        (": PSK", "a PSK is one word"),
        (': PSK ""', "a PSK is one word"),
        (":", "PSK or RSA must come after"),
        (f": {KING}", "PSK or RSA must come after"),
        (f": XAUTH {KING}", "XAUTH are not supported"),
        (f": PIN %smartcard {KING}", "smart cards are not supported"),
        (": RSA", "RSA takes { and numbers, or the name of a PEM file"),
        (f": RSA {KING}.pem", "there is no such file"),
        (": RSA west.pem %prompt", "nobody is there to be asked"),
        (f": RSA west.pem {KING} {KING}", "RSA takes"),
        (f": RSA {{\n\tModulus: 0x{KING}\n\t}}", "its numbers must be Modulus"),
        (": RSA {", "must end with a }"),
        (f"\t: PSK {KING}", "this line is indented, but no entry begins above it"),
        ("%any " * 101 + ": PSK 0x01", "up to 100 indices"),
    ],
)
def test_a_bad_entry_is_left_out_told_of_and_not_shown(read_secrets, text, reason):
    found = read_secrets(f'{text}\n: PSK "good"\n')
    assert [one.key for one in found.preshared] == [b"good"]
    [problem] = found.problems
    assert reason in problem
    assert KING not in problem.replace(f"/{KING}.pem", "")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("Prime1: 0x", "Prime1: 0x11"),
        lambda text: text.replace("Prime1", "Prime3"),
        lambda text: text.replace("\tCoefficient", "\t#"),
        lambda text: text.replace("\t}", "}"),
        lambda text: text.replace("\t}", "\t} more"),
        lambda text: text.replace("Exponent1: 0x", "Exponent1: 0xz"),
        lambda text: text.replace("PublicExponent: 0x", "PublicExponent: 0x" + "00" * 2000),
    ],
)
def test_a_broken_rsa_key_is_left_out_without_showing_its_numbers(read_secrets, change):
    found = read_secrets(change(entry()))
    assert not found.private
    assert found.problems
    secret = f"{new_key().private_numbers().p:x}"
    assert secret[:20] not in " ".join(found.problems)
    assert str(new_key().private_numbers().p)[:20] not in " ".join(found.problems)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602, 0o660])
def test_a_file_that_others_may_read_is_not_used(tmp_path, mode):
    path = tmp_path / "ipsec.secrets"
    path.write_text(': PSK "x"\n')
    path.chmod(mode)
    found = load_secrets(path)
    assert not found.preshared
    assert f"chmod 600 {path}" in found.problems[0]


def test_an_included_file_that_others_may_read_is_not_used_and_the_rest_is(read_secrets, tmp_path):
    for name, mode in (("a", 0o600), ("b", 0o644)):
        (tmp_path / f"ipsec.{name}.secrets").write_text(f'{name}.x@example.com : PSK "{name}"\n')
        (tmp_path / f"ipsec.{name}.secrets").chmod(mode)
    found = read_secrets('include ipsec.*.secrets\n: PSK "main"\n')
    assert [one.key for one in found.preshared] == [b"a", b"main"]
    assert "chmod 600" in found.problems[0]


def test_a_pem_file_that_others_may_read_is_not_used(read_secrets, tmp_path):
    (tmp_path / "west.pem").write_bytes(b"x")
    (tmp_path / "west.pem").chmod(0o644)
    [problem] = read_secrets(": RSA west.pem\n").problems
    assert f"chmod 600 {tmp_path}/west.pem; the entry is left out" in problem


def test_no_file_is_no_secrets_and_a_problem(tmp_path):
    assert "no such file" in load_secrets(tmp_path / "ipsec.secrets").problems[0]


def test_two_secrets_for_the_same_indices_are_told_of(read_secrets):
    found = read_secrets('10.0.0.1 @a : PSK "one"\n@a 10.0.0.1 : PSK "two"\n@a 10.0.0.1 : PSK "one"\n')
    [problem] = found.problems
    assert "ipsec.secrets:2: not used, " in problem


def test_secrets_do_not_show(read_secrets):
    found = read_secrets(f': PSK "{KING}"\n{entry()}')
    assert KING not in repr(found)
    assert str(new_key().private_numbers().d) not in repr(found)
