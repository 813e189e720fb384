"""What phase 1 offers and accepts (RFC 2409, section 5): SA payload <-> IkeProposal.

A responder answers with one transform exactly as it was offered; an initiator believes an answer only
if it is one of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cygnet.connection.connection import AuthBy, Connection
from cygnet.connection.proposal import IkeProposal
from cygnet.crypto.transforms import CIPHER_BY_IKE, CIPHERS, GROUPS, HASH_BY_IKE, INTEGRITIES
from cygnet.errors import CygnetError
from cygnet.ike.fields import Attributes
from cygnet.ike.numbers import IKE_TRANSFORM, LIFE_SECONDS, Auth, Ike, Protocol
from cygnet.ike.payloads import Proposal, SecurityAssociation, Transform

AUTH_NAMES = {Auth.PRESHARED: "preshared secret", Auth.RSA_SIGNATURE: "RSA signature"}
METHODS = {
    AuthBy.SECRET: (Auth.PRESHARED,),
    AuthBy.RSASIG: (Auth.RSA_SIGNATURE,),
    AuthBy.EITHER: (Auth.RSA_SIGNATURE, Auth.PRESHARED),
    AuthBy.NEVER: (),
}
# Attributes that may differ between an offer and its answer.
LIVES = (Ike.LIFE_TYPE, Ike.LIFE)
SHOWN = 12


class NoProposal(CygnetError):
    """Nothing in common; ``ours`` and ``theirs`` in words."""

    def __init__(self, ours: Iterable[str], theirs: Iterable[str]) -> None:
        self.ours, self.theirs = _short(ours), _short(theirs)
        super().__init__(f"no proposal in common. Ours: {self.ours}. Theirs: {self.theirs}")


@dataclass(frozen=True)
class Offer:
    """What a connection would use in phase 1: a proposal and how to authenticate."""

    proposal: IkeProposal
    auth: Auth

    def __str__(self) -> str:
        return f"{self.proposal} by {AUTH_NAMES[self.auth]}"


@dataclass(frozen=True)
class ChosenIke:
    """The outcome. ``answer`` goes back to the initiator. ``lifetime``: seconds the peer asked for, 0 for none."""

    offer: Offer
    answer: SecurityAssociation
    lifetime: int


def offers(connection: Connection) -> list[Offer]:
    """All that a connection would use, best first."""
    return [Offer(proposal, method) for method in METHODS[connection.auth_by] for proposal in connection.ike]


def offer_payload(connection: Connection) -> SecurityAssociation:
    """The initiator's SA payload."""
    found = [
        Transform(number, IKE_TRANSFORM, _attributes(offer, int(connection.ike_lifetime)))
        for number, offer in enumerate(offers(connection))
    ]
    return SecurityAssociation((Proposal(0, Protocol.ISAKMP, b"", tuple(found)),))


def _attributes(offer: Offer, lifetime: int) -> Attributes:
    cipher = CIPHERS[offer.proposal.encryption]
    key_length = () if cipher.fixed else ((int(Ike.KEY_LENGTH), offer.proposal.key_bits),)
    return (
        (Ike.ENCRYPTION, cipher.ike), *key_length,
        (Ike.HASH, INTEGRITIES[offer.proposal.hash].ike),
        (Ike.GROUP, offer.proposal.group),
        (Ike.AUTHENTICATION, offer.auth),
        (Ike.LIFE_TYPE, LIFE_SECONDS),
        (Ike.LIFE, lifetime),
    )  # fmt: skip


