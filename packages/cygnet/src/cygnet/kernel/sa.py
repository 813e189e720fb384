"""Security associations as the kernel is told of them (RFC 4301, section 4.4.2)."""

from __future__ import annotations

from dataclasses import dataclass, field

from cygnet.connection.connection import Address
from cygnet.connection.selector import Selector


@dataclass(frozen=True)
class Algorithm:
    """A kernel algorithm with its key (salt at the end where it has one). ``icv_bits`` 0 where it makes none."""

    name: str
    key: bytes = field(repr=False)
    icv_bits: int = 0


@dataclass(frozen=True)
class SaKey:
    """What names an SA in the kernel. ``protocol``: esp, ah or comp. ``spi``: 32 bits, of comp the 16-bit CPI."""

    destination: Address
    protocol: str
    spi: int
    mark: int = 0


@dataclass(frozen=True)
class Encapsulation:
    """UDP around ESP (RFC 3948): the ports, as this SA's packets have them."""

    source_port: int
    destination_port: int


@dataclass(frozen=True)
class Sa:
    """One SA, one direction. Lifetimes in seconds, 0: none. ``mode``: tunnel or transport.

    ``selectors``: (source, destination) of transport mode, None otherwise.
    ``outbound``: which way it goes; decides where the kernel keeps the replay state.
    ``set_mark``: what its packets are marked with, outside; 0 leaves them alone.
    ``hide_tos``: outside they have no DSCP; else that of the packet within.
    """

    source: Address
    key: SaKey
    reqid: int
    mode: str
    outbound: bool
    encryption: Algorithm | None = None
    integrity: Algorithm | None = None
    aead: Algorithm | None = None
    compression: str = ""
    replay_window: int = 32
    esn: bool = False
    soft_seconds: int = 0
    hard_seconds: int = 0
    if_id: int = 0
    encapsulation: Encapsulation | None = None
    selectors: tuple[Selector, Selector] | None = None
    set_mark: int = 0
    hide_tos: bool = False


@dataclass(frozen=True)
class SaCounters:
    """What an SA has done. ``added``, ``last_used``: seconds since the epoch, 0 for never."""

    bytes: int
    packets: int
    added: int
    last_used: int
    replay_drops: int = 0
    integrity_failures: int = 0
