"""``ipsec eroute``: which traffic is given to which SA, or dropped, or let through (ipsec_eroute(5), ipsec_eroute(8)).

Policies of the daemon and of manual keying are listed; those set here are for all traffic that fits, whichever way it
is routed. In XFRM what comes in has policies of its own: they are set for an SA whose destination is this box.
"""

from __future__ import annotations

from cygnet.cli.options import Options, UsageError, parse
from cygnet.cli.said import SAID
from cygnet.errors import CygnetError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cygnet.cli.kernel_view import Eroute
    from cygnet.connection.selector import Selector
    from cygnet.kernel.policy import Policy

COMMAND = "ipsec eroute"
USAGE = (
    "ipsec eroute",
    "ipsec eroute {--add|--replace} --src network --dst network {SA|--said %pass|%drop|%reject}",
    "ipsec eroute --del --src network --dst network",
    "ipsec eroute --clear",
)
OPTIONS: Options = (
    ("--add", "", "a new one; that there is none yet is checked"),
    ("--replace", "", "in the place of the one for the same traffic, if there is one"),
    ("--del", "", "remove those for this traffic"),
    ("--clear", "", "remove all that were set by hand"),
    ("--eraf", "inet|inet6", "accepted; the networks say it"),
    ("--src", "NETWORK", "whose packets, address/bits"),
    ("--dst", "NETWORK", "to whom"),
    ("--transport-proto", "NUMBER", "of one protocol only"),
    ("--src-port", "NUMBER", "from one port only"),
    ("--dst-port", "NUMBER", "to one port only"),
    *SAID,
)


def run(words: list[str]) -> int:
    """The command."""
    given, _ = parse(COMMAND, USAGE, OPTIONS, words)
    if not given:
        from cygnet.cli.kernel_view import associations, eroutes

        print("".join(_line(one) + "\n" for one in eroutes(associations())), end="")
        return 0
    from cygnet.cli import by_hand
    from cygnet.kernel.encode import policy_id
    from cygnet.kernel.ours import MANUAL
    from cygnet.kernel.policy import Direction
    from cygnet.tunnel.book import PolicyBook

    kernel = by_hand.kernel()
    there = [policy for policy in kernel.list_policies() if MANUAL.has(policy)]
    going: list[Policy] = []
    match [option for option in given if option in ("--add", "--replace", "--del", "--clear")]:
        case ["--clear"]:
            going = there
        case ["--del"]:
            ends = by_hand.ends(COMMAND, given)
            going = [policy for policy in there if _is_for(policy, *ends)]
        case ["--add" | "--replace" as action]:
            policies = by_hand.policies(COMMAND, given)
            if action == "--add" and {*map(policy_id, there)} & {*map(policy_id, policies)}:
                raise CygnetError("there is one for this traffic already: --replace puts another in its place")
            PolicyBook(kernel).claim((COMMAND, "", Direction.OUT), policies)
        case _:
            raise UsageError("\n       ".join(["usage: " + USAGE[0], *USAGE[1:]]))
    for policy in going:
        kernel.delete_policy(policy)
    return 0


def _line(one: Eroute) -> str:
    """Packets, traffic with ports, the first SA with the protocol; identities are the daemon's to know."""
    source, destination = (f"{end.network}:{end.port}" for end in (one.source, one.destination))
    target = f"{one.group[0]}:{one.source.protocol}" if one.group else one.word
    return f"{one.packets!s:10} {source:18} -> {destination:18} => {target} () ()"


def _is_for(policy: Policy, source: Selector, destination: Selector) -> bool:
    """Whether it is for this traffic; of a shunt what it does with the other direction is a part."""
    ends = (policy.source, policy.destination)
    return ends == (source, destination) or (ends == (destination, source) and not policy.templates)
