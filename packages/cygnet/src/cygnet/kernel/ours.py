"""By which numbers Cygnet knows what is its own, in a kernel that others use too.

SAs and policies with templates have a reqid of ours; policies without (shunts and guards) a priority of ours.
Both say whether the daemon or manual keying made them: neither takes away what is the other's, though what is for
the smaller networks wins whoever it is from.  Packets that must not go into a tunnel again, those of IKE and ESP
itself, carry a mark, and a rule of the routing policy sends them to a table that holds the peers' paths outside the
tunnels.
"""

from __future__ import annotations

from dataclasses import dataclass

from cygnet.kernel.policy import Policy


@dataclass(frozen=True)
class Owner:
    """``reqids``: of its SAs and templates. ``route_protocol``: of its paths. ``undo``: what takes a policy away."""

    name: str
    reqids: range
    priorities: range
    route_protocol: int
    undo: str

    def has(self, policy: Policy) -> bool:
        """Whether it made this policy."""
        return policy.templates[0].reqid in self.reqids if policy.templates else policy.priority in self.priorities


REQIDS = range(0x4000, 0x8000)
PRIORITIES = range(0x0C590000, 0x0C5A0000, 2)
MANUAL_REQIDS = range(0x80000000, 0x100000000)
MANUAL_PRIORITIES = range(0x0C590001, 0x0C5A0000, 2)
DAEMON = Owner("the daemon", REQIDS, PRIORITIES, 0x58, "ipsec auto --delete CONNECTION")
MANUAL = Owner("manual keying", MANUAL_REQIDS, MANUAL_PRIORITIES, 0x59, "ipsec manual --unroute CONNECTION")
OWNERS = (DAEMON, MANUAL)
UNDERLAY_MARK = 0x40000000
UNDERLAY_TABLE = 51
UNDERLAY_RULE = 51
