"""``ipsec policy``: what would become of a packet, or all policies that are in force; from the kernel itself.

With a source and a destination it says what this host does with such a packet: where its routes lead it, which policy
is for it there, and by which SA it goes; and then the same for the answer, as it comes out of the tunnel and as it
would come in clear. Routes into ipsecN ask the policies of that interface, all other routes those without one.

Without them it lists the policies of every direction, the first that counts first. What stands behind => is

    esp0x...@address    protected by these SAs, the innermost first
    %trap               held back; it asks for a tunnel
    %pass               let through in clear
    %drop               dropped

    ipsec policy 10.1.0.5 10.2.0.7
    ipsec policy 192.0.2.1 192.0.2.2 17 1701
    ipsec policy --in
"""

from __future__ import annotations

from collections.abc import Iterator

from cygnet.cli.options import Options, UsageError, number, parse
from cygnet.connection.local import Local
from cygnet.connection.selector import Selector, host_selector
from cygnet.kernel.policy import Direction, Policy
from cygnet.why.host import Way
from cygnet.why.xfrm import Association, target

USAGE = ("ipsec policy [--in|--out|--fwd]", "ipsec policy source destination [protocol [port]]")
OPTIONS: Options = (
    ("--in", "", "policies for what comes to this host"),
    ("--out", "", "policies for what leaves this host"),
    ("--fwd", "", "policies for what this host forwards"),
)


NO_POLICY = ("%pass (no policy is for it)", "%drop (no policy is for it)")


def run(words: list[str]) -> int:
    """The command."""
    given, others = parse("ipsec policy", USAGE, OPTIONS, words, range(5))
    if len(others) == 1 or (others and given):
        raise UsageError("\n       ".join(["usage: " + USAGE[0], *USAGE[1:]]))
    packet = _packet(others) if others else None
    from cygnet.kernel.links import read_local
    from cygnet.why import host, xfrm

    found = sorted(xfrm.policies(everybody=True), key=lambda policy: (policy.direction.value, policy.priority))
    known = xfrm.associations()
    if packet:
        way = host.way(packet[1].network.network_address)
        print("\n".join(explain(*packet, way, read_local(), found, known)))
        return 0
    for policy in found:
        if not given or f"--{policy.direction.value}" in given:
            place = f"ipsec{policy.if_id - 1}" if policy.if_id else "-"
            print(f"{policy.direction.value:3} {place:6} {_text(policy, known)}")
    return 0


def explain(
    source: Selector, destination: Selector, way: Way, local: Local, policies: list[Policy], known: list[Association]
) -> Iterator[str]:
    """What becomes of a packet, and of its answer. ``policies``: the first that counts first."""
    if way.problem:
        yield f"{source} -> {destination} goes nowhere: {way.problem}"
        return
    if_id = _if_id(way.interface)
    goes = _pick(policies, Direction.OUT, source, destination, if_id)
    yield f"{source} -> {destination} goes {way}: {_text(goes, known) if goes else NO_POLICY[if_id > 0]}"
    back = Direction.IN if local.interface_of(source.network.network_address) else Direction.FORWARD
    for place, number_ in {f"by {way.interface}": if_id, **({"in clear": 0} if if_id else {})}.items():
        comes = _pick(policies, back, destination, source, number_)
        yield f"{destination} -> {source} comes {place}: {_text(comes, known) if comes else NO_POLICY[number_ > 0]}"


def _packet(words: list[str]) -> tuple[Selector, Selector]:
    from ipaddress import ip_address

    try:
        source, destination = (host_selector(ip_address(word)) for word in words[:2])
    except ValueError as problem:
        raise UsageError(f"ipsec policy: {problem}") from None
    if source.network.version != destination.network.version:
        raise UsageError("ipsec policy: source and destination are of different IP versions")
    protocol, port = (
        number("ipsec policy", name, text, allowed)
        for name, text, allowed in zip(
            ("the protocol", "the port"), [*words[2:], "0", "0"], (range(256), range(65536)), strict=False
        )
    )
    return Selector(source.network, protocol), Selector(destination.network, protocol, port)


def _if_id(interface: str) -> int:
    """ipsecN has N + 1; no other interface has one."""
    rest = interface.removeprefix("ipsec")
    return int(rest) + 1 if rest != interface and rest.isdecimal() else 0


def _pick(
    policies: list[Policy], direction: Direction, source: Selector, destination: Selector, if_id: int
) -> Policy | None:
    """The first that holds the packet; one with a mark is for marked packets only."""
    fitting = (one for one in policies if one.direction is direction and one.if_id == if_id and not one.mark)
    return next((one for one in fitting if one.source.holds(source) and one.destination.holds(destination)), None)


def _text(policy: Policy, known: list[Association]) -> str:
    does = target(policy, known)
    if policy.direction is not Direction.OUT and does == "%trap":
        does = "%drop (it must come by an SA, and there is none)"
    return f"{policy.source} -> {policy.destination} => {does}"
