"""ike= and esp= as FreeS/WAN, Openswan and strongSwan spell them, into proposals by the tables of crypto/transforms.py.

A proposal is a run of words: ciphers, hashes, groups; several of a kind give every combination, in order. Words that
only say a size (the 256 of aes_gcm_c-256, the 96 of md5-96) belong to the word before them.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from itertools import product
from typing import TypeVar

from cygnet.conf.error import nearest
from cygnet.connection.proposal import ChildProposal, IkeProposal
from cygnet.crypto.transforms import CIPHERS, GROUPS, INTEGRITIES, REFUSED

MAX_WORDS = MAX_PROPOSALS = 60
SAFE_GROUPS = (14, 19, 31, 15, 16)
SAFE_HASHES = ("sha2_256", "sha2_384", "sha2_512")
SAFE_IKE = "aes256-sha2_256-sha2_384-sha2_512,aes128-sha2_256"
SAFE_ESP = "aes_gcm256,aes_gcm128,aes256-sha2_256,aes128-sha2_256,chacha20poly1305"
SAFE_AH = "sha2_256,sha2_512"

_CIPHERS = (
    ("aes", r"(?:aes|rijndael)(?:_?cbc)?_?(?P<bits>128|192|256)?"),
    ("aes", r"aes(?P<bits>128|192|256)_?cbc"),
    ("aes_ctr", r"aes_?ctr_?(?P<bits>128|192|256)?"),
    ("aes_ctr", r"aes(?P<bits>128|192|256)_?ctr"),
    ("aes_gcm", r"aes_?gcm(?:_?(?P<icv>a|b|c|8|12|16))?(?:_?(?P<bits>128|192|256))?"),
    ("aes_gcm", r"aes(?P<bits>128|192|256)_?gcm_?(?P<icv>8|12|16|64|96|128)?"),
    ("3des", r"(?:3des|des3)(?:_?cbc|_?ede)?_?(?P<bits>192)?"),
    ("chacha20poly1305", r"chacha20_?poly1305(?:_?(?P<bits>256))?"),
)
_GCM = dict.fromkeys(("a", "8", "64"), "aes_gcm8") | dict.fromkeys(("b", "12", "96"), "aes_gcm12")
_HASHES = {"md5": "md5", "sha": "sha1", "sha1": "sha1", "sha2": "sha2_256"}
_HASHES |= {f"sha{dash}{bits}": f"sha2_{bits}" for bits in (256, 384, 512) for dash in ("", "2_")}
_HASHES |= {f"hmac_{spelt}": name for spelt, name in list(_HASHES.items())}
_GROUPS = {group.name: group.number for group in GROUPS.values()} | {"x25519": 31}
_GROUPS |= {f"{prefix}{number}": number for number in GROUPS for prefix in ("dh", "group")}
_REFUSED = {"dh1": "modp768", "group1": "modp768", "des_cbc": "des"} | {word: word for word in REFUSED}
_P = TypeVar("_P", IkeProposal, ChildProposal)


class _Run:
    """The words of one proposal, sorted."""

    def __init__(self) -> None:
        self.ciphers: list[tuple[str, int]] = []
        self.hashes: list[str] = []
        self.groups: list[int] = []
        self.last = ""

    def read(self, word: str) -> None:
        """Sort one word in."""
        if word.isdigit():
            self._size(word)
        elif word in _HASHES:
            self.hashes.append(_HASHES[word])
            self.last = "hash"
        elif word in _GROUPS:
            self.groups.append(_GROUPS[word])
            self.last = "group"
        elif word == "null" and self.ciphers:
            if not all(CIPHERS[name].aead for name, _ in self.ciphers):
                raise ValueError("null is refused: encryption without integrity is no protection")
        elif word != "hmac":
            self.ciphers.append(_cipher(word))
            self.last = "cipher"

    def _size(self, word: str) -> None:
        if self.last == "cipher" and word in map(str, CIPHERS[self.ciphers[-1][0]].key_bits):
            self.ciphers[-1] = (self.ciphers[-1][0], int(word))
            self.last = "size"
        elif self.last == "hash" and self.hashes[-1] == "sha2_256" and f"sha2_{word}" in INTEGRITIES:
            self.hashes[-1] = f"sha2_{word}"
        elif self.last != "hash" or word != str(INTEGRITIES[self.hashes[-1]].icv_bits):
            raise ValueError(f"{word[:40]} is no size of what stands before it")

    @property
    def weak(self) -> list[str]:
        """The weak transforms that it names."""
        found = [name for name, _ in self.ciphers if CIPHERS[name].weak]
        found += [name for name in self.hashes if INTEGRITIES[name].weak]
        return found + [GROUPS[number].name for number in self.groups if GROUPS[number].weak]


def _cipher(word: str) -> tuple[str, int]:
    for name, pattern in _CIPHERS:
        if match := re.fullmatch(pattern, word):
            found = match.groupdict()
            name = _GCM.get(found.get("icv") or "", name)
            return name, int(found["bits"] or CIPHERS[name].key_bits[0])
    raise _unknown(word, [*CIPHERS, *INTEGRITIES, *_GROUPS])


def _unknown(word: str, known: list[str]) -> ValueError:
    if word in _REFUSED:
        return ValueError(f"{word} is refused: {REFUSED[_REFUSED[word]]}")
    return ValueError(f"{word[:40]!r} is no cipher, hash or group that Cygnet has{nearest(word, known)}")


def _runs(text: str) -> list[_Run]:
    """The proposals of a list; ! at its end (only these) is what Cygnet does anyway."""
    lists = [re.split("[-;]", part.strip()) for part in text.lower().rstrip("!").split(",")]
    if sum(map(len, lists)) > MAX_WORDS:
        raise ValueError(f"it has more than {MAX_WORDS} words")
    runs = []
    for words in lists:
        runs.append(_Run())
        for word in words:
            if not word:
                raise ValueError("a name is missing between two separators")
            runs[-1].read(word)
    return runs


# Most connections name the same: they share the proposals.
@lru_cache(64)
def ike(text: str) -> tuple[tuple[IkeProposal, ...], list[str]]:
    """A list for phase 1, and the weak transforms it names. What it leaves open gets the safe hashes and groups."""
    runs = _runs(text)
    for name in [name for run in runs for name, _ in run.ciphers or [("", 0)]]:
        if not name or not CIPHERS[name].ike:
            raise ValueError(f"phase 1 has no {name}, it is for esp= only" if name else "a proposal needs a cipher")
    found = [
        IkeProposal(name, bits, hash_name, group)
        for run in runs
        for (name, bits), hash_name, group in product(run.ciphers, run.hashes or SAFE_HASHES, run.groups or SAFE_GROUPS)
    ]
    return _bounded(found), [name for run in runs for name in run.weak]


@lru_cache(64)
def child(text: str, protocol: str) -> tuple[tuple[ChildProposal, ...], list[int], list[str]]:
    """A list for phase 2, of esp (with ciphers) or ah (hashes only); the groups and the weak transforms it names."""
    runs = _runs(text)
    found: list[ChildProposal] = []
    for run in runs:
        if protocol == "ah" and (run.ciphers or not run.hashes):
            raise ValueError("AH takes hashes only, such as sha2_256")
        if protocol == "esp" and not run.ciphers:
            raise ValueError("ESP needs a cipher: integrity without encryption is phase2=ah with ah=")
        for name, bits in run.ciphers or [("", 0)]:
            hashes = [""] if name and CIPHERS[name].aead else run.hashes or SAFE_HASHES[:1]
            found += [ChildProposal(name, bits, integrity) for integrity in hashes]
    return _bounded(found), [group for run in runs for group in run.groups], [name for run in runs for name in run.weak]


def with_ah(suites: tuple[ChildProposal, ...], text: str) -> tuple[tuple[ChildProposal, ...], list[str]]:
    """ESP suites with AH around them, by the hashes of ``text``, and which of these are weak.

    Without a list AH has the hash that ESP has, or where that has none of its own, SHA-2-256.
    """
    named, _, weak = child(text, "ah") if text else ((), [], [])
    hashes = [one.integrity for one in named] or [""]
    found = [replace(suite, ah=ah or suite.integrity or SAFE_HASHES[0]) for ah in hashes for suite in suites]
    return _bounded(found), weak


def group(text: str) -> int:
    """pfsgroup=."""
    if text.lower() not in _GROUPS:
        raise _unknown(text.lower(), list(_GROUPS))
    return _GROUPS[text.lower()]


def is_hashes_only(text: str) -> bool:
    """Whether a list names no cipher at all, so that AH alone is meant."""
    return not any(run.ciphers for run in _runs(text))


def _bounded(found: list[_P]) -> tuple[_P, ...]:
    unique = tuple(dict.fromkeys(found))
    if len(unique) > MAX_PROPOSALS:
        raise ValueError(f"it makes {len(unique)} combinations, {MAX_PROPOSALS} are the most: name fewer")
    return unique
