"""Informational exchanges: notifications, deletions, dead peer detection (RFC 2409 section 5.7, RFC 3706).

Nothing here is believed unless the hash of phase 1 protects it; in clear it is a hint to whoever waits, no more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cygnet.crypto import mac
from cygnet.ike.fields import Malformed, Wire
from cygnet.ike.message import Header, join, read_clear
from cygnet.ike.numbers import Exchange, Notify, PayloadType, Protocol
from cygnet.ike.payloads import Delete, HashData, Notification
from cygnet.ike.progress import LOG
from cygnet.ike.v1.initiator import Initiator
from cygnet.ike.v1.quick_initiator import QuickInitiator
from cygnet.ike.v1.sa import IsakmpSa

if TYPE_CHECKING:
    from cygnet.ike.engine import Engine

ERRORS = range(1, 16384)


def send(engine: Engine, sa: IsakmpSa, *payloads: Wire) -> None:
    """Send payloads under the protection of ``sa``."""
    message_id = engine.new_message_id()
    rest = join(payloads)
    hashed = HashData(sa.hash_1(message_id, rest))
    packet, _ = sa.seal(Exchange.INFORMATIONAL, message_id, (hashed, *payloads), sa.first_iv(message_id))
    engine.send(sa, packet)


def refuse(
    engine: Engine, sa: IsakmpSa, notify: int, text: str = "", spi: bytes = b"", protocol: int = Protocol.ISAKMP
) -> None:
    """Tell the peer why we will not; in clear where there are no keys yet."""
    notification = Notification(notify, text.encode("ascii", "replace")[:400], spi, protocol)
    if sa.established or (sa.keys and notify != Notify.PAYLOAD_MALFORMED):
        send(engine, sa, notification)
    else:
        engine.send(sa, sa.clear(Exchange.INFORMATIONAL, (notification,), engine.new_message_id()))


def send_delete(engine: Engine, sa: IsakmpSa, *named: tuple[int, bytes]) -> None:
    """Tell the peer that we will use these no more: protocols with the SPIs that it sends to."""
    send(engine, sa, *(Delete(protocol, (spi,)) for protocol, spi in named))


def receive(engine: Engine, sa: IsakmpSa, header: Header, packet: bytes) -> None:
    """Take an informational message. Raises Malformed."""
    if not header.encrypted:
        _hint(engine, sa, header, packet)
        return
    if header.message_id in sa.message_ids:
        raise Malformed("an informational message whose id was used before")
    message, _ = sa.open(header, packet, sa.first_iv(header.message_id))
    if message.received[0].type != PayloadType.HASH:
        raise Malformed("an informational message that does not begin with a hash")
    if not mac.same(message.received[0].body, sa.hash_1(header.message_id, message.after_first)):
        raise Malformed("the hash of an informational message is wrong")
    message.expect((HashData,), (Notification, Delete))
    if not sa.take_message_id(header.message_id):
        raise Malformed("an informational message whose id cannot be taken")
    engine.isakmp.heard(sa)
    for notification in message.all(Notification):
        _notified(engine, sa, notification)
    for delete in message.all(Delete):
        _deleted(engine, sa, delete)


def _hint(engine: Engine, sa: IsakmpSa, header: Header, packet: bytes) -> None:
    """In clear anybody may have sent it: it can end our own attempt at a negotiation, nothing else."""
    if sa.established:
        raise Malformed("an informational message in clear for an established SA")
    message = read_clear(header, packet)
    main = engine.isakmp.main_mode(sa)
    for notification in message.all(Notification):
        if notification.type in ERRORS and isinstance(main, Initiator):
            _remember(engine, sa, notification)
            main.refused(notification)
            return


def _notified(engine: Engine, sa: IsakmpSa, notification: Notification) -> None:
    match notification.type:
        case Notify.R_U_THERE if sa.established:
            _answer_probe(engine, sa, notification)
        case Notify.R_U_THERE_ACK if sa.established:
            engine.probe_answered(sa, notification.data)
        case Notify.INITIAL_CONTACT if sa.established:
            engine.isakmp.first_contact(sa)
        case number if number in ERRORS:
            _refused(engine, sa, notification)
        case _:
            engine.log(f"{sa.label}: peer notifies {notification}")


def _refused(engine: Engine, sa: IsakmpSa, notification: Notification) -> None:
    main = engine.isakmp.main_mode(sa)
    _remember(engine, sa, notification)
    if not sa.established:
        if isinstance(main, Initiator):
            main.refused(notification)
        return
    engine.tell(sa.live, LOG, f"{sa.label}: peer notifies {notification}")
    waiting = [
        quick
        for quick in engine.children.quick_modes(sa)
        if isinstance(quick, QuickInitiator) and quick.state == "STATE_QUICK_I1"
    ]
    spi = notification.spi[:4]
    named = [quick for quick in waiting if spi and int.from_bytes(spi, "big") in quick.spis.values()]
    # Not every peer names the SPI; with one negotiation under way there is no doubt.
    for quick in named or (waiting if len(waiting) == 1 else []):
        quick.refused(notification)


def _remember(engine: Engine, sa: IsakmpSa, notification: Notification) -> None:
    engine.roster.contacts.note(sa.path.remote, "notified", str(notification), engine.now)


def _answer_probe(engine: Engine, sa: IsakmpSa, probe: Notification) -> None:
    if len(probe.data) != 4 or probe.spi != sa.icookie + sa.rcookie:
        raise Malformed("a probe that is not for this SA")
    send(engine, sa, Notification(Notify.R_U_THERE_ACK, probe.data, probe.spi))


def _deleted(engine: Engine, sa: IsakmpSa, delete: Delete) -> None:
    """Only what belongs to the same peer, and only what is there."""
    if delete.protocol == Protocol.ISAKMP:
        for cookies in delete.spis:
            engine.isakmp.deleted_by_peer(sa, cookies)
    elif delete.protocol in (Protocol.AH, Protocol.ESP, Protocol.IPCOMP):
        for spi in delete.spis:
            if len(spi) == 4:
                engine.children.deleted_by_peer(sa, delete.protocol, int.from_bytes(spi, "big"))
    else:
        raise Malformed(f"a deletion of protocol {delete.protocol}")
