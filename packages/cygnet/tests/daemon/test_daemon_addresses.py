"""The daemon hears of addresses that come and go: its watch by a clock of the test's, then two whole daemons.

Each of these has a network namespace of its own. The link between them is taken away and made anew, as PPP does it; all
is real but the kernel's IPsec.
"""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cygnet.daemon.watch import SETTLING, Watch
from test_daemon_two import Box, free_ports

NEW_NAMESPACE = 0x40000000
SECRETS = ': PSK "a long password for two"\n'
CONFIG = """version 2
conn west-east
\tauthby=secret
\tleft={left}
\tleftid=@west
\tleftsubnet=10.1.0.0/24
\tright={right}
\trightid=@east
\trightsubnet=10.2.0.0/24
\tkeyingtries=%forever
\tauto={auto}
"""


class Changes:
    """What was heard of, as the test says."""

    matters = True

    def heard(self) -> bool:
        return self.matters


def test_a_change_is_looked_at_once_it_has_settled_however_many_more_there_are() -> None:
    changes, now, looks = Changes(), [100.0], []
    watch = Watch(changes, lambda: looks.append(now[0]), lambda: now[0])  # type: ignore[arg-type]
    assert watch.next_deadline() is None
    for _ in range(50):
        watch.readable(1)
        now[0] += 0.01
    assert watch.next_deadline() == 100.0 + SETTLING
    watch.run_timers(100.0 + SETTLING)
    assert (len(looks), watch.next_deadline()) == (1, None)
    changes.matters = False
    watch.readable(1)
    assert watch.next_deadline() is None


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def elsewhere() -> Iterator[int]:
    """This test in a namespace of its own; the process id of one that holds another."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    assert libc.unshare(NEW_NAMESPACE) == 0, os.strerror(ctypes.get_errno())
    holder = subprocess.Popen(["unshare", "-n", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        # What it says comes from within the new namespace.
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdin.write(b"here\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == b"here\n"
        yield holder.pid
    finally:
        libc.setns(home, 0)
        os.close(home)
        holder.kill()
        holder.communicate()


def dial(address: str, there: int) -> None:
    """A link with an address, the peer's on the other side as PPP names both, and a default route over it."""
    ip("link", "add", "ppp0", "type", "veth", "peer", "name", "eth0", "netns", str(there))
    inside = ("-n", f"/proc/{there}/ns/net")
    subprocess.run(
        ["nsenter", f"--net={inside[1]}", "sh", "-c",
         "ip address add 192.0.2.2/24 dev eth0; ip link set eth0 up; ip route add default dev eth0"],
        check=True, capture_output=True,
    )  # fmt: skip
    ip("address", "add", address, "peer", "192.0.2.2", "dev", "ppp0")
    ip("link", "set", "ppp0", "up")
    ip("route", "add", "default", "dev", "ppp0")


class Elsewhere(Box):
    """A box whose daemon runs in the namespace of another process."""

    def __init__(self, place: Path, ports: list[str], config: str, there: int) -> None:
        self.there = there
        super().__init__(place, "", ports, config, SECRETS)

    def command(self) -> list[str]:
        return ["nsenter", f"--net=/proc/{self.there}/ns/net", *super().command()]


def test_a_link_that_is_redialled_brings_its_tunnel_back(elsewhere: int, tmp_path: Path) -> None:
    """Both links go, and come with another address on one side: nobody does anything, no daemon starts anew."""
    ip("link", "set", "lo", "up")
    ports = free_ports()
    # Given two daemons that start while there is no link,
    east = Elsewhere(
        tmp_path / "east", ports, CONFIG.format(left="%any", right="192.0.2.2", auto="add"), elsewhere
    )  # fmt: skip
    west = Box(
        tmp_path / "west", "", ports, CONFIG.format(left="%defaultroute", right="192.0.2.2", auto="start"), SECRETS
    )
    assert 'west-east" (' in east.log()
    assert "waits: this box has no address 192.0.2.2 now" in east.log()
    assert "waits: there is no default route now" in west.log()
    stands = "IPsec SA established"
    for number, address in enumerate(("192.0.2.77", "192.0.2.78"), 1):
        # when the link is dialled,
        dial(address, elsewhere)
        # then the tunnel comes;
        west.wait(lambda: west.log().count(stands) == number)  # noqa: B023
        east.wait(lambda: east.log().count(stands) == number)  # noqa: B023
        assert f"this box is at {address} (ppp0) now" in west.log()
        # when it is hung up, what waits is said in words.
        ip("link", "del", "ppp0")
        west.wait(lambda: west.log().count('"west-east": waits: ') == number)  # noqa: B023
        east.wait(lambda: east.log().count('"west-east": waits: ') == number)  # noqa: B023
        [why] = [line for line in west.ipsec("auto", "--status")[0] if "not up" in line]
        assert re.search("not up: it waits: there is no default route now", why)
    assert (west.end(), east.end()) == (0, 0)
    assert "internal error" not in west.log() + east.log()
