"""What Linux refuses of an SA or a policy, and what it would take but could not use: for the fake kernel."""

from __future__ import annotations

from cygnet.kernel import ours
from cygnet.kernel.interface import KernelError
from cygnet.kernel.policy import Direction, Policy, Template
from cygnet.kernel.sa import Algorithm, Sa

# Linux's name -> bytes of key (with salt), bits of check value.
_CIPHERS = {
    "cbc(aes)": ({16, 24, 32}, {0}),
    "cbc(des3_ede)": ({24}, {0}),
    "rfc3686(ctr(aes))": ({20, 28, 36}, {0}),
}
_HASHES = {
    "hmac(md5)": ({16}, {96}),
    "hmac(sha1)": ({20}, {96}),
    "hmac(sha256)": ({32}, {96, 128}),
    "hmac(sha384)": ({48}, {192}),
    "hmac(sha512)": ({64}, {256}),
}
_AEADS = {
    "rfc4106(gcm(aes))": ({20, 28, 36}, {64, 96, 128}),
    "rfc7539esp(chacha20,poly1305)": ({36}, {128}),
}
_MOST_TEMPLATES = 6
_MOST_REPLAY = 4096
_Wrongs = list[tuple[bool, str]]


def refuse_sa(sa: Sa) -> None:
    """Raise KernelError for the first thing that is wrong with an SA."""
    _raise(f"SA {sa.key.protocol} {sa.key.spi:#x}", _numbers(sa) + _protection(sa) + _selectors(sa))
    for algorithm, table in ((sa.encryption, _CIPHERS), (sa.integrity, _HASHES), (sa.aead, _AEADS)):
        if algorithm:
            _raise(algorithm.name, _algorithm(algorithm, *table.get(algorithm.name, (set(), set()))))


def refuse_policy(policy: Policy) -> None:
    """Raise KernelError for the first thing that is wrong with a policy."""
    source, destination = policy.source, policy.destination
    wrongs = [
        (source.network.version != destination.network.version, "selectors of two families"),
        (source.protocol != destination.protocol, "selectors of two protocols"),
        (bool(source.port or destination.port) and not source.protocol, "port without protocol"),
        (not any(policy.priority in owner.priorities for owner in ours.OWNERS), "a priority that is not ours"),
        (len(policy.templates) > _MOST_TEMPLATES, "too many templates"),
    ]
    for template in policy.templates:
        wrongs += _template(template, policy.direction)
    _raise(f"policy {policy.direction.value} {source}", wrongs)


def _raise(what: str, wrongs: _Wrongs) -> None:
    for wrong, why in wrongs:
        if wrong:
            raise KernelError(f"the kernel refuses {what}: {why}")


def _numbers(sa: Sa) -> _Wrongs:
    return [
        (sa.key.protocol not in ("esp", "ah", "comp"), "unknown protocol"),
        (not 256 <= sa.key.spi <= (0xFFFF if sa.key.protocol == "comp" else 0xFFFFFFFF), "SPI out of range"),
        (sa.mode not in ("tunnel", "transport"), f"unknown mode {sa.mode}"),
        (sa.source.version != sa.key.destination.version, "addresses of two families"),
        (not sa.reqid, "no reqid"),
        (not 0 <= sa.replay_window <= _MOST_REPLAY, "replay window out of range"),
        (sa.esn and not sa.replay_window, "ESN needs a replay window"),
        (sa.key.protocol == "comp" and bool(sa.esn or sa.replay_window), "IPComp has no sequence numbers"),
        (min(sa.soft_seconds, sa.hard_seconds) < 0, "lifetime below zero"),
        (0 < sa.hard_seconds < sa.soft_seconds, "soft lifetime after the hard one"),
        (sa.encapsulation is not None and sa.key.protocol != "esp", "only ESP goes in UDP"),
    ]


def _protection(sa: Sa) -> _Wrongs:
    """Stricter than Linux in this: no null encryption. ESP without integrity is for within AH."""
    parts = (bool(sa.encryption), bool(sa.integrity), bool(sa.aead), bool(sa.compression))
    wanted = {
        "esp": ((True, True, False, False), (False, False, True, False), (True, False, False, False)),
        "ah": ((False, True, False, False),),
        "comp": ((False, False, False, True),),
    }
    return [
        (parts not in wanted.get(sa.key.protocol, ()), "the wrong kinds of algorithms for its protocol"),
        (sa.compression not in ("", "deflate"), f"no compression {sa.compression}"),
    ]


def _selectors(sa: Sa) -> _Wrongs:
    if sa.selectors is None:
        return []
    versions = {selector.network.version for selector in sa.selectors}
    return [
        (sa.mode == "tunnel", "selectors are of transport mode"),
        (versions != {sa.source.version}, "selectors of another family in transport mode"),
    ]


def _algorithm(algorithm: Algorithm, keys: set[int], icvs: set[int]) -> _Wrongs:
    return [
        (not keys, "there is no such algorithm"),
        (len(algorithm.key) not in keys, f"a key of {len(algorithm.key)} bytes"),
        (algorithm.icv_bits not in icvs, f"a check value of {algorithm.icv_bits} bits"),
    ]


def _template(template: Template, direction: Direction) -> _Wrongs:
    ends = [end.version for end in (template.source, template.destination) if end]
    tunnel = template.mode == "tunnel"
    return [
        (not any(template.reqid in owner.reqids for owner in ours.OWNERS), "template without reqid of ours"),
        (tunnel and direction is Direction.OUT and template.optional, "optional tunnel template going out"),
        (len(ends) != (2 if tunnel else 0), "template of a tunnel without addresses, or of transport with"),
        (len(set(ends)) > 1, "template addresses of two families"),
    ]
