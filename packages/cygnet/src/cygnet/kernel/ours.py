"""By which numbers Cygnet knows what is its own, in a kernel that others use too.

SAs and policies with templates have a reqid of ours; policies without (shunts and guards) a priority of ours.
Packets that must not go into a tunnel again, those of IKE and ESP itself, carry a mark, and a rule of the
routing policy sends them to a table that holds the peers' paths outside the tunnels.
"""

from __future__ import annotations

REQIDS = range(0x4000, 0x8000)
PRIORITIES = range(0x0C590000, 0x0C5A0000)
UNDERLAY_MARK = 0x40000000
UNDERLAY_TABLE = 51
UNDERLAY_RULE = 51
