"""``ipsec why``: what keeps a tunnel from working and what to do, in one paragraph; or that it works, with figures.

It walks from the configuration to the wire: the conn in ipsec.conf, the secrets, the daemon, the interface, the routes,
this box's firewall and what its rules have counted, what the daemon sent and heard and when, what the peer and ICMP
said, the kernel's keys with their packets, forwarding, masquerading. The first cause begins the paragraph; "Also:" is
what is wrong whatever that is. Without a name every connection has its line. It works when the daemon is dead, and
changes nothing.

What happens beyond this box it can only conclude from what does not come back: run it at both ends.

Exit status: 0 if the tunnel works, or waits for traffic or for its peer (without a name: if each does), 1 if not.

    ipsec why west-east
    ipsec why --verbose west-east
"""

from __future__ import annotations

import os
from pathlib import Path

from cygnet.cli import confdir
from cygnet.cli.auto import printable
from cygnet.cli.options import Options, parse
from cygnet.control.codes import CONTROL_BASE
from cygnet.errors import CygnetError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cygnet.why.gather import Box

USAGE = ("ipsec why [--verbose] [connection]",)
OPTIONS: Options = (
    ("--verbose", "", "then what was looked at, and what was found there"),
    ("--config", "FILE", "another file than /etc/ipsec.conf"),
    ("--secretsfile", "FILE", "another file than /etc/ipsec.secrets"),
    ("--ctlbase", "PATH", "the daemon's socket is PATH.ctl"),
)


def run(words: list[str]) -> int:
    """The command. Exit status 0 if the tunnel works, or waits for traffic or its peer; without name, if each does."""
    given, names = parse("ipsec why", USAGE, OPTIONS, words, range(2))
    if os.geteuid():
        raise CygnetError("permission denied (must be superuser)")
    from cygnet.why.gather import read_box

    config = Path(given.get("--config", f"{confdir()}/ipsec.conf"))
    secrets = Path(given.get("--secretsfile", f"{confdir()}/ipsec.secrets"))
    box = read_box(config, secrets, given.get("--ctlbase", CONTROL_BASE))
    if names:
        return _one(box, names[0], "--verbose" in given)
    for problem in box.configuration.problems:
        print(printable(problem))
    return max([_one(box, name, "--verbose" in given) for name in box.names] or [0])


def _one(box: Box, name: str, verbose: bool) -> int:
    from cygnet.why import gather, rules

    connection = box.configuration.connections.get(name)
    if connection is None:
        print(printable(f'"{name}" does not work: {gather.missing(box, name)}'))
        return 1
    facts = gather.facts(box, connection)
    diagnosis = rules.diagnose(facts)
    print(printable(f'"{name}" {"" if diagnosis.works else "does not work: "}{diagnosis}'))
    if verbose:
        for what, found in rules.looked(facts):
            print(printable(f"  {what:22} {found}"))
        for what, said, *_ in rules.walk(facts):
            print(f"  {what:22} {'WRONG' if said and said in str(diagnosis) else 'ok'}")
    return 0 if diagnosis.works else 1
