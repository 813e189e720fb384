"""``ipsec verify``: is everything there that IPsec needs, and does the configuration mean here what it says."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from cygnet.cli import confdir
from cygnet.cli.options import Options, parse
from cygnet.cli.service import pid
from cygnet.conf import ConfError, load, load_secrets
from cygnet.conf.parameters import TABLES
from cygnet.connection.local import away
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
FAILED = "FAILED"
# What was looked at, the verdict (OK, FAILED, or NOTE for what is as it may be), lines that say why.
Finding = tuple[str, str, list[str]]


def run(words: list[str]) -> int:
    """The command. Exit status 1 if anything failed."""
    given, _ = parse("ipsec verify", USAGE, OPTIONS, words)
    config = Path(given.get("--config", f"{confdir()}/ipsec.conf"))
    secrets = Path(given.get("--secretsfile", f"{confdir()}/ipsec.secrets"))
    print("Checking that this system has what IPsec needs")
    failed = False
    for what, verdict, why in (
        *_system(given.get("--ctlbase", CONTROL_BASE)),
        *_configuration(config),
        *_secrets(secrets),
    ):
        print("\n\t".join([f"{what:{WIDTH}}[{verdict}]", *why]))
        failed |= verdict == FAILED
    return int(failed)


def _judge(what: str, *problems: str) -> Finding:
    return what, FAILED if problems else "OK", list(problems)


def _system(base: str) -> Iterator[Finding]:
    try:
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_XFRM).close()
        yield _judge("Kernel has XFRM")
    except OSError:
        yield _judge("Kernel has XFRM", "the kernel is built without CONFIG_XFRM_USER")
    missing = () if shutil.which("ip") else ("the updown script sets routes with ip, of the package iproute2",)
    yield _judge('Program "ip"', *missing)
    yield _judge("Pluto is running", *(() if pid(base) else ('"ipsec setup start" starts it',)))


def _configuration(path: Path) -> Iterator[Finding]:
    from cygnet.kernel.links import read_local

    try:
        found = load(path, read_local())
    except ConfError as problem:
        yield _judge(f"Configuration {path}", str(problem))
        return
    yield _judge(f"Configuration {path}, {len(found.connections)} connections", *found.problems)
    reasons = {name: row.reason for table in TABLES.values() for name, row in table.items()}
    for name, where in found.setup.ignored.items():
        yield f"Parameter {name}", "NOTE", [f"{where}: it has no effect: {reasons.get(name, '')}"]
    for one in found.connections.values():
        if one.weak:
            yield f'Connection "{one.name}"', "NOTE", [f"{one.where}: it allows weak {', '.join(one.weak)}"]
        if reason := away(one):
            yield f'Connection "{one.name}"', "NOTE", [f"{one.where}: it waits: {reason}"]
    if any(one.here.subnet for one in found.connections.values()) and FORWARDING.exists():
        off = FORWARDING.read_text().strip() == "0" and not found.setup.forward_control
        yield _judge("IP forwarding, for the subnets", *([f"{FORWARDING} is 0"] if off else []))


def _secrets(path: Path) -> Iterator[Finding]:
    found = load_secrets(path)
    yield _judge(f"Secrets {path}", *found.problems)
    yield _judge(
        "A key or password is there", *(() if found.private or found.preshared else ("ipsec newhostkey makes a key",))
    )
