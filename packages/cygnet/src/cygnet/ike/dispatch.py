"""What a packet is, and which negotiation it belongs to; whatever a stranger can send is taken or refused here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cygnet.errors import CygnetError
from cygnet.ike.directory import Waiting
from cygnet.ike.fields import Malformed
from cygnet.ike.fragments import Assembly
from cygnet.ike.half_open import LIFETIME
from cygnet.ike.message import HEADER_SIZE, LAYOUT, Header, join, read_header
from cygnet.ike.numbers import FLAGS_KNOWN, VERSION, ZERO_COOKIE, Exchange, Notify, PayloadType
from cygnet.ike.path import Path
from cygnet.ike.payloads import Notification
from cygnet.ike.v1 import informational
from cygnet.ike.v1.exchange import Refused
from cygnet.ike.v1.initiator import Initiator
from cygnet.ike.v1.phase_one import NoProposal
from cygnet.ike.v1.quick_responder import QuickResponder
from cygnet.ike.v1.responder import Responder
from cygnet.ike.v1.sa import IsakmpSa

if TYPE_CHECKING:
    from cygnet.ike.engine import Engine
    from cygnet.ike.v1.quick_mode import QuickMode

MOST_QUICK_MODES = 200
MAJOR = 0xF0
AGGRESSIVE = (
    "aggressive mode is refused: it sends a hash of the pre-shared secret to whoever asks, to be guessed offline; "
    "use main mode"
)


def receive(engine: Engine, packet: bytes, path: Path) -> None:
    """Take a packet. What is wrong with it is logged, within bounds."""
    engine.arrived = path
    try:
        header = read_header(packet)
        _check(engine, header, path)
        _route(engine, header, packet, path)
    except CygnetError as error:
        engine.noise(path, str(error))
    finally:
        engine.arrived = None


def _check(engine: Engine, header: Header, path: Path) -> None:
    if header.version & MAJOR != VERSION & MAJOR:
        raise Malformed(f"a message of ISAKMP version {header.version >> 4}: only IKEv1 is spoken here")
    if header.flags & ~FLAGS_KNOWN or header.icookie == ZERO_COOKIE:
        raise Malformed("flags that nobody knows, or no cookie")
    if header.exchange == Exchange.AGGRESSIVE:
        if engine.half_open.allows(path.remote, engine.now):
            answer_in_clear(engine, header, path, Notify.INVALID_EXCHANGE_TYPE)
        raise Malformed(AGGRESSIVE)


def _route(engine: Engine, header: Header, packet: bytes, path: Path) -> None:
    sa = engine.isakmp.by_cookies.get((header.icookie, header.rcookie)) or _half_named(engine, header, path)
    if sa is None:
        if header.exchange == Exchange.MAIN and header.rcookie == ZERO_COOKIE and not header.encrypted:
            _respond(engine, header, packet, path)
            return
        raise Malformed(f"a message for an SA that is not here (exchange {header.exchange})")
    if path.remote != sa.path.remote and not (sa.peer.behind_nat or sa.behind_nat):
        raise Malformed("a message for an SA from another address than its peer's")
    if header.first == PayloadType.FRAGMENT:
        header, packet = _assemble(engine, sa, packet)
        if not packet:
            return
    match header.exchange:
        case Exchange.MAIN:
            _main_mode(engine, sa, header, packet, path)
        case Exchange.QUICK:
            _quick_mode(engine, sa, header, packet)
        case Exchange.INFORMATIONAL:
            informational.receive(engine, sa, header, packet)
        case other:
            raise Malformed(f"exchange type {other} is not one of ours")


def _half_named(engine: Engine, header: Header, path: Path) -> IsakmpSa | None:
    """The SA of a first message that comes again, or of the first answer to ours."""
    if header.rcookie == ZERO_COOKIE:
        sa = engine.isakmp.first_messages.get((header.icookie, path.remote))
        return sa if sa in engine.isakmp.mains else None
    sa = engine.isakmp.by_cookies.get((header.icookie, ZERO_COOKIE))
    return sa if sa is not None and sa.initiator else None


def _assemble(engine: Engine, sa: IsakmpSa, packet: bytes) -> tuple[Header, bytes]:
    whole = engine.isakmp.assemblies.setdefault(sa, Assembly()).add(packet)
    if whole is None:
        return read_header(packet), b""
    header = read_header(whole)
    if header.first == PayloadType.FRAGMENT or LAYOUT.unpack_from(whole)[:2] != LAYOUT.unpack_from(packet)[:2]:
        raise Malformed("fragments that make no message of this SA")
    return header, whole


def _respond(engine: Engine, header: Header, packet: bytes, path: Path) -> None:
    """A stranger wants to begin: the cheapest checks come first."""
    if not engine.half_open.allows(path.remote, engine.now):
        raise Malformed("too many first messages from this address")
    candidates = engine.roster.candidates(path.local, path.remote)
    if not candidates:
        answer_in_clear(engine, header, path, Notify.NO_PROPOSAL_CHOSEN)
        raise Malformed("an initial Main Mode message, but no connection is for this address")
    sa = IsakmpSa(engine.next_serial(), candidates[0], False, path, header.icookie, engine.random(8), born=engine.now)
    main = Responder(engine, sa)
    main.candidates = candidates
    try:
        main.receive(header, packet)
    except NoProposal as error:
        engine.noise(path, f"{sa.label}: {error}")
        known = any(live.connection.there.host == path.remote for live in candidates)
        hint = f"this end takes: {error.ours}" if known else ""
        answer_in_clear(engine, header, path, Notify.NO_PROPOSAL_CHOSEN, hint)
        for live in candidates:
            if live.connection.there.host == path.remote and live.newest is None:
                live.why = f"the peer's proposals do not fit ours. Ours: {error.ours}. Theirs: {error.theirs}"
        return
    engine.isakmp.responding(sa, main)
    sa.timers.append(engine.timers.at(engine.now + LIFETIME, lambda: engine.isakmp.half_open_expired(sa)))


def answer_in_clear(engine: Engine, header: Header, path: Path, notify: Notify, text: str = "") -> None:
    """Say no to a first message, without keeping anything."""
    chain = join((Notification(notify, text.encode("ascii", "replace")[:400]),))
    answer = Header(
        header.icookie, engine.random(8), PayloadType.NOTIFY, Exchange.INFORMATIONAL, 0, engine.new_message_id()
    )
    engine.send_to(path, answer.pack(HEADER_SIZE + len(chain)) + chain)


def _main_mode(engine: Engine, sa: IsakmpSa, header: Header, packet: bytes, path: Path) -> None:
    main = engine.isakmp.mains.get(sa)
    if main is None or main.is_copy(packet):
        return
    if header.message_id or sa.established:
        raise Malformed("a main mode message that has no place here")
    encrypted = sa.state in ("STATE_MAIN_R2", "STATE_MAIN_I3")
    if header.encrypted != encrypted:
        raise Malformed(f"a main mode message in clear or encrypted, and it must be the other in {sa.state}")
    before = sa.path
    if isinstance(main, Responder) and encrypted:
        # After NAT discovery the initiator goes on at another port.
        sa.path = path
    try:
        main.receive(header, packet)
    except Malformed:
        sa.path = sa.path if sa.established else before
        raise
    except Waiting as wait:
        sa.path = before
        engine.directory.keep(sa, packet, path, wait.missing)
    except CygnetError as error:
        sa.path = sa.path if sa.established else before
        _main_mode_refused(engine, sa, main, error)


def _main_mode_refused(engine: Engine, sa: IsakmpSa, main: object, error: CygnetError) -> None:
    notify, hint = (error.notify, error.data) if isinstance(error, Refused) else (Notify.INVALID_KEY_INFORMATION, "")
    if isinstance(error, NoProposal):
        notify = Notify.NO_PROPOSAL_CHOSEN
    engine.isakmp.refuse(sa, notify, hint)
    if isinstance(main, Initiator):
        main.given_up(str(error))
        return
    sa.live.why = sa.live.why if sa.live.newest else str(error)
    engine.noise(sa.path, f"{sa.label}: {error}")


def _quick_mode(engine: Engine, sa: IsakmpSa, header: Header, packet: bytes) -> None:
    if not sa.established or not header.encrypted or not header.message_id:
        raise Malformed("a quick mode message without phase 1, in clear, or without an id")
    quick: QuickMode | None = engine.children.quicks.get(sa, {}).get(header.message_id)
    if quick is not None and quick.is_copy(packet):
        return
    if quick is None:
        if header.message_id in sa.message_ids or len(engine.children.quicks.get(sa, {})) >= MOST_QUICK_MODES:
            raise Malformed("a quick mode whose id was used before, or too many of them")
        quick = QuickResponder(engine, sa, sa.live, header.message_id)
    try:
        quick.receive(header, packet)
    except Waiting as wait:
        # It comes again as if it came for the first time.
        sa.message_ids.pop(header.message_id, None)
        engine.children.forget(quick)
        engine.directory.keep(sa, packet, engine.arrived or sa.path, wait.missing)
    except CygnetError as error:
        # What is malformed may be forged, unless it was kept: then its hash was right, and it must not keep its place.
        kept = quick.state == "STATE_QUICK_R0" and quick in engine.children.quick_modes(sa)
        if isinstance(error, Malformed) and not kept:
            raise
        other = Notify.PAYLOAD_MALFORMED if isinstance(error, Malformed) else Notify.NO_PROPOSAL_CHOSEN
        notify, hint = (error.notify, error.data) if isinstance(error, Refused) else (other, "")
        informational.refuse(engine, sa, notify, hint, quick.peer_spi, quick.protocol)
        quick.given_up(str(error))
