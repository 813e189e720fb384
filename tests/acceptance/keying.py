"""The keying daemon on a box, as an administrator has it: files in /etc, `ipsec` commands, what it says.

RSA keys are made here: on a 486 that takes its time.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from offices import Offices, Side, read_sas

from builder.smoke.box import Box

PROJECT = Path(__file__).resolve().parents[2]
CONFIGURATION, SECRETS = "/etc/ipsec.conf", "/etc/ipsec.secrets"
# Where both are meanwhile, as they were.
STOCK = "/root/stock"
LINK = "/run/service/ipsec"
# Where there is no link, nothing runs: starting Python to be told so takes seconds.
STOP = f"test ! -e {LINK} || ipsec setup stop"
# How long a machine that is busy with something else may take for a negotiation.
PATIENCE = 90
RSA_BITS = 2048
SETUP = """\
version 2

config setup
	interfaces="ipsec0=eth0"

conn %default
	left=192.0.2.1
	right=192.0.2.2
	keyingtries=1
"""
LANS = """
	leftsubnet=10.1.0.0/24
	rightsubnet=10.2.0.0/24
"""


@dataclass(frozen=True)
class RsaKey:
    """A key as `ipsec newhostkey` writes it, and its public half as ipsec.conf has it."""

    secret: str
    public: str


def make_key() -> RsaKey:
    """A new key, made on this machine by the box's own program."""
    words = [sys.executable, "-m", "cygnet.cli", "newhostkey", "--quiet", f"--bits={RSA_BITS}"]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "packages/cygnet/src")}
    text = subprocess.run(words, env=environment, capture_output=True, text=True, check=True).stdout
    found = re.search(r"#pubkey=(0s\S+)", text)
    assert found, "newhostkey says no public key"
    return RsaKey(text, found[1])


def conn(name: str, *lines: str, lans: bool = True) -> str:
    """A conn section; between the hosts' networks unless said otherwise."""
    body = "".join(f"\t{line}\n" for line in lines)
    return f"\nconn {name}" + (LANS if lans else "\n") + body


def write(box: Box, file: str, text: str, mode: str = "600") -> None:
    """A file of the box, whole."""
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / "file"
        local.write_text(text)
        box.send(local, f"{file}.sent")
    box.text(f"chmod {mode} {file}.sent && mv {file}.sent {file} && sync")


def configure(side: Side, connections: str, secrets: str, setup: str = "") -> None:
    """Configuration and secrets of one box, whose daemon does not run. `forget` brings back what was there.

    ``setup``: more lines of config setup.
    """
    take_over(side)
    head = SETUP.replace("config setup\n", f"config setup\n{setup}")
    write(side.box, CONFIGURATION, head + connections, "644")
    write(side.box, SECRETS, secrets)


def take_over(side: Side) -> None:
    """No daemon, and both files kept for `forget`."""
    # A new box is still making its key.
    side.box.wait_for(f"ls {SECRETS}", lambda text: text == SECRETS, 2 * PATIENCE)
    side.box.text(f"test -e {STOCK} || {{ mkdir {STOCK} && cp -p {CONFIGURATION} {SECRETS} {STOCK}/; }}")
    stop(side)


def forget(side: Side) -> None:
    """No daemon, and both files as they were, also after the power cut that ends these tests."""
    stop(side)
    side.box.text(f"mv {STOCK}/* /etc/ && rmdir {STOCK} && sync")


def stop(side: Side) -> None:
    """No daemon, and nobody who would start it again."""
    side.box.run(f"{STOP}; rm -f {LINK}", PATIENCE)


def start(side: Side) -> None:
    """Start the daemon, or start it anew; it answers when this returns."""
    side.box.run(STOP, PATIENCE)
    side.box.text("ipsec setup start", PATIENCE)


def up(side: Side, name: str) -> str:
    """`ipsec auto --up`: what it said. It must have brought the tunnel up."""
    return side.box.text(f"ipsec auto --up {name}", PATIENCE)


def stands(offices: Offices, count: int) -> None:
    """Wait until each box has ``count`` SAs, and routes to them: the answering one is last by one packet."""
    for side, _ in offices.both:
        side.box.wait_for("ip xfrm state count", lambda _, box=side.box: len(read_sas(box)) == count, PATIENCE)
        # Routes are made after SAs, and the daemon answers when it is through with both.
        side.box.text("ipsec auto --status", PATIENCE)


def log(box: Box) -> str:
    """What the daemon has said."""
    return box.text("logread | grep pluto; true")
