"""The daemon's command line (pluto(8)). It never forks: runit, or ``ipsec setup``, keeps it as it is."""

from __future__ import annotations

import sys
from ipaddress import ip_address
from pathlib import Path

from cygnet.cli.options import Done, Options, UsageError, number, parse
from cygnet.connection.connection import Address
from cygnet.control.codes import CONTROL_BASE
from cygnet.daemon.settings import Settings
from cygnet.errors import CygnetError

USAGE = ("ipsec pluto [--config file] [--secretsfile file] [--ctlbase path] [--listen address] [--noklips] ...",)
OPTIONS: Options = (
    ("--config", "FILE", "another file than /etc/ipsec.conf"),
    ("--secretsfile", "FILE", "another file than /etc/ipsec.secrets"),
    ("--ctlbase", "PATH", f"PATH.ctl is the control socket, PATH.pid the lock; {CONTROL_BASE} without"),
    ("--ikeport", "PORT", "another UDP port than 500, at both ends"),
    ("--natikeport", "PORT", "another UDP port than 4500, at both ends"),
    ("--listen", "ADDRESS,...", "be at these addresses only"),
    ("--noklips", "", "negotiate, but touch neither kernel nor routes; good for tests"),
    ("--kernel", "xfrm|fake", "fake is the same as --noklips"),
    ("--forwarding", "PROGRAM", "run it with off before policies are taken away, and with on when all routes stand"),
    ("--nofork", "", "accepted; it never forks"),
    ("--stderrlog", "", "accepted; the log is standard error"),
    ("--uniqueids", "", "accepted; ipsec.conf says it"),
)
PORTS = range(1, 65536)


def main(words: list[str]) -> int:
    """Run until told to end. Exit status: 0, 1 if it could not start, 2 for a wrong command line, 10 if one runs."""
    try:
        settings = read_settings(words)
    except Done as text:
        print(text)
        return 0
    except UsageError as problem:
        print(problem, file=sys.stderr)
        return 2
    return _run(settings)


def _run(settings: Settings) -> int:
    """What it needs is imported only now: a wrong option costs nothing."""
    from cygnet.daemon.daemon import Daemon
    from cygnet.daemon.host import Machine, Nothing
    from cygnet.daemon.lock import LOCKED, LockError
    from cygnet.daemon.log import standard_error

    log = standard_error()
    try:
        host = Nothing(settings.listen) if settings.no_kernel else Machine(log, settings.router)
        daemon = Daemon(settings, host, log)
    except LockError as problem:
        log(str(problem))
        return LOCKED
    except CygnetError as problem:
        log(f"cannot start: {problem}")
        return 1
    try:
        daemon.run()
    finally:
        daemon.close()
    return 0


def read_settings(words: list[str]) -> Settings:
    """What the command line says."""
    given, _ = parse("ipsec pluto", USAGE, OPTIONS, words)
    if given.get("--kernel", "xfrm") not in ("xfrm", "fake"):
        raise UsageError(f'ipsec pluto: --kernel is xfrm or fake, not "{given["--kernel"]}"')
    base = Path(given.get("--ctlbase", CONTROL_BASE)).absolute()
    plain = Settings()
    return Settings(
        config=Path(given.get("--config", plain.config)).absolute(),
        secrets=Path(given.get("--secretsfile", plain.secrets)).absolute(),
        base=str(base),
        ike_port=number("ipsec pluto", "--ikeport", given["--ikeport"], PORTS) if "--ikeport" in given else None,
        nat_port=number("ipsec pluto", "--natikeport", given.get("--natikeport", str(plain.nat_port)), PORTS),
        listen=tuple(_address(text) for text in given.get("--listen", "").split(",") if text),
        no_kernel="--noklips" in given or given.get("--kernel") == "fake",
        router=given.get("--forwarding", ""),
    )


def _address(text: str) -> Address:
    try:
        return ip_address(text)
    except ValueError:
        raise UsageError(f'ipsec pluto: --listen takes addresses, not "{text}"') from None
