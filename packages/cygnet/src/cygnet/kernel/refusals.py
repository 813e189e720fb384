"""What Linux refuses of an SA or a policy, and what it would take but could not use: for the fake kernel.

Each row of a table is a sentence and the condition under which it is said.
"""

from __future__ import annotations

from cygnet.crypto.transforms import CIPHERS, INTEGRITIES
from cygnet.kernel import ours
from cygnet.kernel.interface import KernelError
from cygnet.kernel.policy import Direction, Policy, Template
from cygnet.kernel.sa import Algorithm, Sa

# Kernel name -> sizes of key in bytes, and of the integrity check value in bits.
_CIPHER_KEYS = {
    row.kernel: {bits // 8 + row.salt for bits in row.key_bits} for row in CIPHERS.values() if not row.icv_bits
}
_AEAD_KEYS = {row.kernel: {bits // 8 + row.salt for bits in row.key_bits} for row in CIPHERS.values() if row.icv_bits}
_AEAD_ICVS = {
    row.kernel: {other.icv_bits for other in CIPHERS.values() if other.kernel == row.kernel}
    for row in CIPHERS.values()
    if row.icv_bits
}
_HASH_KEYS = {row.kernel: {row.size} for row in INTEGRITIES.values()}
_HASH_ICVS = {row.kernel: {row.icv_bits} for row in INTEGRITIES.values()}
_MOST_TEMPLATES = 6
_MOST_REPLAY = 4096


def refuse_sa(sa: Sa) -> None:
    """Raise KernelError for the first thing that is wrong with an SA."""
    for wrong, why in (*_sa_numbers(sa), *_sa_protection(sa), *_sa_selectors(sa)):
        if wrong:
            raise KernelError(f"the kernel refuses SA {sa.key.protocol} {sa.key.spi:#x}: {why}")
    for algorithm, keys, icvs in (
        (sa.encryption, _CIPHER_KEYS, {}),
        (sa.integrity, _HASH_KEYS, _HASH_ICVS),
        (sa.aead, _AEAD_KEYS, _AEAD_ICVS),
    ):
        _refuse_algorithm(algorithm, keys, icvs)


def _sa_numbers(sa: Sa) -> tuple[tuple[bool, str], ...]:
    low, high = (256, 0xFFFF) if sa.key.protocol == "comp" else (256, 0xFFFFFFFF)
    return (
        (sa.key.protocol not in ("esp", "ah", "comp"), "unknown protocol"),
        (not low <= sa.key.spi <= high, "SPI out of range"),
        (sa.mode not in ("tunnel", "transport"), f"unknown mode {sa.mode}"),
        (sa.source.version != sa.key.destination.version, "addresses of two families"),
        (not sa.reqid, "no reqid"),
        (not 0 <= sa.replay_window <= _MOST_REPLAY, "replay window out of range"),
        (sa.esn and not sa.replay_window, "ESN needs a replay window"),
        (sa.esn and sa.key.protocol == "comp", "IPComp has no sequence numbers"),
        (min(sa.soft_seconds, sa.hard_seconds) < 0, "lifetime below zero"),
        (0 < sa.hard_seconds < sa.soft_seconds, "soft lifetime after the hard one"),
        (sa.encapsulation is not None and sa.key.protocol != "esp", "only ESP goes in UDP"),
    )


def _sa_protection(sa: Sa) -> tuple[tuple[bool, str], ...]:
    plain = sa.encryption or sa.integrity
    cryptographic = plain or sa.aead
    match sa.key.protocol:
        case "esp":
            return (
                (not cryptographic or bool(sa.compression), "ESP needs encryption, and no compression"),
                (bool(sa.aead and plain), "a combined-mode cipher goes alone"),
                (bool(sa.encryption and not sa.integrity), "encryption without integrity"),
                (bool(sa.integrity and not sa.encryption), "null encryption"),
            )
        case "ah":
            return ((not sa.integrity or bool(sa.encryption or sa.aead or sa.compression), "AH is integrity only"),)
    return ((sa.compression != "deflate" or bool(cryptographic), "IPComp is deflate only"),)


def _sa_selectors(sa: Sa) -> tuple[tuple[bool, str], ...]:
    if sa.selectors is None:
        return ()
    versions = {selector.network.version for selector in sa.selectors}
    return (
        (sa.mode == "tunnel", "selectors are of transport mode"),
        (versions != {sa.source.version}, "selectors of another family in transport mode"),
    )


def _refuse_algorithm(algorithm: Algorithm | None, keys: dict[str, set[int]], icvs: dict[str, set[int]]) -> None:
    if algorithm is None:
        return
    if algorithm.name not in keys:
        raise KernelError(f"the kernel has no algorithm {algorithm.name}")
    if len(algorithm.key) not in keys[algorithm.name]:
        raise KernelError(f"the kernel refuses a key of {len(algorithm.key)} bytes for {algorithm.name}")
    if algorithm.icv_bits not in icvs.get(algorithm.name, {0}):
        raise KernelError(f"the kernel refuses {algorithm.icv_bits} bits of check value for {algorithm.name}")


def refuse_policy(policy: Policy) -> None:
    """Raise KernelError for the first thing that is wrong with a policy."""
    versions = {policy.source.network.version, policy.destination.network.version}
    wrongs = [
        (len(versions) > 1, "selectors of two families"),
        (policy.source.protocol != policy.destination.protocol, "selectors of two protocols"),
        (bool(policy.source.port or policy.destination.port) and not policy.source.protocol, "port without protocol"),
        (policy.priority not in ours.PRIORITIES, "a priority that is not ours"),
        (len(policy.templates) > _MOST_TEMPLATES, "too many templates"),
    ]
    for template in policy.templates:
        wrongs += _template(template, policy.direction)
    for wrong, why in wrongs:
        if wrong:
            raise KernelError(f"the kernel refuses policy {policy.direction.value} {policy.source}: {why}")


def _template(template: Template, direction: Direction) -> list[tuple[bool, str]]:
    ends = {end.version for end in (template.source, template.destination) if end}
    tunnel = template.mode == "tunnel"
    return [
        (template.reqid not in ours.REQIDS, "template without reqid of ours"),
        (tunnel and direction is Direction.OUT and template.optional, "optional tunnel template going out"),
        (tunnel and None in (template.source, template.destination), "tunnel template without addresses"),
        (len(ends) > 1, "template addresses of two families"),
        (not tunnel and bool(ends), "transport template with addresses"),
    ]
