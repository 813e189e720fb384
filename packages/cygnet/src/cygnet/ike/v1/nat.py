"""Is there a NAT between us? Both ends hash addresses and ports as they see them (RFC 3947, section 3.2)."""

from __future__ import annotations

from cygnet.connection.connection import Address
from cygnet.crypto import mac
from cygnet.ike.payloads import NatDiscovery
from cygnet.ike.v1.sa import IsakmpSa


def _digest(hash_name: str, sa: IsakmpSa, address: Address, port: int) -> bytes:
    return mac.digest(hash_name, sa.icookie, sa.rcookie, address.packed, port.to_bytes(2, "big"))


def payloads(sa: IsakmpSa, hash_name: str, forced: bool) -> tuple[NatDiscovery, ...]:
    """The two payloads to send: the peer's address first, then ours; ``forced`` makes ours never fit."""
    path = sa.path
    ours = _digest(hash_name, sa, path.local, 0 if forced else path.local_port)
    return NatDiscovery(_digest(hash_name, sa, path.remote, path.remote_port)), NatDiscovery(ours)


def discover(sa: IsakmpSa, hash_name: str, received: list[NatDiscovery], forced: bool) -> None:
    """Note who is behind a NAT by what the peer saw."""
    if len(received) < 2:
        return
    path = sa.path
    sa.behind_nat = forced or received[0].data != _digest(hash_name, sa, path.local, path.local_port)
    theirs = _digest(hash_name, sa, path.remote, path.remote_port)
    sa.peer.behind_nat = all(one.data != theirs for one in received[1:])