def read(transform: Transform) -> Offer | None:
    """A transform as an Offer; None if we do not know all of it."""
    cipher = CIPHER_BY_IKE.get(transform.get(Ike.ENCRYPTION) or 0)
    hashed = HASH_BY_IKE.get(transform.get(Ike.HASH) or 0)
    group = transform.get(Ike.GROUP) or 0
    auth = transform.get(Ike.AUTHENTICATION)
    if cipher is None or hashed is None or group not in GROUPS or auth not in AUTH_NAMES:
        return None
    bits = transform.get(Ike.KEY_LENGTH) or 0
    if cipher.fixed:
        bits = cipher.key_bits[0]
    if bits not in cipher.key_bits or _has_unknown(transform):
        return None
    return Offer(IkeProposal(cipher.name, bits, hashed.name, group), Auth(auth))


def _has_unknown(transform: Transform) -> bool:
    """An attribute that we do not know, or one twice, could mean anything."""
    kinds = [kind for kind, _ in transform.attributes if kind not in LIVES]
    return len(kinds) != len(set(kinds)) or not set(kinds) <= set(Ike)


def choose(payload: SecurityAssociation, acceptable: Sequence[Offer]) -> ChosenIke:
    """The first transform of the peer's that is acceptable. Raises NoProposal."""
    wanted = set(acceptable)
    for proposal in payload.proposals:
        for transform in proposal.transforms:
            offer = read(transform) if proposal.protocol == Protocol.ISAKMP else None
            if offer is not None and offer in wanted:
                answer = SecurityAssociation(
                    (Proposal(proposal.number, proposal.protocol, proposal.spi, (transform,)),)
                )
                return ChosenIke(offer, answer, lifetime(transform, Ike.LIFE_TYPE, Ike.LIFE))
    raise NoProposal(map(str, acceptable), describe(payload))


def accept(answer: SecurityAssociation, offered: SecurityAssociation) -> ChosenIke:
    """The responder's answer, if it is exactly one of ``offered``. Raises NoProposal."""
    ours = offered.proposals[0].transforms
    if len(answer.proposals) == 1 and len(answer.proposals[0].transforms) == 1:
        transform = answer.proposals[0].transforms[0]
        offer = read(transform)
        if offer is not None and any(_essence(transform) == _essence(mine) for mine in ours):
            return ChosenIke(offer, answer, lifetime(transform, Ike.LIFE_TYPE, Ike.LIFE))
    raise NoProposal(describe(offered), describe(answer))


def _essence(transform: Transform) -> frozenset[tuple[int, int | bytes]]:
    return frozenset(pair for pair in transform.attributes if pair[0] not in LIVES)


def lifetime(transform: Transform, type_number: int, life_number: int) -> int:
    """The lifetime in seconds that a transform names, 0 for none; kilobytes are not kept."""
    seconds = False
    for kind, value in transform.attributes:
        if kind == type_number:
            seconds = value == LIFE_SECONDS
        elif kind == life_number and seconds:
            number = value if isinstance(value, int) else int.from_bytes(value[:8], "big")
            return min(number, 0x7FFFFFFF)
    return 0


def describe(payload: SecurityAssociation) -> list[str]:
    """A peer's phase 1 proposals in words."""
    return [_describe_transform(transform) for proposal in payload.proposals for transform in proposal.transforms]


def _describe_transform(transform: Transform) -> str:
    offer = read(transform)
    if offer is not None:
        return str(offer)
    cipher, hashed = (
        CIPHER_BY_IKE.get(transform.get(Ike.ENCRYPTION) or 0),
        HASH_BY_IKE.get(transform.get(Ike.HASH) or 0),
    )
    auth = transform.get(Ike.AUTHENTICATION)
    words = [
        cipher.name if cipher else f"cipher{transform.get(Ike.ENCRYPTION)}",
        hashed.name if hashed else f"hash{transform.get(Ike.HASH)}",
        f"group{transform.get(Ike.GROUP)}",
    ]
    return "-".join(words) + " by " + (AUTH_NAMES[Auth(auth)] if auth in AUTH_NAMES else f"method {auth}")


def _short(words: Iterable[str]) -> str:
    found = list(dict.fromkeys(words))
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return (", ".join(found[:SHOWN]) or "none") + more
