"""Every command line that FreeS/WAN's guide prints, as it prints it, and what else its text promises of a command.

Later issues have the rest: opportunistic encryption's own tests.
"""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from cygnet.cli import COMMANDS, main

# Chapter -> command lines. What is run here needs no daemon, or is sent to none.
PRINTED = [
    ("Creating an RSA key", "ipsec newhostkey"),
    ("Initiate-only DNS key", "ipsec showhostkey"),
    ("DNS entries for an opportunistic gateway", "ipsec showhostkey --txt 1.2.3.4"),
    ("Information exchange", "ipsec showhostkey --right"),
    ("Information exchange", "ipsec showhostkey --left"),
    ("How do I report a problem or seek help?", "ipsec barf"),
]
SENT = [
    ("Putting connection descriptions in separate files", "ipsec auto --down connection", "down"),
    ("Putting connection descriptions in separate files", "ipsec auto --delete connection", "delete"),
    ("Can I reload connection info without restarting?", "ipsec auto --add whatever", "add"),
    ("Can I reload connection info without restarting?", "ipsec auto --rereadsecrets", "rereadsecrets"),
    ("Can I reload connection info without restarting?", "ipsec auto --replace conn_name", "replace"),
    ("Can I recognise dead tunnels and shut them down?", "ipsec auto --status", "status"),
    ("When a tunnel goes down, packets vanish", "ipsec auto --down conn_name", "down"),
    ("When a tunnel goes down, packets vanish", "ipsec auto --unroute conn_name", "unroute"),
    ("auto(8)", "ipsec auto --up connection", "up"),
    ("auto(8)", "ipsec auto --route connection", "route"),
    ("auto(8)", "ipsec auto --ready", "listen"),
    ("auto(8)", "ipsec auto --rereadgroups", "rereadgroups"),
    ("auto(8)", "ipsec auto --show --asynchronous --config ./x.conf --verbose --up connection", "up"),
]
# Of the manual pages: (command line, exit status, what stands in its output).
MANUAL = [
    ("ipsec --help", 0, "auto"),
    ("ipsec --version", 0, "Linux Cygnet"),
    ("ipsec --versioncode", 0, "0.1"),
    ("ipsec --copyright", 0, "Cygnet"),
    ("ipsec --directory", 0, "cli"),
    ("ipsec --confdir", 0, "/"),
    ("ipsec setup --showonly start", 0, "pluto"),
    ("ipsec setup --showonly --restart", 0, "pluto"),
    ("ipsec rsasigkey --verbose 1024", 0, "#pubkey=0s"),
    ("ipsec newhostkey --output - --quiet --bits 1024 --hostname h.example.com", 0, ": RSA\t{"),
    ("ipsec showhostkey --key", 0, "IN\tKEY\t16896 4 1"),
    ("ipsec showhostkey --id @nobody", 1, "choose by --id"),
    ("ipsec ranbits --quick --continuous --bytes 16", 0, "0x"),
    ("ipsec ranbits 128", 0, "_"),
    ("ipsec pluto --help", 0, "--secretsfile"),
    ("ipsec pluto --version", 0, "0.1"),
    ("ipsec whack --help", 0, "--initiate"),
    ("ipsec whack --version", 0, "0.1"),
    ("ipsec look --help", 0, "ipsec look"),
    ("ipsec barf --short --maxlines 100", 0, "_________________________ version"),
    ("ipsec mailkey --me my@address.tld --reverse 1.2.3.4", 0, "4.3.2.1.in-addr.arpa. IN"),
    ("ipsec mailkey --me my@address.tld --forward hostname.domain.tld", 0, "X-IPsec-Server(10)=@hostname.domain.tld"),
    ("ipsec showdefaults --help", 0, "ipsec showdefaults"),
    ("ipsec secrets --list", 0, "RSA 1024 bits"),
    ("ipsec verify --version", 0, "0.1"),
    ("ipsec ikeping --wait 1 --exchangenum 244 127.0.0.1/1", 1, "1 asked, 0 answered"),
    ("ipsec manual --help", 0, "--union"),
    ("ipsec eroute --help", 0, "--replace"),
    ("ipsec spi --help", 0, "--enckey"),
    ("ipsec spigrp --help", 0, "ipsec spigrp"),
    ("ipsec tncfg --version", 0, "0.1"),
    ("ipsec klipsdebug --none", 0, ""),
    ("ipsec klipsdebug --all", 1, "XFRM has no debugging flags"),
]


@pytest.fixture(autouse=True)
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A host that has a key in its ipsec.secrets; new keys are small ones."""
    import os

    from cygnet.cli import barf, newhostkey, service

    monkeypatch.setenv("IPSEC_CONFS", str(tmp_path))
    monkeypatch.setattr(newhostkey, "DEFAULT_BITS", "1024")
    monkeypatch.setattr(service, "SERVICE", tmp_path / "none")
    monkeypatch.setattr(barf, "SECTIONS", barf.SECTIONS[:3])
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    main(["newhostkey", "--output", str(tmp_path / "ipsec.secrets"), "--hostname", "xy.example.com"])
    capsys.readouterr()


def run(line: str) -> int:
    return main(shlex.split(line)[1:])


@pytest.mark.parametrize(("chapter", "line"), PRINTED, ids=[line for _, line in PRINTED])
def test_a_line_of_the_guide_works_as_printed(chapter: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(line) == 0, chapter
    assert capsys.readouterr().out


@pytest.mark.parametrize(("chapter", "line", "command"), SENT, ids=[line for _, line, _ in SENT])
def test_a_line_of_the_guide_asks_the_daemon_for_what_it_says(
    chapter: str, line: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the daemon then does is tests/daemon's."""
    from cygnet.control import client

    asked: list[dict[str, str | bool]] = []
    monkeypatch.setattr(client, "ask", lambda request, _show, _base: asked.append(request) or 0)
    assert run(line) == 0, chapter
    assert [request["command"] for request in asked] == [command]
    assert asked[0].get("name", "") == (
        "" if command in ("listen", "status", "rereadsecrets", "rereadgroups") else line.split()[-1]
    )


@pytest.mark.parametrize(("line", "status", "shown"), MANUAL, ids=[line for line, _, _ in MANUAL])
def test_a_line_of_a_manual_page_works(line: str, status: int, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(line) == status
    output = capsys.readouterr()
    assert shown in output.out + output.err


def test_the_record_for_the_zone_file_looks_like_the_guides(capsys: pytest.CaptureFixture[str]) -> None:
    run("ipsec showhostkey")
    comment, record = capsys.readouterr().out.splitlines()
    assert comment.split()[:5] == [";", "RSA", "1024", "bits", "xy.example.com"]
    assert record.split()[:6] == ["xy.example.com.", "IN", "KEY", "16896", "4", "1"]


def test_what_a_road_warrior_sends_to_the_office_looks_like_the_guides(capsys: pytest.CaptureFixture[str]) -> None:
    run("ipsec showhostkey --right")
    lines = [line.strip() for line in capsys.readouterr().out.splitlines() if "#" not in line]
    assert [line.partition("=")[0] for line in lines] == ["rightid", "rightrsasigkey"]
    assert lines[0] == "rightid=@xy.example.com"


@pytest.mark.parametrize("name", ["initiate-dns"])
def test_commands_of_later_issues_are_not_promised(name: str) -> None:
    assert name not in COMMANDS
    assert run(f"ipsec {name}") == 2
