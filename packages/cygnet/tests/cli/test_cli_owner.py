"""``ipsec secrets``, ``showdefaults`` and ``mailkey``: what this host has and is, said without its secrets."""

from __future__ import annotations

import hashlib
from email import message_from_string
from ipaddress import ip_address
from pathlib import Path

import pytest
from cygnet.cli import main, newhostkey
from cygnet.conf import load_secrets
from cygnet.connection.local import Local
from cygnet.control import client
from cygnet.kernel import links

PSK = "correct horse battery staple"


@pytest.fixture
def etc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A host with a key of its own and two shared secrets."""
    monkeypatch.setenv("IPSEC_CONFS", str(tmp_path))
    monkeypatch.setattr(newhostkey, "DEFAULT_BITS", "1024")
    main(["newhostkey", "--output", str(tmp_path / "ipsec.secrets"), "--hostname", "west.example.com"])
    with (tmp_path / "ipsec.secrets").open("a") as file:
        file.write(f'192.0.2.1 %any @east.example.com you@example.com : PSK "{PSK}"\n%any6 : PSK 0x0123456789\n')
    capsys.readouterr()
    return tmp_path


def ipsec(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = main(list(words))
    output = capsys.readouterr()
    return status, output.out, output.err


def test_secrets_are_listed_and_the_daemon_reads_them_anew(
    etc: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(client, "ask", lambda request, show, base: asked.append(request) or 0)
    status, out, _ = ipsec(capsys, "secrets")
    assert (status, asked) == (0, [{"command": "rereadsecrets"}])
    [key] = load_secrets(etc / "ipsec.secrets").private
    lines = [line.removeprefix(f"{etc}/") for line in out.splitlines()]
    assert [line.partition(": ")[2] for line in lines] == [
        "PSK for 192.0.2.1 %any @east.example.com you@example.com",
        "PSK for %any6",
        f"RSA 1024 bits, key {key.key.public.key_id}, for everyone",
    ]
    assert not [secret for secret in (PSK, "0123456789", f"{key.key.secret_numbers()['Prime1']:x}") if secret in out]


def test_secrets_are_listed_without_a_daemon(etc: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = str(etc / "pluto")
    status, out, error = ipsec(capsys, "secrets", "--ctlbase", base)
    assert (status, len(out.splitlines())) == (1, 3)
    assert "Pluto is not running" in error
    assert ipsec(capsys, "secrets", "--list", "--ctlbase", base) == (0, out, "")
    other = etc / "other"
    other.write_text(": PSK\n")
    other.chmod(0o600)
    status, out, error = ipsec(capsys, "secrets", "--file", str(other))
    assert (status, error) == (1, "")
    assert out.startswith(f"{other}:1: a PSK is one word")


LOCAL = Local({"eth0": (ip_address("192.0.2.1"),)}, "eth0", ip_address("192.0.2.254"), ip_address("192.0.2.1"))


@pytest.mark.parametrize(
    ("interfaces", "local", "status", "said"),
    [
        (
            "%defaultroute",
            LOCAL,
            0,
            "routephys=eth0\nroutevirt=ipsec0\nrouteaddr=192.0.2.1\nroutenexthop=192.0.2.254\n",
        ),
        ('"ipsec0=eth1 ipsec3=eth0"', LOCAL, 0, "routevirt=ipsec3\n"),
        ("%defaultroute", Local({}, "ppp0", None, ip_address("192.0.2.9")), 0, "routenexthop=\n"),
        ("%none", LOCAL, 1, "interfaces= has no pair for eth0"),
        ("%defaultroute", Local(), 1, "there is no default route"),
    ],
)
def test_defaults(
    etc: Path, interfaces: str, local: Local, status: int, said: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (etc / "ipsec.conf").write_text(f"version 2\nconfig setup\n\tinterfaces={interfaces}\n")
    monkeypatch.setattr(links, "read_local", lambda: local)
    found, out, error = ipsec(capsys, "showdefaults")
    assert found == status
    assert said in out + error


def test_a_mail_for_the_other_end(etc: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = ipsec(capsys, "mailkey", "--me", "me@west.example.com", "--to", "peer@example.org")
    mail = message_from_string(out)
    assert status == 0
    assert [mail[name] for name in ("From", "To", "Reply-To", "Subject")] == [
        "me@west.example.com", "peer@example.org", "me@west.example.com", "public key of the IPsec gateway west.example.com",
    ]  # fmt: skip
    body = mail.get_payload()
    [key] = load_secrets(etc / "ipsec.secrets").private
    shown = ipsec(capsys, "showhostkey", "--left")[1]
    assert shown in body
    digest = hashlib.sha256(key.key.public.blob).hexdigest()
    assert digest in body.replace(" ", "")
    assert f"{key.key.secret_numbers()['Prime1']:x}" not in body


@pytest.mark.parametrize(
    ("words", "subject", "record"),
    [
        (
            "--forward west.example.com",
            "a DNS record for west.example.com.",
            'west.example.com. IN\tTXT\t"X-IPsec-Server(10)=@west.example.com ',
        ),
        (
            "--reverse 192.0.2.1",
            "a DNS record for 1.2.0.192.in-addr.arpa.",
            '1.2.0.192.in-addr.arpa. IN\tTXT\t"X-IPsec-Server(10)=192.0.2.1 ',
        ),
    ],
)
def test_a_mail_for_the_zone(
    etc: Path, words: str, subject: str, record: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = ipsec(capsys, "mailkey", "--me", "me@west.example.com", *words.split())
    mail = message_from_string(out)
    assert (mail["To"], mail["Subject"]) == ("FILL-IN@example.invalid", subject)
    assert record in mail.get_payload()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "usage: ipsec mailkey"),
        (["--me", "me@x.org", "--forward", "x.org", "--reverse", "192.0.2.1"], "usage: ipsec mailkey"),
        (["--me", "me@x.org\nBcc: all@x.org"], "--me is a mail address"),
        (["--me", "me@x.org", "--to", "nobody"], "--to is a mail address, not 'nobody'"),
        (["--me", "me@x.org", "--forward", 'x.org" evil'], "--forward is a host name"),
        (["--me", "me@x.org", "--reverse", "2001:db8::1"], "--reverse is an IPv4 address"),
    ],
)
def test_a_wrong_mail(etc: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, error = ipsec(capsys, "mailkey", *words)
    assert (status, out) == (2, "")
    assert said in error
