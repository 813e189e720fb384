"""The two daemons in guests: started, configured, asked for what their kernel's SAs have carried."""

from __future__ import annotations

from dataclasses import dataclass

from capture import Capture
from guest import Guest
from offices import Sa, read_sas
from strongswan import CONFIG, GUEST_PLUGINS
from swanctl_config import Conn, End

IN_TIME = 60


class GuestPeer:
    """What both have in common: a guest with an address on the wire and a host's address behind it."""

    def __init__(self, guest: Guest, end: End) -> None:
        self.guest = guest
        self.end = end
        self.host = str(end.network).replace("0/24", "1")

    def set_addresses(self, other: End) -> None:
        """Its own address, one of the network behind it, and a plain route to the other side."""
        self.guest.text(
            f"ip address add {self.end.address}/24 dev eth0; ip link set eth0 up; "
            f"ip address add {self.host}/24 dev dummy0; ip link set dummy0 up; "
            f"ip route replace {other.network} via {other.address} src {self.host}"
        )

    def sas(self, protocol: str = "esp") -> dict[int, Sa]:
        """SPI -> SA, of its kernel's SAs of a protocol."""
        return {sa.spi: sa for sa in read_sas(self.guest) if sa.protocol == protocol}

    def ping(self, to: str, count: int, options: str = "") -> None:
        """Ping from the host's address; every answer has to come."""
        output, _ = self.guest.run(f"busybox ping -c {count} -i 0.2 -W 5 -I {self.host} {options} {to}", timeout=90)
        assert f"{count} packets received" in output, output

    def ping_until_answered(self, to: str) -> None:
        """The first packet may be lost: the responder's SA is there only when the third message is."""
        self.guest.wait_for(f"busybox ping -c 1 -W 1 -I {self.host} {to}", lambda said: "1 packets received" in said)


class GuestStrongSwan(GuestPeer):
    """strongSwan with the kernel's ESP."""

    def start(self) -> None:
        """Start charon and wait until it answers."""
        self.guest.write("/etc/strongswan.conf", CONFIG.format(plugins=GUEST_PLUGINS, settings=""))
        self.guest.text("mkdir -p /etc/swanctl && { /usr/lib/ipsec/charon >/run/charon.out 2>&1 & }")
        self.guest.wait_for("swanctl --stats", lambda said: "uptime" in said)

    def load(self, conn: Conn) -> None:
        """Take a connection and its secret."""
        self.guest.write("/etc/swanctl/swanctl.conf", str(conn))
        self.guest.text("swanctl --load-all --noprompt")

    def initiate(self) -> tuple[str, int]:
        """Bring the connection up; status 0 when it stands."""
        return self.guest.run(f"swanctl --initiate --child net --timeout {IN_TIME}", IN_TIME + 30)

    def log(self) -> str:
        """charon's log."""
        return self.guest.run("cat /run/charon.log")[0]


LIBRESWAN = """config setup
    ikev1-policy=accept
    logfile=/run/pluto.log

conn net
    keyexchange=ikev1
    authby=secret
    left={left.address}
    leftid={left.id}
    leftsubnet={left.network}
    right={right.address}
    rightid={right.id}
    rightsubnet={right.network}
    ike={ike}
    esp={esp}
    auto=ignore
    {more}
"""


class GuestLibreswan(GuestPeer):
    """libreswan with the kernel's ESP."""

    def start(self) -> None:
        """Start pluto with nothing configured, and wait until it answers."""
        self.guest.write("/etc/ipsec.conf", "config setup\n    ikev1-policy=accept\n    logfile=/run/pluto.log\n")
        self.guest.text("ipsec initnss >/dev/null && mkdir -p /run/pluto && ipsec pluto --config /etc/ipsec.conf", 60)
        self.guest.wait_for("ipsec auto --status", lambda said: "Total IPsec connections" in said)

    def load(
        self, other: End, psk: str, ike: str = "aes128-sha2_256-modp2048", esp: str = "aes128-sha2_256", more: str = ""
    ) -> None:
        """Take a connection and its secret; ``more``: further lines of the conn."""
        self.guest.write("/etc/ipsec.conf", LIBRESWAN.format(left=self.end, right=other, ike=ike, esp=esp, more=more))
        self.guest.write("/etc/ipsec.secrets", f'{self.end.id} {other.id} : PSK "{psk}"')
        self.guest.text("ipsec auto --rereadsecrets && ipsec auto --replace net")

    def initiate(self) -> tuple[str, int]:
        """Bring the connection up; status 0 when it stands."""
        return self.guest.run("ipsec auto --up net", IN_TIME)

    def log(self) -> str:
        """pluto's log."""
        return self.guest.run("cat /run/pluto.log")[0]


@dataclass(frozen=True)
class Peers:
    """Both, on one wire."""

    strongswan: GuestStrongSwan
    libreswan: GuestLibreswan
    wire: Capture

    @property
    def both(self) -> tuple[GuestPeer, GuestPeer]:
        """The one and the other."""
        return self.strongswan, self.libreswan
