"""What the kernel has, in FreeS/WAN's words: SAs as ipsec_spi(5) lists them, policies as ipsec_eroute(5) does.

Everybody's SAs are shown, with the lengths of their keys and never a key; of policies those that Cygnet made.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import zip_longest

from cygnet.cli.said import said
from cygnet.connection.connection import Address
from cygnet.connection.selector import Selector
from cygnet.crypto.transforms import CIPHERS, INTEGRITIES
from cygnet.kernel import decode, encode, ours, structs
from cygnet.kernel.dump import GETPOLICY, GETSA, dump
from cygnet.kernel.links import read_local
from cygnet.kernel.netlink import attributes
from cygnet.kernel.policy import Policy
from cygnet.kernel.sa import SaCounters, SaKey
from cygnet.tunnel.policies import fates

# The kernel's names in FreeS/WAN's spelling.
NAMES = {row.kernel: row.name.upper() for row in CIPHERS.values()} | {"deflate": "DEFLATE"}
NAMES |= {row.kernel: f"HMAC_{row.name.upper()}" for row in INTEGRITIES.values()}
# Attribute of an SA -> whose length of key it says.
CHECKED = {encode.ATTR_AEAD: "eklen", encode.ATTR_AUTH_TRUNC: "aklen"}
ALGORITHMS = {encode.ATTR_CRYPT: "eklen", encode.ATTR_COMP: "", **CHECKED}
INSIDE_OUT = ("comp", "esp", "ah")


@dataclass(frozen=True)
class Association:
    """An SA. ``transform``: as FreeS/WAN spells it. ``details``: lengths of keys and the replay window, in words.

    ``limits``: of bytes, packets, seconds since added and since used, soft before hard each; 0 is none.
    ``first_used``: seconds since the epoch, 0 for never. ``traffic``: its selectors.
    """

    key: SaKey
    source: Address
    reqid: int
    mode: str
    transform: str
    details: str
    limits: tuple[int, ...]
    counters: SaCounters
    first_used: int
    traffic: tuple[Selector, Selector] | None

    def __str__(self) -> str:
        return said(self.key)


@dataclass(frozen=True)
class Eroute:
    """What is done with which traffic: ``group`` are the SAs that serve it now, the innermost first; or ``word``."""

    source: Selector
    destination: Selector
    word: str = ""
    group: tuple[Association, ...] = ()

    @property
    def packets(self) -> int | str:
        """How many packets took it; "" where the kernel does not count them."""
        return self.group[0].counters.packets if self.group else ""


def associations() -> list[Association]:
    """Every SA by its name, those that wait for keys (SPI 0) among them."""
    return sorted(filter(None, map(_association, dump(GETSA))), key=str)


def described(one: Association, here: set[Address]) -> str:
    """A line of ipsec_spi(5); ``here``: this box's addresses."""
    now, count = int(time.time()), one.counters
    lives = zip(
        ("bytes", "packets", "addtime", "usetime"),
        (count.bytes, count.packets, _age(count.added, now), _age(one.first_used, now)),
        one.limits[::2],
        one.limits[1::2],
        strict=True,
    )
    life = "".join(f"{word}({','.join(map(str, numbers))})" for word, *numbers in lives if any(numbers))
    way = "in" if one.key.destination in here else "out"
    idle = f" idle={now - count.last_used}" if count.last_used else ""
    return f"{one} {one.transform}: dir={way} src={one.source} mode={one.mode} {one.details}life(c,s,h)={life}{idle}"


def our_addresses() -> set[Address]:
    """Of this box's physical interfaces."""
    return {address for addresses in read_local().addresses.values() for address in addresses}


def groups(found: list[Association]) -> list[tuple[Association, ...]]:
    """SAs around the same packets, the innermost first; the newest group of each kind last (ipsec_spigrp(5))."""
    kinds: dict[object, dict[str, list[Association]]] = {}
    for one in sorted((one for one in found if one.key.spi), key=lambda one: one.counters.added):
        kind = (one.reqid, one.source, one.key.destination) if one.reqid else one.key
        kinds.setdefault(kind, {}).setdefault(one.key.protocol, []).append(one)
    return [
        tuple(filter(None, group))
        for kind in kinds.values()
        for group in zip_longest(*(kind.get(protocol, ()) for protocol in INSIDE_OUT))
    ]


