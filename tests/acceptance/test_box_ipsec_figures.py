"""What the keying daemon costs on the box: time until it is ready, memory with one tunnel and with each further one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from keying import PATIENCE, configure, conn, forget, start, up
from offices import Offices, offices, quiet_wire, read_sas

from builder.smoke.box import Box
from builder.smoke.capture import Capture

pytestmark = pytest.mark.once

RESIDENT_KIB, FURTHER_KIB = 20 * 1024, 40
FURTHER = 8
TICKS, MICROSECONDS = 100, 1_000_000  # a second, as /proc counts and as /dev/kmsg does
SECRET = ("authby=secret", "pfs=no")


@pytest.fixture(scope="module")
def many(boxes: dict[str, Box], capture: Capture) -> Iterator[Offices]:
    """Two daemons with one connection between the hosts' networks; FURTHER between others stand in their files."""
    for box in boxes.values():
        box.log_in()
    text = conn("first", *SECRET, "auto=add")
    for number in range(1, FURTHER + 1):
        lans = (f"leftsubnet=10.1.{number}.0/24", f"rightsubnet=10.2.{number}.0/24")
        text += conn(f"further-{number}", *SECRET, *lans, lans=False)
    with quiet_wire(*boxes.values()), offices(boxes, capture) as made:
        for side, _ in made.both:
            configure(side, text, '192.0.2.1 192.0.2.2 : PSK "figures"\n')
            start(side)
        yield made
        for side, _ in made.both:
            forget(side)


def daemon(box: Box) -> str:
    """The daemon's process id."""
    return box.text("cat /run/pluto/pluto.pid").strip()


def resident_kib(box: Box) -> dict[str, int]:
    """VmRSS and its parts, of the daemon."""
    text = box.text(f"grep -E 'VmRSS|RssAnon|VmHWM' /proc/{daemon(box)}/status")
    return {name: int(kib) for name, kib in re.findall(r"(\w+):\s+(\d+) kB", text)}


def seconds_to_ready(box: Box) -> float:
    """From the start of the daemon's process until it listened: a figure, which depends on what else the machine does."""
    began = int(box.text(f"cut -d ' ' -f 22 /proc/{daemon(box)}/stat")) / TICKS
    log, _ = box.run("timeout 2 cat /dev/kmsg | grep 'pluto: Pluto initialized'")
    ready = int(re.findall(r"^\d+,\d+,(\d+),", log, re.MULTILINE)[-1]) / MICROSECONDS
    return ready - began


def test_memory(many: Offices, record_property: Callable[[str, object], None]) -> None:
    """The daemon's resident memory with one tunnel is within 20 MB, each further connection and tunnel within 40 kB"""
    record_property("daemon ready seconds", f"{seconds_to_ready(many.a.box):.1f}")
    up(many.a, "first")
    one = resident_kib(many.a.box)
    numbers = f"for n in $(seq 1 {FURTHER}); do"
    for side in (many.b, many.a):
        side.box.text(f"{numbers} ipsec auto --add further-$n || exit; done", FURTHER * PATIENCE)
    many.a.box.text(f"{numbers} ipsec auto --up further-$n || exit; done", FURTHER * PATIENCE)
    assert len(read_sas(many.a.box)) == 2 * (FURTHER + 1)
    further = (resident_kib(many.a.box)["VmRSS"] - one["VmRSS"]) / FURTHER
    record_property("daemon resident KiB with one tunnel", one["VmRSS"])
    record_property("each further tunnel KiB", f"{further:.1f}")
    assert one["VmRSS"] <= RESIDENT_KIB
    assert further <= FURTHER_KIB
