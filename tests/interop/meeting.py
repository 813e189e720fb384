"""Cygnet at one end, strongSwan at the other: what the tests of the two share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cygnet_node import Cygnet
from ipsec_conf import IpsecConn
from network import Node
from strongswan import StrongSwan
from swanctl_config import Conn, End
from topology import EAST, EAST_NET, WEST, WEST_NET

RunStrongSwan = Callable[..., StrongSwan]
RunCygnet = Callable[[Node], Cygnet]
PSK = "a swan's secret: 7 cygnets"
WEST_END, EAST_END = End(WEST, WEST_NET), End(EAST, EAST_NET)
SECRETS = f': PSK "{PSK}"\n'
# The same connection in the words of both.
CYGNET, SWAN = IpsecConn(WEST_END, EAST_END), Conn(EAST_END, WEST_END, psk=PSK)


@dataclass(frozen=True)
class Pair:
    """The SPIs of two SAs, as Cygnet sees them."""

    outbound: int
    inbound: int


@dataclass(frozen=True)
class Meeting:
    """The two of them; `start` configures both and runs Cygnet (strongSwan runs already)."""

    cygnet: Cygnet
    swan: StrongSwan

    def start(self, cygnet: IpsecConn = CYGNET, swan: Conn = SWAN, secrets: str = SECRETS, setup: str = "") -> None:
        """Both know the connection, nobody has asked for it."""
        self.swan.load(str(swan))
        self.cygnet.configure(cygnet, secrets, setup)
        self.cygnet.start()

    def bring_up(self, by: str) -> str:
        """Have "cygnet" or "strongswan" bring the connection up: what it says. Both then have the same."""
        if by == "cygnet":
            said = self.cygnet.auto("--up")
        else:
            said, status = self.swan.initiate("net")
            assert status == 0, f"{said}\n{self.cygnet.log()[-3000:]}"
        self.agree(by)
        return said

    def agree(self, by: str, replaces: Pair | None = None) -> Pair:
        """Wait for a pair of SAs with the same SPIs at both ends, another than ``replaces``; the keys are the same.

        ``by``: who asked for it, "cygnet" or "strongswan".
        """
        self.cygnet.wait(lambda: self._newest() not in (None, replaces))
        pair = self._newest()
        assert pair is not None
        keys = self.swan.keys()[-1]
        # Who asked sends with the initiator's keys.
        outbound, inbound = ("initiator", "responder") if by == "cygnet" else ("responder", "initiator")
        for spi, whose in ((pair.outbound, outbound), (pair.inbound, inbound)):
            ours = next(sa.keys for sa in self.cygnet.sas() if sa.spi == spi)
            theirs = keys[f"encryption {whose}"] + keys.get(f"integrity {whose}", b"")
            # Not `==` in the assert: pytest would print keys.
            same = ours == theirs
            assert same, f"the keys of SPI {spi:#x} differ: {len(ours)} bytes here, {len(theirs)} bytes there"
        return pair

    def _newest(self) -> Pair | None:
        """The newest pair of strongSwan's that Cygnet has, too."""
        ours = {(sa.spi, sa.outbound) for sa in self.cygnet.sas()}
        for child in sorted(self.swan.children(), key=lambda child: -int(child["uniqueid"])):
            pair = Pair(int(child["spi-in"], 16), int(child["spi-out"], 16))
            if {(pair.outbound, True), (pair.inbound, False)} <= ours:
                return pair
        return None

    def gone(self) -> None:
        """Wait until neither has anything left."""
        self.cygnet.wait(lambda: self.swan.list_sas() == [] and self.cygnet.sas() == [])