def eroutes(found: list[Association]) -> list[Eroute]:
    """Policies for what goes out, and packets that are held until their SA is there."""
    policies = filter(None, map(decode.policy, dump(GETPOLICY)))
    going = fates(one for one in policies if any(owner.has(one) for owner in ours.OWNERS))
    waiting = [one.traffic for one in found if not one.key.spi and one.reqid in ours.REQIDS]
    made = groups(found)
    all_of_them = [_eroute(policy, word, made) for policy, word in going] + [
        Eroute(*ends, "%hold") for ends in waiting if ends
    ]
    return sorted(all_of_them, key=lambda one: (str(one.source), str(one.destination)))


def _eroute(policy: Policy, word: str, made: list[tuple[Association, ...]]) -> Eroute:
    ends = (policy.source, policy.destination)
    serving = [group for group in made if not word and _serves(group[0], policy)]
    if word:
        return Eroute(*ends, word)
    return Eroute(*ends, group=serving[-1]) if serving else Eroute(*ends, "%trap")


def _serves(one: Association, policy: Policy) -> bool:
    """Whether an SA is of a policy's first template: its number, and the peer's address or the traffic's."""
    first, peer = policy.templates[0], one.key.destination
    named = peer == first.destination if first.destination else peer in policy.destination.network
    return one.reqid == first.reqid and named


def _association(body: bytes) -> Association | None:
    key, counters, traffic = decode.sa_key(body), decode.counters(body), decode.selectors(body)
    if key is None or counters is None:
        return None
    at, found = structs.SELECTOR.size + structs.ID.size, attributes(body[structs.SA_SIZE :])
    *_, mode, window, _ = structs.SA_REST.unpack_from(body, structs.SA_STATS_AT + structs.STATS.size)
    transform, lengths = _algorithms(found, counters.integrity_failures)
    details = _replay(found, window, counters.replay_drops) | lengths
    return Association(
        key,
        ip_address(body[at : at + len(key.destination.packed)]),
        decode.sa_reqid(body),
        "tunnel" if mode else "transport",
        "_".join([key.protocol.upper(), *transform]),
        "".join(f"{word}={value} " for word, value in details.items() if value),
        tuple(limit if limit != structs.NO_LIMIT else 0 for limit in structs.LIFETIME.unpack_from(body, at + 16)),
        counters,
        structs.CURRENT.unpack_from(body, structs.SA_CURRENT_AT)[3],
        traffic,
    )


def _algorithms(found: dict[int, bytes], failures: int) -> tuple[list[str], dict[str, int | str]]:
    """Their names; the lengths in bits of check value and keys, with how many packets were not authentic."""
    names, lengths = [], {"alen": 0, "aklen": 0, "auth_errs": failures, "eklen": 0}
    for kind, length in ALGORITHMS.items():
        if kind in found:
            raw, bits = structs.ALGORITHM.unpack_from(found[kind])
            name = raw.rstrip(b"\0").decode("ascii", "replace")
            names.append(NAMES.get(name, name))
            lengths |= {length: bits} if length else {}
        if kind in found and kind in CHECKED:
            lengths["alen"] = structs.CHECKED_ALGORITHM.unpack_from(found[kind])[2]
    return names, dict(lengths)


def _replay(found: dict[int, bytes], window: int, drops: int) -> dict[str, int | str]:
    """Size of the window, packets outside it or seen already, the last number and which before it have come."""
    sequence, bitmap = 0, 0
    if encode.ATTR_REPLAY_ESN in found:
        _, sent, got, sent_high, got_high, window = structs.REPLAY_ESN.unpack_from(found[encode.ATTR_REPLAY_ESN])
        sequence = max(sent_high << 32 | sent, got_high << 32 | got)
    elif encode.ATTR_REPLAY in found:
        sent, got, bitmap = structs.REPLAY.unpack_from(found[encode.ATTR_REPLAY])
        sequence = max(sent, got)
    return {"ooowin": window, "ooo_errs": drops, "seq": sequence, "bit": f"0x{bitmap:08x}" if bitmap else ""}


def _age(then: int, now: int) -> int:
    return now - then if then else 0
