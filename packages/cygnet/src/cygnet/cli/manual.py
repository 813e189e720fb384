"""``ipsec manual``: connections keyed by hand, up and down, whether the daemon runs or not (ipsec_manual(8)).

All it needs stands in ipsec.conf(5); docs/manual-keying.md shows it. Down leaves the route, and what takes it is
dropped; only --unroute takes that away. Keys are never printed, nor given to another program.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from cygnet.cli import confdir
from cygnet.cli.options import Options, UsageError, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from cygnet.cli.keyed import Keyed
    from cygnet.conf import Configuration

OPERATIONS = ("--up", "--down", "--route", "--unroute")
USAGE = (
    "ipsec manual [--show|--showonly] [--other] [--config file] --{up|down|route|unroute} connection",
    "ipsec manual [options] --{up|down|route|unroute} --union part ...",
)
OPTIONS: Options = (
    ("--up", "", "set SAs, policies and route, with the keys of ipsec.conf"),
    ("--down", "", "take its SAs away; its route stays, and what takes it is dropped"),
    ("--route", "", "set its route only; what takes it is dropped until --up"),
    ("--unroute", "", "take its route away, once it is down"),
    ("--union", "", "the conn is all of these sections together (also= does the same in the file)"),
    ("--show", "", "print the steps, then do them"),
    ("--showonly", "", "print the steps and do not do them"),
    ("--other", "", "be the other end; good with --showonly"),
    ("--config", "FILE", "another file than /etc/ipsec.conf"),
)
MOST_PARTS = 60


def run(words: list[str]) -> int:
    """The command."""
    given, names = parse("ipsec manual", USAGE, OPTIONS, words, range(1, MOST_PARTS))
    operations = [option for option in OPERATIONS if option in given]
    if len(operations) != 1 or (len(names) > 1 and "--union" not in given):
        raise UsageError("\n       ".join(["usage: " + USAGE[0], *USAGE[1:]]))
    from cygnet.cli import manual_kernel
    from cygnet.conf import load
    from cygnet.kernel.links import read_local

    path = Path(given.get("--config", f"{confdir()}/ipsec.conf"))
    configuration = load(path, read_local(), union=names if "--union" in given else ())
    one = manual_kernel.find(configuration, " ".join(names), "--other" in given)
    if "--show" in given or "--showonly" in given:
        print("\n".join(steps(one, operations[0])))
    if "--showonly" not in given:
        with manual_kernel.opened(configuration, _say) as manual:
            getattr(manual, operations[0].removeprefix("--"))(one)
    return 0


def start(configuration: Configuration, log: Callable[[str], None]) -> None:
    """What is to be up from the start; one that cannot keeps no other from it."""
    from cygnet.cli.manual_kernel import find, opened

    with opened(configuration, log) as manual:

        def bring_up(name: str) -> None:
            manual.up(find(configuration, name))

        for name in configuration.starts_manual:
            manual.attempt(partial(bring_up, name))


def stop(path: Path, log: Callable[[str], None]) -> None:
    """Take everything out of the kernel that was set by hand, when no daemon runs."""
    from cygnet.cli.manual_kernel import opened
    from cygnet.conf import load
    from cygnet.kernel import links

    configuration = load(path, links.read_local())
    with opened(configuration, log) as manual:
        for name in configuration.connections:
            manual.attempt(partial(manual.end, name))
        manual.kernel.flush()
        for name, _ in configuration.setup.interfaces:
            manual.attempt(partial(links.delete_interface, name))


def steps(one: Keyed, operation: str) -> Iterator[str]:
    """What is done, in the words of ipsec_spi(8), ipsec_eroute(8) and the updown script."""
    from cygnet.cli.manual_kernel import occasion
    from cygnet.cli.said import said
    from cygnet.updown.call import full_verb

    span, type_ = one.route.span, one.route.connection.type.value
    for sa in one.sas if operation == "--up" else ():
        mode = " --ip4" if sa.mode == "tunnel" else ""
        keys = (" --enckey -" if sa.encryption else "") + (" --authkey -" if sa.integrity else "")
        suite = one.suites[sa.key.protocol]
        yield f"ipsec spi --said {said(sa.key)} --src {sa.source} --{sa.key.protocol} {suite}{mode}{keys}"
    target = said(one.sas[0].key) if one.sas else f"%{type_}"
    change, target = {"--up": ("--replace", target), "--unroute": ("--del", "")}.get(operation, ("--replace", "%drop"))
    verbs = {"--up": ("prepare", "route", "up"), "--route": ("prepare", "route")}.get(operation, (operation[2:],))
    yield f"ipsec eroute {change} --src {span.ours} --dst {span.theirs}" + (f" --said {target}" if target else "")
    yield from (f"PLUTO_VERB={full_verb(occasion(one, verb))} ipsec _updown" for verb in verbs)
    yield from (f"ipsec spi --said {said(sa.key)} --del" for sa in one.sas if operation == "--down")


def _say(text: str) -> None:
    print(f"ipsec manual: {text}", file=sys.stderr)
