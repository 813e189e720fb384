"""A coverage-guided fuzz target over `Engine.receive`, the only door that packets have: atheris (libFuzzer) drives it.

`python fuzz_dispatcher.py CORPUS_DIR [-max_total_time=600] [-runs=N] [-seed=N]`: options are libFuzzer's. The
corpus is filled with exchanges of our own first. An input is a script: a byte for the moment in a session's life, then
packets. Packets that are marked so are put under the session's own keys and given a right HASH(1), so that what lies
behind the encryption is reached too. Nothing may leave the dispatcher, and no packet may cost more than a bound.
"""

from __future__ import annotations

import contextlib
import random
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path as File
from typing import Any

HERE = File(__file__).resolve()
sys.path[:0] = [str(HERE.parents[1] / "ike"), str(HERE.parents[2] / "src")]

import atheris  # noqa: E402

with atheris.instrument_imports(include=["cygnet"]):
    from cygnet.crypto.exchange import KeyExchange
    from cygnet.ike import message
    from cygnet.ike.fields import Malformed
    from cygnet.ike.message import HEADER_SIZE, Header, read_header, split
    from cygnet.ike.numbers import FLAG_ENCRYPTED, Exchange
    from cygnet.ike.v1.sa import IsakmpSa
    from forgery import Raw, chain_of
    from simulation import EAST, WEST, Box, Network, pair, path_of

# Moments in a session's life, by the packets that have passed; the last is an established tunnel.
MOMENTS = tuple(range(10))
# How a packet of a script is treated: as it stands, behind the header of the session, under its keys, with HASH(1) too.
PLAIN, HEADED, SEALED, HASHED = range(4)
MOST_PACKETS = 6
# What one packet may cost: payloads parsed, key exchanges made, shared secrets computed, lines of Python executed.
MOST_PAYLOADS, MOST_EXCHANGES, MOST_SHARED, MOST_LINES = 400, 1, 1, 60_000
SIZE = struct.Struct(">BH")


class TooDear(Exception):
    """A packet cost more than the bound."""


@dataclass
class Cost:
    """What the packet that is being taken has cost so far."""

    payloads: int = 0
    exchanges: int = 0
    shared: int = 0
    lines: int = 0

    def reset(self) -> None:
        """A new packet."""
        self.payloads = self.exchanges = self.shared = self.lines = 0

    def check(self) -> None:
        """Raise TooDear beyond the bounds."""
        bounds = (
            (self.payloads, MOST_PAYLOADS),
            (self.exchanges, MOST_EXCHANGES),
            (self.shared, MOST_SHARED),
            (self.lines, MOST_LINES),
        )
        if any(spent > bound for spent, bound in bounds):
            raise TooDear(str(self))


COST = Cost()


def count_work() -> None:
    """Let key exchanges and parsed payloads be counted."""
    decode, begin, shared = message.decode, KeyExchange.__init__, KeyExchange.shared

    def counted_decode(kind: int, body: bytes) -> object:
        COST.payloads += 1
        return decode(kind, body)

    def counted_begin(self: KeyExchange, group: int) -> None:
        COST.exchanges += 1
        begin(self, group)

    def counted_shared(self: KeyExchange, peer: bytes) -> bytes:
        COST.shared += 1
        return shared(self, peer)

    message.decode = counted_decode  # type: ignore[assignment]
    KeyExchange.__init__ = counted_begin  # type: ignore[method-assign]
    KeyExchange.shared = counted_shared  # type: ignore[method-assign]


def session(moment: int) -> tuple[Network, Box, Box]:
    """Two boxes after so many packets of their negotiation."""
    network, west, east = pair(seed=1)
    network.tamper = lambda _path, packet: packet if len(network.wire) <= moment else None
    west.up()
    network.run(1)
    network.tamper = lambda _path, _packet: None
    return network, west, east


def session_of(box: Box) -> IsakmpSa | None:
    """The newest ISAKMP SA of a box."""
    return next(reversed(list(box.engine.isakmp.sas)), None)


