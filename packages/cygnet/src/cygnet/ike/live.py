"""A connection at work: a permanent one, or the instance of a %any connection that serves one peer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from cygnet.connection.connection import Address, Connection, End, Type
from cygnet.connection.identity import Identity
from cygnet.connection.selector import Selector
from cygnet.ike.contacts import Contact
from cygnet.ike.timers import Timer
from cygnet.tunnel.child import ChildSa

NEGOTIATED = (Type.TUNNEL, Type.TRANSPORT)
# As FreeS/WAN's own opportunistic conns have it.
STRANGERS_TRIES = 3
Report = Callable[[int, str], None]
Done = Callable[[int], None]


@dataclass(eq=False)
class Attempt:
    """Somebody who waits for a connection to come up, and is told how it goes."""

    report: Report
    done: Done

    def finish(self, status: int) -> None:
        """Tell the outcome, once."""
        done, self.done = self.done, _nobody
        done(status)


def _nobody(_status: int) -> None:
    pass


@dataclass(eq=False)
class Child:
    """An established or half-established pair of SAs. ``outbound``: whether its outbound half is installed.

    ``nonce``: the lowest of its exchange, which decides when both ends made one at the same moment.
    ``began``: when its exchange did; ``born``: when it stood. ``lost``: why the peer has it no more, "" if it has.
    """

    sa: ChildSa
    initiator: bool
    cookies: tuple[bytes, bytes]
    nonce: bytes = field(default=b"", repr=False)
    outbound: bool = False
    began: float = 0.0
    born: float = 0.0
    replaced: bool = False
    lost: str = ""
    timers: list[Timer] = field(default_factory=list)

    def forget_timers(self) -> None:
        """Nothing more happens to it by the clock."""
        for timer in self.timers:
            timer.cancel()
        self.timers.clear()


@dataclass(eq=False)
class Live:
    """``wanted``: it is to be up. ``why``: in words, why it is not. ``instance``: as in `ChildSa`.

    ``contact``: with its peer; None while that can be anyone.
    """

    connection: Connection
    instance: str = ""
    wanted: bool = False
    tries: int = 0
    why: str = "nobody has asked for it yet"
    attempt: Attempt | None = None
    retry: Timer | None = None
    children: list[Child] = field(default_factory=list)
    contact: Contact | None = None

    @property
    def label(self) -> str:
        """How messages begin: "west", or "road"[2] 192.0.2.9."""
        return f'"{self.connection.name}"{self.instance}'

    @property
    def newest(self) -> Child | None:
        """The pair of SAs that traffic uses."""
        return next((child for child in reversed(self.children) if child.outbound), None)


def instantiate(template: Connection, remote: Address, peer_id: Identity | None, number: int) -> Live:
    """The instance of a %any connection for a peer at ``remote``, its own address as its subnet if it names none."""
    there = replace(template.there, host=remote, id=template.there.id or peer_id)
    return Live(replace(template, there=there), f"[{number}] {remote}")


def pair_of(template: Connection, gateway: Address, end: End, ours: Selector, theirs: Selector) -> Live:
    """The life of two hosts that an opportunistic connection brings together over ``gateway``."""
    there = replace(end, host=gateway, subnet=theirs.network, protocol=theirs.protocol, port=theirs.port)
    here = replace(template.here, subnet=ours.network, protocol=ours.protocol, port=ours.port)
    # For ever would be a packet that is neither protected nor passed on.
    tries = template.keying_tries or STRANGERS_TRIES
    type_ = template.type if template.type in NEGOTIATED else Type.TUNNEL
    return Live(
        replace(template, here=here, there=there, type=type_, keying_tries=tries),
        f" {ours.network.network_address}-{theirs.network.network_address} by {gateway}",
    )


def is_negotiated(connection: Connection) -> bool:
    """Whether it is a tunnel or transport connection or one that strangers may call: no plain policy."""
    return connection.type in NEGOTIATED or connection.there.strangers
