"""``ipsec``: all of IPsec on this host, a command for each thing; what goes wrong is one sentence.

Connections are described in ipsec.conf(5), secrets are in ipsec.secrets(5); IPSEC_CONFS in the environment names
another folder than /etc for both. Each command explains itself by --help, and has a page such as ipsec_auto(8).

Exit status: 0, 1 if the command failed, 2 for a wrong command line; ipsec_whack(8) has more.
"""

# Each is a module, named in commands.py, with USAGE, OPTIONS and a `run`, and its docstring is its manual page.
# Whatever a command does not need it does not import: a start is felt on a 486.

from __future__ import annotations

import os
import sys

from cygnet import __version__
from cygnet.cli.commands import COMMANDS
from cygnet.cli.options import Done, UsageError, nearest
from cygnet.errors import CygnetError

USAGE = 2
TOP = {
    "--version": f"Linux Cygnet {__version__}\nSee `ipsec --copyright' for copyright information.",
    "--versioncode": __version__,
    "--copyright": "Cygnet is free software; its LICENSE file says on what terms."
    "\nIt follows FreeS/WAN's manual pages and holds none of its code.",
}


def main(words: list[str] | None = None) -> int:
    """Exit status: 0, the daemon's code (ipsec_whack(8)), 1 for what failed, 2 for a wrong command line."""
    words = sys.argv[1:] if words is None else words
    try:
        return _run(words)
    except Done as text:
        print(text)
        return 0
    except UsageError as problem:
        print(problem, file=sys.stderr)
        return USAGE
    except CygnetError as problem:
        print(f"ipsec {words[0]}: {problem}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except KeyboardInterrupt:
        return 130


def _run(words: list[str]) -> int:
    if not words or words[0] in ("--help", "-h"):
        print("\n".join(_help()))
        return 0
    name, *rest = words
    top = {**TOP, "version": TOP["--version"], "--directory": __path__[0], "--confdir": confdir()}
    if name in top:
        print(top[name])
        return 0
    if name not in COMMANDS:
        known = top if name.startswith("-") else COMMANDS
        what = "option" if name.startswith("-") else "command"
        raise UsageError(f'ipsec: unknown {what} "{name}"{nearest(name, known)} (ipsec --help lists the commands)')
    module = __import__(f"cygnet.cli.{COMMANDS[name][0]}", fromlist=["run"])
    status: int = module.run(rest)
    sys.stdout.flush()
    return status


def confdir() -> str:
    """Where ipsec.conf and ipsec.secrets are."""
    return os.environ.get("IPSEC_CONFS", "/etc")


def _help() -> list[str]:
    shown = {name: text for name, (_, text) in COMMANDS.items() if text}
    width = max(map(len, shown))
    return [
        "Usage: ipsec command argument ...",
        "where command is one of:",
        *(f"        {name:{width}}  {text}" for name, text in shown.items()),
        "",
        "`ipsec command --help' says what each takes. See also ipsec(8).",
    ]
