"""What quick mode offers and accepts (RFC 2407, sections 4.4 and 4.5): SA payload <-> ChildProposal.

Proposals of one number belong together: ESP, AH or AH around ESP, with or without IPComp.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, product

from cygnet.connection.connection import Connection
from cygnet.connection.proposal import ChildProposal
from cygnet.crypto.transforms import CIPHER_BY_ESP, CIPHERS, GROUPS, INTEGRITIES, INTEGRITY_BY_AUTH
from cygnet.ike.fields import Attributes
from cygnet.ike.numbers import IPCOMP_DEFLATE, LIFE_SECONDS, Ipsec, Mode, Protocol
from cygnet.ike.payloads import Proposal, SecurityAssociation, Transform
from cygnet.ike.v1.phase_one import NoProposal, lifetime

PROTOCOLS = {"esp": Protocol.ESP, "ah": Protocol.AH, "comp": Protocol.IPCOMP}
TUNNELS = (Mode.TUNNEL, Mode.UDP_TUNNEL)
NAMES: dict[int, str] = {Protocol.ESP: "ESP", Protocol.AH: "AH", Protocol.IPCOMP: "IPComp"}
SPI_SIZES: dict[int, tuple[int, ...]] = {Protocol.ESP: (4,), Protocol.AH: (4,), Protocol.IPCOMP: (2, 4)}
# Protocol number -> SPI, of IPComp the CPI.
Spis = Mapping[int, int]
# SPIs up to 255 are reserved (RFC 4303, section 2.1), CPIs up to 255 are well known (RFC 3173, section 3.3).
FIRST_SPI = 256


@dataclass(frozen=True)
class Terms:
    """What quick mode must agree on beside the suite. ``group`` 0: no PFS."""

    mode: Mode
    group: int


Known = tuple[ChildProposal, Terms]


@dataclass(frozen=True)
class ChosenChild:
    """The outcome: suite, terms, the peer's SPIs (of IPComp the CPI), seconds that it asked for (0: none)."""

    suite: ChildProposal
    terms: Terms
    spis: Spis
    lifetime: int
    proposals: tuple[Proposal, ...]

    def answer(self, spis: Spis) -> SecurityAssociation:
        """The responder's SA payload: the transforms as they were offered, under our SPIs."""
        return SecurityAssociation(tuple(replace(p, spi=_spi(p.protocol, spis)) for p in self.proposals))


def _spi(protocol: int, spis: Spis) -> bytes:
    return spis[protocol].to_bytes(2 if protocol == Protocol.IPCOMP else 4, "big")


def offer_payload(connection: Connection, terms: Terms, spis: Spis) -> SecurityAssociation:
    """The initiator's SA payload: with IPComp first where the connection compresses, then without.

    Suites with the same AH make one choice: any transform of ESP goes with it. The outermost protocol comes first.
    """
    found: list[Proposal] = []
    kinds = [list(suites) for _, suites in groupby(connection.child, lambda suite: (suite.protocol, suite.ah))]
    compressing = (True, False) if connection.compress else (False,)
    for number, (compressed, suites) in enumerate(product(compressing, kinds)):
        for layers in reversed(list(zip(*(suite.layers for suite in suites), strict=True))):
            protocol = PROTOCOLS[layers[0].protocol]
            offered = enumerate(dict.fromkeys(layers), 1)
            transforms = tuple(_transform(n, layer, terms, connection) for n, layer in offered)
            found.append(Proposal(number, protocol, _spi(protocol, spis), transforms))
        if compressed:
            deflate = Transform(1, IPCOMP_DEFLATE, _common(terms, connection))
            found.append(Proposal(number, Protocol.IPCOMP, _spi(Protocol.IPCOMP, spis), (deflate,)))
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


def read(protocol: int, transform: Transform) -> Known | None:
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
    if not auth:
        return ChildProposal(cipher.name, bits, "")
    integrity = INTEGRITY_BY_AUTH.get(auth)
    return ChildProposal(cipher.name, bits, integrity.name) if integrity and not cipher.aead else None


def _read_ah(transform: Transform) -> ChildProposal | None:
    integrity = INTEGRITY_BY_AUTH.get(transform.get(Ipsec.INTEGRITY) or 0)
    return ChildProposal("", 0, integrity.name) if integrity and integrity.ah == transform.id else None


def acceptable(suites: Sequence[ChildProposal]) -> list[ChildProposal]:
    """What a responder takes for its suites: FreeS/WAN leaves ESP within AH without integrity of its own."""
    return [*suites, *(replace(suite, integrity="") for suite in suites if suite.ah)]


