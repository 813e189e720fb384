"""``ipsec barf``: everything that somebody needs to find out what is wrong with IPsec here, as one text; no secrets.

It is for a mail to whoever helps, or for a file. Each section begins with a line of underscores and its name, as in
FreeS/WAN: the daemon's state, SAs and policies, addresses, routes, rules of the firewall, counters, ipsec.conf,
what ipsec verify says, the log. A section has 20 seconds, so a daemon that hangs keeps nothing back, and a bounded
size: where something was cut, it says so. In all it is less than 1 MB. It needs no daemon that runs.

Of files with secrets only what is known to be none is printed: of ipsec.secrets who has which kind of secret, of
ipsec.conf no keys, no comments, and nothing that is not understood. Not even checksums of secrets are printed, for
they can be guessed from. After that every section is searched for all secrets of both files.

Addresses, names and public keys are not secret to it.

    ipsec barf > /tmp/barf
    ipsec barf --short | mail -s "tunnel is down" helper@example.org
"""

from __future__ import annotations

import os
import re
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, NoReturn

from cygnet.cli import confdir, main
from cygnet.cli.options import Options, number, parse
from cygnet.control.codes import CONTROL_BASE
from cygnet.errors import CygnetError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cygnet.cli.censor import Net

USAGE = ("ipsec barf [--short] [--maxlines number]",)
OPTIONS: Options = (
    ("--short", "", "the last 100 lines of the logs only"),
    ("--maxlines", "NUMBER", "the most lines of a section, 1000 without"),
)
ROOT = Path("/")
SECONDS = 20
MOST, MOST_LOG = 16_000, 60_000
SHORT = 100
CONTROL = re.compile(r"[^\t\n -~]")
KERNEL = re.compile(r"CONFIG_(XFRM|INET|NF_|NETFILTER|IP6?_NF|CRYPTO)\w*=")
OURS = ("pluto", "ipsec", "updown")
LOGS = (("logread",), ("journalctl", "-b", "-n", "5000", "--no-pager"))
LOG_FILES = "run/pluto/pluto.log var/log/auth.log var/log/secure var/log/daemon.log var/log/syslog var/log/messages"
SYSCTLS = "ip_forward ip_no_pmtu_disc conf/*/rp_filter conf/*/*_redirects conf/*/forwarding conf/*/accept_source_route"


class Section(NamedTuple):
    """A section. ``words``: a program with its arguments, or one of ACTIONS. ``log``: of a log the end counts."""

    title: str
    words: tuple[str, ...]
    log: bool = False


def _table(*rows: str) -> tuple[Section, ...]:
    """Title and command; a command that is left out is the title."""
    pairs = (row.partition(": ") for row in rows)
    return tuple(Section(title, tuple((command or title).split())) for title, _, command in pairs)


SECTIONS = (
    *_table(
        "version: ipsec --version",
        "/proc/version: cat proc/version",
        "image: cat usr/lib/cygnet/image",
        "uptime",
        "ipsec/setup: ipsec setup --status",
        "ipsec/status: ipsec auto --status",
        "ipsec/look: ipsec look",
        "ipsec/eroute: ipsec eroute",
        "ipsec/spi: ipsec spi",
        "ipsec/spigrp: ipsec spigrp",
        "ipsec/tncfg: ipsec tncfg",
        "ipsec/klipsdebug: ipsec klipsdebug",
        "ipsec/policy: ipsec policy",
        "ipsec/verify: ipsec verify",
        "ipsec/why: ipsec why",
        "ipsec/showdefaults: ipsec showdefaults",
        "ipsec/conf: conf",
        "ipsec/secrets: ipsec secrets --list",
        "ipsec/policies: cat etc/ipsec.d/policies/*",
        "ipsec/ls-confdir: ls -lR /etc/ipsec.d /etc/ipsec.conf /etc/ipsec.secrets",
        "ipsec/ls-libdir: ls -l /usr/lib/ipsec",
        "box/status: box status",
        "box/network: settings etc/cygnet/network",
        "/proc/net/xfrm_stat: cat proc/net/xfrm_stat",
        "/proc/sys/net/core/xfrm-star: cat proc/sys/net/core/xfrm_*",
        "/proc/sys/net/ipv4-star: cat " + " ".join(f"proc/sys/net/ipv4/{name}" for name in SYSCTLS.split()),
        "ip-addr-list: ip addr list",
        "ip-link: ip -s link",
        "ip-route-list: ip route list table all",
        "ip-6-route-list: ip -6 route list table all",
        "ip-rule-list: ip rule list",
        "ip-neigh: ip neigh list",
        "sockets: cat proc/net/udp proc/net/udp6",
        "/proc/net/dev: cat proc/net/dev",
        "/proc/net/snmp: cat proc/net/snmp",
        "firewall: ipsec firewall",
        "firewall/policy: cat etc/cygnet/firewall",
        "iptables: iptables-save -c",
        "ip6tables: ip6tables-save -c",
        "conntrack: cat proc/sys/net/netfilter/nf_conntrack_count proc/sys/net/netfilter/nf_conntrack_max",
        "hostname: cat proc/sys/kernel/hostname etc/hosts etc/resolv.conf",
        "/proc/crypto: cat proc/crypto",
        "kernel-config: config proc/config.gz",
        "/proc/modules: cat proc/modules",
        "/proc/meminfo: cat proc/meminfo",
        "ps: ps -e -o pid,ppid,stat,time,vsz,rss,comm",
        "mounts: cat proc/mounts",
        "df: df -k",
    ),
    Section("dmesg", ("dmesg",), log=True),
    Section("plog", ("log",), log=True),
    *_table("date"),
)


