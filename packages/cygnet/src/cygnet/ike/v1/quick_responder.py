"""Quick mode as the responder."""

from __future__ import annotations

from cygnet.connection.selector import Selector, host_selector
from cygnet.crypto import derive, mac
from cygnet.crypto.exchange import KeyExchange
from cygnet.crypto.transforms import GROUPS
from cygnet.ike.fields import Malformed, Wire
from cygnet.ike.live import Live
from cygnet.ike.message import Header, Message
from cygnet.ike.numbers import Notify
from cygnet.ike.payloads import HashData, Identification, KeyExchangeData, Nonce, SecurityAssociation
from cygnet.ike.progress import LOG, SUCCESS
from cygnet.ike.v1 import phase_two, selectors
from cygnet.ike.v1.exchange import Refused
from cygnet.ike.v1.phase_one import NoProposal
from cygnet.ike.v1.quick_initiator import describe
from cygnet.ike.v1.quick_mode import QuickMode


class QuickResponder(QuickMode):
    """R1: answered, inbound SAs are there. R2: established."""

    def receive(self, header: Header, packet: bytes) -> None:
        """The initiator's next message. Raises Malformed, Refused, KernelError."""
        if self.quick_state == "STATE_QUICK_R0":
            self._take_proposal(self.open(header, packet, b""), packet)
        elif self.quick_state == "STATE_QUICK_R1":
            self._take_confirmation(header, packet)
        else:
            raise Malformed(f"a quick mode message in {self.quick_state}")

    def _take_proposal(self, message: Message, packet: bytes) -> None:
        # Only now: what was not protected by phase 1 must not use up message ids.
        if not self.sa.take_message_id(self.message_id):
            raise Malformed("a quick mode whose message id cannot be taken")
        self.engine.children.add(self)
        payload, identities, peer_public = self.read(message)
        ours, theirs = self._traffic(identities)
        chosen = self._settle(payload, self.engine.children.lives_for(self.sa, ours, theirs), ours, theirs)
        if chosen.terms.group:
            self.key_exchange = KeyExchange(chosen.terms.group)
        self.child = self.make_child(chosen, ours, theirs, self.shared(chosen.terms, peer_public))
        self.engine.children.install(self.child, inbound=True, outbound=False)
        payloads: tuple[Wire, ...] = (chosen.answer(self.spis), Nonce(self.nonce))
        if self.key_exchange:
            payloads += (KeyExchangeData(self.key_exchange.public),)
        payloads += tuple(identities)
        self.answered(packet)
        self.quick_state = "STATE_QUICK_R1"
        self.engine.tell(
            self.live, LOG, f"{self.label}: STATE_QUICK_R1: sent QR1, inbound IPsec SA installed, expecting QI2"
        )
        self.transmit(self.seal(self.peer_nonce, payloads), awaiting=True)

    def _settle(
        self, payload: SecurityAssociation, lives: list[Live], ours: Selector, theirs: Selector
    ) -> phase_two.ChosenChild:
        """The first of several connections whose terms fit the offer. Raises Refused: what the first one lacks."""
        refusals: list[Refused] = []
        for live in lives:
            self.live = live
            try:
                if live.connection.there.strangers:
                    self.engine.strangers.check(self.sa, live.connection, ours, theirs)
                chosen = self._choose(payload)
            except Refused as refusal:
                refusals.append(refusal)
            else:
                self.live = self.engine.roster.serving(live, self.sa, ours, theirs)
                return chosen
        self.live = self.engine.roster.personal(lives[0], self.sa)
        raise refusals[0]

    def _choose(self, payload: SecurityAssociation) -> phase_two.ChosenChild:
        suites = phase_two.acceptable(self.connection.child)
        try:
            return phase_two.choose(payload, suites, (self.mode(),), self._groups())
        except NoProposal as error:
            raise Refused(Notify.NO_PROPOSAL_CHOSEN, str(error), f"this end takes: {error.ours}") from None

    def _traffic(self, identities: list[Identification]) -> tuple[Selector, Selector]:
        """(ours, theirs); without identities it is between the two hosts."""
        if not identities:
            return host_selector(self.sa.path.local), host_selector(self.sa.path.remote)
        theirs, ours = (selectors.read(one) for one in identities)
        return ours, theirs

    def _groups(self) -> list[int]:
        """Groups that we take: with PFS those of the connection or, where it names none, any that is not weak."""
        connection, named = self.connection, self.pfs_groups()
        strong = () if connection.pfs_groups else tuple(number for number, group in GROUPS.items() if not group.weak)
        return [*named, *strong, *(() if connection.pfs else (0,))]

    def _take_confirmation(self, header: Header, packet: bytes) -> None:
        message, _ = self.sa.open(header, packet, self.iv)
        keys = self.sa.need_keys()
        expected = derive.hash_3(keys.hash, keys.a, self._mid, self.peer_nonce, self.nonce)
        if not mac.same(message.one(HashData).data, expected):
            raise Malformed("the hash of the last quick mode message is wrong")
        self.answered(packet)
        self.sent = b""
        if self.child is None:
            raise Malformed("a confirmation of nothing")
        self.quick_state = "STATE_QUICK_R2"
        self.engine.children.install(self.child, inbound=False, outbound=True)
        self.engine.tell(self.live, SUCCESS, f"{self.label}: STATE_QUICK_R2: IPsec SA established {describe(self)}")
        self.engine.children.established(self)

    def given_up(self, reason: str) -> None:
        """It has failed; the initiator may believe that the pair stands, and is told that it does not."""
        super().given_up(reason)
        if self.child is not None:
            self.engine.children.tell_deleted(self.live, self.child.sa)

    def unanswered(self) -> str:
        """What silence means."""
        return "No confirmation of our answer in Quick Mode"
