"""The policy in force in words: zones, tunnels, who may talk to whom, and how much was dropped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cygnet.cli.look import eroutes
from cygnet.errors import CygnetError
from cygnet.firewall.files import DESCRIPTION, Places
from cygnet.firewall.load import BUILT_IN, OURS, in_force, save, waiting
from cygnet.firewall.policy import VERSIONS, Line, Policy, Zone
from cygnet.firewall.read import read
from cygnet.firewall.settings import read_bytes

# What a counter counts: how its line begins and what is in it, as iptables-save says it.
COUNTED = (
    ("to this box", ":INPUT DROP", ""),
    ("through this box", ":FORWARD DROP", ""),
    ("from a false source", "-A spoofed", "-j DROP"),
    ("came in clear, and comes in tunnels only", "-A came-clear", "-j DROP"),
    ("was to go in clear, and goes in tunnels only", "-A goes-clear", "-j REJECT"),
)
DENIED = ("-j DROP", "-j refuse", "-j log-deny", "-j log-reject")
SAYS = {"allow": "", "deny": "dropped: ", "reject": "refused: "}
OTHERS = ("user-input", "user-forward", "user-output")


def show(places: Places, network: Path) -> None:
    """Print it all."""
    policy = read(in_force(places) / DESCRIPTION, network)
    saved = [line for version in VERSIONS for line in save(version, "-c").splitlines()]
    for heading, lines in (
        (f"Policy in force: {policy.source}", _state(places, policy, saved)),
        ("Zones", map(_zone, policy.zones.values())),
        ("Tunnels", _tunnels()),
        ("Who may talk to whom; the first line that fits decides", _talks(policy)),
        ("Dropped, in packets, since the rules were loaded", _dropped(saved)),
        ("Rules of others", _others(saved)),
    ):
        print("\n  ".join([heading, *lines]))


def _state(places: Places, policy: Policy, saved: list[str]) -> Iterator[str]:
    if (left := waiting(places)) is not None:
        yield f"ON TRIAL, for {left} s more: ipsec firewall --confirm keeps it, --revert takes it back"
    if not any(line.startswith(OURS) for line in saved):
        yield "NOT LOADED: the kernel has no rules of it; ipsec firewall --apply loads them"
    if policy.digest.encode() not in read_bytes(in_force(places) / "rules.v4"):
        yield f"{places.network} is another one by now: ipsec firewall --apply makes the rules anew"
    if places.description.exists() and read_bytes(places.description) != read_bytes(in_force(places) / DESCRIPTION):
        yield f"{places.description} is another one by now: ipsec firewall --apply loads it"


def _zone(zone: Zone) -> str:
    where = " ".join(zone.interfaces) + (" (all that was or will be in a tunnel)" if zone.decrypted else "")
    return f"{zone.name:8}  {where or 'no interface'}{''.join(f', {network}' for network in zone.networks)}"


def _tunnels() -> list[str]:
    try:
        return eroutes() or ["none now"]
    except CygnetError as problem:
        return [str(problem)]


def _talks(policy: Policy) -> Iterator[str]:
    for private in policy.private:
        excepted = f", except {_list(private.excepted)}" if private.excepted else ""
        yield f"over {private.zone} in tunnels only: {_list(private.networks)}{excepted}"
    for one in policy.forwards:
        yield f"{one.zone} -> {one.address}  {one.text}"
    for line in policy.lines:
        ends = f"{','.join(line.origins)} -> {','.join(line.targets)}"
        masked = any(one.origin in line.origins and one.target in line.targets for one in policy.masquerades)
        yield f"{ends:16}  {SAYS[line.action]}{_what(line)}{', with the address of this box' if masked else ''}"
    yield "box -> anyone     what the box begins itself"
    yield "all else          dropped"


def _what(line: Line) -> str:
    verb, *words = line.text.split()
    if verb == "ike":
        return " ".join(["IKE, ESP and AH", *words[1:]])
    return " ".join(words[2:]) or "everything"


def _list(networks: tuple[object, ...]) -> str:
    return " ".join(map(str, networks))


def _dropped(saved: list[str]) -> Iterator[str]:
    """A rule's counter stands before it, a chain's behind it."""
    for what, begin, within in COUNTED:
        count = sum(_packets(line) for line in saved if _bare(line).startswith(begin) and within in line)
        yield f"{count:8}  {what}"
    for line in saved:
        _, mark, number = line.partition("--comment line:")
        if mark and line.endswith(DENIED) and (count := _packets(line)):
            yield f"{count:8}  by line {number.split()[0]}"


def _others(saved: list[str]) -> list[str]:
    """What is in the way beside the policy, and stays when it changes."""
    bare = [_bare(line).split() for line in saved if "-A " in line]
    found = [" ".join(words) for words in bare if words[1] in OTHERS or (words[1] in BUILT_IN and len(words) > 4)]
    return found or ["none"]


def _bare(line: str) -> str:
    return line.partition("] ")[2] if line.startswith("[") else line


def _packets(line: str) -> int:
    return int(line.partition("[")[2].partition(":")[0])
