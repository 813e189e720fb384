"""What must not get through: wrong keys, replayed, changed and foreign packets, traffic that was not agreed upon."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from ipaddress import ip_network
from typing import TYPE_CHECKING

from connections import NETS, SUITES, Pair, pair, turned
from place import PATIENCE, QUIET, SIZE, words_of
from wire import changed

if TYPE_CHECKING:
    from scene import Scene, Seen

# After so many packets a window of 32 has no place for the first, and one of 128 has.
LATER = 60
# Bytes of ESP's header (RFC 4303, section 2): the last of the SPI, the last but one of the sequence number.
SPI, SEQUENCE = 3, 6


def wrong_key(suite: str, scene: Scene) -> Seen:
    """One bit of the key by which east receives is another."""
    made = pair(NETS, suite)
    *inner, leg = made.east.legs
    key = leg.key_in[:-1] + bytes([leg.key_in[-1] ^ 1])
    made = Pair(made.west, replace(made.east, legs=(*inner, replace(leg, key_in=key))))
    return deaf(scene, made)


def half_extended(scene: Scene) -> Seen:
    """Only west has extended sequence numbers: their upper half is in no packet, yet in its checksum (RFC 4304)."""
    made = pair(NETS)
    return deaf(scene, Pair(replace(made.west, esn=True), made.east))


def deaf(scene: Scene, made: Pair) -> Seen:
    """East cannot read what west sends."""
    scene.install(made)
    return scene.call() | scene.east.judged(made.east)


def repeated(scene: Scene) -> Seen:
    """A stranger repeats packets, then gives them numbers that come next, then an SPI that nobody has."""
    made = scene.up(NETS)
    scene.talk()
    frames = [frame for frame in scene.last if scene.name(frame) == "esp to east"]
    seen = {
        "again": scene.inject(frames),
        "renumbered": scene.inject(changed(frame, SEQUENCE) for frame in frames),
        "another SPI": scene.inject(changed(frame, SPI) for frame in frames),
    }
    return seen | scene.east.judged(made.east)


def late(window: int, scene: Scene) -> Seen:
    """A packet that comes when LATER others have come before it."""
    made = pair(replace(NETS, replay_window=window))
    scene.know(made)
    scene.west.inbound(made.west)
    scene.west.outbound(made.west)
    words = words_of(SIZE)
    scene.wire.frames()
    scene.here.say(scene.there, 4, words)
    # East has no SA yet.
    early = scene.there.hears(4, words, QUIET)
    frames = scene.wire.frames()
    scene.east.inbound(made.east)
    scene.east.outbound(made.east)
    others = scene.talk(count=LATER)["answered"]
    errors = scene.inject(frames)
    heard = scene.there.hears(4, words, QUIET if errors else PATIENCE)
    drops = scene.east.counters(made.east).replay_drops
    return {"early": early, "others": others, "late": heard, "errors": errors, "replay drops": drops}


def not_agreed(scene: Scene) -> Seen:
    """East sends for its whole network, where west has agreed to half of it: the other one."""
    half = replace(NETS, there=replace(NETS.there, subnet=ip_network("10.2.0.128/25")))
    made = scene.up(half, remote=turned(NETS))
    return scene.call(scene.there, scene.here) | {"packets": scene.west.counters(made.west).packets}


CASES: dict[str, Callable[[Scene], Seen]] = {
    **{f"wrong-key-{suite}": partial(wrong_key, suite) for suite in SUITES},
    "extended-sequence-numbers-at-one-end-only": half_extended,
    "repeated-and-changed-packets": repeated,
    "too-late-for-a-window-of-32": partial(late, 32),
    "not-too-late-for-a-window-of-128": partial(late, 128),
    "from-a-network-not-agreed-upon": not_agreed,
}
