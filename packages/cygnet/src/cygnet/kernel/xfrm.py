"""The Linux kernel's IPsec, by XFRM netlink: what `Kernel` asks is done here, each refusal is a sentence."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cygnet.connection.connection import Address
from cygnet.kernel import decode, encode, ours, paths, structs
from cygnet.kernel.interface import Event, KernelError
from cygnet.kernel.netlink import Netlink, NetlinkEvents, Refusal, attribute, attributes
from cygnet.kernel.policy import Action, Policy
from cygnet.kernel.route_netlink import index_of
from cygnet.kernel.sa import Sa, SaCounters, SaKey

_NETLINK_XFRM = 6
_NEWSA, _DELSA, _GETSA, _NEWPOLICY, _DELPOLICY, _GETPOLICY = range(0x10, 0x16)
_UPDPOLICY, _UPDSA = 0x19, 0x1A
_GROUPS = 1 << 0 | 1 << 1 | 1 << 7  # acquire, expire, mapping
_EVENTS: dict[int, Callable[[bytes], Event | None]] = {0x17: decode.acquire, 0x18: decode.expire, 0x26: decode.mapping}
_STATISTICS = Path("/proc/net/xfrm_stat")
# Where it was not there already: a policy that was matched while there was none is ENOENT, an SA is ESRCH.
_ABSENT = (errno.ESRCH, errno.ENOENT)
_MEANINGS = {
    errno.ENOSYS: "this kernel lacks the algorithm",
    errno.EPROTONOSUPPORT: "this kernel lacks the protocol",
    errno.ENOENT: "this kernel lacks the mode of operation or the algorithm",
    errno.EAFNOSUPPORT: "this kernel lacks the address family",
    errno.EEXIST: "it is there already",
    errno.ESRCH: "it is not there",
    errno.EINVAL: "the kernel calls it invalid",
    errno.EPERM: "that takes root's rights (CAP_NET_ADMIN)",
    errno.ENOMEM: "the kernel is out of memory",
    errno.ENOBUFS: "the kernel is out of memory",
    errno.ETIMEDOUT: "the kernel does not answer",
}
# An outgoing SA that moves goes on counting from here beyond what was seen, as packets leave meanwhile.
_SKIPPED = 1 << 12


class Xfrm:
    """Implements Kernel. ``log`` is told when events were lost; ``owner``: whose SAs and policies these are."""

    def __init__(self, log: Callable[[str], None], owner: ours.Owner = ours.DAEMON) -> None:
        self._netlink = Netlink(_NETLINK_XFRM, "XFRM")
        self._events = NetlinkEvents(_NETLINK_XFRM, "XFRM", _GROUPS, self._lost)
        self._log, self._owner = log, owner

    def close(self) -> None:
        """Give the sockets back; SAs and policies stay."""
        self._netlink.close()
        self._events.close()

    def add_sa(self, sa: Sa) -> None:
        self._ask(_NEWSA, encode.sa(sa), f"install {_sa_text(sa)}")

    def update_sa(self, sa: Sa) -> None:
        self._ask(_UPDSA, encode.sa(sa), f"change {_sa_text(sa)}")

    def move_sa(self, key: SaKey, sa: Sa) -> None:
        """The kernel cannot change an SA's addresses: another takes its place, and goes on where it ends."""
        found = self._get(key)
        if found is None:
            raise KernelError(f"cannot move {_key_text(key)}: {_MEANINGS[errno.ESRCH]}")
        self.delete_sa(key)
        self._ask(_NEWSA, encode.sa(sa, _replay_state(found, sa.outbound)), f"install {_sa_text(sa)}")

    def delete_sa(self, key: SaKey) -> None:
        self._ask(_DELSA, encode.sa_id(key), f"remove {_key_text(key)}", tolerated=_ABSENT)

    def query_sa(self, key: SaKey) -> SaCounters | None:
        found = self._get(key)
        return decode.counters(found) if found else None

    def list_sas(self) -> list[tuple[SaKey, int]]:
        found = ((decode.sa_key(body), decode.sa_reqid(body)) for body in self._dump(_GETSA, "SAs"))
        return [(key, reqid) for key, reqid in found if key]

    def list_policies(self) -> list[Policy]:
        return list(filter(None, map(decode.policy, self._dump(_GETPOLICY, "policies"))))

    def put_policy(self, policy: Policy) -> None:
        if other := self._other_owner(policy):
            raise KernelError(f"cannot install {_policy_text(policy)}: {other.name} has one there ({other.undo})")
        self._ask(_UPDPOLICY, encode.policy(policy), f"install {_policy_text(policy)}")

    def delete_policy(self, policy: Policy) -> None:
        if not self._other_owner(policy):
            self._ask(_DELPOLICY, encode.policy_id(policy), f"remove {_policy_text(policy)}", tolerated=_ABSENT)

    def add_path(self, remote: Address, interface: str, gateway: Address | None) -> None:
        paths.add(remote, interface, gateway, self._owner)

    def delete_path(self, remote: Address) -> None:
        paths.delete(remote, self._owner)

    def index(self, interface: str) -> int:
        return index_of(interface)

    def flush(self, keep_blocks: bool = False) -> list[Policy]:
        kept = []
        paths.flush(self._owner)
        for policy in filter(self._owner.has, self.list_policies()):
            if keep_blocks and policy.action is Action.BLOCK and not policy.if_id:
                kept.append(policy)
            else:
                self.delete_policy(policy)
        for key, reqid in self.list_sas():
            if reqid in self._owner.reqids:
                self.delete_sa(key)
        return kept

    def fileno(self) -> int:
        return self._events.fileno()

    def events(self) -> list[Event]:
        read = (_EVENTS[kind](body) for kind, body in self._events.receive() if kind in _EVENTS)
        return [event for event in read if event]

    def _lost(self) -> None:
        self._log("the kernel had more events than could be heard; SAs that expired meanwhile are found by the clock")

    def _get(self, key: SaKey) -> bytes | None:
        answers = self._ask(_GETSA, encode.sa_id(key), f"look at {_key_text(key)}", tolerated=_ABSENT)
        return answers[0] if answers else None

    def _other_owner(self, policy: Policy) -> ours.Owner | None:
        """Whose policy has this name already: the kernel would replace or remove another's, too."""
        answers = self._ask(_GETPOLICY, encode.policy_id(policy), f"look at {_policy_text(policy)}", tolerated=_ABSENT)
        there = decode.policy(answers[0]) if answers else None
        return next((other for other in ours.OWNERS if there and other is not self._owner and other.has(there)), None)

    def _dump(self, kind: int, what: str) -> list[bytes]:
        try:
            return [body for _, body in self._netlink.dump(kind, b"")]
        except Refusal as refusal:
            raise _error(refusal, f"list {what}") from None

    def _ask(self, kind: int, body: bytes, what: str, tolerated: tuple[int, ...] = ()) -> list[bytes]:
        try:
            return [answer for _, answer in self._netlink.ask(kind, body)]
        except Refusal as refusal:
            if refusal.number in tolerated:
                return []
            raise _error(refusal, what) from None


