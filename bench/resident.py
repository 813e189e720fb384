"""What the daemon's process holds with many opportunistic pairs: `.venv/bin/python bench/resident.py [pairs]`.

Two real daemons on the loopback interface, two processes, a name server beside them; only the kernel is a fake one,
which keeps SAs and policies in the same process.  It says VmRSS of each end with one pair, with all of them, and what
each is of it.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from ipaddress import ip_address
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "packages/cygnet/src"
sys.path.insert(0, str(SOURCE))

import dns.message  # noqa: E402
import dns.rdatatype  # noqa: E402
import dns.reversename  # noqa: E402
import dns.rrset  # noqa: E402
from cygnet.connection.selector import host_selector  # noqa: E402
from cygnet.daemon import daemon as daemons  # noqa: E402
from cygnet.daemon.host import Nothing  # noqa: E402
from cygnet.daemon.log import standard_error  # noqa: E402
from cygnet.daemon.lookups import Lookups  # noqa: E402
from cygnet.daemon.main import read_settings  # noqa: E402
from cygnet.ike.strangers import State  # noqa: E402
from cygnet.kernel.interface import Acquire  # noqa: E402

MOST = 1000
WEST, EAST = "127.0.0.1", "127.0.0.2"
CONN = """version 2
config setup
\tinterfaces="ipsec0=lo"
conn anyone
\tleft={here}
\tleftsubnet={subnet}
\tright=%opportunistic
\tauto=route
\trekey=no
"""
AT_ONCE, STANDS = 8, "so many pairs stand: {}."
PAUSE, TO_LOOK, PATIENCE = 0.02, 1.0, 1200.0
PYTHON = (sys.executable, "-OO")


class Calls:
    """A first packet to one host, then to the others, a few at a time; a line when they stand, and time to look."""

    def __init__(self, one: daemons.Daemon, count: int) -> None:
        self._daemon, self._left, self._due = one, list(range(count)), 0.0
        self._goals = [1, count] if count else []

    def next_deadline(self) -> float | None:
        """Soon, as long as there is something to do."""
        return self._due if self._goals else None

    def run_timers(self, now: float) -> None:
        """The next packets."""
        self._due = now + PAUSE
        engine = self._daemon.engine
        states = [pair.state for pair in engine.strangers.pairs.values()]
        up = states.count(State.UP)
        if up == self._goals[0]:
            self._daemon.log(STANDS.format(self._goals.pop(0)))
            self._due = now + TO_LOOK
            return
        [trap] = {one.templates[0].reqid for one in self._daemon.host.kernel.list_policies() if one.interface}
        for _ in range(min(AT_ONCE - len(states) + up, self._goals[0] - len(states))):
            ends = (ip_address(WEST), ip_address("11.0.0.0") + self._left.pop())
            engine.acquired(Acquire(trap, *map(host_selector, ends)), now)


def serve(count: int, name_server: int, resolv_conf: str, *words: str) -> None:
    """One daemon, in a process of its own."""
    daemons.Lookups = lambda *two: Lookups(*two, Path(resolv_conf), name_server)  # type: ignore[misc,assignment]
    settings = read_settings(list(words))
    one = daemons.Daemon(settings, Nothing(settings.listen), standard_error())
    one.loop.timed.append(Calls(one, count))
    one.run()


def answer(made: socket.socket, public: dict[str, str]) -> None:
    """Everybody behind east; both gateways name themselves."""
    while True:
        packet, sender = made.recvfrom(2000)
        query = dns.message.from_wire(packet)
        name, kind = query.question[0].name, query.question[0].rdtype
        reply = dns.message.make_response(query)
        gateway = WEST if name == dns.reversename.from_address(WEST) else EAST
        if kind == dns.rdatatype.TXT:
            text = f'"X-IPsec-Server(10)={gateway} " {public[gateway]}'
            reply.answer = [dns.rrset.from_text(name, 300, "IN", kind, text)]
        made.sendto(reply.to_wire(), sender)


def free_port() -> int:
    """Of UDP, at both addresses."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind((WEST, 0))
        return int(made.getsockname()[1])


def start(place: Path, here: str, subnet: str, count: int, words: list[str]) -> tuple[subprocess.Popen[bytes], str]:
    """A daemon, and its public key as a TXT record has it."""
    place.mkdir()
    secrets = place / "ipsec.secrets"
    made = [*PYTHON, "-m", "cygnet.cli", "newhostkey", "--quiet", "--bits=2048"]
    environment = {"PYTHONPATH": str(SOURCE)}
    secrets.write_bytes(subprocess.run(made, env=environment, stdout=subprocess.PIPE, check=True).stdout)
    secrets.chmod(0o600)
    (place / "ipsec.conf").write_text(CONN.format(here=here, subnet=subnet))
    files = ["--config", str(place / "ipsec.conf"), "--secretsfile", str(secrets), "--ctlbase", str(place / "pluto")]
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(
            [*PYTHON, __file__, "daemon", str(count), *words, *files, "--listen", here], stderr=log
        )
    found = re.search(r"#pubkey=0s(\S+)", secrets.read_text())
    assert found
    return process, " ".join(f'"{piece}"' for piece in re.findall(".{1,200}", found[1]))


def resident(process: subprocess.Popen[bytes]) -> int:
    """VmRSS in KiB."""
    assert process.poll() is None, "a daemon has ended"
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
    assert found
    return int(found[1])


def await_line(log: Path, text: str) -> None:
    """Until a daemon has said it."""
    end = time.monotonic() + PATIENCE
    while text not in log.read_text():
        assert time.monotonic() < end, f"{log} has no line {text!r}: {log.read_text()[-2000:]}"
        time.sleep(PAUSE)


def main(count: int) -> None:
    """Measure and say."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        top = Path(folder)
        (top / "resolv.conf").write_text(f"nameserver {WEST}\n")
        asked.bind((WEST, 0))
        ports = [f"--ikeport={free_port()}", f"--natikeport={free_port()}", "--noklips"]
        words = [str(asked.getsockname()[1]), str(top / "resolv.conf"), *ports]
        east, its = start(top / "east", EAST, "11.0.0.0/8", 0, words)
        public = {EAST: its}
        threading.Thread(target=answer, args=(asked, public), daemon=True).start()
        await_line(top / "east/log", "Pluto initialized")
        west, public[WEST] = start(top / "west", WEST, f"{WEST}/32", count, words)
        try:
            await_line(top / "west/log", STANDS.format(1))
            before = [resident(one) for one in (west, east)]
            await_line(top / "west/log", STANDS.format(count))
            for name, first, one in zip(("who calls", "who is called"), before, (west, east), strict=True):
                last = resident(one)
                each = (last - first) / (count - 1)
                print(
                    f"{name}: one pair {first / 1024:.1f} MiB, {count} pairs {last / 1024:.1f} MiB, {each:.1f} KiB each"
                )
        finally:
            for one in (west, east):
                one.kill()
                one.wait()


if __name__ == "__main__":
    if sys.argv[1:2] == ["daemon"]:
        serve(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], *sys.argv[5:])
    else:
        main(int(sys.argv[1]) if len(sys.argv) == 2 else MOST)
