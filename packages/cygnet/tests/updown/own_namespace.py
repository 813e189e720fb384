"""The updown script in a network namespace of the test's own, with this machine's programs."""

import os
import subprocess
from pathlib import Path

import cygnet.updown

SCRIPT = Path(cygnet.updown.__file__).with_name("_updown")
FACTS = {
    "CONNECTION": "net",
    "CONN_TYPE": "tunnel",
    "INTERFACE": "ipsec0",
    "REQID": "16384",
    "ME": "192.0.2.1",
    "PEER": "192.0.2.2",
    "MY_CLIENT": "10.1.0.0/24",
    "PEER_CLIENT": "10.2.0.0/24",
    "MY_PROTOCOL": "0",
}


class OwnNamespace:
    """A namespace with nothing in it. ``programs``: a folder whose programs come first."""

    def __init__(self, shell: list[str], programs: str = "") -> None:
        self.shell, self._path = shell, f"{programs}:{os.environ['PATH']}"
        self._holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._holder.stdout
        self._holder.stdout.readline()

    def close(self) -> None:
        self._holder.communicate()

    def run(
        self, *words: str, facts: dict[str, str] | None = None, lines: str = ""
    ) -> subprocess.CompletedProcess[str]:
        enter = ["nsenter", f"--net=/proc/{self._holder.pid}/ns/net", *words]
        told = {f"PLUTO_{name}": value for name, value in (facts or {}).items()} | {"PATH": self._path}
        return subprocess.run(enter, env=told, input=lines, capture_output=True, text=True, check=False)

    def output(self, *words: str) -> str:
        """Of a program that must succeed."""
        done = self.run(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def call(self, verb: str, *words: str, **changes: str) -> None:
        """The updown script, which must succeed and say nothing."""
        done = self.run(*self.shell, str(SCRIPT), *words, facts=FACTS | changes | {"VERB": verb})
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
