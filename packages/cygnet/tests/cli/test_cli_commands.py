"""The commands' own sides: what they take, print and end with; what needs no daemon."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cygnet.cli import COMMANDS, main
from cygnet.cli.options import Done, UsageError, nearest, number, parse
from cygnet.cli.whack import ACTIONS

SOURCE = Path(__file__).resolve().parents[2] / "src"
TABLE = (("--up", "", "up"), ("--config", "FILE", "file"))


def ipsec(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = main(list(words))
    output = capsys.readouterr()
    return status, output.out, output.err


@pytest.mark.parametrize(
    ("words", "given", "others"),
    [
        (["--up", "west"], {"--up": ""}, ["west"]),
        (["west", "--up"], {"--up": ""}, ["west"]),
        (["--config", "f", "west"], {"--config": "f"}, ["west"]),
        (["--config=f=g", "west"], {"--config": "f=g"}, ["west"]),
        (["--", "--up"], {}, ["--up"]),
        (["-"], {}, ["-"]),
        (["--config", "--up"], {"--config": "--up"}, []),
        (["--config", "a", "--config", "b"], {"--config": "b"}, []),
    ],
)
def test_options_and_words(words: list[str], given: dict[str, str], others: list[str]) -> None:
    assert parse("ipsec auto", ["usage"], TABLE, words, range(2)) == (given, others)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--upp"], 'unknown option "--upp"; did you mean "--up"?'),
        (["--config"], "--config needs a value: FILE"),
        (["--up=yes"], "--up takes no value"),
        (["a", "b"], "usage: usage"),
        (["-x"], 'unknown option "-x"'),
    ],
)
def test_a_wrong_command_line_is_one_sentence(words: list[str], said: str) -> None:
    with pytest.raises(UsageError) as problem:
        parse("ipsec auto", ["usage"], TABLE, words, range(2))
    assert said in str(problem.value)


@pytest.mark.parametrize("text", ["", "-1", "0", "101", "1e2", "0x10", "³", "9" * 5000, "ten"])
def test_a_number_out_of_bounds_is_told_its_bounds(text: str) -> None:
    with pytest.raises(UsageError, match="from 1 to 100"):
        number("ipsec ranbits", "nbits", text, range(1, 101))


def test_nearest_asks_only_if_something_is_near() -> None:
    assert nearest("staus", ("status",)) == '; did you mean "status"?'
    assert nearest("frobnicate", ("status",)) == ""


def test_help_lists_every_command_but_the_inner_ones(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = ipsec(capsys, "--help")
    listed = re.findall(r"^        (\S+)", out, re.M)
    assert status == 0
    assert listed == [name for name in COMMANDS if not name.startswith("_")] == sorted(listed)


@pytest.mark.parametrize("name", [name for name in COMMANDS if not name.startswith("_")])
def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str], name: str) -> None:
    status, out, _ = ipsec(capsys, name, "--help")
    assert status == 0
    assert out.startswith(f"usage: ipsec {name}")
    assert "  --help" in out
    assert ipsec(capsys, name, "--version") == (0, f"ipsec {name} 0.1\n", "")


def test_the_program_without_docstrings_explains_itself_too() -> None:
    command = [sys.executable, "-OO", "-m", "cygnet.cli", "auto", "--help"]
    done = subprocess.run(command, env={"PYTHONPATH": str(SOURCE)}, capture_output=True, text=True, check=True)
    assert "--rereadsecrets" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["atuo", "--status"], 'ipsec: unknown command "atuo"; did you mean "auto"?'),
        (["--versoin"], 'ipsec: unknown option "--versoin"; did you mean "--version'),
        (["frobnicate"], 'ipsec: unknown command "frobnicate" (ipsec --help'),
        (["auto", "--sttaus"], 'did you mean "--status"?'),
        (["auto"], "usage: ipsec auto"),
        (["auto", "--up"], "usage: ipsec auto"),
        (["auto", "--up", "--down", "west"], "usage: ipsec auto"),
        (["auto", "--status", "west"], "usage: ipsec auto"),
        (["auto", "--up", "west", "east"], "usage: ipsec auto"),
        (["whack"], "no action given"),
        (["whack", "--initiate"], "--name goes with"),
        (["whack", "--status", "--name", "west"], "--name goes with"),
        (["setup"], "usage: ipsec setup"),
        (["setup", "strat"], "usage: ipsec setup"),
        (["setup", "start", "stop"], "usage: ipsec setup"),
        (["ranbits"], "usage: ipsec ranbits"),
        (["ranbits", "20001"], "from 1 to 20000"),
        (["ranbits", "--bytes", "2501"], "from 1 to 2500"),
        (["rsasigkey"], "usage: ipsec rsasigkey"),
        (["rsasigkey", "2047"], "a multiple of 16"),
        (["rsasigkey", "512"], "from 1024"),
        (["newhostkey", "--bits", "99999"], "from 1024"),
        (["newhostkey", "file"], "usage: ipsec newhostkey"),
        (["showhostkey", "--left", "--right"], "--left and --right exclude each other"),
        (["showhostkey", "--txt", ""], "--txt is an address or a name"),
        (["showhostkey", "--txt", "::1"], "--txt is an address or a name"),
        (["showhostkey", "--txt", '@"quoted"'], "--txt is an address or a name"),
        (["showhostkey", "--for", "1.2.3"], "--for is an address or a name"),
        (["showhostkey", "--ipseckey", "--precedence", "256"], "from 0 to 255"),
        (["showhostkey", "--ipseckey", "--gateway", "1.2.3"], "--gateway is an address or a name"),
        (["pluto", "--ikeport", "0"], "from 1 to 65535"),
        (["pluto", "--listen", "eth0"], '--listen takes addresses, not "eth0"'),
        (["pluto", "--kernel", "klips"], "--kernel is xfrm or fake"),
    ],
)
def test_a_wrong_command_ends_2_and_says_what_is_right(
    capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    status, out, err = ipsec(capsys, *words)
    assert (status, out) == (2, "")
    assert said in err


def test_versions(capsys: pytest.CaptureFixture[str]) -> None:
    assert ipsec(capsys, "--version")[1].splitlines()[0] == "Linux Cygnet 0.1"
    assert ipsec(capsys, "--versioncode")[1] == "0.1\n"
    assert "LICENSE" in ipsec(capsys, "--copyright")[1]
    assert (Path(ipsec(capsys, "--directory")[1].strip()) / "auto.py").exists()
    assert ipsec(capsys, "--confdir")[1] == "/etc\n"


def test_without_a_command_there_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert ipsec(capsys)[:2] == ipsec(capsys, "--help")[:2]


REQUESTS = [
    ("--up west", {"command": "up", "name": "west"}),
    ("--asynchronous --up west", {"command": "up", "name": "west", "asynchronous": True}),
    ("--down west", {"command": "down", "name": "west"}),
    ("--add west", {"command": "add", "name": "west"}),
    ("--add --config /tmp/x.conf west", {"command": "add", "name": "west", "config": "/tmp/x.conf"}),
    ("--replace --verbose west", {"command": "replace", "name": "west"}),
    ("--delete west", {"command": "delete", "name": "west"}),
    ("--route west", {"command": "route", "name": "west"}),
    ("--unroute west", {"command": "unroute", "name": "west"}),
    ("--ready", {"command": "listen"}),
    ("--status", {"command": "status"}),
    ("--rereadsecrets", {"command": "rereadsecrets"}),
    ("--rereadgroups", {"command": "rereadgroups"}),
    ("--rereadall", {"command": "rereadall"}),
]


@pytest.mark.parametrize(("line", "request_"), REQUESTS, ids=[line for line, _ in REQUESTS])
def test_showonly_prints_the_request_of_every_operation_and_sends_nothing(
    capsys: pytest.CaptureFixture[str], line: str, request_: dict[str, object]
) -> None:
    status, out, err = ipsec(capsys, "auto", "--showonly", *line.split())
    assert (status, err) == (0, "")
    assert json.loads(out) == request_


def test_a_relative_configuration_file_is_the_one_that_the_user_sees(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = ipsec(capsys, "auto", "--showonly", "--add", "--config", "test.conf", "west")[1]
    assert json.loads(out)["config"] == str(tmp_path / "test.conf")
    monkeypatch.setenv("IPSEC_CONFS", "/usr/local/etc")
    out = ipsec(capsys, "auto", "--showonly", "--add", "west")[1]
    assert json.loads(out)["config"] == "/usr/local/etc/ipsec.conf"


@pytest.mark.parametrize("words", [["auto", "--status"], ["auto", "--up", "west"], ["whack", "--listen"]])
def test_without_a_daemon_commands_end_1_and_say_what_to_do(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str]
) -> None:
    status, out, err = ipsec(capsys, *words, "--ctlbase", str(tmp_path / "pluto"))
    assert (status, out) == (1, "")
    assert "Pluto is not running" in err
    assert "ipsec setup start" in err


def test_whack_knows_every_request_that_auto_makes() -> None:
    assert {command for command, _ in ACTIONS.values()} | {"add", "replace"} == {
        row["command"] for _, row in REQUESTS
    } | {"shutdown"}


@pytest.mark.parametrize(
    ("line", "form"),
    [
        ("128", r"0x(?:[0-9a-f]{8}_){3}[0-9a-f]{8}"),
        ("--continuous 128", r"0x[0-9a-f]{32}"),
        ("--quick 65", r"0x[0-9a-f]{8}_[0-9a-f]{8}_[0-9a-f]{2}"),
        ("--bytes 3", r"0x[0-9a-f]{6}"),
        ("1", r"0x[0-9a-f]{2}"),
    ],
)
def test_random_bits(capsys: pytest.CaptureFixture[str], line: str, form: str) -> None:
    first, second = (ipsec(capsys, "ranbits", *line.split())[1] for _ in range(2))
    assert re.fullmatch(form + "\n", first)
    assert line == "1" or "--bytes" in line or first != second


def test_help_can_be_thrown_away_half_read() -> None:
    """Given a reader that goes away, when a command still writes, then it ends without a traceback."""
    command = f"{sys.executable} -m cygnet.cli auto --help | true"
    done = subprocess.run(
        ["/bin/sh", "-c", command], env={"PYTHONPATH": str(SOURCE)}, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr


def test_status_needs_few_modules(tmp_path: Path) -> None:
    """Given a 486, when it asks for the status, then neither json nor re nor enum nor crypto is read from flash."""
    code = f"import sys; from cygnet.cli import main; main(['auto', '--status', '--ctlbase', {str(tmp_path)!r}]); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-IS", "-c", f"import sys; sys.path.insert(0, {str(SOURCE)!r}); {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert {"enum", "re", "typing", "json", "socket", "argparse", "dataclasses", "pathlib"} & loaded == set()
    assert {name for name in loaded if name.startswith("cygnet.")} == {
        "cygnet.errors", "cygnet.cli", "cygnet.cli.commands", "cygnet.cli.options", "cygnet.cli.auto",
        "cygnet.control", "cygnet.control.codes", "cygnet.control.client",
    }  # fmt: skip


def test_the_help_option_wins_over_a_wrong_number_of_words() -> None:
    with pytest.raises(Done):
        parse("ipsec auto", ["usage"], TABLE, ["--help", "a", "b", "c"])
