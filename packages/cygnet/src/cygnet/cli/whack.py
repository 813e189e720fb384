"""``ipsec whack``: requests to the daemon in Pluto's own words; ipsec_auto(8) is the comfortable way.

Connections come from ipsec.conf(5) only; they cannot be described on the command line. Several actions are carried
out one after the other. What the daemon answers begins with a number: 000 is what was asked for, 002 is for the log
too, 003 is serious, 004 is success, 100 and more is a step of a negotiation.

Exit status: the number of the last answer that is a failure, else 0.
"""

from __future__ import annotations

from cygnet.cli.auto import send
from cygnet.cli.options import Options, UsageError, parse

# Option -> the request's command, and whether it needs --name. Several are carried out in this order, as Pluto does.
ACTIONS = {
    "--delete": ("delete", True),
    "--listen": ("listen", False),
    "--rereadsecrets": ("rereadsecrets", False),
    "--rereadall": ("rereadall", False),
    "--rereadgroups": ("rereadgroups", False),
    "--route": ("route", True),
    "--unroute": ("unroute", True),
    "--initiate": ("up", True),
    "--terminate": ("down", True),
    "--status": ("status", False),
    "--shutdown": ("shutdown", False),
}
USAGE = (
    "ipsec whack --name connection {--initiate [--asynchronous]|--terminate|--route|--unroute|--delete}",
    "ipsec whack {--listen|--status|--shutdown|--rereadsecrets|--rereadall|--rereadgroups}",
)
OPTIONS: Options = (
    ("--name", "CONNECTION", "which connection"),
    ("--initiate", "", "negotiate its tunnel"),
    ("--asynchronous", "", "with --initiate: do not wait for the result"),
    ("--terminate", "", "take its tunnel down"),
    ("--route", "", "lead its traffic to IPsec"),
    ("--unroute", "", "undo --route"),
    ("--delete", "", "forget it"),
    ("--listen", "", "read interfaces and secrets anew and listen"),
    ("--rereadsecrets", "", "read ipsec.secrets anew"),
    ("--rereadall", "", "read secrets and certificates anew"),
    ("--rereadgroups", "", "read the networks of the policy groups anew"),
    ("--status", "", "what the daemon knows and does"),
    ("--shutdown", "", "end the daemon, its tunnels with it"),
    ("--ctlbase", "PATH", "the daemon's socket is PATH.ctl"),
)


def run(words: list[str]) -> int:
    """The command. Exit status: the last one that was not 0."""
    given, _ = parse("ipsec whack", USAGE, OPTIONS, words)
    actions = [row for option, row in ACTIONS.items() if option in given]
    if not actions:
        raise UsageError("ipsec whack: no action given (ipsec whack --help lists them)")
    if any(named for _, named in actions) != ("--name" in given):
        raise UsageError("ipsec whack: --name goes with actions on a connection, and they with it")
    status = 0
    for command, named in actions:
        request: dict[str, str | bool] = {"command": command}
        if named:
            request["name"] = given["--name"]
        if command == "up" and "--asynchronous" in given:
            request["asynchronous"] = True
        status = send(request, given, hide_log=False) or status
    return status
