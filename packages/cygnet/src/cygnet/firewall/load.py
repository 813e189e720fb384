"""Rules into the kernel, all or none; and a policy on trial, which goes by itself if nobody confirms it.

What waits lies under /run with the rules that were there before it. A process of its own, which the end of a session
does not end, puts those back when the time is over. What is loaded at boot is the last policy that was confirmed, so
a power cut ends a trial, too.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from cygnet.firewall.files import DESCRIPTION, Places, write
from cygnet.firewall.policy import VERSIONS
from cygnet.firewall.settings import FirewallError

UNTIL = "until"
# Tables that no rule has been in yet; only this one of them does harm by what it does without rules.
EMPTY = {
    "raw": "",
    "mangle": "",
    "nat": "",
    "filter": ":INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n",
}
OURS = ":to-box "
# Rules are tried by whoever is not root in a network of his own; what it looks like when that cannot be.
NOBODYS = ("unshare", "--map-root-user", "--net")
NOT_ASKED = ("cannot run", "unshare failed", "unshare: ", "ermission denied", "not permitted", "can't initialize")
BUILT_IN = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")


def apply(places: Places, rules: dict[str, str], description: bytes, seconds: int) -> None:
    """Load the rules, on trial for so long, or for good (0). If they cannot be, all is as before: FirewallError."""
    _refuse_the_host(places)
    with _locked(places):
        if (left := waiting(places)) is not None:
            does = "ipsec firewall --confirm keeps it, ipsec firewall --revert takes it back"
            raise FirewallError(f"another policy is on trial, {left} s more: {does}")
        for version in VERSIONS:
            _restore(version, rules[f"rules.v{version}"], "--test")
        pending = places.run / "pending"
        write(pending, rules, description)
        for version in VERSIONS:
            (pending / f"before.v{version}").write_text(save(version))
        token = str(time.monotonic_ns() + seconds * 10**9)
        (pending / UNTIL).write_text(token)
        if seconds:
            _watch(places, token, seconds)
        try:
            for version in VERSIONS:
                _restore(version, beside(rules[f"rules.v{version}"], save(version)), "--noflush")
        except FirewallError:
            _put_back(places)
            raise
        if not seconds:
            _keep(places)


def confirm(places: Places) -> None:
    """What is on trial is for good."""
    with _on_trial(places):
        _keep(places)


def revert(places: Places) -> None:
    """What is on trial goes now."""
    _refuse_the_host(places)
    with _on_trial(places):
        _put_back(places)


def waiting(places: Places) -> int | None:
    """Seconds that a policy is still on trial; None if none is."""
    try:
        until = int((places.run / "pending" / UNTIL).read_text())
    except (OSError, ValueError):
        return None
    return max(0, (until - time.monotonic_ns()) // 10**9)


def refusals(rules: dict[str, str]) -> list[str]:
    """What iptables would not take of a policy's rules; none where there is none, or its kernel part is not there."""
    found = []
    for version in VERSIONS:
        try:
            _run(version, "restore", ["--test"], rules[f"rules.v{version}"], () if os.geteuid() == 0 else NOBODYS)
        except FirewallError as refusal:
            found += [] if any(words in str(refusal) for words in NOT_ASKED) else [str(refusal)]
    return found


def in_force(places: Places) -> Path:
    """The folder that holds what is loaded: text and rules."""
    return places.rules if waiting(places) is None else places.run / "pending"


def save(version: int, *options: str) -> str:
    """The rules in the kernel, as iptables-save says them."""
    return _run(version, "save", list(options), "")


def beside(rules: str, saved: str) -> str:
    """Rules for a kernel that has some, without emptying anything that is not the policy's own.

    Of the built-in chains there are only the jumps to ours, if they are not there; ``user-`` chains stay as they are.
    """
    there: set[tuple[str, str]] = set()
    table = ""
    for line in saved.splitlines():
        table = line if line.startswith("*") else table
        there.add((table, line.partition(" [")[0] if line.startswith(":") else line))
    kept = []
    for line in rules.splitlines():
        table = line if line.startswith("*") else table
        words = line.split()
        chain = words[1] if words[:1] == ["-A"] else line[1:].partition(" ")[0]
        users = chain.startswith("user-") and (table, f":{chain} -") in there
        jump = len(words) == 4 and (table, line) not in there
        if not users and (words[:1] != ["-A"] or chain not in BUILT_IN or jump):
            kept.append(line)
    return "\n".join(kept) + "\n"


