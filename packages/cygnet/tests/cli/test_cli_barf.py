"""``ipsec barf``: everything about a host in one text, bounded in time and size; and not one of its secrets."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest
from cygnet.cli import barf, main, service
from cygnet.cli.censor import CAUGHT, HIDDEN, KEYS, PROGRAMS, Net, configuration, settings
from cygnet.conf.parameters import ALIASES, TABLES
from cygnet.crypto.rsa import NUMBER_NAMES, PrivateKey
from cygnet.daemon.lock import Lock
from hypothesis import given
from hypothesis import strategies as st

KEY = PrivateKey.generate(1024)
PSK, PASSPHRASE, MANUAL = "correct horse battery staple", "open sesame now", "0x0123456789abcdef0123456789abcdef"
LOST = "0sVGhpcyBpcyBub3QgdXNlZA=="
SECRETS = f"""# an older one: "comments may have secrets"
192.0.2.1 192.0.2.2 : PSK "{PSK}"
@west : RSA west.key "{PASSPHRASE}"
192.0.2.9 : PSK {LOST}
no.such.name.example : PSK "left out, and secret all the same"
192.0.2.3 192.0.2.4 PSK withoutanycolon
: RSA {{
{{numbers}}	}}
"""
CONFIG = f"""version 2
config setup
	interfaces=%defaultroute
	prepluto="/bin/hook --password hunter2hunter2"
conn west
	# leftespenckey=0xfeedfeedfeedfeed, in a comment
	left=192.0.2.1
	right=192.0.2.2
	leftrsasigkey=0sAQNqTYuX8vX9
	espenckey={MANUAL}
	leftahkey=0xdeadbeefdeadbeef
	leftupdown="ipsec _updown iptables"
	wepkey=0x1122334455
	this is no parameter at all, s3cr3t as it may be
	x-note="my mother's maiden name"
	auto=add