def choose(
    payload: SecurityAssociation, suites: Sequence[ChildProposal], modes: Sequence[Mode], groups: Sequence[int]
) -> ChosenChild:
    """The first suite of the peer's that is among ours, in a mode and with a group that we take. Raises NoProposal.

    ``groups``: 0 among them means that a proposal without PFS is taken.
    """
    wanted = set(suites)
    for bundle in bundles(payload):
        spis = _spis(bundle)
        for choice in product(*map(_options, bundle)) if spis else ():
            known = _together(choice)
            if known and known[0] in wanted and known[1].mode in modes and known[1].group in groups:
                return _chosen(known, spis, bundle, [transform for _, transform in choice])
    raise NoProposal(_ours(suites, modes, groups), describe(payload))


def bundles(payload: SecurityAssociation) -> Iterator[list[Proposal]]:
    """The proposals that stand for one choice each: neighbours of one number."""
    for _, group in groupby(payload.proposals, lambda proposal: proposal.number):
        yield list(group)


def _spis(bundle: Sequence[Proposal]) -> Spis:
    """The peer's SPIs; none at all of what is no bundle that can be taken."""
    found = {p.protocol: int.from_bytes(p.spi[-2:] if p.protocol == Protocol.IPCOMP else p.spi, "big") for p in bundle}
    sound = all(len(p.spi) in SPI_SIZES.get(p.protocol, ()) for p in bundle) and min(found.values()) >= FIRST_SPI
    return found if sound and len(found) == len(bundle) and found.keys() != {Protocol.IPCOMP} else {}


def _options(proposal: Proposal) -> Sequence[tuple[Known | None, Transform]]:
    """The transforms of one protocol that we know, each once: their combinations are counted out."""
    if proposal.protocol == Protocol.IPCOMP:
        return [(None, transform) for transform in proposal.transforms if transform.id == IPCOMP_DEFLATE][:1]
    found: dict[Known, Transform] = {}
    for transform in proposal.transforms:
        if known := read(proposal.protocol, transform):
            found.setdefault(known, transform)
    return list(found.items())


def _together(choice: Sequence[tuple[Known | None, Transform]]) -> Known | None:
    """The suite that transforms of several protocols make; None if their terms differ."""
    known = sorted((one for one, _ in choice if one), key=lambda one: one[0].protocol == "ah")
    (inner, terms), *around = known
    if any(other != terms for _, other in around):
        return None
    return (replace(inner, ah=around[0][0].integrity) if around else inner), terms


def _chosen(known: Known, spis: Spis, bundle: Sequence[Proposal], transforms: Sequence[Transform]) -> ChosenChild:
    proposals = [replace(p, transforms=(one,)) for p, one in zip(bundle, transforms, strict=True)]
    lives = [lifetime(p.transforms[0], Ipsec.LIFE_TYPE, Ipsec.LIFE) for p in proposals if p.protocol != Protocol.IPCOMP]
    return ChosenChild(*known, spis, min(filter(None, lives), default=0), tuple(proposals))


def _ours(suites: Sequence[ChildProposal], modes: Sequence[Mode], groups: Sequence[int]) -> list[str]:
    mode = "tunnel" if modes and modes[0] in TUNNELS else "transport"
    pfs = "" if 0 in groups else ", PFS"
    return [f"{suite} ({mode}{pfs})" for suite in suites]


def describe(payload: SecurityAssociation) -> list[str]:
    """A peer's phase 2 proposals in words."""
    found = []
    for bundle in bundles(payload):
        for proposal in bundle:
            others = [NAMES[p.protocol] for p in bundle if p is not proposal and p.protocol in NAMES]
            beside = f" with {' and '.join(others)}" if others else ""
            if proposal.protocol in (Protocol.ESP, Protocol.AH):
                found += [_describe(proposal.protocol, transform) + beside for transform in proposal.transforms]
    return found


def _describe(protocol: int, transform: Transform) -> str:
    known = read(protocol, transform)
    if known is None:
        auth, bits = transform.get(Ipsec.INTEGRITY), transform.get(Ipsec.KEY_LENGTH)
        return f"{NAMES[protocol]} transform {transform.id} with {auth}, {bits} bits"
    suite, terms = known
    mode = "tunnel" if terms.mode in TUNNELS else "transport"
    return f"{suite} ({mode}{', PFS group' + str(terms.group) if terms.group else ''})"
