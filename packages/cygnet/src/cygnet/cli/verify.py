"""``ipsec verify``: is everything there that IPsec needs, and does the configuration mean here what it says."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from cygnet.cli import confdir
from cygnet.cli.options import Options, parse
from cygnet.control.codes import CONTROL_BASE

USAGE = ("ipsec verify [--config file] [--secretsfile file] [--ctlbase path]",)
OPTIONS: Options = (
    ("--config", "FILE", "another file than /etc/ipsec.conf"),
    ("--secretsfile", "FILE", "another file than /etc/ipsec.secrets"),
    ("--ctlbase", "PATH", "the daemon's socket is PATH.ctl"),
)
WIDTH = 60
NETLINK_XFRM = 6
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")


class Files(NamedTuple):
    """What is looked at."""

    config: Path
    secrets: Path
    base: str


class Finding(NamedTuple):
    """``verdict``: OK, FAILED, or NOTE for what is as it may be. ``why``: lines below it."""

    what: str
    verdict: str
    why: list[str]


def run(words: list[str]) -> int:
    """The command. Exit status 1 if anything failed."""
    given, _ = parse("ipsec verify", USAGE, OPTIONS, words)
    files = Files(
        Path(given.get("--config", f"{confdir()}/ipsec.conf")),
        Path(given.get("--secretsfile", f"{confdir()}/ipsec.secrets")),
        given.get("--ctlbase", CONTROL_BASE),
    )
    print("Checking that this system has what IPsec needs")
    failed = False
    for finding in (one for check in CHECKS for one in check(files)):
        print("\n\t".join([f"{finding.what:{WIDTH}}[{finding.verdict}]", *finding.why]))
        failed |= finding.verdict == "FAILED"
    return int(failed)


def _judge(what: str, problems: list[str]) -> Finding:
    return Finding(what, "FAILED" if problems else "OK", problems)


def _kernel(_files: Files) -> Iterator[Finding]:
    try:
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_XFRM).close()
    except OSError:
        yield _judge("Kernel has XFRM", ["the kernel is built without CONFIG_XFRM_USER"])
    else:
        yield _judge("Kernel has XFRM", [])


def _programs(_files: Files) -> Iterator[Finding]:
    missing = [] if shutil.which("ip") else ["the updown script sets routes with ip, of the package iproute2"]
    yield _judge('Program "ip"', missing)


def _configuration(files: Files) -> Iterator[Finding]:
    from cygnet.conf import ConfError, load
    from cygnet.conf.parameters import TABLES
    from cygnet.kernel.links import read_local

    try:
        found = load(files.config, read_local())
    except ConfError as problem:
        yield _judge(f"Configuration {files.config}", [str(problem)])
        return
    yield _judge(f"Configuration {files.config}, {len(found.connections)} connections", found.problems)
    reasons = {name: row.reason for table in TABLES.values() for name, row in table.items()}
    for name, where in found.setup.ignored.items():
        yield Finding(f"Parameter {name}", "NOTE", [f"{where}: it has no effect: {reasons.get(name, '')}"])
    for one in found.connections.values():
        if one.weak:
            yield Finding(f'Connection "{one.name}"', "NOTE", [f"{one.where}: it allows weak {', '.join(one.weak)}"])
    if any(one.here.subnet for one in found.connections.values()):
        off = FORWARDING.exists() and FORWARDING.read_text().strip() == "0" and not found.setup.forward_control
        yield _judge("IP forwarding, for the subnets", [f"{FORWARDING} is 0"] if off else [])


def _secrets(files: Files) -> Iterator[Finding]:
    from cygnet.conf import load_secrets

    found = load_secrets(files.secrets)
    yield _judge(f"Secrets {files.secrets}", list(found.problems))
    count = len(found.private) + len(found.preshared)
    yield _judge("A key or password is there", [] if count else ["ipsec newhostkey makes a key"])


def _daemon(files: Files) -> Iterator[Finding]:
    from cygnet.cli.service import pid

    running = pid(files.base)
    yield _judge("Pluto is running" + f", pid {running}" * bool(running), [] if running else ["ipsec setup start"])


CHECKS: tuple[Callable[[Files], Iterator[Finding]], ...] = (_kernel, _programs, _configuration, _secrets, _daemon)