def _keep(places: Places) -> None:
    pending = places.run / "pending"
    rules = {f"rules.v{version}": (pending / f"rules.v{version}").read_text() for version in VERSIONS}
    write(places.rules, rules, (pending / DESCRIPTION).read_bytes())
    shutil.rmtree(pending)


def _put_back(places: Places) -> None:
    """The rules before; where there was no policy before, nothing of ours stays."""
    problems = []
    pending = places.run / "pending"
    for version in VERSIONS:
        text = (pending / f"before.v{version}").read_text()
        text += "".join(f"*{name}\n{rules}COMMIT\n" for name, rules in EMPTY.items() if f"*{name}\n" not in text)
        try:
            if OURS in text:
                _restore(version, beside(text, save(version)), "--noflush")
            else:
                _restore(version, text)
        except FirewallError as problem:
            problems.append(str(problem))
    shutil.rmtree(pending)
    if problems:
        raise FirewallError("the rules before could not be put back: " + "; ".join(problems))


def _watch(places: Places, token: str, seconds: int) -> None:
    """A process of its own that takes back what is on trial when the time is over, if it is still this trial."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    null = os.open(os.devnull, os.O_RDWR)
    for target in range(3):
        os.dup2(null, target)
    os.closerange(3, 256)
    os.chdir("/")
    time.sleep(seconds)
    said = ""
    try:
        with _locked(places):
            if (places.run / "pending" / UNTIL).read_text() == token:
                said = f"firewall: nobody confirmed the policy in {seconds} s: the rules before are back"
                _put_back(places)
    except FirewallError as problem:
        said = f"firewall: {problem}"
    except OSError:
        pass  # it was confirmed or taken back, and is not there any more
    if said:
        import syslog

        syslog.syslog(syslog.LOG_WARNING, said)
    os._exit(0)


@contextmanager
def _on_trial(places: Places) -> Iterator[None]:
    with _locked(places):
        if waiting(places) is None:
            raise FirewallError("no policy is on trial: ipsec firewall --apply begins one")
        yield


@contextmanager
def _locked(places: Places) -> Iterator[None]:
    import fcntl

    try:
        places.run.mkdir(parents=True, exist_ok=True)
        lock = os.open(places.run / "lock", os.O_WRONLY | os.O_CREAT, 0o600)
    except OSError as error:
        raise FirewallError(f"{places.run}: cannot be written: {error.strerror}; are you root?") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _refuse_the_host(places: Places) -> None:
    """A scratch tree is for tries, and the network of this machine is not."""
    if not places.root:
        return
    try:
        same = Path("/proc/self/ns/net").readlink() == Path("/proc/1/ns/net").readlink()
    except PermissionError:
        same = False  # so it is within a user namespace
    if same:
        raise FirewallError(
            f"CYGNET_ROOT={places.root} and this machine's own network do not go together: try it within unshare -rn"
        )


def _restore(version: int, text: str, *options: str) -> None:
    _run(version, "restore", ["--wait=5", *options], text)


def _run(version: int, verb: str, options: list[str], text: str, within: Sequence[str] = ()) -> str:
    """The legacy programs, whose kernel parts a box has; they are called so where there are others."""
    import subprocess

    name = "ip6tables" if version == 6 else "iptables"
    program = shutil.which(f"{name}-legacy-{verb}") or f"{name}-{verb}"
    try:
        done = subprocess.run([*within, program, *options], input=text, capture_output=True, text=True, check=False)
    except OSError as error:
        raise FirewallError(f"cannot run {program}: {error.strerror}") from None
    if done.returncode:
        raise FirewallError(_complaint(f"{name}-{verb}", done.stderr, text.splitlines()))
    return done.stdout


def _complaint(name: str, said: str, lines: list[str]) -> str:
    """Its own words, and which line of the policy it means, where it says which of the rules."""
    words = said.replace(":", " ").split()
    first = next((line for line in said.splitlines() if line.strip()), "it said nothing")
    numbers = [after for word, after in pairwise(words) if word == "line" and after.isdecimal()]
    rule = lines[int(numbers[0]) - 1] if numbers and 0 < int(numbers[0]) <= len(lines) else ""
    _, mark, line = rule.partition("--comment line:")
    meant = f" (line {line.split()[0]} of the policy)" if mark else f" ({rule})" if rule else ""
    return f"{name} failed: {first.strip()}{meant}"
