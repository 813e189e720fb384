"""The SAs and policies that the kernel has, whether the daemon lives or not."""

from __future__ import annotations

from ipaddress import ip_address
from typing import NamedTuple

from cygnet.kernel import decode, ours, structs
from cygnet.kernel.dump import GETPOLICY, GETSA, dump
from cygnet.kernel.encode import ATTR_AEAD, ATTR_AUTH_TRUNC, ATTR_COMP, ATTR_CRYPT
from cygnet.kernel.netlink import attributes
from cygnet.kernel.policy import Action, Policy, Template
from cygnet.kernel.sa import SaCounters, SaKey

ALGORITHMS = (ATTR_CRYPT, ATTR_AUTH_TRUNC, ATTR_AEAD, ATTR_COMP)


class Association(NamedTuple):
    """An SA of the kernel."""

    key: SaKey
    source: str
    reqid: int
    algorithms: str
    counters: SaCounters

    def __str__(self) -> str:
        return f"{self.key.protocol}0x{self.key.spi:x}@{self.key.destination}"


def associations() -> list[Association]:
    """All SAs, anybody's."""
    return sorted(filter(None, map(_association, dump(GETSA))), key=str)


def _association(body: bytes) -> Association | None:
    key, counters = decode.sa_key(body), decode.counters(body)
    if key is None or counters is None:
        return None
    at = structs.SELECTOR.size + structs.ID.size
    source = ip_address(body[at : at + len(key.destination.packed)])
    found = attributes(body[structs.SA_SIZE :])
    names = [found[kind][:64].rstrip(b"\0").decode("ascii", "replace") for kind in ALGORITHMS if kind in found]
    return Association(key, str(source), decode.sa_reqid(body), "+".join(names), counters)


def policies(everybody: bool = False) -> list[Policy]:
    """Those of ours, made by the daemon or by hand; or all."""
    found = filter(None, map(decode.policy, dump(GETPOLICY)))
    return [one for one in found if everybody or any(owner.has(one) for owner in ours.OWNERS)]


def target(policy: Policy, known: list[Association]) -> str:
    """What becomes of a policy's traffic, as FreeS/WAN writes it: the newest SA of each layer, or a word."""
    layers = policy.templates
    serving = [one for one in known if any(_serves(one, layer, policy) for layer in layers)]
    newest = sorted(serving, key=lambda one: one.counters.added)[-len(layers) :]
    packets = f" ({newest[-1].counters.packets})" if newest else ""
    magic = "%trap" if layers else "%drop" if policy.action is Action.BLOCK else "%pass"
    return (" ".join(map(str, newest)) or magic) + packets


def _serves(one: Association, layer: Template, policy: Policy) -> bool:
    """Whether an SA is of a policy's template: a number of ours, and the peer's address or the traffic's."""
    peer = one.key.destination
    named = layer.destination == peer if layer.destination else peer in policy.destination.network
    return one.reqid == layer.reqid and bool(one.key.spi) and named
