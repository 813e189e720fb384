"""How the script is called: what it is told, and what is made of what it answers."""

import os
import re
import subprocess
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from cygnet.connection.connection import Connection, End
from cygnet.connection.identity import Identity, IdType
from cygnet.tunnel.route import Span, span_of_connection
from cygnet.updown.call import Occasion, UpdownError, environment, full_verb, harmless
from cygnet.updown.script import Script, clean, command_of
from hypothesis import given
from hypothesis import strategies as st

NET = Connection(
    "net",
    End(
        "left", host=ip_address("192.0.2.1"), subnet=ip_network("10.1.0.0/24"), protocol=17, port=1701, interface="eth0"
    ),
    End("right", host=ip_address("192.0.2.2"), subnet=ip_network("10.2.0.0/24"), protocol=17),
)


def occasion(connection: Connection = NET, verb: str = "up", **changes: object) -> Occasion:
    span = span_of_connection(connection)
    assert isinstance(span, Span)
    return replace(Occasion(verb, connection, span, "ipsec0", 0x4000), **changes)  # type: ignore[arg-type]


def with_updown(command: str, **changes: object) -> Connection:
    return replace(NET, here=replace(NET.here, updown=command, **changes))  # type: ignore[arg-type]


def test_the_environment_is_plutos_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_PRELOAD", "x")
    assert environment(occasion(), "/bin") == {
        "PATH": "/bin",
        "PLUTO_VERSION": "1.1",
        "PLUTO_VERB": "up-client",
        "PLUTO_CONNECTION": "net",
        "PLUTO_CONN_TYPE": "tunnel",
        "PLUTO_INTERFACE": "ipsec0",
        "PLUTO_NEXT_HOP": "192.0.2.2",
        "PLUTO_REQID": "16384",
        "PLUTO_ME": "192.0.2.1",
        "PLUTO_MY_ID": "192.0.2.1",
        "PLUTO_MY_SOURCEIP": "",
        "PLUTO_MY_CLIENT": "10.1.0.0/24",
        "PLUTO_MY_CLIENT_NET": "10.1.0.0",
        "PLUTO_MY_CLIENT_MASK": "255.255.255.0",
        "PLUTO_MY_PROTOCOL": "17",
        "PLUTO_MY_PORT": "1701",
        "PLUTO_PEER": "192.0.2.2",
        "PLUTO_PEER_ID": "192.0.2.2",
        "PLUTO_PEER_CA": "",
        "PLUTO_PEER_CLIENT": "10.2.0.0/24",
        "PLUTO_PEER_CLIENT_NET": "10.2.0.0",
        "PLUTO_PEER_CLIENT_MASK": "255.255.255.0",
        "PLUTO_PEER_PROTOCOL": "17",
        "PLUTO_PEER_PORT": "0",
        "PLUTO_METRIC": "",
        "PLUTO_MTU": "",
    }


def test_what_the_file_says_more() -> None:
    here = replace(
        NET.here,
        id=Identity(IdType.FQDN, b"west.example"),
        nexthop=ip_address("192.0.2.254"),
        source_ip=ip_address("10.1.0.1"),
    )
    told = environment(
        occasion(replace(NET, here=here, metric=7, mtu=1400, there=replace(NET.there, ca="C=US, CN=CA")))
    )
    wanted = {
        "MY_ID": "@west.example",
        "NEXT_HOP": "192.0.2.254",
        "MY_SOURCEIP": "10.1.0.1",
        "METRIC": "7",
        "MTU": "1400",
        "PEER_CA": "C=US, CN=CA",
    }
    assert {name: told[f"PLUTO_{name}"] for name in wanted} == wanted


VERBS = [
    ("10.1.0.0/24", "192.0.2.1", "up-client"),
    ("192.0.2.1/32", "192.0.2.1", "up-host"),
    ("10.1.0.5/32", "192.0.2.1", "up-client"),
    ("2001:db8::1/128", "2001:db8::1", "up-host-v6"),
    ("10.1.0.0/24", "2001:db8::1", "up-client-v6"),
    ("2001:db8:1::/64", "192.0.2.1", "up-client"),
]


@pytest.mark.parametrize(("ours", "local", "verb"), VERBS)
def test_the_verb_says_host_or_client_and_the_gateways_family(ours: str, local: str, verb: str) -> None:
    base = occasion()
    span = replace(base.span, ours=replace(base.span.ours, network=ip_network(ours)), local=ip_address(local))
    assert full_verb(replace(base, span=span)) == verb


