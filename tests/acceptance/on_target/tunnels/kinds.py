"""Each kind of tunnel once: what its SAs count, and what is on the wire, when datagrams go there and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from connections import ANYONE, INSIDE, NETS, TRANSPORT, between, hosts, to_port, turned
from cygnet.connection.connection import Connection, Type
from place import PORT, SIZE

if TYPE_CHECKING:
    from scene import Scene, Seen

SMALL, LARGE, FULL = 40, 1300, 1400


@dataclass(frozen=True)
class Kind:
    """``made``: see `pair`; ``family``: of the traffic; ``gates``: it is the gateways themselves that talk."""

    connection: Connection
    made: dict[str, object] = field(default_factory=dict)
    family: int = 4
    gates: bool = False
    size: int = SIZE


COMPRESS = {"compress": True}
SIX_IN_FOUR = between(INSIDE[6])
KINDS = {
    "aes-cbc-hmac-sha256": Kind(NETS, {"suite": "aes-cbc-hmac-sha256"}),
    "aes-gcm": Kind(NETS, {"suite": "aes-gcm"}),
    "chacha20-poly1305": Kind(NETS, {"suite": "chacha20-poly1305"}),
    "ah-hmac-sha1": Kind(NETS, {"suite": "ah-hmac-sha1"}),
    "ah-around-esp": Kind(NETS, {"suite": "aes-gcm", "around": "ah-hmac-sha1"}),
    "extended-sequence-numbers": Kind(NETS, {"esn": True}),
    "large-packets": Kind(NETS, {"suite": "aes-cbc-hmac-sha256"}, size=FULL),
    "ipcomp-leaves-small-packets-alone": Kind(NETS, COMPRESS, size=SMALL),
    "ipcomp": Kind(NETS, COMPRESS, size=LARGE),
    "host-to-host": Kind(hosts(), gates=True),
    "host-to-host-ipcomp": Kind(hosts(), COMPRESS, gates=True, size=LARGE),
    "transport-mode": Kind(TRANSPORT, gates=True),
    "transport-mode-ipcomp": Kind(TRANSPORT, COMPRESS, gates=True, size=LARGE),
    "transport-mode-ah": Kind(TRANSPORT, {"suite": "ah-hmac-sha1"}, gates=True),
    "six-in-four": Kind(SIX_IN_FOUR, family=6),
    "six-in-four-ipcomp": Kind(SIX_IN_FOUR, COMPRESS, family=6, size=LARGE),
    "four-in-six": Kind(between(INSIDE[4], outside=6)),
    "six-in-six": Kind(between(INSIDE[6], outside=6), family=6),
    "host-to-host-six": Kind(hosts(outside=6), family=6, gates=True),
    "transport-mode-six": Kind(hosts(outside=6, type=Type.TRANSPORT), family=6, gates=True),
    "to-everything": Kind(between((INSIDE[4][0], "0.0.0.0/0"))),
    "with-anyone-who-calls": Kind(ANYONE, {"remote": turned(NETS)}),
    "to-one-port": Kind(to_port(PORT)),
}


def without(scene: Scene) -> Seen:
    """The hosts reach each other in clear: all that the other cases see, they see because of IPsec."""
    return scene.talk()


def carried(kind: Kind, scene: Scene) -> Seen:
    """Datagrams through a tunnel of a kind."""
    made = scene.up(kind.connection, **kind.made)
    ends = (scene.west, scene.east) if kind.gates else (scene.here, scene.there)
    return scene.talk(*ends, kind.family, size=kind.size) | {"sas": scene.carried(made)}


CASES: dict[str, Callable[[Scene], Seen]] = {
    "without-ipsec-all-is-in-clear": without,
    **{name: partial(carried, kind) for name, kind in KINDS.items()},
}
