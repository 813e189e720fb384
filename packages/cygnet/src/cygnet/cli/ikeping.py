"""``ipsec ikeping``: does an IKE daemon answer there, and to this host? It needs no daemon here.

Each destination is sent the first message of an IKEv1 main mode with the proposals that most daemons know, old ones
too. Whoever speaks IKEv1 and has a connection for this host's address says which one it takes, or that it takes none;
many say nothing to an address that they do not know. The negotiation goes no further, and changes nothing that
stands. With --exchangenum it is instead a bare header of that exchange, as the ikeping of FreeS/WAN sends: its echo
request is 244, and hardly anybody but Openswan answers it.

An answer counts only from the address and port that were asked, with our cookie, and if it is a whole and correct
message.

Exit status: 0 if every destination answered, 1 otherwise.

    ipsec ikeping 192.0.2.2
    ipsec ikeping --natt 192.0.2.2 2001:db8::2/4500
"""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field

from cygnet.cli.options import Options, UsageError, number, parse
from cygnet.conf import proposals
from cygnet.connection.connection import AuthBy, Connection, End
from cygnet.errors import CygnetError
from cygnet.ike.fields import Malformed
from cygnet.ike.message import HEADER_SIZE, Header, join, read_clear, read_header
from cygnet.ike.numbers import (
    VENDOR_DPD,
    VENDOR_FRAGMENTATION,
    VENDOR_NAT_T,
    VERSION,
    ZERO_COOKIE,
    Exchange,
    PayloadType,
)
from cygnet.ike.payloads import Notification, SecurityAssociation, VendorId
from cygnet.ike.v1.phase_one import accept, offer_payload
from cygnet.kernel.sockets import bypass

USAGE = ("ipsec ikeping [--wait seconds] [--natt] [--verbose] [option ...] address[/port] ...",)
OPTIONS: Options = (
    ("--wait", "SECONDS", "how long to wait for answers, 5 without; asked again every second"),
    ("--natt", "", "ask at UDP port 4500, as behind a NAT"),
    ("--verbose", "", "say what else an answer tells: vendor ids"),
    ("--inet", "", "IPv4 addresses of names"),
    ("--inet6", "", "IPv6 addresses of names"),
    ("--ikeaddress", "ADDRESS", "ask from this address of this host"),
    ("--ikeport", "PORT", "ask from this port, any without; 500 is Pluto's while it runs"),
    ("--exchangenum", "NUMBER", "ask by a bare header of this exchange type"),
)
MOST, MOST_NOISE = 64, 10
OFFERED = (
    "aes256-sha2_256-modp2048-ecp256,aes128-sha2_256-modp2048,aes256-aes128-sha1-modp2048-modp1536,"
    "3des-sha1-md5-modp1536-modp1024"
)
VENDORS = {
    VENDOR_NAT_T: "NAT traversal (RFC 3947)",
    VENDOR_DPD: "dead peer detection",
    VENDOR_FRAGMENTATION: "fragments",
}
MARKER = bytes(4)
NOBODY = "nothing listens there (its host says so by ICMP)"
MEANINGS = {errno.ECONNREFUSED: NOBODY, errno.EPERM: "a firewall rule of this host keeps the packet"}
SILENCE = (
    "no answer: no IKE daemon, none that knows this host's address, or UDP port {port} is shut on the way"
    " (ipsec verify looks at this host's own firewall)"
)


@dataclass
class Probe:
    """One destination. ``packet``: what is sent. ``said``: what was printed of it, each thing once."""

    name: str
    port: int
    socket: socket.socket
    packet: bytes
    said: set[str] = field(default_factory=set)


def run(words: list[str]) -> int:
    """The command."""
    given, others = parse("ipsec ikeping", USAGE, OPTIONS, words, range(1, MOST + 1))
    seconds = number("ipsec ikeping", "--wait", given.get("--wait", "5"), range(1, 3601))
    exchange = number("ipsec ikeping", "--exchangenum", given.get("--exchangenum", "2"), range(1, 256))
    local = (
        given.get("--ikeaddress", ""),
        number("ipsec ikeping", "--ikeport", given.get("--ikeport", "0"), range(65536)),
    )
    probes = [_probe(word, given, local, exchange) for word in others]
    answered = _ask(probes, time.monotonic() + seconds, "--natt" in given, "--verbose" in given)
    for probe in probes:
        if not probe.said:
            print(f"{probe.name}: {SILENCE.format(port=probe.port)}")
        probe.socket.close()
    print(f"{len(probes)} asked, {answered} answered")
    return int(answered < len(probes))


def offer() -> SecurityAssociation:
    """What is proposed."""
    known, _ = proposals.ike(OFFERED)
    return offer_payload(Connection("ikeping", End("left"), End("right"), auth_by=AuthBy.EITHER, ike=tuple(known)))


