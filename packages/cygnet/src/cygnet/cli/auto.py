"""``ipsec auto``: connections of ipsec.conf(5), by name: load them, start them, stop them, see how they are.

Each operation is a request to the daemon, and what it answers is printed as it comes, with the numbers of
ipsec_whack(8) before it. --up ends when the tunnel stands, or says in words why it does not. --status has a line
"not up:" for every connection that is not. After --down the route into the tunnel stays, so that nothing leaves in
clear; --unroute takes it away.

Exit status: 0, the number of the last answer that is a failure, 1 if the daemon does not run.

    ipsec auto --up west-east
    ipsec auto --replace west-east
    ipsec auto --status
"""

from __future__ import annotations

import os
import sys

from cygnet.cli import confdir
from cygnet.cli.options import Options, UsageError, parse
from cygnet.control import client, codes

# Operation -> the request's command.
NAMED = {f"--{word}": word for word in ("up", "down", "add", "delete", "replace", "route", "unroute")}
UNNAMED = {
    "--ready": "listen",
    "--status": "status",
    "--rereadsecrets": "rereadsecrets",
    "--rereadgroups": "rereadgroups",
    "--rereadall": "rereadall",
}
USAGE = (
    "ipsec auto [--showonly] [--asynchronous] --up connection",
    "ipsec auto [--showonly] --{add|delete|replace|down|route|unroute} connection",
    "ipsec auto [--showonly] --{ready|status|rereadsecrets|rereadgroups|rereadall}",
)
OPTIONS: Options = (
    ("--up", "", "negotiate the connection's tunnel; ends when it stands, or says why not"),
    ("--down", "", "take its tunnel down, here and at the other end"),
    ("--add", "", "load it from the configuration file"),
    ("--delete", "", "forget it, its tunnel and its route"),
    ("--replace", "", "--delete, if it is there, and --add"),
    ("--route", "", "lead its traffic to IPsec; what comes before the tunnel stands waits or is dropped"),
    ("--unroute", "", "undo --route"),
    ("--ready", "", "read interfaces and secrets anew and listen"),
    ("--status", "", "what the daemon knows and does"),
    ("--rereadsecrets", "", "read ipsec.secrets anew"),
    ("--rereadgroups", "", "read the networks of the policy groups anew"),
    ("--rereadall", "", "read secrets and certificates anew"),
    ("--asynchronous", "", "with --up: do not wait for the result"),
    ("--verbose", "", "print what is for the log, too"),
    ("--show", "", "print the request before it is sent"),
    ("--showonly", "", "print the request and do not send it"),
    ("--config", "FILE", "another file than /etc/ipsec.conf"),
    ("--ctlbase", "PATH", "the daemon's socket is PATH.ctl"),
)


def run(words: list[str]) -> int:
    """The command."""
    given, names = parse("ipsec auto", USAGE, OPTIONS, words, range(2))
    operations = [option for option in given if option in NAMED or option in UNNAMED]
    if len(operations) != 1 or len(names) != (operations[0] in NAMED):
        raise UsageError("\n       ".join(["usage: " + USAGE[0], *USAGE[1:]]))
    request = _request(operations[0], given, names)
    if "--show" in given or "--showonly" in given:
        print(client.encode(request))
    return 0 if "--showonly" in given else send(request, given, hide_log="--verbose" not in given)


def send(request: dict[str, str | bool], given: dict[str, str], hide_log: bool) -> int:
    """Send a request; each reply is printed as it comes."""

    def show(code: int, text: str) -> None:
        if code != codes.LOG or not hide_log:
            sys.stdout.write(f"{code:03} {printable(text)}\n")
            sys.stdout.flush()

    return client.ask(request, show, given.get("--ctlbase", codes.CONTROL_BASE))


def printable(text: str) -> str:
    """What the peer may have chosen never commands a terminal."""
    return text if text.isascii() and text.isprintable() else ascii(text)[1:-1]


def _request(operation: str, given: dict[str, str], names: list[str]) -> dict[str, str | bool]:
    request: dict[str, str | bool] = {"command": {**NAMED, **UNNAMED}[operation]}
    if names:
        request["name"] = names[0]
    if operation in ("--add", "--replace") and ("--config" in given or "IPSEC_CONFS" in os.environ):
        from pathlib import Path

        request["config"] = str(Path(given.get("--config", f"{confdir()}/ipsec.conf")).absolute())
    if operation == "--up" and "--asynchronous" in given:
        request["asynchronous"] = True
    return request
