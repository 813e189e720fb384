"""Keys: made, written whole or not at all, shown in every form that others need; never the secret half."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from pathlib import Path

import dns.zone
import pytest
from cygnet.cli import hostkeys, main, newhostkey
from cygnet.conf import load_secrets
from cygnet.crypto.rsa import PrivateKey, PublicKey
from cygnet.dns import records

SOURCE = Path(__file__).resolve().parents[2] / "src"
KEY = PrivateKey.generate(1024)
OTHER = PrivateKey.generate(1024)
BLOB = base64.b64encode(KEY.public.blob).decode()
COMMENT = "RSA 1024 bits   xy.example.com   Sat Apr 15 13:53:22 2000"
SECRETS = ("PrivateExponent", "Prime1", "Prime2", "Exponent1", "Exponent2", "Coefficient")


def entry(key: PrivateKey = KEY, labels: str = "", comment: str = COMMENT) -> str:
    numbers = [
        f"\t{name}: 0x{number:x}" if len(f"{number:x}") % 2 == 0 else f"\t{name}: 0x0{number:x}"
        for name, number in key.secret_numbers().items()
    ]
    return "\n".join([f"{labels}: RSA\t{{", *([f"\t# {comment}"] if comment else []), *numbers, "\t}", ""])


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    return write(tmp_path / "ipsec.secrets", entry())


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


def ipsec(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = main(list(words))
    output = capsys.readouterr()
    return status, output.out, output.err


FORMS = [
    ("", f"; {COMMENT}\nxy.example.com.\tIN\tKEY\t16896 4 1 {BLOB}\n"),
    ("--key", f"; {COMMENT}\nxy.example.com.\tIN\tKEY\t16896 4 1 {BLOB}\n"),
    ("--left", f"\t# {COMMENT}\n\tleftid=@xy.example.com\n\tleftrsasigkey=0s{BLOB}\n"),
    ("--right", f"\t# {COMMENT}\n\trightid=@xy.example.com\n\trightrsasigkey=0s{BLOB}\n"),
    ("--txt 1.2.3.4", f'; {COMMENT}\n\tIN\tTXT\t"X-IPsec-Server(10)=1.2.3.4 {BLOB}"\n'),
    ("--txt @gw.example.com", f'; {COMMENT}\n\tIN\tTXT\t"X-IPsec-Server(10)=@gw.example.com {BLOB}"\n'),
    (
        "--txt 1.2.3.4 --for 192.0.2.5",
        f'; {COMMENT}\n5.2.0.192.in-addr.arpa.\tIN\tTXT\t"X-IPsec-Server(10)=1.2.3.4 {BLOB}"\n',
    ),
    ("--for road.example.org", f"; {COMMENT}\nroad.example.org.\tIN\tKEY\t16896 4 1 {BLOB}\n"),
    ("--ipseckey", f"; {COMMENT}\nxy.example.com.\tIN\tIPSECKEY\t10 0 2 . {BLOB}\n"),
    ("--ipseckey --gateway 192.0.2.38", f"; {COMMENT}\nxy.example.com.\tIN\tIPSECKEY\t10 1 2 192.0.2.38 {BLOB}\n"),
    (
        "--ipseckey --gateway 2001:db8::1 --precedence 0",
        f"; {COMMENT}\nxy.example.com.\tIN\tIPSECKEY\t0 2 2 2001:db8::1 {BLOB}\n",
    ),
    (
        "--ipseckey --gateway gw.example.com.",
        f"; {COMMENT}\nxy.example.com.\tIN\tIPSECKEY\t10 3 2 gw.example.com. {BLOB}\n",
    ),
]


@pytest.mark.parametrize(("options", "shown"), FORMS, ids=[options or "plain" for options, _ in FORMS])
def test_the_public_key_in_every_form(
    capsys: pytest.CaptureFixture[str], secrets: Path, options: str, shown: str
) -> None:
    assert ipsec(capsys, "showhostkey", "--file", str(secrets), *options.split()) == (0, shown, "")


RECORDS = ["--key", "--key --for 2001:db8::5", "--txt 192.0.2.1 --for 192.0.2.5", "--ipseckey --for a.example.org."]


@pytest.mark.parametrize("options", RECORDS)
def test_each_record_is_a_line_of_a_zone_file(capsys: pytest.CaptureFixture[str], tmp_path: Path, options: str) -> None:
    """As another reads zone files (dnspython); what comes out of its wire format is the key."""
    path = write(tmp_path / "ipsec.secrets", entry(PrivateKey.generate(2048)))
    shown = ipsec(capsys, "showhostkey", "--file", str(path), *options.split())[1]
    zone = dns.zone.from_text(f"$TTL 60\n{shown}", origin=".", relativize=False, check_origin=False)
    [data] = [data.to_wire() for _, _, data in zone.iterate_rdatas()]
    key = load_secrets(path).private[0].key.public.blob
    made = records.ipseckey(data) or records.txt(data)
    assert data and (made.key if made else records.key(data)) == key


def test_a_long_key_is_split_into_strings_first_before_the_key(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    key = PrivateKey.generate(2048)
    path = write(tmp_path / "ipsec.secrets", entry(key))
    record = ipsec(capsys, "showhostkey", "--txt", "1.2.3.4", "--file", str(path))[1].splitlines()[1]
    strings = re.findall(r'"([^"]*)"', record)
    assert strings[0] == "X-IPsec-Server(10)=1.2.3.4"
    assert all(len(string) <= 255 for string in strings)
    blob = base64.b64encode(key.public.blob).decode()
    assert "".join(strings) == f"X-IPsec-Server(10)=1.2.3.4 {blob}"


def test_the_label_of_a_key_is_its_id(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Given a file with a key for everyone and one with a label, then --id chooses, and the label is what others write."""
    path = write(
        tmp_path / "ipsec.secrets", entry(OTHER) + entry(KEY, "@road.example.com ") + "@a @b : PSK 'none of it'\n"
    )
    assert base64.b64encode(OTHER.public.blob).decode() in ipsec(capsys, "showhostkey", "--file", str(path))[1]
    shown = ipsec(capsys, "showhostkey", "--left", "--id", "@road.example.com", "--file", str(path))[1]
    assert "\tleftid=@road.example.com\n" in shown
    assert BLOB in shown
    listed = ipsec(capsys, "showhostkey", "--list", "--file", str(path))[1].splitlines()
    assert [line.split()[0] for line in listed] == ["(default)", "@road.example.com"]
    status, _, said = ipsec(capsys, "showhostkey", "--id", "@nobody", "--file", str(path))
    assert (status, said) == (
        1,
        f"ipsec showhostkey: {path}: no key for @nobody; choose by --id one of @road.example.com\n",
    )


