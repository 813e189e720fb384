"""Y-modem: what arrives, over a line that loses and spoils blocks."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from simulated_uboot import Receiver

from builder.flash.console.modem import ACK, CAN, CRC, EOT, Sender, TransferFailed, block, checksum


class Line:
    """A line whose other end answers at once; ``spoils``: which of the sender's writes arrive otherwise."""

    url = "test"

    def __init__(self, answers: Callable[[Line], bytes], spoils: frozenset[int] = frozenset()) -> None:
        self._answers, self._spoils = answers, spoils
        self.sent: list[bytes] = []
        self.incoming = b"C"

    def read(self, _seconds: float, most: int = 65536) -> bytes:
        got, self.incoming = self.incoming[:most], self.incoming[most:]
        return got

    def write(self, data: bytes) -> None:
        if len(self.sent) in self._spoils:
            data = data[:-5] + b"spoil"
        self.sent.append(data)
        self.incoming += self._answers(self)


class FarEnd:
    """Y-modem's receiver, seen from its answers: it asks again unless it gets the block that it wants, or has."""

    def __init__(self) -> None:
        self._wanted = 0

    def __call__(self, line: Line) -> bytes:
        last = line.sent[-1]
        if last == EOT:
            self._wanted = 0
            return ACK + CRC
        number, content = last[1], last[3:-2]
        whole = len(content) in (128, 1024) and checksum(content) == last[-2:]
        if not whole or number not in (self._wanted, self._wanted - 1):
            return CRC
        self._wanted = number + 1
        return ACK if number else ACK + CRC


def received(line: Line) -> bytes:
    """What the simulated board's receiver, which was written on its own, makes of everything that was sent."""
    wire = iter(b"".join(line.sent))
    return Receiver(lambda _seconds: bytes([next(wire)]), lambda _text: None).ymodem()


@pytest.mark.parametrize("size", [1, 127, 1024, 1025, 10_000, 200_000])
@pytest.mark.parametrize("spoils", [frozenset[int](), frozenset({0}), frozenset({1, 2, 3})])
def test_a_file_by_ymodem(size: int, spoils: frozenset[int]) -> None:
    content = random.Random(size).randbytes(size)  # noqa: S311
    line = Line(FarEnd(), spoils)
    Sender(line).ymodem("a.img", content)  # type: ignore[arg-type]
    assert received(line) == content


def test_an_answer_that_comes_twice() -> None:
    """The second is not taken for that of the next block, here the last one, which arrives damaged."""
    content, far_end = random.Random(1).randbytes(2000), FarEnd()  # noqa: S311
    line = Line(lambda line: far_end(line) * (2 if len(line.sent) == 2 else 1), frozenset({2}))
    Sender(line).ymodem("a.img", content)  # type: ignore[arg-type]
    assert received(line) == content


def test_a_receiver_that_gives_up() -> None:
    line = Line(lambda _: CAN * 2)
    with pytest.raises(TransferFailed, match="the receiver gave up"):
        Sender(line).ymodem("a.img", b"x")  # type: ignore[arg-type]


def test_nobody_asks() -> None:
    line = Line(lambda _: b"")
    line.incoming = b"\r\nUnknown command 'loady'"
    with pytest.raises(TransferFailed, match="does not ask for anything"):
        Sender(line, patience=0).ymodem("a.img", b"x")  # type: ignore[arg-type]


def test_who_never_acknowledges() -> None:
    line = Line(lambda _: b"\x15")
    with pytest.raises(TransferFailed, match="a block was not acknowledged"):
        Sender(line).ymodem("a.img", b"x")  # type: ignore[arg-type]
    assert line.sent[-1] == CAN * 3


def test_the_checksum_is_the_known_one() -> None:
    # CRC-16/XMODEM's check value.
    assert checksum(b"123456789") == b"\x31\xc3"
    assert block(257, b"x")[1:3] == b"\x01\xfe"