def dressed(kind: int, data: bytes, sa: IsakmpSa | None, iv: bytes) -> bytes:
    """A packet of a script, made to fit the session as its kind says."""
    if kind == PLAIN or sa is None or len(data) < 6:
        return data
    number, flags = data[0], data[1]
    message_id = int.from_bytes(data[2:6], "big") if number != Exchange.MAIN else 0
    body = data[6:]
    header = replace(sa.header(number, message_id, flags), first=flags if kind == HEADED else 0)
    payloads = list(raw_payloads(body))
    if kind == HEADED or sa.keys is None or not payloads:
        chain = chain_of(payloads)
        header = replace(header, first=payloads[0].type if payloads else 0)
        return header.pack(HEADER_SIZE + len(chain)) + chain
    if kind == HASHED:
        payloads.insert(0, Raw(8, sa.hash_1(message_id, chain_of(payloads))))
    chain = chain_of(payloads)
    chain += bytes(-len(chain) % sa.keys.cipher.block)
    start = iv if number == Exchange.MAIN and len(iv) == sa.keys.cipher.block else sa.first_iv(message_id)
    sealed = sa.keys.cipher.encrypt(start, chain)
    header = replace(header, first=payloads[0].type, flags=flags | FLAG_ENCRYPTED)
    return header.pack(HEADER_SIZE + len(sealed)) + sealed


def raw_payloads(body: bytes) -> Iterator[Raw]:
    """Payloads of a script: a type, a length of two bytes, a body."""
    while len(body) >= SIZE.size:
        kind, size = SIZE.unpack_from(body)
        yield Raw(kind, body[SIZE.size : SIZE.size + size])
        body = body[SIZE.size + size :]


def script_of(moment: int, packets: list[tuple[int, bytes]]) -> bytes:
    """The inverse of `packets_of`."""
    return bytes((moment,)) + b"".join(SIZE.pack(kind, len(data)) + data for kind, data in packets)


def packets_of(script: bytes) -> Iterator[tuple[int, bytes]]:
    """The packets of a script, bounded in number."""
    body = script[1:]
    for _ in range(MOST_PACKETS):
        if len(body) < SIZE.size:
            return
        kind, size = SIZE.unpack_from(body)
        yield kind, body[SIZE.size : SIZE.size + size]
        body = body[SIZE.size + size :]


def one_input(script: bytes) -> None:
    """Play a script. Raises what must not be: an exception that left the dispatcher, a bug, a packet too dear."""
    if not script:
        return
    network, west, east = session(MOMENTS[script[0] % len(MOMENTS)])
    for kind, data in packets_of(script):
        box, peer = (east, WEST) if not kind & 0x80 else (west, EAST)
        sa = session_of(box)
        main = box.engine.isakmp.mains.get(sa) if sa else None
        packet = dressed(kind & 3, data, sa, main.iv if main else b"")
        # Tracing is slow: one script in four has its lines counted.
        take(box, packet, peer, network.now, traced=len(script) % 4 == 0)
        network.now += 0.1
    network.tamper = lambda _path, packet: packet
    settle(network, west, east)


def take(box: Box, packet: bytes, peer: str, now: float, traced: bool) -> None:
    """Let a box take a packet, and see what it costs."""
    COST.reset()
    if traced:
        sys.settrace(count_lines)
    try:
        box.engine.receive(packet, path_of(box.address, peer), now)
    finally:
        sys.settrace(None)
    COST.check()
    if box.engine.bugs:
        raise AssertionError(first_bug(box))


def first_bug(box: Box) -> str:
    """The line of the log that names a bug; others may follow it."""
    return next(line for line in box.log if "internal error" in line)


def count_lines(_frame: object, event: str, _argument: object) -> object:
    """A trace function: every line of Python counts."""
    COST.lines += event == "line"
    return count_lines


def settle(network: Network, west: Box, east: Box) -> None:
    """Time goes on: timers must not break either, and tables empty themselves."""
    network.run(200)
    for box in (west, east):
        if box.engine.bugs:
            raise AssertionError(first_bug(box))
        sizes = box.sizes()
        if max(size for name, size in sizes.items() if name != "timers") > 20:
            raise AssertionError(str(sizes))


def mutated(script: bytes, most: int, seed: int) -> bytes:
    """A script with a change that keeps its shape, or libFuzzer's own mutation of one of its packets."""
    chance = random.Random(seed)
    packets = list(packets_of(script)) or [(HASHED, b"")]
    moment = script[0] % len(MOMENTS) if script else 0
    place = chance.randrange(len(packets))
    kind, data = packets[place]
    match chance.randrange(8):
        case 0:
            packets[place] = (chance.choice((0, 1, 2, 3, 0x80, 0x81, 0x82, 0x83)), data)
        case 1:
            packets.insert(place, chance.choice(SEEDS))
        case 2:
            packets.append(packets[place])
        case 3:
            moment = chance.randrange(len(MOMENTS))
        case 4 if len(packets) > 1:
            del packets[place]
        case _:
            packets[place] = (kind, mutated_packet(kind & 3, data, chance))
    return script_of(moment, packets[:MOST_PACKETS])[:most]


