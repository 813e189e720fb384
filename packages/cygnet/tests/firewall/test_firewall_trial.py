"""A policy on trial: kept by who confirms it, gone by itself else, and never in the way of what others put there."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cygnet.cli import main
from firewall_scene import NETWORK, STOCK, tables, tool

LONG = "3600"
MORE = "\nallow lan box http\n"


def environment(root: Path) -> dict[str, str]:
    """Of a process of its own."""
    source = Path(__file__).parents[2] / "src"
    return {"PYTHONPATH": str(source), "CYGNET_ROOT": str(root), "PATH": os.environ["PATH"]}


class Machine:
    """A box: a scratch tree, and the network namespace of the test."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root, self._capsys = root, capsys
        self.policy, self.kept = root / "etc/cygnet/firewall", root / "etc/cygnet/firewall.rules"
        self.policy.parent.mkdir(parents=True)
        self.policy.write_bytes(STOCK.read_bytes())
        (root / "etc/cygnet/network").write_text(NETWORK)

    def ipsec(self, *words: str) -> tuple[int, str]:
        """Status and all that is said."""
        status = main(["firewall", *words])
        said = self._capsys.readouterr()
        return status, said.out + said.err

    def does(self, *words: str) -> str:
        status, said = self.ipsec(*words)
        assert status == 0, said
        return said

    def has(self, what: str, program: str = "iptables") -> bool:
        """Whether the kernel has such a rule."""
        return what in tables(f"{program}-save")

    def until(self, happened: Callable[[], bool]) -> None:
        """Wait for the process that watches the time."""
        deadline = time.monotonic() + 60
        while not happened():
            assert time.monotonic() < deadline, "the rules before never came back"
            time.sleep(0.02)


