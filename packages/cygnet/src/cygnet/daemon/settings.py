"""What the daemon's command line says (pluto(8)); what ipsec.conf says is `Setup`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cygnet.connection.connection import Address
from cygnet.control.codes import CONTROL_BASE, LOCK_SUFFIX, SOCKET_SUFFIX
from cygnet.ike.path import NAT_PORT


@dataclass(frozen=True)
class Settings:
    """``ike_port``: None for that of ipsec.conf. ``listen``: addresses to bind, () for all.

    ``no_kernel``: negotiate, but install nothing anywhere. ``router``: the program that turns forwarding on and off.
    """

    config: Path = Path("/etc/ipsec.conf")
    secrets: Path = Path("/etc/ipsec.secrets")
    base: str = CONTROL_BASE
    ike_port: int | None = None
    nat_port: int = NAT_PORT
    listen: tuple[Address, ...] = ()
    no_kernel: bool = False
    router: str = ""

    @property
    def lock(self) -> Path:
        """The pid file."""
        return Path(self.base + LOCK_SUFFIX)

    @property
    def socket(self) -> Path:
        """The control socket."""
        return Path(self.base + SOCKET_SUFFIX)
