"""Quick mode as the initiator."""

from __future__ import annotations

from functools import partial

from cygnet.connection.connection import Type
from cygnet.connection.selector import Selector
from cygnet.crypto.exchange import KeyExchange
from cygnet.ike.fields import Malformed, Wire
from cygnet.ike.message import Header
from cygnet.ike.numbers import Mode, Notify, Protocol
from cygnet.ike.payloads import (
    KeyExchangeData,
    NatOriginalAddress,
    Nonce,
    Notification,
    SecurityAssociation,
)
from cygnet.ike.progress import STATE_QUICK_I1, SUCCESS
from cygnet.ike.v1 import phase_two, selectors
from cygnet.ike.v1.exchange import Refused
from cygnet.ike.v1.quick_mode import QuickMode

# Seconds that the old pair still sends after a rekeying.
TAKE_OVER = 0.5


class QuickInitiator(QuickMode):
    """I1: proposal sent. I2: established."""

    INITIATOR = True
    terms: phase_two.Terms

    def start(self) -> None:
        """Send the first message. Raises Refused if the connection's ends are not known."""
        connection = self.connection
        self.ours, self.theirs = self._selectors()
        group = self.pfs_groups()[0] if connection.pfs else 0
        self.terms = phase_two.Terms(self.mode(), group)
        offered = phase_two.offer_payload(connection, self.terms, self.spis)
        payloads: tuple[Wire, ...] = (offered, Nonce(self.nonce))
        if group:
            self.key_exchange = KeyExchange(group)
            payloads += (KeyExchangeData(self.key_exchange.public),)
        payloads += (selectors.write(self.ours), selectors.write(self.theirs), *self._original_addresses())
        self.quick_state = "STATE_QUICK_I1"
        self.engine.tell(self.live, STATE_QUICK_I1, f"{self.label}: STATE_QUICK_I1: initiate")
        self.transmit(self.seal(b"", payloads), awaiting=True)

    def _selectors(self) -> tuple[Selector, Selector]:
        ours, theirs = self.connection.here.selector, self.connection.there.selector
        if ours is None or theirs is None:
            raise Refused(
                Notify.INVALID_ID_INFORMATION, "a connection to %any waits for its peer: it cannot be initiated"
            )
        return ours, theirs

    def _original_addresses(self) -> tuple[NatOriginalAddress, ...]:
        """In transport mode the peer needs our address before the NAT, for checksums (RFC 3947, section 5.2)."""
        if self.terms.mode is not Mode.UDP_TRANSPORT:
            return ()
        path = self.sa.path
        return tuple(NatOriginalAddress(1 if a.version == 4 else 5, a.packed) for a in (path.local, path.remote))

    def receive(self, header: Header, packet: bytes) -> None:
        """The responder's answer. Raises Malformed, Refused, KernelError."""
        if self.quick_state != "STATE_QUICK_I1":
            raise Malformed(f"a quick mode message in {self.quick_state}")
        message = self.open(header, packet, self.nonce)
        answer, identities, peer_public = self.read(message)
        modes, groups = (self.terms.mode,), (self.terms.group,)
        chosen = phase_two.choose(answer, self.connection.child, modes, groups)
        compressed = Protocol.IPCOMP in chosen.spis
        if not _is_one_choice(answer, chosen, compressed) or (compressed and not self.connection.compress):
            raise Malformed("the answer has more proposals than one choice needs, or IPComp that was not offered")
        if identities and [selectors.read(one) for one in identities] != [self.ours, self.theirs]:
            raise Refused(Notify.INVALID_ID_INFORMATION, "the peer answered for other traffic than it was asked for")
        self.child = self.make_child(chosen, self.ours, self.theirs, self.shared(chosen.terms, peer_public))
        self.answered(packet)
        # The peer may have its new SA only once it has our last message: the old pair goes on sending for a moment.
        successor = any(older.outbound for older in self.live.children)
        self.engine.children.install(self.child, inbound=True, outbound=not successor)
        self.quick_state = "STATE_QUICK_I2"
        keys = self.sa.need_keys()
        self.transmit(self._confirmation(keys.hash, keys.a), awaiting=False)
        self.engine.tell(
            self.live, SUCCESS, f"{self.label}: STATE_QUICK_I2: sent QI2, IPsec SA established {describe(self)}"
        )
        self.engine.children.established(self)
        if successor:
            self.engine.timers.at(self.engine.now + TAKE_OVER, self._take_over)

    def _take_over(self) -> None:
        """Send by the new pair from now on."""
        child = self.child
        if child is None or child not in self.live.children or child.outbound:
            return
        if not self.engine.guard(partial(self.engine.children.install, child, inbound=False, outbound=True)):
            self.engine.children.remove(self.live, child, "it cannot send", tell_peer=True)

    def _confirmation(self, hash_name: str, skeyid_a: bytes) -> bytes:
        from cygnet.crypto.derive import hash_3
        from cygnet.ike.numbers import Exchange
        from cygnet.ike.payloads import HashData

        proof = HashData(hash_3(hash_name, skeyid_a, self._mid, self.nonce, self.peer_nonce))
        packet, self.iv = self.sa.seal(Exchange.QUICK, self.message_id, (proof,), self.iv)
        return packet

    def refused(self, notification: Notification) -> None:
        """The peer says, under the protection of phase 1, that it will not have this."""
        reason = f"the peer refused: {notification}"
        if notification.type == Notify.NO_PROPOSAL_CHOSEN:
            mode = "transport" if self.connection.type is Type.TRANSPORT else "tunnel"
            pfs = f", PFS group{self.terms.group}" if self.terms.group else ", no PFS"
            reason += f". Our proposals were: {', '.join(map(str, self.connection.child))} ({mode}{pfs})"
        if notification.type == Notify.INVALID_ID_INFORMATION:
            reason += f": it has no connection for traffic between {self.ours} and {self.theirs}"
        self.given_up(reason)

    def silent(self, reason: str) -> None:
        """A peer that says nothing at all may have lost phase 1: the next attempt begins there."""
        self.given_up(reason)
        self.engine.isakmp.drop(self.sa, "the peer does not answer on it", tell_peer=True)

    def unanswered(self) -> str:
        """What silence means."""
        return "No acceptable response to our first Quick Mode message: perhaps peer likes no proposal"


def describe(quick: QuickMode) -> str:
    """The SPIs and the suite of an established pair, in FreeS/WAN's manner."""
    if quick.child is None:
        return ""
    found = [
        f"{leg.protocol.upper()}=>0x{leg.spi_out:08x} <0x{leg.spi_in:08x} {leg.suite}"
        for leg in quick.child.sa.protecting
    ]
    return f"{{{' '.join(found)}}}"


def _is_one_choice(answer: SecurityAssociation, chosen: phase_two.ChosenChild, compressed: bool) -> bool:
    """strongSwan's answer with IPComp goes on with the same SA without it; that says nothing new."""
    size, same = len(chosen.proposals), {(one.protocol, one.spi) for one in chosen.proposals if compressed}
    return answer.proposals[:size] == chosen.proposals and same >= {
        (one.protocol, one.spi) for one in answer.proposals[size:]
    }