def run(words: list[str]) -> int:
    """The command."""
    given, _ = parse("ipsec barf", USAGE, OPTIONS, words)
    lines = number("ipsec barf", "--maxlines", given.get("--maxlines", "1000"), range(1, 100_001))
    # What most sections need is read here once, not by the process of each: on a 486 that is felt.
    from cygnet.cli import look, policy, verify  # noqa: F401
    from cygnet.cli.censor import Net
    from cygnet.cli.service import pid

    net = Net(Path(f"{confdir()}/ipsec.conf"), Path(f"{confdir()}/ipsec.secrets"))
    print(f"{os.uname().nodename}\n{time.strftime('%a %b %e %H:%M:%S %Z %Y')}")
    print("Pluto runs" if pid(CONTROL_BASE) else "Pluto does not run: what only it knows is missing below")
    if os.geteuid():
        print("this is not run by root: much is missing below")
    for section in SECTIONS:
        most = min(lines, SHORT) if section.log and "--short" in given else lines
        print(f"+ _________________________ {section.title}\n+ {' '.join(section.words)}")
        print("".join(f"{line}\n" for line in bounded(section, most, net)), end="", flush=True)
    return 0


def bounded(section: Section, most: int, net: Net) -> list[str]:
    """Its lines, whole ones only, printable, without secrets, and not more than it may have; what was cut is said."""
    size = MOST_LOG if section.log else MOST
    raw, note = collect(section.words, 4 * size, section.log)
    rows = net.clean(CONTROL.sub("?", raw.decode("ascii", "backslashreplace"))).splitlines()
    if section.log:
        rows.reverse()
    kept: list[str] = []
    for row in rows[:most]:
        size -= len(row) + 1
        if size < 0:
            break
        kept.append(row)
    if len(kept) < len(rows):
        note = note or f"[cut: {len(rows) - len(kept)} more lines]"
    kept += [note] if note else []
    return kept[::-1] if section.log else kept


def collect(words: tuple[str, ...], most: int, log: bool) -> tuple[bytes, str]:
    """The output of a process of its own, in whole lines, of a log the end; and why not all of it is there, or ""."""
    sys.stdout.flush()
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        _become(words, writer)
    os.close(writer)
    heard, note, end = b"", "", time.monotonic() + SECONDS
    while True:
        if not select.select([reader], [], [], max(0.0, end - time.monotonic()))[0]:
            note = f"[cut off: it took more than {SECONDS} s]"
            break
        piece = os.read(reader, 1 << 16)
        if not piece:
            break
        heard += piece
        if len(heard) > most:
            note = "[cut: much more than can be shown]"
            if not log:
                heard = heard[: heard.rfind(b"\n", 0, most) + 1]
                break
            heard = heard[-most:].partition(b"\n")[2]
    os.close(reader)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return heard, note


def _become(words: tuple[str, ...], writer: int) -> NoReturn:
    """In the child: whatever it does, nothing of it comes back into the parent's code."""
    try:
        os.setsid()
        for target, source in ((0, os.open(os.devnull, os.O_RDONLY)), (1, writer), (2, writer)):
            os.dup2(source, target)
        sys.stdout = sys.stderr = os.fdopen(1, "w", errors="backslashreplace", closefd=False)
        if words[0] == "ipsec":
            main(list(words[1:]))
        elif words[0] in ACTIONS:
            for line in ACTIONS[words[0]](*words[1:]):
                print(line)
        else:
            os.execvp(words[0], words)  # noqa: S606
    except CygnetError as problem:
        print(problem)
    except OSError as problem:
        print(f"{words[0]}: {problem.strerror}")
    except BaseException as problem:
        print(f"this section came to grief: {type(problem).__name__}")
    finally:
        with suppress(Exception):
            sys.stdout.flush()
        os._exit(0)


def _cat(*patterns: str) -> Iterator[str]:
    """The lines of files; where there may be several, each with its file's name."""
    several = len(patterns) > 1 or "*" in patterns[0]
    for path in (path for pattern in patterns for path in sorted(ROOT.glob(pattern))):
        with suppress(OSError):
            for line in path.read_text(errors="replace").splitlines():
                yield f"/{path.relative_to(ROOT)}: {line}" if several else line


def _kernel_config(path: str) -> Iterator[str]:
    import gzip

    text = gzip.decompress((ROOT / path).read_bytes()).decode("ascii", "replace")
    yield from filter(KERNEL.match, text.splitlines())


def _conf() -> Iterator[str]:
    from cygnet.cli.censor import configuration

    return configuration(Path(f"{confdir()}/ipsec.conf"))


def _settings(path: str) -> Iterator[str]:
    from cygnet.cli.censor import settings

    return settings((ROOT / path).read_text(errors="replace"))


def _log() -> Iterator[str]:
    """What the daemon, its scripts and commands have said, wherever the system keeps it."""
    import shutil
    import subprocess

    command = next((command for command in LOGS if shutil.which(command[0])), None)
    said = subprocess.run(command, capture_output=True, check=False).stdout.decode(errors="replace") if command else ""
    for line in (*said.splitlines(), *_cat(*LOG_FILES.split())):
        if any(word in line for word in OURS):
            yield line


ACTIONS: dict[str, Callable[..., Iterator[str]]] = {
    "cat": _cat,
    "config": _kernel_config,
    "conf": _conf,
    "settings": _settings,
    "log": _log,
}
