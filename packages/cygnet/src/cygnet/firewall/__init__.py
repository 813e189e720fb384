"""The packet filter's policy: who may talk to whom, from a text of one statement a line to rules for iptables.

::

    services -> policy (what the words mean) <- read (the text)
                     |-> render   rules for iptables-restore and ip6tables-restore
                     |-> check    lines that clash, that nothing reaches, that lock the administrator out
                     |-> verdict  what happens to a packet; says it anew, from the policy and not from the rules
    load             the rules into the kernel, for a minute or for good
"""

from cygnet.firewall.read import read
from cygnet.firewall.render import render

__all__ = ["read", "render"]
