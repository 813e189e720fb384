"""What counts as a tunnel: both kernels have its SAs, they count every packet, and nothing else is on the wire."""

from __future__ import annotations

from gateways import Gateway, Kind
from street import Street

from builder.smoke.capture import holds, kinds

PINGS, SIZE = 4, 400
PATTERN = b"\xa5" * 32


def bring_up(asks: Gateway, answers: Gateway, kind: Kind) -> None:
    """Load a connection at both ends, have one bring it up; both kernels then have the same SPIs."""
    answers.know(kind, asks.end)
    asks.know(kind, answers.end)
    said, status = asks.initiate()
    assert status == 0, f"{said}\n{answers.log()[-3000:]}"

    def same(_: str) -> bool:
        return len(asks.sas(kind.protocol)) == 2 and asks.sas(kind.protocol).keys() == answers.sas(kind.protocol).keys()

    answers.machine.wait_for("true", same)


def assert_carries(street: Street, one: Gateway, other: Gateway, kind: Kind) -> None:
    """Pings from both ends: every packet is counted by the SAs, and nothing else is on the wire."""
    addresses = (one.end.address, other.end.address) if kind.transport else (one.host, other.host)
    errors, mark = (one.errors(), other.errors()), street.wire.mark()
    before = packets(one, kind), packets(other, kind)
    for gateway, source, to in ((one, *addresses), (other, *addresses[::-1])):
        said = gateway.ping(source, to, PINGS, f"-i 0.1 -s {SIZE} -p a5")
        assert f"{PINGS} packets received" in said, said
    for gateway, then in zip((one, other), before, strict=True):
        assert packets(gateway, kind) == {spi: count + 2 * PINGS for spi, count in then.items()}
    frames = street.wire.since(mark)
    assert kinds(frames)[kind.frames] >= 4 * PINGS
    assert kinds(frames).keys() <= {kind.frames, "arp", "ike"}
    assert holds(frames, PATTERN) is kind.readable
    assert (one.errors(), other.errors()) == errors


def packets(gateway: Gateway, kind: Kind) -> dict[int, int]:
    """SPI -> packets that the SA has carried."""
    return {spi: sa.packets for spi, sa in gateway.sas(kind.protocol).items()}
