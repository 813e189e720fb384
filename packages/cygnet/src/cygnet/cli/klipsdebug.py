"""``ipsec klipsdebug``: what XFRM has counted of packets that came to grief, and why (ipsec_klipsdebug(8)).

KLIPS wrote a line to the log for each; Linux has no such flags, and counts instead. So there is nothing to switch on.
The daemon's own debugging is plutodebug= of config setup.
"""

from __future__ import annotations

from cygnet.cli.options import Options, parse
from cygnet.errors import CygnetError

USAGE = ("ipsec klipsdebug [--none]",)
OPTIONS: Options = (
    ("--none", "", "accepted; there is nothing to switch off"),
    ("--all", "", "refused; there is nothing to switch on"),
)
# Those of Linux's Documentation/networking/xfrm_proc.rst that a configuration or a peer brings about.
MEANINGS = {
    "XfrmInNoStates": "ESP or AH came for an SPI that no SA here has: the other end has another spi=, or older SAs",
    "XfrmInStateProtoError": "decryption or the integrity check failed: the two ends' keys or algorithms differ",
    "XfrmInStateSeqError": "a replay, or a packet outside the window: one end has started anew and the other has not",
    "XfrmInStateExpired": "an SA has reached its lifetime",
    "XfrmInStateMismatch": "the SA is not for such packets: encapsulation in UDP at one end only",
    "XfrmInTmplMismatch": "a packet came without the protection that its policy asks for, or with another",
    "XfrmInNoPols": "a packet came out of a tunnel that no policy is for: the two ends' subnets differ",
    "XfrmInPolBlock": "a packet in clear for which there is a tunnel, or type=drop",
    "XfrmOutNoStates": "a packet found no SA for its tunnel",
    "XfrmOutPolBlock": "type=drop or type=reject, or a route whose conn is down",
    "XfrmAcquireError": "a packet came for an SA that still waits for its keys",
}


def run(words: list[str]) -> int:
    """The command."""
    given, _ = parse("ipsec klipsdebug", USAGE, OPTIONS, words)
    if "--all" in given:
        raise CygnetError(
            "XFRM has no debugging flags; it counts what it drops: ipsec klipsdebug without options shows it"
        )
    if given:
        return 0
    from cygnet.kernel.xfrm import statistics

    for name, count in statistics().items():
        print(f"{name}={count}".ljust(30), MEANINGS.get(name, ""))
    return 0
