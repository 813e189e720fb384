"""What a negotiation ended with, in the daemon's words: what that means, and what to do. A new reason is a new row."""

from __future__ import annotations

import re

SAME = "give both the same ike=, esp=, pfs= and type= (or leave them out at both), then `ipsec auto --replace {name}`"
# Pattern of the daemon's reason; what it means; what to do. The first that fits; {words} are the pattern's groups, and
# name, ours and theirs of the connection.
REASONS = (
    ("AH cannot pass", "an address translator is between the two ends, and AH cannot pass one",
     "leave out auth=ah and phase2=ah at both ends: ESP alone passes"),
    (r"\(this end takes: (?P<there>.*?)\)\. Our proposals were: (?P<here>.*)",
     "the two ends have no algorithms in common: this end offered {here}; the peer takes {there}", SAME),
    (r"Ours: (?P<here>.*)\. Theirs: (?P<there>.*)",
     "the two ends have no algorithms in common: this end takes {here}; the peer offers {there}", SAME),
    ("NO_PROPOSAL_CHOSEN", "the peer refuses what was proposed",
     "compare ike= and esp= of both ends, and see that the peer has a connection for this box's address; `ipsec why` "
     "there says more"),
    ("no connection (is )?for traffic|for other traffic",
     "the two ends do not agree which networks the tunnel is for; here these are {ours} on this side, {theirs} on the "
     "peer's", "make leftsubnet= and rightsubnet= the same in both ipsec.conf, then `ipsec auto --replace {name}`"),
    ("same secret|secrets (probably )?differ|preshared secrets", "the two ends have different shared secrets",
     "write the same `: PSK` line into /etc/ipsec.secrets of both, then `ipsec auto --rereadsecrets` on both"),
    ("says that it is|says it is|INVALID_ID", "the two ends do not agree on the peer's name",
     "make leftid= and rightid= the same in both ipsec.conf, then `ipsec auto --replace {name}`"),
    ("not valid before", "a certificate is not valid yet by the clock of the box that looks at it",
     "set that clock (`date -s`, ntp)"),
    ("deleted: expired", "its keys have expired, and no new ones were made in time",
     "`ipsec auto --up {name}`; rekey=yes does that by itself"),
    ("expired at", "a certificate has expired, or a clock is wrong", "renew it, then `ipsec auto --rereadall`"),
    ("STATE_MAIN_I[23]", "the peer answered at first and then no more: packets are lost, or it dislikes the last one",
     "let UDP 500, UDP 4500 and fragments pass in both firewalls; `ipsec why` there says whether our last one arrived"),
    ("[Ss]ignature|public key|AUTHENTICATION_FAILED",
     "one end does not believe the other's proof of who it is",
     "compare keys and secrets: `ipsec showhostkey --left` (or --right) on each box is what both ipsec.conf need"),
    ("certificate|the CA|revoked|INVALID_CERT", "a certificate was not accepted",
     "put the CA of each end into the other's /etc/ipsec.d/cacerts, then `ipsec auto --rereadall`"),
    ("has taken it down|started anew", "the other end has taken the tunnel down",
     "ask there why; `ipsec auto --up {name}` negotiates it anew"),
    ("declared dead", "the peer answered no more, and was given up",
     "see that it runs and can be reached; `ipsec auto --up {name}` tries again"),
    ("taken down by", "somebody has taken it down here", "`ipsec auto --up {name}` brings it up"),
    ("exited with status|cannot |the kernel", "it was negotiated and could not be installed on this box",
     "see to what that names, then `ipsec auto --up {name}`"),
    ("STATE_QUICK_I1", "phase 1 stands, and the peer does not answer the proposal for the tunnel itself",
     "compare esp=, pfs= and the subnets of both ends; the peer's log says what it does not like"),
)  # fmt: skip


def explain(reason: str, name: str, ours: str, theirs: str) -> str:
    """What it means, the daemon's words if they say more, and what to do."""
    for pattern, meaning, remedy in REASONS:
        if found := re.search(pattern, reason):
            words = {"name": name, "ours": ours, "theirs": theirs, **found.groupdict()}
            quoted = "" if found.groupdict() else f' ("{reason.rstrip(".")}")'
            return f"{meaning}{{quoted}}. To mend it, {remedy}.".format(quoted=quoted, **words)
    return f'the last attempt failed: "{reason}".'