def mutated_packet(kind: int, data: bytes, chance: random.Random) -> bytes:
    """A packet with one payload changed, dropped, doubled or moved; or any bytes changed."""
    payloads = list(raw_payloads(data[6:]))
    if kind == PLAIN or not payloads or chance.random() < 0.2:
        return bytes(atheris.Mutate(data or b"\0", max(len(data) + 16, 32)))
    place = chance.randrange(len(payloads))
    match chance.randrange(5):
        case 0:
            del payloads[place]
        case 1:
            payloads.insert(place, chance.choice(PAYLOADS))
        case 2:
            payloads[place] = Raw(chance.choice(TYPES), payloads[place].body)
        case _:
            body = payloads[place].body
            payloads[place] = Raw(payloads[place].type, bytes(atheris.Mutate(body or b"\0", max(len(body) + 8, 16))))
    return data[:6] + b"".join(SIZE.pack(one.type, len(one.body)) + one.body for one in payloads)


TYPES = (1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 20, 21, 132, 0, 2, 3, 33)
SEEDS: list[tuple[int, bytes]] = []
PAYLOADS: list[Raw] = []


def recorded() -> Iterator[bytes]:
    """Scripts from exchanges of our own: each packet at its moment, in clear as it was and with its inside laid open."""
    network, west, _ = pair(seed=1)
    with opened_packets() as inside:
        west.up()
        network.run(5)
        west.rekey(2)
        network.run(3)
        west.down()
        network.run(1)
    for number, sent in enumerate(network.wire):
        moment = min(number, len(MOMENTS) - 1)
        to_west = 0x80 if str(sent.path.remote) == WEST else 0
        header = read_header(sent.packet)
        opened = inside.get(sent.packet) or clear(header, sent.packet)
        for kind in (HASHED, SEALED) if header.encrypted else (PLAIN, HEADED):
            found = opened[1:] if kind == HASHED and opened and opened[0].type == 8 else opened
            packet = sent.packet if kind == PLAIN else laid_open(header, found)
            yield script_of(moment, [(kind | to_west, packet)])
            SEEDS.append((kind | to_west, packet))
        PAYLOADS.extend(opened)


def clear(header: Header, packet: bytes) -> list[Raw]:
    """The payloads of a packet in clear."""
    with contextlib.suppress(Malformed):
        return [Raw(got.type, got.body) for got in split(header.first, packet[HEADER_SIZE:])]
    return []


def laid_open(header: Header, payloads: list[Raw]) -> bytes:
    """A packet as scripts write it: exchange, flags, message id, payloads."""
    start = bytes((header.exchange, header.flags)) + header.message_id.to_bytes(4, "big")
    return start + b"".join(SIZE.pack(one.type, len(one.body)) + one.body for one in payloads)


@contextlib.contextmanager
def opened_packets() -> Iterator[dict[bytes, list[Raw]]]:
    """Keep what is encrypted meanwhile: packet -> payloads."""
    inside: dict[bytes, list[Raw]] = {}
    seal = IsakmpSa.seal

    def kept(self: IsakmpSa, number: int, message_id: int, payloads: Any, iv: bytes) -> tuple[bytes, bytes]:
        packet, following = seal(self, number, message_id, payloads, iv)
        inside[packet] = [Raw(got.type, got.body) for got in split(payloads[0].TYPE, message.join(payloads))]
        return packet, following

    IsakmpSa.seal = kept  # type: ignore[method-assign]
    try:
        yield inside
    finally:
        IsakmpSa.seal = seal  # type: ignore[method-assign]


def fill(corpus: File) -> None:
    """Write the recorded scripts where there are none."""
    corpus.mkdir(parents=True, exist_ok=True)
    for number, script in enumerate(recorded()):
        file = corpus / f"recorded-{number:03}"
        if not file.exists():
            file.write_bytes(script)


def main() -> None:
    """Fill the corpus that is named first, then let libFuzzer loose."""
    folders = [File(argument) for argument in sys.argv[1:] if not argument.startswith("-")]
    if not folders:
        sys.exit(f"usage: {sys.argv[0]} CORPUS_DIR [libFuzzer options]")
    fill(folders[0])
    count_work()
    atheris.Setup(sys.argv, one_input, custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
