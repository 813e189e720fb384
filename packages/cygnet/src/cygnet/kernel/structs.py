"""The structures of <linux/xfrm.h>, field by field, for the machine that this runs on.

Padding is spelled out, but for what a C compiler adds at the end of a structure with 64-bit fields: these are
aligned to 4 on i386 and to 8 everywhere else (`abi_tail`). All else has the same layout on every machine, in its
own byte order; addresses, ports and SPIs are in network order and so stand here as bytes.
"""

from __future__ import annotations

import struct

U64_ALIGNMENT = struct.calcsize("@BQ") - 8

# daddr, saddr, dport, its mask, sport, its mask, family, prefix lengths of d and s, protocol, ifindex, user
SELECTOR = struct.Struct("=16s16s2s2s2s2sHBBB3xiI")
# daddr, spi, protocol
ID = struct.Struct("=16s4sB3x")
# soft and hard: bytes, packets; seconds since added, soft and hard, since used, soft and hard
LIFETIME = struct.Struct("=8Q")
# bytes, packets, added, used
CURRENT = struct.Struct("=4Q")
# replay_window (dropped for it), replay (dropped as replayed), integrity_failed
STATS = struct.Struct("=3I")
# what follows the stats in an SA: seq, reqid, family, mode, replay_window, flags
SA_REST = struct.Struct("=IIHBBB")
# what follows the current lifetime in a policy: priority, index, direction, action, flags, share
POLICY_REST = struct.Struct("=IIBBBB")
# daddr, spi, family, protocol
SA_ID = struct.Struct("=16s4sHBx")
# selector, index, direction
POLICY_ID = struct.Struct("=56sIB3x")
# id, family, saddr, reqid, mode, share, optional, allowed auth, encryption and compression algorithms
TEMPLATE = struct.Struct("=24sH2x16sIBBBxIII")
# type, source port, destination port, original address
ENCAPSULATION = struct.Struct("=H2s2s2x16s")
# name, bits of key
ALGORITHM = struct.Struct("=64sI")
# name, bits of key, bits of check value
CHECKED_ALGORITHM = struct.Struct("=64sII")
# words of bitmap, oseq, seq, their high halves, window
REPLAY_ESN = struct.Struct("=6I")
# oseq, seq, bitmap
REPLAY = struct.Struct("=3I")
# value, mask
MARK = struct.Struct("=II")
# sa_id, reqid, old and new address, old and new port
MAPPING = struct.Struct("=24sI16s16s2s2s")

SA_STATS_AT = SELECTOR.size + ID.size + 16 + LIFETIME.size + CURRENT.size
SA_CURRENT_AT = SA_STATS_AT - CURRENT.size
SA_BARE = SA_STATS_AT + STATS.size + SA_REST.size
POLICY_BARE = SELECTOR.size + LIFETIME.size + CURRENT.size + POLICY_REST.size
NO_LIMIT = (1 << 64) - 1


def abi_tail(size: int, alignment: int = U64_ALIGNMENT) -> int:
    """How many bytes a compiler adds to a structure of this size that has 64-bit fields."""
    return -size % alignment


SA_SIZE = SA_BARE + abi_tail(SA_BARE)
POLICY_SIZE = POLICY_BARE + abi_tail(POLICY_BARE)
