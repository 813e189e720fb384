"""What the daemon needs of the machine: its kernel, its addresses, the updown script, the settings around them.

`Machine` is the real one; `Nothing` plays along and changes nothing, for `--noklips`: IKE alone, without IPsec.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Protocol

from cygnet.conf.local import Local
from cygnet.connection.connection import Address, Setup
from cygnet.kernel.interface import Kernel
from cygnet.updown.call import Occasion, Updown

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
SECONDS_FOR_SCRIPT = 120
Log = Callable[[str], None]


class Host(Protocol):
    """``if_ids``: physical interface -> its (ipsecN, if_id)."""

    kernel: Kernel
    updown: Updown
    if_ids: Mapping[str, tuple[str, int]]

    def local(self) -> Local:
        """Addresses and default route as they are now."""

    def open(self, setup: Setup) -> None:
        """Take away what a daemon that crashed left, and make ready for this one."""

    def ready(self, setup: Setup) -> None:
        """The daemon answers from now on."""

    def bypass(self, made: socket.socket) -> None:
        """Let a socket's packets pass policies."""

    def encapsulate(self, made: socket.socket) -> None:
        """Let the kernel take ESP from a socket."""

    def close(self) -> None:
        """Take away all of ours."""


class Nothing:
    """A host on which nothing is installed. ``listen``: addresses that count as this host's, beside the real ones."""

    def __init__(self, listen: tuple[Address, ...]) -> None:
        from cygnet.kernel.fake import FakeKernel

        self.kernel: Kernel = FakeKernel()
        self.updown: Updown = self
        self.if_ids: Mapping[str, tuple[str, int]] = {}
        self._listen = listen

    def local(self) -> Local:
        """The real addresses, or those that it is told to listen at."""
        from cygnet.kernel.links import read_local

        found = read_local()
        return replace(found, addresses={"lo": self._listen}) if self._listen else found

    def open(self, setup: Setup) -> None:
        """Nothing to do."""

    def ready(self, setup: Setup) -> None:
        """Nothing to do."""

    def bypass(self, made: socket.socket) -> None:
        """Nothing to pass."""

    def encapsulate(self, made: socket.socket) -> None:
        """Nobody takes ESP."""

    def run(self, occasion: Occasion) -> None:
        """No script is called."""

    def close(self) -> None:
        """Nothing to take away."""
