"""An ISAKMP SA: cookies, keys, the chains of initialization vectors, and what was learnt of the peer (RFC 2409)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from cygnet.connection.connection import Connection
from cygnet.connection.identity import Identity
from cygnet.crypto import derive
from cygnet.crypto.cbc import Cbc
from cygnet.ike.fields import Malformed, Wire
from cygnet.ike.live import Live
from cygnet.ike.message import HEADER_SIZE, Header, Message, join, split
from cygnet.ike.numbers import FLAG_ENCRYPTED, ZERO_COOKIE, Auth
from cygnet.ike.path import Path
from cygnet.ike.timers import Timer
from cygnet.ike.v1.phase_one import METHODS, Offer

# Message ids that a peer has used: an old one must not open an exchange again. The oldest are forgotten.
MOST_MESSAGE_IDS = 4096


@dataclass
class Keys:
    """What phase 1 leaves behind. ``last_block``: of the last message of phase 1, the seed of every later IV."""

    hash: str
    d: bytes = field(repr=False)
    a: bytes = field(repr=False)
    cipher: Cbc = field(repr=False)
    last_block: bytes = field(repr=False)


@dataclass
class Peer:
    """What the peer said or showed that it can do. ``key``: the public one that proved its id, if one did."""

    nat_traversal: bool = False
    dead_peer_detection: bool = False
    fragmentation: bool = False
    behind_nat: bool = False
    id: Identity | None = None
    key: bytes = b""


@dataclass(eq=False)
class IsakmpSa:
    """One ISAKMP SA, from its first packet on. ``state`` is FreeS/WAN's name for where it is.

    ``live``: the connection it is made for; a responder may change its mind until the peer has said its name.
    """

    serial: int
    live: Live
    initiator: bool
    path: Path
    icookie: bytes
    rcookie: bytes = ZERO_COOKIE
    state: str = "STATE_MAIN_R0"
    offer: Offer | None = None
    keys: Keys | None = field(default=None, repr=False)
    peer: Peer = field(default_factory=Peer)
    behind_nat: bool = False
    established: bool = False
    established_at: float = 0.0
    lifetime: float = 0.0
    born: float = 0.0
    last_heard: float = 0.0
    superseded: bool = False
    message_ids: dict[int, None] = field(default_factory=dict)
    timers: list[Timer] = field(default_factory=list)

    @property
    def label(self) -> str:
        """How messages begin: the connection and this SA's number."""
        return f"{self.live.label} #{self.serial}"

    @property
    def cookies(self) -> tuple[bytes, bytes]:
        """What names it on the wire."""
        return self.icookie, self.rcookie

    def fits(self, other: Connection) -> bool:
        """Whether what it proves, or will prove, is what another connection with this peer asks for."""
        mine, proved = self.live.connection, self.offer.auth if self.established and self.offer else None
        if (mine.here.host, mine.here.identity) != (other.here.host, other.here.identity):
            return False
        same_method = proved in METHODS[other.auth_by] if proved else mine.auth_by is other.auth_by
        known = other.there.public_keys
        same_key = self.peer.key in known if self.peer.key and known else _keys(mine) == _keys(other)
        return same_method and (proved is Auth.PRESHARED or same_key)

    def header(self, exchange: int, message_id: int = 0, flags: int = 0) -> Header:
        """A header for a message of this SA; the first payload's type is filled in by `seal` and `clear`."""
        return Header(self.icookie, self.rcookie, 0, exchange, flags, message_id)

    def clear(self, exchange: int, payloads: tuple[Wire, ...], message_id: int = 0) -> bytes:
        """A packet in clear."""
        header = replace(self.header(exchange, message_id), first=payloads[0].TYPE)
        chain = join(payloads)
        return header.pack(HEADER_SIZE + len(chain)) + chain

    def first_iv(self, message_id: int) -> bytes:
        """The IV that an exchange of phase 2 begins with (RFC 2409, appendix B)."""
        keys = self.need_keys()
        return derive.exchange_iv(keys.hash, keys.last_block, message_id.to_bytes(4, "big"), keys.cipher.block)

    def seal(self, exchange: int, message_id: int, payloads: tuple[Wire, ...], iv: bytes) -> tuple[bytes, bytes]:
        """An encrypted packet, and the IV for the next message of the exchange."""
        keys = self.need_keys()
        chain = join(payloads)
        chain += bytes(-len(chain) % keys.cipher.block)
        sealed = keys.cipher.encrypt(iv, chain)
        header = replace(self.header(exchange, message_id, FLAG_ENCRYPTED), first=payloads[0].TYPE)
        return header.pack(HEADER_SIZE + len(sealed)) + sealed, sealed[-keys.cipher.block :]

    def open(self, header: Header, packet: bytes, iv: bytes) -> tuple[Message, bytes]:
        """An encrypted message in clear, and the IV for the next one. Raises Malformed."""
        keys = self.need_keys()
        sealed = packet[HEADER_SIZE:]
        if not sealed or len(sealed) % keys.cipher.block:
            raise Malformed(f"{len(sealed)} bytes are no whole number of cipher blocks")
        chain = keys.cipher.decrypt(iv, sealed)
        return Message(header, chain, split(header.first, chain), packet), sealed[-keys.cipher.block :]

    def hash_1(self, message_id: int, rest: bytes) -> bytes:
        """HASH(1) of a message of phase 2; ``rest``: the payloads after the hash."""
        keys = self.need_keys()
        return derive.hash_1(keys.hash, keys.a, message_id.to_bytes(4, "big"), rest)

    def take_message_id(self, message_id: int) -> bool:
        """Whether the peer's message id is a new one; it is used from now on."""
        if message_id == 0 or message_id in self.message_ids:
            return False
        if len(self.message_ids) >= MOST_MESSAGE_IDS:
            # Never refuse for this: with dead peer detection an honest peer uses many.
            self.message_ids.pop(next(iter(self.message_ids)))
        self.message_ids[message_id] = None
        return True

    def forget_timers(self) -> None:
        """Nothing more happens to it by the clock."""
        for timer in self.timers:
            timer.cancel()
        self.timers.clear()

    def need_keys(self) -> Keys:
        """Its keys; Malformed where they are not there yet."""
        if self.keys is None:
            raise Malformed("an encrypted message before there are keys")
        return self.keys


def _keys(connection: Connection) -> tuple[frozenset[bytes], object, str]:
    """By what a signature of the peer's is judged."""
    end = connection.there
    return frozenset(end.public_keys), end.cert, end.ca
