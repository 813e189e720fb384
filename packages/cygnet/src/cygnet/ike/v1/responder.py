"""Main mode as the responder: a stranger until its identity is proved, and treated as one."""

from __future__ import annotations

from itertools import chain

from cygnet.connection.identity import Identity
from cygnet.ike.fields import Malformed
from cygnet.ike.live import Live
from cygnet.ike.message import Header, Message, read_clear
from cygnet.ike.numbers import Auth, Exchange, Notify
from cygnet.ike.payloads import CertificateRequest, Identification, Notification, SecurityAssociation, VendorId
from cygnet.ike.progress import LOG, SUCCESS
from cygnet.ike.v1 import authentication, phase_one
from cygnet.ike.v1.exchange import Refused
from cygnet.ike.v1.main_mode import MainMode

UNREADABLE = (
    "the first encrypted message cannot be read: probable authentication failure (mismatch of preshared secrets?)"
)


class Responder(MainMode):
    """R1: SA answered. R2: KE answered. R3: established. ``candidates``: connections that it may turn out to be for."""

    candidates: list[Live]

    def receive(self, header: Header, packet: bytes) -> None:
        """The initiator's next message."""
        match self.sa.state:
            case "STATE_MAIN_R0":
                self._take_proposal(header, packet)
            case "STATE_MAIN_R1":
                self._take_keys(header, packet)
            case "STATE_MAIN_R2":
                self._take_identity(header, packet)
            case state:
                raise Malformed(f"a main mode message in {state}")

    def _take_proposal(self, header: Header, packet: bytes) -> None:
        message = read_clear(header, packet)
        message.expect((SecurityAssociation,), (VendorId, Notification))
        payload = message.one(SecurityAssociation)
        self.sa_body = message.body(SecurityAssociation)
        offers = {live: phase_one.offers(live.connection) for live in self.candidates}
        chosen = phase_one.choose(payload, list(dict.fromkeys(chain.from_iterable(offers.values()))))
        self.candidates = [live for live in self.candidates if chosen.offer in offers[live]]
        self.sa.live = self.candidates[0]
        self.settle(chosen)
        self.learn_vendor(message)
        self.answered(packet)
        self.sa.state = "STATE_MAIN_R1"
        self.transmit(self.sa.clear(Exchange.MAIN, (chosen.answer, *self.vendor_ids())), awaiting=False)

    def _take_keys(self, header: Header, packet: bytes) -> None:
        self.read_keys(header, packet)
        payloads = self.key_payloads()
        if self.auth is Auth.RSA_SIGNATURE:
            asked = (authentication.request(live.connection) for live in self.candidates)
            payloads += next(filter(None, asked), ())
        self.answered(packet)
        self.sa.state = "STATE_MAIN_R2"
        self.transmit(self.sa.clear(Exchange.MAIN, payloads), awaiting=False)

    def _take_identity(self, header: Header, packet: bytes) -> None:
        if self.sa.keys is None:
            self.make_keys()
        with self.in_vain():
            message = self._open(header, packet)
            peer_id = authentication.identity(message.one(Identification))
            body = message.body(Identification)
            self._choose_connection(message, peer_id, self.hash_of(True, body))
        self._establish(message, peer_id, packet)

    def _open(self, header: Header, packet: bytes) -> Message:
        try:
            return self.open(header, packet)
        except Malformed:
            if self.auth is Auth.PRESHARED:
                raise Refused(Notify.PAYLOAD_MALFORMED, UNREADABLE) from None
            raise

    def _choose_connection(self, message: Message, peer_id: Identity, expected: bytes) -> None:
        """The first connection whose peer this is proved to be. Raises Refused: why it is not that of the first."""
        refusals: list[Refused] = []
        claimed = self._for_identity(peer_id)
        for live in claimed:
            self.sa.live = live
            try:
                return authentication.check(self, message, peer_id, expected)
            except Refused as refusal:
                refusals.append(refusal)
        self.sa.live = claimed[0]
        raise refusals[0]

    def _for_identity(self, peer_id: Identity) -> list[Live]:
        """The connections that are for this identity, then those that name none and are for any."""
        named = [live for live in self.candidates if live.connection.there.identity == peer_id]
        unnamed = [live for live in self.candidates if live.connection.there.identity is None]
        if not named and not unnamed:
            known = ", ".join(dict.fromkeys(str(live.connection.there.identity) for live in self.candidates))
            raise Refused(
                Notify.INVALID_ID_INFORMATION,
                f"no connection is for a peer that says it is {peer_id}; from this address we know {known}",
            )
        return named + unnamed

    def _establish(self, message: Message, peer_id: Identity, packet: bytes) -> None:
        self.asked_for_certificate |= bool(message.all(CertificateRequest))
        self.answered(packet)
        self.sa.peer.id = peer_id
        self.engine.isakmp.personalize(self.sa)
        answer = self.seal(*self.identity_payloads(first_contact=False))
        self.sa.state = "STATE_MAIN_R3"
        self.engine.tell(self.sa.live, LOG, f"{self.label}: peer is {peer_id}")
        self.engine.tell(self.sa.live, SUCCESS, f"{self.label}: STATE_MAIN_R3: sent MR3, ISAKMP SA established")
        self.transmit(answer, awaiting=False)
        self.engine.isakmp.established(self.sa, message.all(Notification))

    def given_up(self, reason: str) -> None:
        """The half-open negotiation has come to its end."""
        self.engine.isakmp.failed(self.sa, reason)