@given(st.text(max_size=600))
def test_what_the_peer_says_is_harmless(text: str) -> None:
    assert re.fullmatch(
        r"[A-Za-z0-9 .,:@/=_+\-#%]{0,256}", environment(occasion(peer_id=text, verb="up"))["PLUTO_PEER_ID"] or ""
    )
    assert harmless("$(reboot);`x`|&<>\n\"'\\\0") == "__reboot___x__________"


COMMANDS = [
    ("", False, ["SCRIPT"]),
    ("", True, ["SCRIPT", "iptables"]),
    ("ipsec _updown", False, ["SCRIPT"]),
    ("ipsec _updown iptables", False, ["SCRIPT", "iptables"]),
    ("/etc/ipsec.d/mine 'two words' $HOME;x", False, ["/etc/ipsec.d/mine", "two words", "$HOME;x"]),
]


@pytest.mark.parametrize(("text", "firewall", "words"), COMMANDS)
def test_the_command_is_a_list_of_words(text: str, firewall: bool, words: list[str]) -> None:
    found = command_of(occasion(with_updown(text, firewall=firewall)))
    assert [word if not word.endswith("/_updown") else "SCRIPT" for word in found] == words


class Mine:
    """A script of the administrator's."""

    def __init__(self, folder: Path) -> None:
        self.path, self.log = folder / "mine", list[str]()

    def run(self, text: str, seconds: float = 20.0, verb: str = "up") -> None:
        self.path.write_text(f"#!/bin/sh\n{text}\n")
        self.path.chmod(0o755)
        Script(self.log.append, seconds).run(occasion(with_updown(str(self.path)), verb))


@pytest.fixture
def mine(tmp_path: Path) -> Mine:
    return Mine(tmp_path)


def test_its_output_is_logged_and_cannot_steer_a_terminal(mine: Mine) -> None:
    mine.run('echo fine; printf "\\033[31mred\\n" >&2; cat; pwd')
    start = '"net": up-client output: '
    assert mine.log == [f"{start}fine", f"{start}\\x1b[31mred", f"{start}/"]


def test_a_failure_names_command_verb_status_and_last_words(mine: Mine) -> None:
    with pytest.raises(UpdownError) as caught:
        mine.run("echo first; echo no such route >&2; exit 7", verb="route")
    assert str(caught.value) == f'"net": {mine.path} at route-client exited with status 7: no such route'
    with pytest.raises(UpdownError, match="was ended by signal 15: it said nothing"):
        mine.run("kill $$")


def test_a_command_that_is_not_there_is_a_sentence() -> None:
    script = Script(lambda _: None)
    with pytest.raises(UpdownError, match=r'"net": /no/where at up-client cannot be started: No such file'):
        script.run(occasion(with_updown("/no/where")))
    with pytest.raises(UpdownError, match="leftupdown= has an open quote"):
        script.run(occasion(with_updown("'open")))


def test_a_script_that_hangs_is_ended_with_its_children(mine: Mine, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    with pytest.raises(UpdownError, match="took more than 0.3 seconds and was ended"):
        mine.run(f"sleep 60 & echo $! >> {pids}; echo $$ >> {pids}; wait", seconds=0.3)
    states = [
        subprocess.run(["ps", "-o", "stat=", "-p", pid], capture_output=True, text=True, check=False).stdout
        for pid in pids.read_text().split()
    ]
    assert all(state.strip()[:1] in ("", "Z") for state in states)


def test_a_child_that_lives_on_is_not_waited_for(mine: Mine, tmp_path: Path) -> None:
    """It holds the output open, as a daemon started by a script does."""
    pid = tmp_path / "pid"
    mine.run(f"sleep 60 & echo $! > {pid}; echo done")
    os.kill(int(pid.read_text()), 15)
    assert mine.log == ['"net": up-client output: done']


def test_a_flood_of_output_is_cut(mine: Mine) -> None:
    mine.run("i=0; while [ $i -lt 5000 ]; do echo a long line of output; i=$((i+1)); done; echo last")
    assert len(mine.log) == 20
    assert mine.log[-1].endswith("output: last")


def test_cleaning_up_calls_our_own_script_and_says_what_it_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = tmp_path / "_updown"
    script.write_text('#!/bin/sh\necho "$*" "$PLUTO_VERB" > "${0%/*}/told"; echo no iptables here >&2; exit 3\n')
    script.chmod(0o755)
    monkeypatch.setattr("cygnet.updown.script.PLACES", (tmp_path / "nowhere", script))
    monkeypatch.setenv("PLUTO_VERB", "x")
    with pytest.raises(UpdownError, match=f"^{script} clean: no iptables here$"):
        clean()
    assert (tmp_path / "told").read_text() == "clean \n"
