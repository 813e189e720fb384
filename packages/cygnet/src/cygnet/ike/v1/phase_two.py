"""What quick mode offers and accepts (RFC 2407, sections 4.4 and 4.5): SA payload <-> ChildProposal.

Proposals of one number belong together: ESP or AH, with or without IPComp.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from cygnet.connection.connection import Connection
from cygnet.connection.proposal import ChildProposal
from cygnet.crypto.transforms import CIPHER_BY_ESP, CIPHERS, GROUPS, INTEGRITIES, INTEGRITY_BY_AUTH
from cygnet.ike.fields import Attributes
from cygnet.ike.numbers import IPCOMP_DEFLATE, LIFE_SECONDS, Ipsec, Mode, Protocol
from cygnet.ike.payloads import Proposal, SecurityAssociation, Transform
from cygnet.ike.v1.phase_one import NoProposal, lifetime

PROTOCOLS = {"esp": Protocol.ESP, "ah": Protocol.AH}
TUNNELS = (Mode.TUNNEL, Mode.UDP_TUNNEL)
# SPIs up to 255 are reserved (RFC 4303, section 2.1), CPIs up to 255 are well known (RFC 3173, section 3.3).
FIRST_SPI = 256


@dataclass(frozen=True)
class Terms:
    """What quick mode must agree on beside the suite. ``group`` 0: no PFS."""

    mode: Mode
    group: int


@dataclass(frozen=True)
class ChosenChild:
    """The outcome: suite, terms, the peer's SPI and CPI (0 for no IPComp), seconds that it asked for (0: none)."""

    suite: ChildProposal
    terms: Terms
    spi: int
    cpi: int
    lifetime: int
    proposals: tuple[Proposal, ...]

    def answer(self, spi: int, cpi: int) -> SecurityAssociation:
        """The responder's SA payload: the transform as it was offered, under our SPIs."""
        return SecurityAssociation(tuple(
            Proposal(p.number, p.protocol, _spi(p.protocol, spi, cpi), p.transforms) for p in self.proposals
        ))  # fmt: skip


def _spi(protocol: int, spi: int, cpi: int) -> bytes:
    return cpi.to_bytes(2, "big") if protocol == Protocol.IPCOMP else spi.to_bytes(4, "big")


def offer_payload(connection: Connection, terms: Terms, spi: int, cpi: int) -> SecurityAssociation:
    """The initiator's SA payload: with IPComp first where the connection compresses, then without."""
    found: list[Proposal] = []
    number = 0
    for compressed in (True, False) if connection.compress else (False,):
        for protocol, suites in groupby(connection.child, lambda suite: suite.protocol):
            transforms = tuple(_transform(n, suite, terms, connection) for n, suite in enumerate(suites, 1))
            found.append(Proposal(number, PROTOCOLS[protocol], _spi(PROTOCOLS[protocol], spi, cpi), transforms))
            if compressed:
                attributes = _common(terms, connection)
                found.append(Proposal(number, Protocol.IPCOMP, _spi(Protocol.IPCOMP, spi, cpi),
                                      (Transform(1, IPCOMP_DEFLATE, attributes),)))  # fmt: skip
            number += 1
    return SecurityAssociation(tuple(found))


def _common(terms: Terms, connection: Connection) -> Attributes:
    group = ((int(Ipsec.GROUP), terms.group),) if terms.group else ()
    life = ((int(Ipsec.LIFE_TYPE), LIFE_SECONDS), (int(Ipsec.LIFE), int(connection.key_life)))
    return (*life, (Ipsec.MODE, terms.mode), *group)


def _transform(number: int, suite: ChildProposal, terms: Terms, connection: Connection) -> Transform:
    attributes = list(_common(terms, connection))
    if suite.integrity:
        attributes.append((Ipsec.INTEGRITY, INTEGRITIES[suite.integrity].auth))
    if not suite.encryption:
        return Transform(number, INTEGRITIES[suite.integrity].ah, tuple(attributes))
    cipher = CIPHERS[suite.encryption]
    if not cipher.fixed:
        attributes.append((Ipsec.KEY_LENGTH, suite.key_bits))
    return Transform(number, cipher.esp, tuple(attributes))


def read(protocol: int, transform: Transform) -> tuple[ChildProposal, Terms] | None:
    """A transform of ESP or AH; None if we do not know all of it."""
    kinds = [kind for kind, _ in transform.attributes if kind not in (Ipsec.LIFE_TYPE, Ipsec.LIFE)]
    if len(kinds) != len(set(kinds)) or not set(kinds) <= set(Ipsec) or transform.get(Ipsec.ESN) not in (None, 0):
        return None
    mode, group = transform.get(Ipsec.MODE), transform.get(Ipsec.GROUP) or 0
    suite = _read_esp(transform) if protocol == Protocol.ESP else _read_ah(transform)
    if suite is None or mode not in set(Mode) or (group and group not in GROUPS):
        return None
    return suite, Terms(Mode(mode), group)


