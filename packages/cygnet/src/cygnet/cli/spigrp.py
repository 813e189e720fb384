"""``ipsec spigrp``: which SAs go around the same packets, the innermost first (ipsec_spigrp(5)).

XFRM has no groups of its own: those are together whose number and ends are the same. `ipsec manual` and the daemon make
them; there is nothing to group by hand.
"""

from __future__ import annotations

from cygnet.cli.options import Options, parse

USAGE = ("ipsec spigrp",)
OPTIONS: Options = ()


def run(words: list[str]) -> int:
    """The command."""
    parse("ipsec spigrp", USAGE, OPTIONS, words)
    from cygnet.cli.kernel_view import associations, groups

    print("".join(" ".join(map(str, group)) + "\n" for group in groups(associations())), end="")
    return 0
