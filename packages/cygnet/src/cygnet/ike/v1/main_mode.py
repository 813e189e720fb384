"""Main mode: six messages that make an ISAKMP SA (RFC 2409, section 5). What both roles share.

I: SA, vendor ids  ->            R: SA, vendor ids
I: KE, Ni, NAT-D   ->            R: KE, Nr, NAT-D
I: IDii, proof     -> encrypted  R: IDir, proof
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cygnet.crypto import derive
from cygnet.crypto.cbc import Cbc
from cygnet.crypto.exchange import KeyExchange
from cygnet.crypto.transforms import CIPHERS
from cygnet.ike.fields import Malformed, Wire, build
from cygnet.ike.message import Header, Message, read_clear
from cygnet.ike.numbers import (
    VENDOR_DPD,
    VENDOR_FRAGMENTATION,
    VENDOR_NAT_T,
    Auth,
    Exchange,
    Notify,
    Protocol,
)
from cygnet.ike.path import IKE_PORT, NAT_PORT
from cygnet.ike.payloads import (
    Certificate,
    CertificateRequest,
    HashData,
    Identification,
    KeyExchangeData,
    NatDiscovery,
    Nonce,
    Notification,
    SignatureData,
    VendorId,
)
from cygnet.ike.v1 import authentication, exchange, nat
from cygnet.ike.v1.phase_one import ChosenIke
from cygnet.ike.v1.sa import IsakmpSa, Keys

if TYPE_CHECKING:
    from cygnet.ike.engine import Engine

NONCE_SIZES = range(8, 257)
NONCE_SIZE = 32
EXTRA = (VendorId, Notification)
IDENTITY_MESSAGE = (HashData, SignatureData, Certificate, CertificateRequest, *EXTRA)


class MainMode(exchange.Exchange):
    """One main mode; `initiator` and `responder` have the steps."""

    auth: Auth

    def __init__(self, engine: Engine, sa: IsakmpSa) -> None:
        super().__init__(engine, sa)
        self.nonce = engine.random(NONCE_SIZE)
        self.peer_nonce = b""
        self.key_exchange: KeyExchange | None = None
        self.peer_public = b""
        self.sa_body = b""
        self.iv = b""
        self.skeyid = b""
        self.asked_for_certificate = False

    @abstractmethod
    def receive(self, header: Header, packet: bytes) -> None:
        """Take a message of this exchange. Raises Malformed or Refused."""

    def vendor_ids(self) -> tuple[VendorId, ...]:
        """What we can do."""
        ids = [VENDOR_DPD]
        if self.engine.setup.nat_traversal:
            ids.insert(0, VENDOR_NAT_T)
        if self.sa.live.connection.fragmentation:
            ids.append(VENDOR_FRAGMENTATION)
        return tuple(VendorId(one) for one in ids)

    def learn_vendor(self, message: Message) -> None:
        """What the peer can do."""
        ids = {one.data for one in message.all(VendorId)}
        peer = self.sa.peer
        peer.nat_traversal = VENDOR_NAT_T in ids and self.engine.setup.nat_traversal
        peer.dead_peer_detection = VENDOR_DPD in ids
        # Cisco's id is followed by flags in some products.
        peer.fragmentation = (
            any(one.startswith(VENDOR_FRAGMENTATION) for one in ids) and self.sa.live.connection.fragmentation
        )

    def settle(self, chosen: ChosenIke) -> None:
        """Take over what was agreed on."""
        self.sa.offer = chosen.offer
        self.auth = chosen.offer.auth
        configured = self.sa.live.connection.ike_lifetime
        self.sa.lifetime = min(configured, chosen.lifetime or configured)
        self.hash = chosen.offer.proposal.hash

    def key_payloads(self) -> tuple[Wire, ...]:
        """KE, nonce and NAT-D; makes our half of the Diffie-Hellman exchange."""
        if self.sa.offer is None:
            raise Malformed("keys before a proposal")
        self.key_exchange = KeyExchange(self.sa.offer.proposal.group)
        found: tuple[Wire, ...] = (KeyExchangeData(self.key_exchange.public), Nonce(self.nonce))
        if self.sa.peer.nat_traversal:
            found += nat.payloads(self.sa, self.hash, self.sa.live.connection.force_encaps)
        return found

    def read_keys(self, header: Header, packet: bytes) -> Message:
        """The peer's KE, nonce and NAT-D. Raises Malformed."""
        message = read_clear(header, packet)
        message.expect((KeyExchangeData, Nonce), (NatDiscovery, CertificateRequest, Certificate, *EXTRA))
        nonce = message.one(Nonce).data
        if len(nonce) not in NONCE_SIZES:
            raise Malformed(f"a nonce of {len(nonce)} bytes")
        self.peer_public, self.peer_nonce = message.one(KeyExchangeData).data, nonce
        if self.sa.peer.nat_traversal:
            forced = self.sa.live.connection.force_encaps
            nat.discover(self.sa, self.hash, message.all(NatDiscovery), forced)
        self.asked_for_certificate |= bool(message.all(CertificateRequest))
        return message

    def make_keys(self) -> None:
        """SKEYID and all that follows from it: the one modular exponentiation of this end that a peer can ask for."""
        sa, offer, key_exchange = self.sa, self.sa.offer, self.key_exchange
        if offer is None or key_exchange is None:
            raise Malformed("an identity before keys")
        shared = key_exchange.shared(self.peer_public)
        if self.auth is Auth.PRESHARED:
            self.skeyid = self.preshared_skeyid()
        else:
            self.skeyid = derive.skeyid_signature(self.hash, *self._nonces(), shared)
        cipher = CIPHERS[offer.proposal.encryption]
        keys = derive.derive(self.hash, self.skeyid, shared, sa.icookie, sa.rcookie, offer.proposal.key_bits // 8)
        gi, gr = self._publics()
        self.iv = derive.first_iv(self.hash, gi, gr, cipher.block)
        sa.keys = Keys(self.hash, keys.d, keys.a, Cbc(cipher.name, keys.cipher), self.iv)

    def preshared_skeyid(self) -> bytes:
        """SKEYID by the secret that the connection has. Raises Refused if it has none."""
        psk = authentication.preshared_key(self.engine, self.sa.live.connection)
        return derive.skeyid_psk(self.hash, psk, *self._nonces())

    def _nonces(self) -> tuple[bytes, bytes]:
        return (self.nonce, self.peer_nonce) if self.sa.initiator else (self.peer_nonce, self.nonce)

    def _publics(self) -> tuple[bytes, bytes]:
        ours = self.key_exchange.public if self.key_exchange else b""
        return (ours, self.peer_public) if self.sa.initiator else (self.peer_public, ours)

    def hash_of(self, initiator: bool, id_body: bytes) -> bytes:
        """HASH_I or HASH_R over the identity payload's body."""
        sa, (gi, gr) = self.sa, self._publics()
        made = derive.hash_i if initiator else derive.hash_r
        return made(self.hash, self.skeyid, gi, gr, sa.icookie, sa.rcookie, self.sa_body, id_body)

    def seal(self, *payloads: Wire) -> bytes:
        """An encrypted message of this exchange; the IV moves on."""
        packet, self.iv = self.sa.seal(Exchange.MAIN, 0, payloads, self.iv)
        self._keep_iv()
        return packet

    def open(self, header: Header, packet: bytes) -> Message:
        """The peer's encrypted message; the IV moves on only if it can be read. Raises Malformed."""
        message, following = self.sa.open(header, packet, self.iv)
        message.expect((Identification,), IDENTITY_MESSAGE)
        self.iv = following
        self._keep_iv()
        return message

    @contextmanager
    def in_vain(self) -> Iterator[None]:
        """A message that comes to nothing, forged or too early, does not spoil the real one that comes after it."""
        before = self.iv
        try:
            yield
        except Exception:
            self.iv = before
            raise

    def _keep_iv(self) -> None:
        if self.sa.keys:
            self.sa.keys.last_block = self.iv

    def identity_payloads(self, first_contact: bool) -> tuple[Wire, ...]:
        """Our identity with its proof, and INITIAL-CONTACT if we know of no other SA with the peer."""
        ours = authentication.identification(self.sa.live.connection)
        found = authentication.proof(self, ours, self.hash_of(self.sa.initiator, build(ours)))
        if first_contact:
            found += (
                Notification(Notify.INITIAL_CONTACT, spi=self.sa.icookie + self.sa.rcookie, protocol=Protocol.ISAKMP),
            )
        return found

    def float_port(self) -> None:
        """Behind a NAT both go on at port 4500 (RFC 3947, section 4)."""
        path = self.sa.path
        if (self.sa.behind_nat or self.sa.peer.behind_nat) and path.local_port == self.engine.setup.port:
            self.sa.path = path._replace(
                local_port=self.engine.nat_port,
                remote_port=NAT_PORT if path.remote_port == IKE_PORT else self.engine.nat_port,
            )
