"""Daemons on machines with a kernel's ESP: guests, and a Cygnet box. Each can load a connection and bring it up.

A machine is a guest (guest.py) or a box (builder/smoke/box.py): it runs commands.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

from guest import Guest
from ipsec_conf import IpsecConn
from offices import Sa, read_sas, xfrm_errors
from strongswan import CONFIG, GUEST_PLUGINS
from swanctl_config import Conn, End

from builder.settings import PROJECT
from builder.smoke.box import Box

IN_TIME = 90.0
PSK = "a swan's secret: 7 cygnets"
SOURCE = PROJECT / "packages/cygnet/src"


@dataclass(frozen=True)
class Kind:
    """One connection in the words of all: parameters of Cygnet's and libreswan's ipsec.conf, fields of Conn.

    ``protocol``: of the SAs that count, ``frames``: what is on the wire, ``readable``: by everyone.
    """

    cygnet: dict[str, str] = field(default_factory=dict)
    libreswan: dict[str, str] = field(default_factory=dict)
    strongswan: dict[str, str] = field(default_factory=dict)
    protocol: str = "esp"
    frames: str = "esp"
    readable: bool = False
    transport: bool = False


class Gateway(ABC):
    """A daemon on a machine with an address on the wire, and a host's address behind it. ``used``: it has a connection."""

    def __init__(self, machine: Guest | Box, end: End) -> None:
        # Any: what only one of the two has is used where only that one can be.
        self.machine: Any = machine
        self.end = end
        self.host = end.network.replace("0/24", "1")
        self.used = False

    def set_addresses(self, *others: End) -> None:
        """Its own addresses, and plain routes to the others, which any better route comes before."""
        lines = [f"ip address add {self.end.address}/24 dev eth0", "ip link set eth0 up"]
        lines += [f"ip address add {self.host}/24 dev dummy0", "ip link set dummy0 up"]
        lines += [f"ip route add {other.network} via {other.address} metric 500" for other in others]
        for line in lines:
            self.machine.text(line)

    @abstractmethod
    def start(self) -> None:
        """Run the daemon, nothing configured, until it answers."""

    def know(self, kind: Kind, other: End) -> None:
        """Know one connection, and no other, with ``other``."""
        self.used = True
        self.load(kind, other)

    @abstractmethod
    def load(self, kind: Kind, other: End) -> None:
        """What the daemon has to be told for that."""

    @abstractmethod
    def initiate(self) -> tuple[str, int]:
        """Bring the connection up: what it says; status 0 when it stands."""

    @abstractmethod
    def rekey(self) -> None:
        """Have new SAs for the connection, at once or soon."""

    @abstractmethod
    def down(self) -> None:
        """Take the connection down and forget it, if it is there."""

    @abstractmethod
    def log(self) -> str:
        """What the daemon has said."""

    def sas(self, protocol: str = "esp") -> dict[int, Sa]:
        """SPI -> SA, of its kernel's SAs of a protocol."""
        return {sa.spi: sa for sa in read_sas(self.machine) if sa.protocol == protocol}

    def errors(self) -> dict[str, int]:
        """Its kernel's XFRM error counters."""
        return xfrm_errors(self.machine)

    def ping(self, source: str, to: str, count: int, options: str = "") -> str:
        """Ping from one of its addresses: what ping says."""
        output, _ = self.machine.run(f"busybox ping -c {count} -W 5 -I {source} {options} {to}", IN_TIME)
        return output


class StrongSwanGateway(Gateway):
    """strongSwan in a guest."""

    def start(self) -> None:
        self.machine.write("/etc/strongswan.conf", CONFIG.format(plugins=GUEST_PLUGINS, settings=""))
        self.machine.text("mkdir -p /etc/swanctl && { /usr/lib/ipsec/charon >/run/charon.out 2>&1 & }")
        self.machine.wait_for("swanctl --stats", lambda said: "uptime" in said)

    def load(self, kind: Kind, other: End) -> None:
        conn = Conn(self.end, other, psk=PSK, **kind.strongswan)
        self.machine.write("/etc/swanctl/swanctl.conf", str(conn))
        self.machine.text("swanctl --load-all --noprompt")

    def initiate(self) -> tuple[str, int]:
        return self.machine.run("swanctl --initiate --child net --timeout 60", IN_TIME)

    def rekey(self) -> None:
        self.machine.text("swanctl --rekey --child net")

    def down(self) -> None:
        self.machine.run("swanctl --terminate --ike net --timeout 10")

    def log(self) -> str:
        return self.machine.run("cat /run/charon.log")[0]


