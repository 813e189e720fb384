"""Whether the daemon runs, and how it is started and ended: by runit where there is its service, else by ourselves.

Whoever runs the daemon holds a lock on its pid file (daemon/lock.py), which no crash can leave behind.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from cygnet.control import codes
from cygnet.errors import CygnetError

SERVICE = Path("/etc/sv/ipsec")
LINK = Path("/run/service/ipsec")
# Turns forwarding on, where a firewall is in force; the daemon leaves it off.
ROUTER = Path("/usr/lib/cygnet/forwarding")
# Is there while something may be keyed by hand: looking for it costs less than asking the kernel.
BY_HAND = Path(codes.CONTROL_BASE).with_name("by-hand")
SECONDS_TO_START = 60.0
SECONDS_TO_STOP = 15.0
STEP = 0.1


def runs_under_runit() -> bool:
    """Whether this host has the service's folder."""
    return SERVICE.is_dir()


def mark_by_hand() -> None:
    """For `ipsec setup stop` to know."""
    BY_HAND.parent.mkdir(0o700, parents=True, exist_ok=True)
    BY_HAND.touch()


def pid(base: str) -> int:
    """The daemon's process id, 0 if it does not run."""
    try:
        file = os.open(base + codes.LOCK_SUFFIX, os.O_RDONLY)
    except OSError:
        return 0
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        number = os.read(file, 20).strip()
        return int(number) if number.isdigit() else 0
    finally:
        os.close(file)
    return 0


def start(base: str, options: list[str]) -> None:
    """Start it and wait until it answers; CygnetError if it does not."""
    child = _supervise() if runs_under_runit() else _spawn(base, options)
    for _ in range(int(SECONDS_TO_START / STEP)):
        if Path(base + codes.SOCKET_SUFFIX).exists() and pid(base):
            return
        if child and os.waitpid(child, os.WNOHANG) != (0, 0):
            raise CygnetError(f"the daemon ended at once; {base}.log says why")
        time.sleep(STEP)
    raise CygnetError(f"the daemon does not answer after {SECONDS_TO_START:.0f} s; look at its log")


def stop(base: str) -> None:
    """End it, politely first; returns when it has ended, and what its service does then is done."""
    down = ("sv", "-v", "-w", str(int(SECONDS_TO_STOP)), "down", str(LINK))
    if runs_under_runit():
        _run(*down)
    _end(base)
    if runs_under_runit():
        _run(*down)


def leave() -> None:
    """IPsec is not wanted any more: the box goes on as a router without it."""
    if ROUTER.exists():
        _run(str(ROUTER), "on")


def _end(base: str) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        running = pid(base)
        if running:
            with suppress(ProcessLookupError):
                os.kill(running, number)
        for _ in range(int(SECONDS_TO_STOP / STEP)):
            if not pid(base):
                return
            time.sleep(STEP)


def _supervise() -> int:
    """runsvdir looks for new links every five seconds."""
    if not LINK.is_symlink():
        LINK.symlink_to(SERVICE)
    for _ in range(int(SECONDS_TO_START / STEP)):
        if (LINK / "supervise/ok").exists() and _run("sv", "up", str(LINK)) == 0:
            return 0
        time.sleep(STEP)
    raise CygnetError("runit does not take the service up; does runsvdir run?")


def _spawn(base: str, options: list[str]) -> int:
    """The daemon as a process of its own, away from this terminal; its log goes beside its socket."""
    Path(base).parent.mkdir(0o700, parents=True, exist_ok=True)
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    os.setsid()
    log = os.open(base + ".log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for target, source in ((0, os.open(os.devnull, os.O_RDONLY)), (1, log), (2, log)):
        os.dup2(source, target)
    os.closerange(3, 64)
    from cygnet.cli import main

    os._exit(main(["pluto", "--ctlbase", base, *options]))


def _run(*command: str) -> int:
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False).returncode
    except OSError as problem:
        raise CygnetError(f"cannot run {command[0]}: {problem.strerror}") from None