def _read_esp(transform: Transform) -> ChildProposal | None:
    cipher = CIPHER_BY_ESP.get(transform.id)
    auth = transform.get(Ipsec.INTEGRITY)
    if cipher is None:
        return None
    bits = cipher.key_bits[0] if cipher.fixed else transform.get(Ipsec.KEY_LENGTH)
    if bits not in cipher.key_bits:
        return None
    if cipher.aead:
        return ChildProposal(cipher.name, bits, "") if not auth else None
    integrity = INTEGRITY_BY_AUTH.get(auth or 0)
    return ChildProposal(cipher.name, bits, integrity.name) if integrity else None


def _read_ah(transform: Transform) -> ChildProposal | None:
    integrity = INTEGRITY_BY_AUTH.get(transform.get(Ipsec.INTEGRITY) or 0)
    return ChildProposal("", 0, integrity.name) if integrity and integrity.ah == transform.id else None


def choose(
    payload: SecurityAssociation, suites: Sequence[ChildProposal], modes: Sequence[Mode], groups: Sequence[int]
) -> ChosenChild:
    """The first suite of the peer's that is among ours, in a mode and with a group that we take. Raises NoProposal.

    ``groups``: 0 among them means that a proposal without PFS is taken.
    """
    for bundle in bundles(payload):
        comp = next((p for p in bundle if p.protocol == Protocol.IPCOMP), None)
        main = [p for p in bundle if p.protocol in (Protocol.ESP, Protocol.AH)]
        if len(main) != 1 or len(bundle) != len(main) + (comp is not None):
            continue
        for transform in main[0].transforms:
            known = read(main[0].protocol, transform)
            if known and known[0] in suites and known[1].mode in modes and known[1].group in groups:
                chosen = _chosen(known, main[0], transform, comp)
                if chosen is not None:
                    return chosen
    raise NoProposal(_ours(suites, modes, groups), describe(payload))


def bundles(payload: SecurityAssociation) -> Iterator[list[Proposal]]:
    """The proposals that stand for one choice each: neighbours of one number."""
    for _, group in groupby(payload.proposals, lambda proposal: proposal.number):
        yield list(group)


def _chosen(
    known: tuple[ChildProposal, Terms], main: Proposal, transform: Transform, comp: Proposal | None
) -> ChosenChild | None:
    if len(main.spi) != 4 or int.from_bytes(main.spi, "big") < FIRST_SPI:
        return None
    proposals = [Proposal(main.number, main.protocol, main.spi, (transform,))]
    cpi = 0
    if comp is not None:
        deflate = next((t for t in comp.transforms if t.id == IPCOMP_DEFLATE), None)
        cpi = int.from_bytes(comp.spi[-2:], "big") if len(comp.spi) in (2, 4) else 0
        if deflate is None or cpi < FIRST_SPI:
            return None
        proposals.append(Proposal(comp.number, comp.protocol, comp.spi, (deflate,)))
    suite, terms = known
    life = lifetime(transform, Ipsec.LIFE_TYPE, Ipsec.LIFE)
    return ChosenChild(suite, terms, int.from_bytes(main.spi, "big"), cpi, life, tuple(proposals))


def _ours(suites: Sequence[ChildProposal], modes: Sequence[Mode], groups: Sequence[int]) -> list[str]:
    mode = "tunnel" if modes and modes[0] in TUNNELS else "transport"
    pfs = "" if 0 in groups else ", PFS"
    return [f"{suite} ({mode}{pfs})" for suite in suites]


def describe(payload: SecurityAssociation) -> list[str]:
    """A peer's phase 2 proposals in words."""
    found = []
    for bundle in bundles(payload):
        compressed = any(p.protocol == Protocol.IPCOMP for p in bundle)
        for proposal in bundle:
            if proposal.protocol in (Protocol.ESP, Protocol.AH):
                found += [
                    _describe(proposal.protocol, t) + (" with IPComp" if compressed else "")
                    for t in proposal.transforms
                ]
    return found


def _describe(protocol: int, transform: Transform) -> str:
    known = read(protocol, transform)
    if known is None:
        protocol_name = "ESP" if protocol == Protocol.ESP else "AH"
        auth, bits = transform.get(Ipsec.INTEGRITY), transform.get(Ipsec.KEY_LENGTH)
        return f"{protocol_name} transform {transform.id} with {auth}, {bits} bits"
    suite, terms = known
    mode = "tunnel" if terms.mode in TUNNELS else "transport"
    return f"{suite} ({mode}{', PFS group' + str(terms.group) if terms.group else ''})"
