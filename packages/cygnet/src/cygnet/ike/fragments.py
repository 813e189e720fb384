"""Messages too long for the path, in pieces (Cisco's fragmentation for IKEv1, as MS-IKEE section 3.3 describes it)."""

from __future__ import annotations

from dataclasses import dataclass, field

from cygnet.ike.fields import HEADER, Malformed, build, parse
from cygnet.ike.message import HEADER_SIZE, LAYOUT, MOST_BYTES
from cygnet.ike.numbers import PayloadType
from cygnet.ike.payloads import Fragment

# What passes everywhere: IPv6's least MTU, less headers of IP, UDP and the non-ESP marker.
LONGEST_UNSPLIT = 1228
PIECE = LONGEST_UNSPLIT - HEADER_SIZE - HEADER.size - 4
MOST_PIECES = 32
LAST = 1


def split(packet: bytes) -> list[bytes]:
    """The packet in pieces, each with the header of the whole but its own first payload and length."""
    header = LAYOUT.unpack_from(packet)
    name = int.from_bytes(packet[-2:], "big")  # ciphertext: two messages hardly share it
    pieces = [packet[start : start + PIECE] for start in range(0, len(packet), PIECE)]
    return [_wrap(header, name, number, number == len(pieces), piece) for number, piece in enumerate(pieces, 1)]


def _wrap(
    header: tuple[bytes, bytes, int, int, int, int, int, int], name: int, number: int, last: bool, piece: bytes
) -> bytes:
    icookie, rcookie, _, version, exchange, flags, message_id, _ = header
    body = build(Fragment(name, number, LAST if last else 0, piece))
    length = HEADER_SIZE + HEADER.size + len(body)
    start = LAYOUT.pack(icookie, rcookie, PayloadType.FRAGMENT, version, exchange, flags & ~1, message_id, length)
    return start + HEADER.pack(0, HEADER.size + len(body)) + body


@dataclass
class Assembly:
    """The pieces of one message; a newer id throws away the older one's. Bounded in number and in bytes."""

    id: int = -1
    pieces: dict[int, bytes] = field(default_factory=dict)
    last: int = 0
    size: int = 0

    def add(self, packet: bytes) -> bytes | None:
        """Take a piece; the whole packet when it was the last one missing. Raises Malformed."""
        if len(packet) < HEADER_SIZE + HEADER.size:
            raise Malformed("a fragment that is cut short")
        following, length = HEADER.unpack_from(packet, HEADER_SIZE)
        if following or length != len(packet) - HEADER_SIZE:
            raise Malformed("a fragment that is not alone in its packet")
        piece = parse(Fragment, packet[HEADER_SIZE + HEADER.size :])
        if not 1 <= piece.number <= MOST_PIECES or not piece.data:
            raise Malformed(f"fragment number {piece.number}")
        if piece.id != self.id:
            self.id, self.pieces, self.last, self.size = piece.id, {}, 0, 0
        if piece.number in self.pieces:
            return None
        if self.size + len(piece.data) > MOST_BYTES:
            raise Malformed(f"fragments of more than {MOST_BYTES} bytes")
        self.pieces[piece.number] = piece.data
        self.size += len(piece.data)
        if piece.flags & LAST:
            self.last = piece.number
        return self._whole()

    def _whole(self) -> bytes | None:
        if not self.last or len(self.pieces) != self.last or max(self.pieces) != self.last:
            return None
        whole = b"".join(self.pieces[number] for number in range(1, self.last + 1))
        self.pieces, self.last, self.size, self.id = {}, 0, 0, -1
        return whole