LIBRESWAN_SETUP = "config setup\n\tikev1-policy=accept\n\tlogfile=/run/pluto.log\n\n"
LIBRESWAN_CONN = {"keyexchange": "ikev1"}


class LibreswanGateway(Gateway):
    """libreswan in a guest."""

    def start(self) -> None:
        self.machine.write("/etc/ipsec.conf", LIBRESWAN_SETUP)
        self.machine.text("ipsec initnss && mkdir -p /run/pluto && ipsec pluto --config /etc/ipsec.conf", IN_TIME)
        self.machine.wait_for("ipsec auto --status", lambda said: "Total IPsec connections" in said)

    def load(self, kind: Kind, other: End) -> None:
        conn = IpsecConn(self.end, other, LIBRESWAN_CONN | kind.libreswan)
        self.machine.write("/etc/ipsec.conf", LIBRESWAN_SETUP + str(conn))
        self.machine.write("/etc/ipsec.secrets", f'{self.end.id} {other.id} : PSK "{PSK}"')
        self.machine.text("ipsec auto --rereadsecrets && ipsec auto --replace net")

    def initiate(self) -> tuple[str, int]:
        return self.machine.run("ipsec auto --up net", IN_TIME)

    def rekey(self) -> None:
        """It does by itself when SAs are old enough; whack's command for it ends the daemon where it is IKEv1."""

    def down(self) -> None:
        self.machine.run("ipsec auto --down net; ipsec auto --delete net")

    def log(self) -> str:
        return self.machine.run("cat /run/pluto.log")[0]


CYGNET_SETUP = 'version 2\n\nconfig setup\n\tinterfaces="ipsec0=eth0"\n\n'
LAUNCHER = '#!/bin/sh\nPYTHONPATH=/usr/lib/cygnet-src exec python3 -OO -m cygnet.cli "$@"\n'


class CygnetGateway(Gateway):
    """Cygnet, by its commands; where it runs is up to those below."""

    def start(self) -> None:
        self.write("/etc/ipsec.conf", CYGNET_SETUP)
        self.write("/etc/ipsec.secrets", "")
        self.machine.text("ipsec setup start", IN_TIME)

    def load(self, kind: Kind, other: End) -> None:
        self.write("/etc/ipsec.conf", CYGNET_SETUP + str(IpsecConn(self.end, other, kind.cygnet)))
        self.write("/etc/ipsec.secrets", f'{self.end.id} {other.id} : PSK "{PSK}"\n')
        self.machine.text("ipsec auto --rereadsecrets && ipsec auto --replace net", IN_TIME)

    def initiate(self) -> tuple[str, int]:
        return self.machine.run("ipsec auto --up net", IN_TIME)

    def rekey(self) -> None:
        self.machine.text("ipsec auto --up net", IN_TIME)

    def down(self) -> None:
        self.machine.run("ipsec auto --delete net", IN_TIME)

    def log(self) -> str:
        return self.machine.run("cat /run/pluto/pluto.log 2>/dev/null || logread | grep pluto")[0]

    @abstractmethod
    def write(self, file: str, content: str) -> None:
        """A file that only root reads."""


class CygnetGuest(CygnetGateway):
    """Cygnet's source with Debian's Python, in a guest."""

    def start(self) -> None:
        self.machine.send(SOURCE, "/usr/lib/cygnet-src")
        self.machine.write("/usr/sbin/ipsec", LAUNCHER)
        self.machine.text("chmod 755 /usr/sbin/ipsec")
        super().start()

    def write(self, file: str, content: str) -> None:
        self.machine.text(f"umask 077; : >{file}")
        self.machine.write(file, content)
