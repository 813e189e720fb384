"""Main mode as the initiator."""

from __future__ import annotations

from cygnet.connection.identity import Identity
from cygnet.ike.fields import Malformed, build
from cygnet.ike.message import Header, Message, read_clear
from cygnet.ike.numbers import ZERO_COOKIE, Auth, Exchange, Notify
from cygnet.ike.payloads import Identification, Notification, SecurityAssociation, VendorId
from cygnet.ike.progress import STATE_MAIN_I1, STATE_MAIN_I2, STATE_MAIN_I3, SUCCESS
from cygnet.ike.v1 import authentication, phase_one
from cygnet.ike.v1.exchange import Refused
from cygnet.ike.v1.main_mode import MainMode

REASONS = {
    "STATE_MAIN_I1": "No response (or no acceptable response) to our first IKE message: is the peer running, does it "
    "know this box, do firewalls let UDP 500 pass?",
    "STATE_MAIN_I2": "No response to our key exchange",
    "STATE_MAIN_I3": "Possible authentication failure: no acceptable response to our first encrypted message",
}


class Initiator(MainMode):
    """I1: SA sent. I2: KE sent. I3: identity sent. I4: established."""

    def start(self) -> None:
        """Send the first message."""
        connection = self.sa.live.connection
        self.offered = phase_one.offer_payload(connection)
        self.sa_body = build(self.offered)
        self._state("STATE_MAIN_I1", STATE_MAIN_I1, "initiate")
        self.transmit(self.sa.clear(Exchange.MAIN, (self.offered, *self.vendor_ids())), awaiting=True)

    def _state(self, state: str, code: int, story: str) -> None:
        self.sa.state = state
        self.engine.tell(self.sa.live, code, f"{self.label}: {state}: {story}")

    def receive(self, header: Header, packet: bytes) -> None:
        """The responder's next message."""
        match self.sa.state:
            case "STATE_MAIN_I1":
                self._take_proposal(header, packet)
            case "STATE_MAIN_I2":
                self._take_keys(header, packet)
            case "STATE_MAIN_I3":
                self._take_identity(header, packet)
            case state:
                raise Malformed(f"a main mode message in {state}")

    def _take_proposal(self, header: Header, packet: bytes) -> None:
        if header.rcookie == ZERO_COOKIE:
            raise Malformed("an answer without a cookie")
        message = read_clear(header, packet)
        message.expect((SecurityAssociation,), (VendorId, Notification))
        self.settle(phase_one.accept(message.one(SecurityAssociation), self.offered))
        self.learn_vendor(message)
        self.answered(packet)
        self.engine.isakmp.rename(self.sa, header.rcookie)
        payloads = self.key_payloads()
        self._state("STATE_MAIN_I2", STATE_MAIN_I2, "sent MI2, expecting MR2")
        self.transmit(self.sa.clear(Exchange.MAIN, payloads), awaiting=True)

    def _take_keys(self, header: Header, packet: bytes) -> None:
        self.read_keys(header, packet)
        self.make_keys()
        self.answered(packet)
        self.float_port()
        connection = self.sa.live.connection
        payloads = self.identity_payloads(self.engine.isakmp.is_first_contact(self.sa))
        if self.auth is Auth.RSA_SIGNATURE:
            payloads += authentication.request(connection)
        self._state("STATE_MAIN_I3", STATE_MAIN_I3, "sent MI3, expecting MR3")
        self.transmit(self.seal(*payloads), awaiting=True)

    def _take_identity(self, header: Header, packet: bytes) -> None:
        with self.in_vain():
            message = self.open(header, packet)
            peer_id = authentication.identity(message.one(Identification))
            self._check(message, peer_id)
        self.answered(packet)
        self.sent = b""
        self.sa.peer.id = peer_id
        self._state("STATE_MAIN_I4", SUCCESS, "ISAKMP SA established")
        self.engine.isakmp.established(self.sa, message.all(Notification))

    def _check(self, message: Message, peer_id: Identity) -> None:
        """Raise Refused unless it is the peer of the connection, and has proved it."""
        expected = self.sa.live.connection.there.identity
        if expected is not None and peer_id != expected:
            raise Refused(
                Notify.INVALID_ID_INFORMATION,
                f"the peer says that it is {peer_id}, and this connection is for {expected}: set "
                f"{self.sa.live.connection.there.side}id= to what the peer says, or mend the peer's",
            )
        authentication.check(self, message, peer_id, self.hash_of(False, message.body(Identification)))

    def refused(self, notification: Notification) -> None:
        """The peer says, in clear and so without proof, that it will not go on."""
        reason = f"the peer refused: {notification}"
        if notification.type == Notify.NO_PROPOSAL_CHOSEN and self.sa.state == "STATE_MAIN_I1":
            ours = ", ".join(dict.fromkeys(phase_one.describe(self.offered)))
            reason += f". Our proposals were: {ours}"
        if (
            notification.type in (Notify.PAYLOAD_MALFORMED, Notify.INVALID_PAYLOAD_TYPE)
            and self.sa.state == "STATE_MAIN_I3"
        ):
            reason += ": it could not read our first encrypted message, so the pre-shared secrets probably differ"
        self.given_up(reason)

    def given_up(self, reason: str) -> None:
        """This attempt has failed."""
        self.engine.isakmp.failed(self.sa, reason)

    def unanswered(self) -> str:
        """What silence means in this state."""
        return REASONS.get(self.sa.state, super().unanswered())