def test_a_host_without_a_full_name_claims_none(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = write(tmp_path / "ipsec.secrets", entry(comment="RSA 1024 bits   cygnet   Sat Apr 15 13:53:22 2000"))
    assert "leftid" not in ipsec(capsys, "showhostkey", "--left", "--file", str(path))[1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "ipsec.secrets"),
        ("", "there is no RSA key in it; ipsec newhostkey makes one"),
        ("@a @b : PSK 'only a password'\n", "there is no RSA key in it"),
        (entry() + entry(OTHER), "more than one key"),
        (": RSA {\n\tModulus: 0x1\n\t}\n", "ipsec.secrets:1"),
    ],
)
def test_where_there_is_no_key_one_sentence_says_what_to_do(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str | None, said: str
) -> None:
    path = tmp_path / "ipsec.secrets"
    if text is not None:
        write(path, text)
    status, out, err = ipsec(capsys, "showhostkey", "--file", str(path))
    assert (status, out) == (1, "")
    assert said in err
    assert len(err.splitlines()) == 1


def test_a_new_key_is_one_that_the_daemon_reads_and_that_showhostkey_shows(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "ipsec.secrets"
    words = ("newhostkey", "--output", str(path), "--bits", "1024", "--hostname", "xy.example.com")
    status, out, err = ipsec(capsys, *words)
    assert (status, out) == (0, "")
    assert "512 bits" in err
    assert path.stat().st_mode & 0o777 == 0o600
    found = load_secrets(path)
    assert not found.problems
    shown = ipsec(capsys, "showhostkey", "--file", str(path))[1]
    assert re.match(r"; RSA 1024 bits   xy\.example\.com   \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}\n", shown)
    assert shown.split()[-1] == base64.b64encode(found.private[0].key.public.blob).decode()
    secret = [f"{number:x}" for name, number in found.private[0].key.secret_numbers().items() if name in SECRETS]
    assert not [digits for digits in secret if digits in shown + err]


def test_what_the_file_holds_stays_before_the_new_key(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = write(tmp_path / "ipsec.secrets", "@a @b : PSK 'kept'")
    path.chmod(0o644)
    words = ("newhostkey", "--output", str(path), "--bits", "1024")
    assert "WARNING" in ipsec(capsys, *words)[2]
    assert ipsec(capsys, *words, "--quiet")[2] == ""
    found = load_secrets(path)
    assert (len(found.preshared), len(found.private)) == (1, 2)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_key_that_cannot_be_written_leaves_the_file_as_it_was(
    capsys: pytest.CaptureFixture[str], secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    before = secrets.read_text()
    monkeypatch.setattr(os, "fsync", full)
    status, _, err = ipsec(capsys, "newhostkey", "--output", str(secrets), "--bits", "1024", "--quiet")
    assert (status, secrets.read_text()) == (1, before)
    assert "No space left on device; no key was written" in err
    assert [path.name for path in secrets.parent.iterdir()] == ["ipsec.secrets"]


def test_the_guides_redirection_closes_the_file_to_others(tmp_path: Path) -> None:
    """``ipsec newhostkey > /etc/ipsec.secrets``, under a umask that would have let everybody read the key."""
    path = tmp_path / "ipsec.secrets"
    command = f"umask 022; {sys.executable} -m cygnet.cli newhostkey --bits 1024 > {path}"
    subprocess.run(["/bin/sh", "-c", command], env={"PYTHONPATH": str(SOURCE)}, stderr=subprocess.DEVNULL, check=True)
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(load_secrets(path).private) == 1


def test_the_size_without_bits_is_for_years(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(newhostkey, "generate", lambda _command, bits, _verbose: asked.append(bits) or KEY)
    assert ipsec(capsys, "newhostkey")[0] == 0
    assert asked == ["3072"]


def test_rsasigkey_prints_freeswans_lines(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = ipsec(capsys, "rsasigkey", "--hostname", "xy.example.com", "1024")
    assert status == 0
    lines = [line.removeprefix("\t") for line in out.splitlines()]
    assert lines[0].startswith("# RSA 1024 bits   xy.example.com   ")
    assert lines[1] == "# for signatures only, UNSAFE FOR ENCRYPTION"
    blob = base64.b64decode(lines[2].removeprefix("#pubkey=0s"), validate=True)
    assert [line.partition(":")[0] for line in lines[3:]] == [
        "Modulus", "PublicExponent", "# everything after this point is secret", *SECRETS
    ]  # fmt: skip
    assert PublicKey.from_blob(blob).n == int(lines[3].partition(": ")[2], 16)


@pytest.mark.parametrize("notation", ["hexadecimal", "base 64"])
def test_an_old_key_comes_out_in_todays_format(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, notation: str
) -> None:
    """Given the numbers of a FreeS/WAN key, the public exponent 3 among them, then all are taken over."""
    old = tmp_path / "oldie"
    lines = []
    for name, number in KEY.secret_numbers().items():
        data = number.to_bytes((number.bit_length() + 7) // 8, "big")
        lines.append(
            f"  {name}: " + (f"0x{data.hex()}" if notation == "hexadecimal" else f"0s{base64.b64encode(data).decode()}")
        )
    old.write_text("some narrative\n" + "\n".join(lines))
    status, out, _ = ipsec(capsys, "rsasigkey", "--oldkey", str(old))
    assert status == 0
    assert f"#pubkey=0s{BLOB}" in out
    assert hostkeys.old_key(str(old)).secret_numbers() == KEY.secret_numbers()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("Prime2", "Prime9"), "Prime2 is missing"),
        (("Coefficient: 0x", "Coefficient: 0xzz"), "Coefficient: it is no whole hexadecimal"),
        (("PublicExponent: 0x010001", "PublicExponent: 0x010003"), "do not undo each other"),
    ],
)
def test_an_old_key_that_is_none_is_refused_without_its_numbers(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    old = tmp_path / "oldie"
    old.write_text("\n".join(hostkeys.key_text(KEY, "h")).replace(*change))
    status, out, err = ipsec(capsys, "rsasigkey", "--oldkey", str(old))
    assert (status, out) == (1, "")
    assert said in err
    assert not re.search("[0-9a-f]{20}", err)