def question(cookie: bytes, exchange: int) -> bytes:
    """The message for an exchange type: main mode's is a whole one, all others' a header."""
    if exchange != Exchange.MAIN:
        return Header(cookie, os.urandom(8), PayloadType.NONE, exchange).pack(HEADER_SIZE)
    chain = join((offer(), *map(VendorId, VENDORS)))
    return Header(cookie, ZERO_COOKIE, PayloadType.SA, exchange).pack(HEADER_SIZE + len(chain)) + chain


def answer(packet: bytes, asked: bytes, verbose: bool = False) -> str:
    """What an answer says. Malformed, or another CygnetError, if it is none to this question."""
    header, question_ = read_header(packet), read_header(asked)
    if header.icookie != question_.icookie:
        raise Malformed("a message with a cookie that was not sent")
    if header.version >> 4 != VERSION >> 4:
        return f"speaks IKE version {header.version >> 4}, not 1"
    if header.exchange == question_.exchange + 1 and question_.exchange != Exchange.MAIN:
        return "answers the echo"
    if header.encrypted or header.exchange not in (Exchange.MAIN, Exchange.INFORMATIONAL):
        raise Malformed(f"a message of exchange type {header.exchange}, which is no answer")
    message = read_clear(header, packet)
    if header.exchange == Exchange.INFORMATIONAL:
        return f"refuses: {message.one(Notification)}"
    if header.rcookie == ZERO_COOKIE:
        raise Malformed("an answer without a cookie of its own")
    chosen = accept(message.one(SecurityAssociation), offer())
    known = [VENDORS.get(vendor.data) or vendor.data[:40].hex() for vendor in message.all(VendorId)]
    return f"accepts {chosen.offer}" + ("; vendor ids: " + (", ".join(known) or "none") if verbose else "")


def _probe(word: str, given: dict[str, str], local: tuple[str, int], exchange: int) -> Probe:
    host, slash, text = word.partition("/")
    default = "4500" if "--natt" in given else "500"
    port = number("ipsec ikeping", "a destination's port", text if slash else default, range(1, 65536))
    family = socket.AF_INET6 if "--inet6" in given else socket.AF_INET if "--inet" in given else socket.AF_UNSPEC
    try:
        kind, _, _, _, place = socket.getaddrinfo(host, port, family, socket.SOCK_DGRAM)[0]
        made = socket.socket(kind, socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        raise UsageError(f"ipsec ikeping: {host!a} is no address, nor a name that has one") from None
    # So that a tunnel to the very same host does not swallow it; without root's rights that cannot be asked for.
    with suppress(CygnetError):
        bypass(made)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(local if any(local) else ("", 0))
        made.connect(place)
    except OSError as problem:
        made.close()
        raise CygnetError(f"cannot ask {word} from {local[0] or 'here'}, port {local[1]}: {problem.strerror}") from None
    made.setblocking(False)
    return Probe(f"{place[0]}/{port}", port, made, question(os.urandom(8), exchange))


def _ask(probes: list[Probe], end: float, natt: bool, verbose: bool) -> int:
    """Send, and again each second, until all have answered or the time is up; how many have."""
    waiting = {probe.socket.fileno(): probe for probe in probes}
    poll, again, answered = select.poll(), 0.0, 0
    for descriptor in waiting:
        poll.register(descriptor, select.POLLIN)
    while waiting and (now := time.monotonic()) < end:
        if now >= again:
            again = now + 1
            for probe in waiting.values():
                with suppress(OSError):
                    probe.socket.send((MARKER if natt else b"") + probe.packet)
        for descriptor, _ in poll.poll(1000 * max(0.01, min(again, end) - now)):
            probe = waiting[descriptor]
            said, is_answer = _hear(probe, natt, verbose)
            if said not in probe.said and (is_answer or len(probe.said) < MOST_NOISE):
                print(f"{probe.name}: {said}", flush=True)
                probe.said.add(said)
            if is_answer:
                answered += 1
                poll.unregister(descriptor)
                del waiting[descriptor]
    return answered


def _hear(probe: Probe, natt: bool, verbose: bool) -> tuple[str, bool]:
    """What came, and whether it was an answer."""
    try:
        packet = probe.socket.recv(65535)
        if natt and not packet.startswith(MARKER):
            raise Malformed("no IKE: it lacks the marker of port 4500")
        return answer(packet[len(MARKER) if natt else 0 :], probe.packet, verbose), True
    except CygnetError as problem:
        return f"a packet came that counts for nothing: {problem}", False
    except OSError as problem:
        return MEANINGS.get(problem.errno or 0, str(problem.strerror)), False
