"""Two real daemons, two processes, on the loopback interface, and the commands as users give them.

All is real but the kernel: a host without ESP, and without root's rights over it, can run this.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(SOURCE)}
PATIENCE = 30.0
CONFIG = """version 2
config setup
\tinterfaces="ipsec0=lo"
conn %default
\tauthby=secret
\tkeyingtries=1
\tleft=127.0.0.1
\tleftsubnet=10.1.0.0/24
\tright=127.0.0.2
conn west-east
\trightsubnet=10.2.0.0/24
\tauto=add
conn unknown-there
\trightsubnet=10.3.0.0/24
"""
SECRETS = '127.0.0.1 127.0.0.2 : PSK "a long password for two"\n'


def free_ports() -> list[str]:
    made = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for one in made:
        one.bind(("127.0.0.1", 0))
    ports = [str(one.getsockname()[1]) for one in made]
    for one in made:
        one.close()
    return ports


class Box:
    """A daemon at one address, or at all that this machine has, with files of its own."""

    def __init__(
        self, place: Path, address: str, ports: list[str], config: str = CONFIG, secrets: str = SECRETS
    ) -> None:
        place.mkdir()
        self.place, self.base = place, str(place / "run/pluto")
        (place / "ipsec.conf").write_text(config)
        (place / "ipsec.secrets").write_text(secrets)
        (place / "ipsec.secrets").chmod(0o600)
        self.words = ["--noklips", "--ikeport", ports[0], "--natikeport", ports[1]]
        self.words += ["--listen", address] if address else []
        self.words += ["--config", str(place / "ipsec.conf"), "--secretsfile", str(place / "ipsec.secrets")]
        self.start()

    def start(self) -> None:
        with (self.place / "log").open("a") as log:
            self.process = subprocess.Popen(self.command(), env=ENVIRONMENT, stdin=subprocess.DEVNULL, stderr=log)
        self.wait(lambda: Path(self.base + ".ctl").exists())

    def command(self) -> list[str]:
        return [sys.executable, "-m", "cygnet.daemon", "--ctlbase", self.base, *self.words]

    def wait(self, until: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not until():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)

    def log(self) -> str:
        return (self.place / "log").read_text()

    def ipsec(self, *words: str) -> tuple[list[str], int]:
        """Lines, the changing numbers taken out, and the exit status."""
        command = [sys.executable, "-m", "cygnet.cli", *words, "--ctlbase", self.base]
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE, check=False)
        return re.sub(r"0x[0-9a-f]{8}", "0x...", done.stdout + done.stderr).splitlines(), done.returncode

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Box, Box]]:
    ports = free_ports()
    there = CONFIG.partition("conn unknown-there")[0]
    boxes = Box(tmp_path / "west", "127.0.0.1", ports), Box(tmp_path / "east", "127.0.0.2", ports, there)
    yield boxes
    for box in boxes:
        if box.process.poll() is None:
            box.end()


def test_a_tunnel_is_brought_up_shown_and_taken_down_as_with_freeswan(pair: tuple[Box, Box]) -> None:
    west, east = pair
    # Given two daemons that have the connection, when one side brings it up,
    lines, status = west.ipsec("auto", "--up", "west-east")
    # then the lines are FreeS/WAN's, and the status is that of a tunnel that stands;
    assert [line[:41] for line in lines] == [
        '104 "west-east" #1: STATE_MAIN_I1: initia',
        '106 "west-east" #1: STATE_MAIN_I2: sent M',
        '108 "west-east" #1: STATE_MAIN_I3: sent M',
        '004 "west-east" #1: STATE_MAIN_I4: ISAKMP',
        '112 "west-east" #2: STATE_QUICK_I1: initi',
        '004 "west-east" #2: STATE_QUICK_I2: sent ',
    ]
    assert status == 0
    # both sides show it, also in whack's words;
    east.wait(lambda: "IPsec SA established" in "".join(east.ipsec("auto", "--status")[0]))
    assert west.ipsec("whack", "--status")[1] == 0
    # when the other side takes it down, it is gone on this one too, but its route stays.
    assert east.ipsec("auto", "--down", "west-east")[1] == 0
    west.wait(lambda: "IPsec SA established" not in "".join(west.ipsec("auto", "--status")[0]))
    assert any("prospective erouted" in line for line in west.ipsec("auto", "--status")[0])
    # The log is free of the secret, and each daemon ends at a word.
    assert "password" not in west.log() + east.log()
    assert west.ipsec("whack", "--shutdown")[1] == 0
    assert west.process.wait(PATIENCE) == 0
    assert east.end() == 0
    assert not list((west.place / "run").iterdir()) + list((east.place / "run").iterdir())


def test_what_the_peer_does_not_know_is_said_and_ends_with_its_code(pair: tuple[Box, Box]) -> None:
    west, _ = pair
    assert west.ipsec("auto", "--add", "unknown-there") == ([], 0)
    assert west.ipsec("auto", "--verbose", "--replace", "unknown-there")[0][-1] == (
        '002 added connection description "unknown-there"'
    )
    lines, status = west.ipsec("auto", "--up", "unknown-there")
    assert status not in (0, 1, 2)
    assert any("INVALID_ID_INFORMATION" in line and "10.3.0.0/24" in line for line in lines), lines
    assert any("not up" in line for line in west.ipsec("auto", "--status")[0])


def test_a_first_packet_does_not_wait_for_openssl(tmp_path: Path) -> None:
    idle = Box(tmp_path / "idle", "127.0.0.2", free_ports(), config=CONFIG.replace("auto=add", "auto=ignore"))
    box = Box(tmp_path / "west", "127.0.0.1", free_ports())
    box.wait(lambda: "cryptography" in Path(f"/proc/{box.process.pid}/maps").read_text())
    assert "cryptography" not in Path(f"/proc/{idle.process.pid}/maps").read_text()
    assert (box.end(), idle.end()) == (0, 0)


def test_a_daemon_that_was_killed_starts_again_over_its_own_remains(tmp_path: Path) -> None:
    box = Box(tmp_path / "west", "127.0.0.1", free_ports())
    assert box.end(signal.SIGKILL) == -signal.SIGKILL
    lines, status = box.ipsec("setup", "--status")
    assert (lines[0], status) == ("IPsec stopped", 1)
    assert any("has died" in line for line in lines)
    assert "has died" in box.ipsec("auto", "--status")[0][0]
    box.start()
    box.wait(lambda: box.ipsec("auto", "--status")[1] == 0)
    assert box.ipsec("setup", "status") == (["IPsec running", f"pluto pid {box.process.pid}"], 0)
    command = [sys.executable, "-m", "cygnet.daemon", "--ctlbase", box.base, *box.words]
    second = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (second.returncode, second.stderr) == (
        10,
        f"Pluto runs already, as process {box.process.pid} ({box.base}.pid is locked)\n",
    )
    assert box.end() == 0