def statistics() -> dict[str, int]:
    """The kernel's counters of packets that came to grief, those that are not 0."""
    found = {}
    with suppress(OSError, ValueError):
        for line in _STATISTICS.read_text().splitlines():
            name, _, count = line.partition(" ")
            found[name] = int(count)
    return {name: count for name, count in found.items() if count}


def _replay_state(body: bytes, outbound: bool) -> bytes:
    """The sequence numbers of an SA as attributes of the next; those of sending are moved on."""
    found, skipped = attributes(body[structs.SA_SIZE :]), _SKIPPED if outbound else 0
    extended, plain = found.get(encode.ATTR_REPLAY_ESN, b""), found.get(encode.ATTR_REPLAY, b"")
    if len(extended) >= structs.REPLAY_ESN.size:
        words, low, seq, high, seq_high, window = structs.REPLAY_ESN.unpack_from(extended)
        sent = (high << 32 | low) + skipped
        head = structs.REPLAY_ESN.pack(words, sent & 0xFFFFFFFF, seq, sent >> 32, seq_high, window)
        return attribute(encode.ATTR_REPLAY_ESN, head + extended[len(head) :])
    if len(plain) >= structs.REPLAY.size:
        sent, seq, bitmap = structs.REPLAY.unpack_from(plain)
        return attribute(encode.ATTR_REPLAY, structs.REPLAY.pack(min(sent + skipped, 0xFFFFFFFF), seq, bitmap))
    return b""


def _error(refusal: Refusal, what: str) -> KernelError:
    meaning = _MEANINGS.get(refusal.number) or os.strerror(refusal.number)
    return KernelError(f"cannot {what}: {meaning}" + (f" ({refusal.text})" if refusal.text else ""))


def _key_text(key: SaKey) -> str:
    return f"SA {key.protocol}.{key.spi:x}@{key.destination}"


def _sa_text(sa: Sa) -> str:
    names = [each.name for each in (sa.encryption, sa.integrity, sa.aead) if each] + [sa.compression or ""]
    return f"{_key_text(sa.key)} ({', '.join(filter(None, names))}, {sa.mode})"


def _policy_text(policy: Policy) -> str:
    return f"policy {policy.direction.value} {policy.source} -> {policy.destination}"
