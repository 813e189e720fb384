"""``ipsec setup``: IPsec as a whole, on and off.

Started, the daemon loads the connections of ipsec.conf(5) whose auto= says so, and begins those with auto=start.
Stopped, it tells the peers, and takes all that is its own out of the kernel; after a daemon that died, stop cleans up.
On a Cygnet box the daemon is a service, which comes again after a crash and at boot.

Exit status: 0 if all is as it should be, of status too; 1 otherwise.

    ipsec setup restart
    ipsec setup status
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cygnet import __version__
from cygnet.cli import confdir, service
from cygnet.cli.options import Options, UsageError, parse
from cygnet.control.codes import CONTROL_BASE, LOCK_SUFFIX, SOCKET_SUFFIX
from cygnet.errors import CygnetError

COMMANDS = ("start", "stop", "restart", "status")
USAGE = ("ipsec setup [--show|--showonly] {start|stop|restart|status}",)
OPTIONS: Options = (
    (
        "--start",
        "",
        "same as start: the daemon runs, connections are loaded and started as auto= says, keyed by hand or not",
    ),
    ("--stop", "", "same as stop: tunnels are taken down, the daemon ends; what was set by hand goes, too"),
    ("--restart", "", "same as restart: stop, start"),
    ("--status", "", "same as status: whether it runs; exit status 0 if all is as it should be"),
    ("--show", "", "print what is done before it is"),
    ("--showonly", "", "print what would be done and do not do it"),
    ("--config", "FILE", "another file than /etc/ipsec.conf, if the daemon is started from here"),
    ("--ctlbase", "PATH", "the daemon's socket is PATH.ctl"),
)


def run(words: list[str]) -> int:
    """The command."""
    given, others = parse("ipsec setup", USAGE, OPTIONS, words, range(2))
    commands = [word for word in COMMANDS if f"--{word}" in given] + others
    if len(commands) != 1 or commands[0] not in COMMANDS:
        raise UsageError("usage: " + USAGE[0])
    base = given.get("--ctlbase", CONTROL_BASE)
    if commands == ["status"]:
        return _status(base)
    if os.geteuid():
        raise CygnetError("permission denied (must be superuser)")
    status = 0
    options = ["--config", str(Path(given["--config"]).absolute())] if "--config" in given else []
    for command in ("stop", "start") if commands == ["restart"] else commands:
        if "--show" in given or "--showonly" in given:
            print("\t" + _shown(command, base, options))
        if "--showonly" not in given:
            status = _start(base, options) if command == "start" else _stop(base, options)
    if commands == ["stop"] and "--showonly" not in given:
        service.leave()
    return status


def _start(base: str, options: list[str]) -> int:
    if service.pid(base):
        _say("Cygnet IPsec apparently already running, start aborted")
        return 1
    _say(f"Starting Cygnet IPsec {__version__}...")
    try:
        service.start(base, options)
    except CygnetError as problem:
        _say(f"...unable to start Cygnet IPsec: {problem}")
        return 1
    return 0


def _stop(base: str, options: list[str]) -> int:
    """Cleans up after a daemon that died, too, and then says so by its status."""
    running = service.pid(base)
    _say("Stopping Cygnet IPsec...")
    if not running:
        _say("stop ordered, but IPsec does not appear to be running!")
        _say("doing cleanup anyway...")
    service.stop(base)
    if not running and not service.runs_under_runit():
        _clean(base)
    if service.BY_HAND.exists():
        from cygnet.cli.manual import stop

        stop(Path(options[1] if options else f"{confdir()}/ipsec.conf"), _say)
        service.BY_HAND.unlink(missing_ok=True)
    return 0 if running else 1


def _clean(base: str) -> None:
    for suffix in (LOCK_SUFFIX, SOCKET_SUFFIX):
        Path(base + suffix).unlink(missing_ok=True)
    if base == CONTROL_BASE:
        from cygnet.daemon.host import flush_leftovers

        flush_leftovers(_say)


def _status(base: str) -> int:
    running = service.pid(base)
    if running:
        print(f"IPsec running\npluto pid {running}")
        if Path(base + SOCKET_SUFFIX).exists():
            return 0
        print("but...\nit does not take requests: it is starting, or its socket was removed")
        return 1
    print("IPsec stopped")
    left = [base + suffix for suffix in (LOCK_SUFFIX, SOCKET_SUFFIX) if Path(base + suffix).exists()]
    if left:
        print(f'but...\nit has died and left {" and ".join(left)}; "ipsec setup start" starts it again')
    return 1 if left else 0


def _shown(command: str, base: str, options: list[str]) -> str:
    if service.runs_under_runit():
        if command == "stop":
            return f"sv down {service.LINK}"
        return f"ln -s {service.SERVICE} {service.LINK}; sv up {service.LINK}"
    if command == "start":
        return " ".join(["ipsec pluto --ctlbase", base, *options])
    return f"kill `cat {base}{LOCK_SUFFIX}`"


def _say(text: str) -> None:
    print(f"ipsec_setup: {text}", file=sys.stdout, flush=True)
