"""What a command, with or without a daemon, reads of the kernel's SAs and policies."""

from __future__ import annotations

from cygnet.errors import CygnetError
from cygnet.kernel.netlink import Netlink, Refusal

_NETLINK_XFRM = 6
GETSA, GETPOLICY = 0x12, 0x15


def dump(kind: int) -> list[bytes]:
    """All SAs or all policies, as the kernel sends them. Raises CygnetError where it does not tell."""
    netlink = Netlink(_NETLINK_XFRM, "XFRM")
    try:
        return [body for _, body in netlink.dump(kind, b"")]
    except Refusal as refusal:
        raise CygnetError(f"the kernel does not show its SAs: {refusal.text or 'that takes root'}") from None
    finally:
        netlink.close()
