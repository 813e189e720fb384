"""``ipsec firewall``: who may talk to whom through this box, and how that is changed without locking oneself out."""

from __future__ import annotations

import os
from pathlib import Path

from cygnet.cli.options import Options, UsageError, number, parse
from cygnet.firewall.files import DESCRIPTION, Places
from cygnet.firewall.settings import FirewallError, read_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cygnet.firewall.check import Findings
    from cygnet.firewall.policy import Policy

USAGE = (
    "ipsec firewall",
    "ipsec firewall {--check|--table} [--network file] [file]",
    "ipsec firewall --apply [--confirm | --seconds n]",
    "ipsec firewall {--confirm|--revert}",
)
OPTIONS: Options = (
    ("--check", "", "lines that are wrong, that clash, that nothing reaches, that would lock you out; touches nothing"),
    ("--apply", "", "check and load /etc/cygnet/firewall, on trial: without --confirm the rules before come back"),
    ("--confirm", "", "keep what is on trial; with --apply: for good at once"),
    ("--revert", "", "take back what is on trial, now"),
    ("--seconds", "N", "how long a trial is (60)"),
    ("--table", "", "what is promised for packets from each zone to each, for programs: tab-separated"),
    ("--network", "FILE", "another file than /etc/cygnet/network"),
)
TRIAL = 60


def run(words: list[str]) -> int:
    """The command. Without operand it shows the policy in force."""
    given, files = parse("ipsec firewall", USAGE, OPTIONS, words, range(2))
    places = Places(os.environ.get("CYGNET_ROOT", ""))
    asked = sorted(given.keys() & {"--check", "--apply", "--confirm", "--revert", "--table"})
    seconds = number("ipsec firewall", "--seconds", given.get("--seconds", str(TRIAL)), range(1, 3601))
    network = Path(given.get("--network", places.network))
    reads = asked in (["--check"], ["--table"])
    if (files and not reads) or (len(asked) > 1 and asked != ["--apply", "--confirm"]):
        raise UsageError("\n       ".join(["usage: " + USAGE[0], *USAGE[1:]]))
    path = Path(files[0]) if files else places.description
    match asked:
        case ["--check"]:
            return _check(places, path, network)
        case ["--table"]:
            return _table(path, network)
        case ["--confirm"]:
            from cygnet.firewall import load

            load.confirm(places)
            print(f"The policy is kept, also for the next start: {places.rules}")
        case ["--revert"]:
            from cygnet.firewall import load

            load.revert(places)
            print("The rules before are back.")
        case []:
            from cygnet.cli.firewall_policy import show

            show(places, network)
        case _:
            return _apply(places, path, network, 0 if "--confirm" in asked else seconds)
    return 0


def _findings(places: Places, path: Path, network: Path) -> tuple[Policy, Findings]:
    """The policy, and what is wrong with it beside the one in force."""
    from ipaddress import ip_address

    from cygnet.firewall.check import SSH, check
    from cygnet.firewall.load import in_force
    from cygnet.firewall.read import read

    policy = read(path, network)
    session = os.environ.get("SSH_CONNECTION", "").split()
    client, port = (ip_address(session[0].partition("%")[0]), int(session[3])) if len(session) == 4 else (None, SSH)
    try:
        before = read(in_force(places) / DESCRIPTION, network)
    except FirewallError:
        before = None  # there is none, or it cannot be compared
    return policy, check(policy, before, client, port)


def _check(places: Places, path: Path, network: Path) -> int:
    policy, found = _findings(places, path, network)
    for note in found.notes:
        print(f"note: {note}")
    for clash in found.clashes:
        print(clash)
    if not found.clashes:
        print(f"{path}: {len(policy.zones)} zones, {len(policy.lines)} lines, nothing clashes")
    return int(bool(found.clashes))


def _apply(places: Places, path: Path, network: Path, seconds: int) -> int:
    from cygnet.firewall import load
    from cygnet.firewall.render import render

    policy, found = _findings(places, path, network)
    for note in found.notes:
        print(f"note: {note}")
    if found.clashes:
        raise FirewallError("nothing is changed:\n" + "\n".join(found.clashes))
    load.apply(places, render(policy), read_bytes(path), seconds)
    if not seconds:
        print(f"The policy is loaded and kept, also for the next start: {places.rules}")
        return 0
    print(f"The policy is loaded, on trial for {seconds} s; then the rules before come back.")
    print("To keep it, from a new session, which shows that you still get in: ipsec firewall --confirm")
    return 0


def _table(path: Path, network: Path) -> int:
    from cygnet.cli.promises import HEADING, table
    from cygnet.firewall.read import read

    print(HEADING)
    for row in table(read(path, network)):
        print(row)
    return 0