include other.conf
wpa_passphrase something
"""
SPILT = [
    PSK, PSK.encode().hex(), PASSPHRASE, MANUAL, MANUAL[2:], LOST, "This is not used", "left out, and secret", "withoutanycolon",
    "comments may have", "hunter2", "feedfeed", "deadbeef", "1122334455", "s3cr3t", "maiden", "something",
]  # fmt: skip


def numbers() -> dict[str, str]:
    return {name: f"{number:0256x}".lstrip("0") for name, number in KEY.secret_numbers().items()}


def odd(text: str) -> str:
    return "0" * (len(text) % 2) + text


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host whose files have its secrets, also where they do not belong."""
    lines = "".join(f"\t{name}: 0x{odd(text)}\n" for name, text in numbers().items())
    etc = tmp_path / "etc"
    for path, text in {
        "etc/ipsec.secrets": SECRETS.replace("{numbers}", lines),
        "etc/ipsec.conf": CONFIG,
        "etc/other.conf": f"conn east\n\tleft=192.0.2.1\n\tright=192.0.2.3\n\tahkey={MANUAL}\n",
        "etc/cygnet/network": f"# network\nWAN=eth0\nPPPOE_PASSWORD={PSK}x\nDNS=\n",
        "etc/ipsec.d/policies/private": "10.0.0.0/8\n",
        "proc/version": "Linux version 6.12\n",
        "proc/net/xfrm_stat": "XfrmInError 0\n",
        "proc/sys/net/core/xfrm_acq_expires": "165\n",
        "proc/sys/net/core/xfrm_larval_drop": "1\n",
        "var/log/syslog": "".join(f"pluto: line {number}\n" for number in range(20_000))
        + f"sshd: not ours\npluto: somebody logged {PSK}\npluto: and 0x{numbers()['Prime1']}\npluto: \x1b[2Jescapes\n"
        + "pluto: the end\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    (etc / "ipsec.secrets").chmod(0o600)
    monkeypatch.setattr(barf, "ROOT", tmp_path)
    monkeypatch.setattr(barf, "LOGS", ())
    monkeypatch.setenv("IPSEC_CONFS", str(etc))
    return tmp_path


def sections(text: str) -> dict[str, list[str]]:
    """Title -> lines, the command aside."""
    parts = re.split(r"^\+ _{25} (.*)\n\+ .*\n", text, flags=re.MULTILINE)
    return {title: body.splitlines() for title, body in zip(parts[1::2], parts[2::2], strict=True)}


@pytest.fixture
def spat(host: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, list[str]]:
    assert main(["barf"]) == 0
    return sections(capsys.readouterr().out)


def test_it_is_complete_small_and_without_secrets(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["barf"]) == 0
    text = capsys.readouterr().out
    assert sections(text).keys() == {section.title for section in barf.SECTIONS}
    assert len(text) < 1_000_000
    assert text.isascii()
    assert not [secret for secret in SPILT if secret.lower() in text.lower()]
    hidden = {name: number for name, number in numbers().items() if name not in NUMBER_NAMES[:2]}
    assert not [name for name, number in hidden.items() if number in text.lower()]
    assert "Pluto does not run: what only it knows is missing below" in text


def test_whatever_the_sections_say_they_cannot_be_too_much_together() -> None:
    sizes = [barf.MOST_LOG if section.log else barf.MOST for section in barf.SECTIONS]
    headers = sum(100 + len(section.title) + len(" ".join(section.words)) for section in barf.SECTIONS)
    assert sum(sizes) + headers < 1_000_000


def test_the_configuration_as_it_is_shown(spat: dict[str, list[str]], host: Path) -> None:
    shown = [line for line in spat["ipsec/conf"] if not line.startswith("#<")]
    assert shown == [
        "version 2",
        "config setup",
        "\tinterfaces=%defaultroute",
        f'\tprepluto="/bin/hook {HIDDEN}"',
        "conn west",
        "\tleft=192.0.2.1",
        "\tright=192.0.2.2",
        "\tleftrsasigkey=[keyid AQNqTYuX8]",
        f"\tespenckey={HIDDEN}",
        f"\tleftahkey={HIDDEN}",
        '\tleftupdown="ipsec _updown iptables"',
        f"\twepkey={HIDDEN}",
        f"\t{HIDDEN}",
        f"\tx-note={HIDDEN}",
        "\tauto=add",
        "conn east",
        "\tleft=192.0.2.1",
        "\tright=192.0.2.3",
        f"\tahkey={HIDDEN}",
        HIDDEN,
    ]


def test_the_secrets_as_they_are_shown(spat: dict[str, list[str]], host: Path) -> None:
    """Who has which kind, and what is wrong with an entry; of an RSA key its size and public name."""
    text = "\n".join(spat["ipsec/secrets"]).replace(f"{host}/etc/", "")
    assert "ipsec.secrets:2: PSK for 192.0.2.1 192.0.2.2\nipsec.secrets:4: PSK for 192.0.2.9" in text
    assert f"ipsec.secrets:7: RSA 1024 bits, key {KEY.public.key_id}, for everyone" in text
    assert "ipsec.secrets:6: it has no secret" in text


def test_other_files_as_they_are_shown(spat: dict[str, list[str]]) -> None:
    assert spat["box/network"] == ["WAN=eth0", f"PPPOE_PASSWORD={HIDDEN}", "DNS="]
    assert spat["/proc/sys/net/core/xfrm-star"] == [
        "/proc/sys/net/core/xfrm_acq_expires: 165",
        "/proc/sys/net/core/xfrm_larval_drop: 1",
    ]
    assert spat["/proc/version"] == ["Linux version 6.12"]
    assert spat["ipsec/policies"] == ["/etc/ipsec.d/policies/private: 10.0.0.0/8"]


def test_the_log_ends_where_it_ends_and_has_lost_the_lines_with_secrets(spat: dict[str, list[str]]) -> None:
    log = [line.removeprefix("/var/log/syslog: ") for line in spat["plog"]]
    assert log[-4:] == [CAUGHT, CAUGHT, "pluto: ?[2Jescapes", "pluto: the end"]
    assert log[0].startswith("[cut: ")
    assert "sshd" not in "".join(log)


def test_short_and_maxlines(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["barf", "--short", "--maxlines", "200"]) == 0
    text = capsys.readouterr().out
    assert len(sections(text)["plog"]) == barf.SHORT + 1
    assert max(len(lines) for lines in sections(text).values()) <= 202
    assert main(["barf", "--maxlines", "0"]) == 2


def test_a_daemon_that_hangs_keeps_nothing_back(
    host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Given a socket at which nobody answers, when the status takes too long, then the rest comes all the same."""
    import socket

    from cygnet.control import codes

    lock = Lock(tmp_path / "pluto.pid")
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / "pluto.ctl"))
        deaf.listen()
        for module in (codes, barf):
            monkeypatch.setattr(module, "CONTROL_BASE", str(tmp_path / "pluto"))
        monkeypatch.setattr(barf, "SECONDS", 1)
        monkeypatch.setattr(
            barf, "SECTIONS", [each for each in barf.SECTIONS if each.title in ("ipsec/status", "date")]
        )
        assert main(["barf"]) == 0
    lock.release()
    found = sections(capsys.readouterr().out)
    assert found["ipsec/status"][-1] == "[cut off: it took more than 1 s]"
    assert found["date"]


@pytest.mark.parametrize(
    ("words", "log", "said"),
    [
        (("no-such-program",), False, ["no-such-program: No such file or directory"]),
        (("sh", "-c", "echo out; echo error >&2"), False, ["out", "error"]),
        (("sh", "-c", "echo no end; sleep 1000 & wait"), False, ["no end", "[cut off: it took more than 1 s]"]),
        (("seq", "99999"), False, ["1", "2", "[cut: much more than can be shown]"]),
        (("seq", "99999"), True, ["[cut: much more than can be shown]", "99998", "99999"]),
        (("seq", "100"), False, ["1", "2", "[cut: 98 more lines]"]),
        (("seq", "100"), True, ["[cut: 98 more lines]", "99", "100"]),
        (("printf", "%0300d\n%0300d\n", "1", "2"), False, [f"{1:0300}", "[cut: 1 more lines]"]),
        (("head", "-c", "5000", "/dev/zero"), False, ["[cut: much more than can be shown]"]),
        (("printf", r"a\033[31m\377b"), False, [r"a?[31m\xffb"]),
        (("settings", "etc/shadow-of-nobody"), False, ["settings: No such file or directory"]),
    ],
)
def test_a_section_is_bounded(
    words: tuple[str, ...], log: bool, said: list[str], host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(barf, "SECONDS", 1)
    monkeypatch.setattr(barf, "MOST", 400)
    monkeypatch.setattr(barf, "MOST_LOG", 400)
    shown = barf.bounded(barf.Section("", words, log), 2, Net(host / "none", host / "none"))
    assert shown == said
    assert len("\n".join(shown)) < 600


def test_nothing_of_a_section_that_was_cut_off_goes_on(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(barf, "SECONDS", 1)
    heard, _ = barf.collect(("sh", "-c", "sleep 1000 & echo $!; wait"), 1000, False)
    for _ in range(100):
        try:
            os.kill(int(heard), 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{int(heard)}/stat").read_text().split()[2] == "Z":
            return
        time.sleep(0.05)
    os.kill(int(heard), signal.SIGKILL)
    raise AssertionError("the program of a section still runs")


def test_a_broken_section_is_one_sentence(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(barf.ACTIONS, "conf", lambda: 1 / 0)  # type: ignore[dict-item, arg-type, return-value]
    assert barf.collect(("conf",), 1000, False)[0] == b"this section came to grief: ZeroDivisionError\n"


def test_every_parameter_of_a_key_is_hidden_and_no_other_manual_one() -> None:
    """Whoever adds a parameter that holds a key finds out here that barf must know it."""
    manual = {name for name, row in TABLES["conn"].items() if row.manual}
    keys = {name for name in manual if name.removeprefix("left").removeprefix("right") in KEYS}
    assert {name for name in manual if "key" in name} == keys
    assert manual - keys == {name for name in manual if re.search("spi|window", name)}
    assert set(PROGRAMS) <= {
        name.removeprefix("left").removeprefix("right") for table in TABLES.values() for name in table
    }


PUBLIC = sorted(
    {*TABLES["conn"], *TABLES["config"], *ALIASES} - {f"{side}{key}" for side in ("", "left", "right") for key in KEYS}
)
NAME = st.from_regex(r"[a-z_][a-z0-9_-]{0,12}", fullmatch=True).filter(lambda name: name not in PUBLIC)
VALUE = st.text("GHJKLMNOP", min_size=12, max_size=20)


@given(
    st.lists(
        st.tuples(st.sampled_from([*KEYS, "leftespenckey"]) | NAME, VALUE, st.sampled_from(["", '"', " ", "#", " x "]))
    )
)
def test_what_is_not_known_to_be_public_is_never_shown(lines: list[tuple[str, str, str]]) -> None:
    """Whatever a line looks like: unless its parameter is known and no key, its value does not come through."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ipsec.conf"
        path.write_text("conn west\n" + "".join(f"\t{name}={mark}{value}{mark}\n" for name, value, mark in lines))
        shown = "\n".join(configuration(path))
    assert not [value for _, value, _ in lines if value in shown]


@given(st.text(st.characters(codec="utf-8"), max_size=200))
def test_settings_show_nothing_but_what_they_know(text: str) -> None:
    for line in settings(text):
        assert line.startswith(tuple(f"{key}=" for key in barf_settings())) or line.endswith(HIDDEN)


def barf_settings() -> list[str]:
    from cygnet.cli.censor import SETTINGS

    return SETTINGS


def test_the_net_knows_every_form(host: Path) -> None:
    net = Net(host / "etc/ipsec.conf", host / "etc/ipsec.secrets")
    for spilt in (
        PSK,
        PSK.encode().hex().upper(),
        MANUAL[2:],
        "This is not used",
        "withoutanycolon",
        "VGhpcyBpcyBub3QgdXNlZA",
    ):
        assert net.clean(f"before\nx {spilt} y\nafter") == f"before\n{CAUGHT}\nafter"
    # A file's name, an address and a public number are none of them.
    plain = f"west.key 192.0.2.3 0x{odd(numbers()['Modulus'])} 0x03"
    assert net.clean(plain) == plain


def test_without_any_file_there_is_nothing_to_hide(tmp_path: Path) -> None:
    assert Net(tmp_path / "a", tmp_path / "b").words == set()


def test_whether_the_daemon_runs_is_said_first(
    host: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(service, "pid", lambda base: 7)
    monkeypatch.setattr(barf, "SECTIONS", ())
    assert main(["barf"]) == 0
    assert capsys.readouterr().out.splitlines()[2] == "Pluto runs"
