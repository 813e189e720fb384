"""Quick mode: three messages that make a pair of SAs (RFC 2409, section 5.5).

I: HASH(1), SA, Ni, [KE,] IDci, IDcr  ->   R: HASH(2), SA, Nr, [KE,] IDci, IDcr   ->   I: HASH(3)
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from cygnet.connection.connection import Connection, Type
from cygnet.connection.proposal import ChildProposal
from cygnet.connection.selector import Selector
from cygnet.crypto import derive, mac
from cygnet.crypto.exchange import KeyExchange
from cygnet.crypto.transforms import CIPHERS, INTEGRITIES
from cygnet.ike.fields import Malformed, Wire
from cygnet.ike.live import Child
from cygnet.ike.message import Header, Message, join
from cygnet.ike.numbers import Exchange, Mode, Notify, Protocol
from cygnet.ike.payloads import (
    HashData,
    Identification,
    KeyExchangeData,
    NatOriginalAddress,
    Nonce,
    Notification,
    SecurityAssociation,
)
from cygnet.ike.v1.exchange import Exchange as Base
from cygnet.ike.v1.exchange import Refused
from cygnet.ike.v1.main_mode import NONCE_SIZE, NONCE_SIZES
from cygnet.ike.v1.phase_two import PROTOCOLS, ChosenChild, Spis, Terms
from cygnet.ike.v1.sa import IsakmpSa
from cygnet.tunnel.child import ChildSa, Leg

if TYPE_CHECKING:
    from cygnet.ike.engine import Engine
    from cygnet.ike.live import Live

NO_AH = (
    "AH cannot pass the address translator between the two ends, nor go in UDP (forceencaps=yes): "
    "this connection needs ESP alone, without auth=ah and phase2=ah"
)
NEEDED = (HashData, SecurityAssociation, Nonce)
ALLOWED = (KeyExchangeData, Identification, NatOriginalAddress, Notification)


class QuickMode(Base):
    """One quick mode; `QuickInitiator` and `QuickResponder` have the steps."""

    INITIATOR = False

    def __init__(self, engine: Engine, sa: IsakmpSa, live: Live, message_id: int) -> None:
        super().__init__(engine, sa)
        self.live, self.message_id = live, message_id
        self.serial, self.began = engine.next_serial(), engine.now
        self.quick_state = "STATE_QUICK_R0"
        self.iv = sa.first_iv(message_id)
        self.nonce, self.peer_nonce = engine.random(NONCE_SIZE), b""
        self.key_exchange: KeyExchange | None = None
        new_spi, new_cpi = engine.children.new_spi, engine.children.new_cpi
        self.spis = {int(Protocol.ESP): new_spi(), int(Protocol.AH): new_spi(), int(Protocol.IPCOMP): new_cpi()}
        self.child: Child | None = None
        self.peer_spi, self.protocol = b"", int(Protocol.ESP)

    @abstractmethod
    def receive(self, header: Header, packet: bytes) -> None:
        """Take a message of this exchange. Raises Malformed, Refused, NoProposal, KernelError."""

    @property
    def label(self) -> str:
        """The connection, and this negotiation's own number."""
        return f"{self.live.label} #{self.serial}"

    @property
    def state(self) -> str:
        """FreeS/WAN's name for where it is."""
        return self.quick_state

    @property
    def connection(self) -> Connection:
        """The connection that it is for."""
        return self.live.connection

    @property
    def _mid(self) -> bytes:
        return self.message_id.to_bytes(4, "big")

    def mode(self) -> Mode:
        """How packets are to be wrapped, with UDP around them where there is a NAT. Raises Refused for AH there."""
        natted = self.sa.behind_nat or self.sa.peer.behind_nat
        if natted and any(suite.layers[-1].protocol == "ah" for suite in self.connection.child):
            raise Refused(Notify.NO_PROPOSAL_CHOSEN, NO_AH, NO_AH)
        if self.connection.type is Type.TRANSPORT:
            return Mode.UDP_TRANSPORT if natted else Mode.TRANSPORT
        return Mode.UDP_TUNNEL if natted else Mode.TUNNEL

    def pfs_groups(self) -> tuple[int, ...]:
        """The groups that PFS may use, best first: those of pfsgroup=, or phase 1's."""
        offer = self.sa.offer
        return self.connection.pfs_groups or ((offer.proposal.group,) if offer else ())

    def seal(self, before: bytes, payloads: tuple[Wire, ...]) -> bytes:
        """An encrypted message with its hash in front; ``before``: what the hash goes over first."""
        rest = join(payloads)
        keys = self.sa.need_keys()
        hashed = mac.hmac(keys.hash, keys.a, self._mid, before, rest)
        packet, self.iv = self.sa.seal(Exchange.QUICK, self.message_id, (HashData(hashed), *payloads), self.iv)
        return packet

    def open(self, header: Header, packet: bytes, before: bytes) -> Message:
        """The peer's message, its hash checked. Raises Malformed."""
        message, following = self.sa.open(header, packet, self.iv)
        keys = self.sa.need_keys()
        if message.received[0].type != HashData.TYPE:
            raise Malformed("a message of quick mode that does not begin with a hash")
        expected = mac.hmac(keys.hash, keys.a, self._mid, before, message.after_first)
        if not mac.same(message.received[0].body, expected):
            raise Malformed("the hash of a quick mode message is wrong")
        self.iv = following
        return message

    def read(self, message: Message) -> tuple[SecurityAssociation, list[Identification], bytes]:
        """SA, identities and KE of the first two messages; keeps the nonce. Raises Malformed."""
        message.expect(NEEDED, ALLOWED)
        self.peer_nonce = message.one(Nonce).data
        if len(self.peer_nonce) not in NONCE_SIZES:
            raise Malformed(f"a nonce of {len(self.peer_nonce)} bytes")
        identities = message.all(Identification)
        if len(identities) not in (0, 2):
            raise Malformed(f"{len(identities)} identities in quick mode")
        exchange = message.maybe(KeyExchangeData)
        payload = message.one(SecurityAssociation)
        if payload.proposals:
            self.peer_spi, self.protocol = payload.proposals[0].spi, payload.proposals[0].protocol
        return payload, identities, exchange.data if exchange else b""

    def shared(self, terms: Terms, peer_public: bytes) -> bytes:
        """The result of quick mode's own Diffie-Hellman exchange, b"" without PFS. Raises Malformed, BadPublicValue."""
        if bool(terms.group) != bool(peer_public):
            raise Malformed("a PFS group and a KE payload belong together")
        return self.key_exchange.shared(peer_public) if self.key_exchange else b""

    def make_child(self, chosen: ChosenChild, ours: Selector, theirs: Selector, shared: bytes) -> Child:
        """The pair of SAs with its keys."""
        sa, connection = self.sa, self.connection
        initiator = self.INITIATOR
        ni, nr = (self.nonce, self.peer_nonce) if initiator else (self.peer_nonce, self.nonce)
        legs = [self._leg(layer, chosen.spis, ni, nr, shared) for layer in chosen.suite.layers]
        if Protocol.IPCOMP in chosen.spis:
            legs.insert(0, Leg("comp", self.spis[Protocol.IPCOMP], chosen.spis[Protocol.IPCOMP]))
        natted = sa.behind_nat or sa.peer.behind_nat
        child = ChildSa(
            serial=self.serial, connection=connection, local=sa.path.local, remote=sa.path.remote,
            mode="tunnel" if chosen.terms.mode in (Mode.TUNNEL, Mode.UDP_TUNNEL) else "transport",
            legs=tuple(legs), ours=ours, theirs=theirs,
            lifetime=min(connection.key_life, chosen.lifetime or connection.key_life),
            ports=(sa.path.local_port, sa.path.remote_port) if natted else None,
            instance=self.live.instance, peer_id=str(sa.peer.id),
        )  # fmt: skip
        return Child(child, initiator, sa.cookies, min(ni, nr), began=self.began, born=self.engine.now)

    def _leg(self, layer: ChildProposal, peers: Spis, ni: bytes, nr: bytes, shared: bytes) -> Leg:
        keys, protocol = self.sa.need_keys(), PROTOCOLS[layer.protocol]
        cipher = CIPHERS.get(layer.encryption)
        cipher_bytes = layer.key_bits // 8 + cipher.salt if cipher else 0
        length = cipher_bytes + (INTEGRITIES[layer.integrity].size if layer.integrity else 0)
        ours, its = self.spis[protocol], peers[protocol]
        key_in, key_out = (
            derive.keymat(keys.hash, keys.d, protocol, spi.to_bytes(4, "big"), ni, nr, shared, length)
            for spi in (ours, its)
        )
        return Leg(layer.protocol, ours, its, layer.encryption, layer.integrity, key_in, key_out, cipher_bytes)

    def given_up(self, reason: str) -> None:
        """It has failed; what it installed goes."""
        self.quiet()
        self.engine.children.failed(self, reason)