@pytest.fixture
def box(
    namespace: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Machine:
    monkeypatch.setenv("CYGNET_ROOT", str(tmp_path))
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    return Machine(tmp_path, capsys)


HTTP = "--dport 80 "


def test_what_is_confirmed_stays_and_is_what_the_next_start_loads(box: Machine) -> None:
    box.does("--apply", "--confirm")
    old = (box.kept / "rules.v4").read_text()
    box.policy.write_text(STOCK.read_text() + MORE)
    assert "ipsec firewall --confirm" in box.does("--apply", "--seconds", LONG)
    assert box.has(HTTP)
    assert box.has(HTTP, "ip6tables")
    assert (box.kept / "rules.v4").read_text() == old, "a power cut now starts with the old rules"
    box.does("--confirm")
    assert HTTP in (box.kept / "rules.v4").read_text()
    assert (box.kept / "firewall").read_text() == box.policy.read_text()
    assert box.ipsec("--confirm") == (1, "ipsec firewall: no policy is on trial: ipsec firewall --apply begins one\n")


def test_what_nobody_confirms_goes_by_itself(box: Machine) -> None:
    box.does("--apply", "--confirm")
    box.policy.write_text(STOCK.read_text() + MORE)
    box.does("--apply", "--seconds", "1")
    box.until(lambda: not box.has(HTTP) and not box.has(HTTP, "ip6tables"))
    assert box.has("-A INPUT -j to-box")
    assert HTTP not in (box.kept / "rules.v4").read_text()
    box.until(lambda: not (box.root / "run/cygnet/firewall/pending").exists())
    assert "another one by now: ipsec firewall --apply" in box.does()


def test_who_goes_away_does_not_take_the_watch_along(box: Machine) -> None:
    """Given a session of its own that applies and is ended with all its processes, then the rules go all the same."""
    box.does("--apply", "--confirm")
    box.policy.write_text(STOCK.read_text() + MORE)
    script = "import os, signal, sys; from cygnet.cli import main; main(sys.argv[1:]); os.killpg(0, signal.SIGKILL)"
    command = [sys.executable, "-c", script, "firewall", "--apply", "--seconds", "1"]
    done = subprocess.run(command, env=environment(box.root), start_new_session=True, capture_output=True, check=False)
    assert done.returncode == -9
    box.until(lambda: not (box.root / "run/cygnet/firewall/pending").exists())
    assert not box.has(HTTP)


def test_before_the_first_policy_there_was_none_and_so_it_is_again(box: Machine) -> None:
    tables("iptables", "-A", "INPUT", "-s", "192.0.2.7", "-j", "DROP")
    box.does("--apply", "--seconds", LONG)
    assert box.has(":INPUT DROP")
    box.does("--revert")
    for program in ("iptables", "ip6tables"):
        left = tables(f"{program}-save")
        assert ":INPUT ACCEPT" in left
        assert "to-box" not in left
        assert "forwards" not in left
    assert box.has("-A INPUT -s 192.0.2.7/32 -j DROP")


def test_one_trial_at_a_time(box: Machine) -> None:
    box.does("--apply", "--seconds", LONG)
    status, said = box.ipsec("--apply")
    assert status == 1
    assert said.startswith("ipsec firewall: another policy is on trial, 359")
    assert said.endswith(" s more: ipsec firewall --confirm keeps it, ipsec firewall --revert takes it back\n")
    assert "ON TRIAL, for 359" in box.does()


def test_the_watch_of_an_old_trial_does_not_end_a_new_one(box: Machine) -> None:
    box.does("--apply", "--seconds", "1")
    box.does("--confirm")
    box.policy.write_text(STOCK.read_text() + MORE)
    box.does("--apply", "--seconds", LONG)
    time.sleep(1.1)
    assert box.has(HTTP)
    assert "ON TRIAL" in box.does()


OTHERS = [
    ("FORWARD", "-A", "-i ipsec+ -j ACCEPT"),
    ("FORWARD", "-I", "-s 10.2.0.0/24 -d 10.1.0.0/24 -i ipsec0 -m policy --dir in --pol ipsec -j ACCEPT"),
    ("INPUT", "-I", "-s 192.0.2.2/32 -i eth0 -m policy --dir in --pol ipsec -j ACCEPT"),
    ("user-forward", "-A", "-i ipsec+ -j ACCEPT"),
    ("user-input", "-A", "-p tcp -m tcp --dport 8 -j ACCEPT"),
    ("user-output", "-A", "-o eth0 -j ACCEPT"),
]


@pytest.mark.parametrize("end", ["--confirm", "--revert"])
def test_rules_of_others_stay_where_they_are_and_stay_one(box: Machine, end: str) -> None:
    """leftfirewall=yes puts its rules first; FreeS/WAN's guide appends; an administrator has chains of his own."""
    box.does("--apply", "--confirm")
    for chain, how, rule in OTHERS:
        tables("iptables", how, chain, *rule.split())
    before = {chain: tables("iptables", "-S", chain) for chain, _, _ in OTHERS}
    box.policy.write_text(STOCK.read_text() + MORE)
    box.does("--apply", "--seconds", LONG)
    tables("iptables", "-I", "FORWARD", "-s", "10.3.0.0/24", "-j", "ACCEPT")
    box.does(end)
    tables("iptables", "-D", "FORWARD", "-s", "10.3.0.0/24", "-j", "ACCEPT")
    assert {chain: tables("iptables", "-S", chain) for chain, _, _ in OTHERS} == before
    assert box.has(HTTP) == (end == "--confirm")
    assert "-A user-forward -i ipsec+ -j ACCEPT" in box.does()


def test_rules_that_the_kernel_refuses_change_nothing(box: Machine) -> None:
    box.does("--apply", "--confirm")
    lines = STOCK.read_text().count("\n")
    box.policy.write_text(STOCK.read_text() + "allow lan box http\niptables -A INPUT -i eth1 -j NOWHERE\n")
    status, said = box.ipsec("--apply")
    assert status == 1
    assert said.splitlines()[-1].startswith("ipsec firewall: iptables-restore failed: ")
    assert said.endswith(f"(line {lines + 2} of the policy)\n")
    assert not box.has(HTTP)
    assert not (box.root / "run/cygnet/firewall/pending").exists()


def test_if_the_second_family_fails_the_first_is_as_before(box: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given an ip6tables-restore that passes its test and then fails, then IPv4 has the old rules, too."""
    box.does("--apply", "--confirm")
    programs = box.root / "programs"
    programs.mkdir()
    failing = programs / "ip6tables-legacy-restore"
    real = tool("ip6tables-restore")
    failing.write_text(f'#!/bin/sh\n[ -e {box.root}/broken ] || exec {real} "$@"\ncase "$*" in *--test) exec {real} "$@" ;; esac\n'
                       f'rm {box.root}/broken\necho "ip6tables-restore: line 3 failed" >&2\nexit 1\n')  # fmt: skip
    failing.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    (box.root / "broken").touch()
    box.policy.write_text(STOCK.read_text() + MORE)
    status, said = box.ipsec("--apply")
    assert (status, said) == (
        1,
        "ipsec firewall: ip6tables-restore failed: ip6tables-restore: line 3 failed (:sources - [0:0])\n",
    )
    assert not box.has(HTTP)
    assert not box.has(HTTP, "ip6tables")
    assert not (box.kept.parent / "firewall.rules/rules.v4").read_text().count(HTTP)
    box.does("--apply", "--confirm")
    assert box.has(HTTP)


def test_a_policy_that_clashes_is_not_loaded(box: Machine) -> None:
    box.policy.write_text("zone lan eth1\ndeny any box\nallow lan box ssh\n")
    status, said = box.ipsec("--apply")
    assert status == 1
    assert said.startswith("ipsec firewall: nothing is changed:\n")
    assert f"{box.policy}:3 (allow lan box ssh)" in said
    assert f"{box.policy}:2 (deny any box)" in said
    assert not box.has("to-box")


def test_whoever_is_at_the_box_by_ssh_is_not_locked_out(box: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "203.0.113.9 50000 192.0.2.1 22")
    status, said = box.ipsec("--check")
    assert status == 1
    assert "it locks you, at 203.0.113.9, out" in said
    monkeypatch.setenv("SSH_CONNECTION", "192.168.77.9 50000 192.168.77.1 22")
    assert box.does("--check") == f"{box.policy}: 3 zones, 9 lines, nothing clashes\n"


def test_the_line_that_let_the_administrator_in_is_missed(box: Machine) -> None:
    box.does("--apply", "--confirm")
    box.policy.write_text(STOCK.read_text().replace("lan box ssh dhcp", "lan,vpn box ssh dns"))
    box.does("--check")
    box.policy.write_text(STOCK.read_text().replace("lan box ssh dhcp", "lan box dhcp"))
    status, said = box.ipsec("--check")
    assert status == 1
    assert f"{box.kept}/firewall:27 (allow lan box ssh dhcp dns ntp ping) of the policy in force has gone" in said


def test_the_policy_in_force_is_shown_in_words_with_what_was_dropped(box: Machine) -> None:
    box.does("--apply", "--confirm")
    tables("iptables-restore", "--noflush", "--counters", text="*raw\n[7:700] -A spoofed -j DROP\nCOMMIT\n")
    shown = box.does()
    assert f"Policy in force: {box.kept}/firewall\n" in shown
    assert "  lan       eth1, 192.168.77.0/24\n" in shown
    assert "  lan -> wan        everything, with the address of this box\n" in shown
    assert "  lan -> box        ssh dhcp dns ntp ping\n" in shown
    assert "  wan -> box        IKE, ESP and AH\n" in shown
    assert "         7  from a false source\n" in shown
    assert "Rules of others\n  none\n" in shown
    network = box.root / "etc/cygnet/network"
    network.write_text(NETWORK.replace("eth0", "ppp0"))
    assert f"{network} is another one by now: ipsec firewall --apply makes the rules anew" in box.does()
    tables("iptables", "-P", "INPUT", "ACCEPT")
    for word in ("-F", "-X"):
        tables("iptables", word)
        tables("ip6tables", word)
    assert "NOT LOADED" in box.does()


def test_what_is_not_there_is_named(box: Machine) -> None:
    status, said = box.ipsec()
    assert (status, said) == (1, f"ipsec firewall: {box.kept}/firewall: cannot be read: No such file or directory\n")
    box.does("--apply", "--confirm")
    (box.kept / "rules.v4").unlink()
    assert box.ipsec()[1].endswith(f"{box.kept}/rules.v4: cannot be read: No such file or directory\n")


def test_the_table_of_promises_is_tab_separated(box: Machine) -> None:
    rows = [line.split("\t") for line in box.does("--table").splitlines()]
    assert rows[0] == ["ip", "from", "to", "protocol", "port", "source", "destination", "verdict", "line"]
    assert {len(row) for row in rows} == {9}
    assert {row[7] for row in rows[1:]} == {"allow", "deny", "reject"}


@pytest.mark.parametrize(
    "words",
    [
        ("--check", "--apply"),
        ("--apply", "file"),
        ("file",),
        ("--check", "a", "b"),
        ("--revert", "--confirm"),
        ("--table", "--check"),
    ],
    ids=str,
)
def test_what_makes_no_sense_together_is_refused(box: Machine, words: tuple[str, ...]) -> None:
    status, said = box.ipsec(*words)
    assert status == 2
    assert said.startswith("usage: ipsec firewall")


def test_another_file_is_checked_with_another_network(box: Machine) -> None:
    (box.root / "other").write_text("zone lan $LAN\nallow lan box\n")
    (box.root / "net").write_text("LAN=br7\n")
    assert "nothing clashes" in box.does("--check", "--network", f"{box.root}/net", f"{box.root}/other")
    status, said = box.ipsec("--check", f"{box.root}/none")
    assert (status, said) == (1, f"ipsec firewall: {box.root}/none: cannot be read: No such file or directory\n")


MACHINES = [
    (("--pid", "--fork", "--mount-proc"), "do not go together: try it within unshare -rn"),
    (("--user", "--map-root-user"), "no policy is on trial"),
]


@pytest.mark.parametrize(("namespaces", "said"), MACHINES, ids=["its own", "of a user"])
def test_a_scratch_tree_never_goes_with_the_network_of_the_machine(
    tmp_path: Path, namespaces: tuple[str, ...], said: str
) -> None:
    """The network is the machine's where it is that of process 1, which a user's namespace may not even look at."""
    done = subprocess.run(
        ["unshare", "--net", *namespaces, sys.executable, "-m", "cygnet.cli", "firewall", "--revert"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert said in done.stderr
