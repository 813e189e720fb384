"""The scene of stories about strangers: boxes, the hosts behind them, and what the DNS says of them."""

from __future__ import annotations

import base64
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

from cygnet.connection.connection import AuthBy, Connection, End, HostKind, Shunt
from cygnet.connection.secret import RsaSecret, Secrets
from cygnet.crypto.rsa import PrivateKey
from name_server import NameServer
from simulation import EAST, FAST_CHILD, FAST_IKE, WEST, Box, Network

OE = "private-or-clear#0.0.0.0/0"
# Behind west and east, and somebody who has nothing.
CLIENT, SERVER, NOBODY = "10.1.0.5", "10.2.0.5", "198.51.100.7"
Keys = tuple[PrivateKey, PrivateKey]


def reverse(host: str) -> str:
    return ip_address(host).reverse_pointer


def delegation(gateway: str, key: PrivateKey, precedence: int = 10) -> str:
    text = base64.b64encode(key.public.blob).decode()
    return f'"X-IPsec-Server({precedence})={gateway}" " {text[:200]}" "{text[200:]}"'


def opportunistic(here: str, subnet: str | None = None, **changes: Any) -> Connection:
    """The conn private-or-clear of a box, for everybody."""
    everybody = End("right", HostKind.OPPORTUNISTIC, subnet=ip_network("0.0.0.0/0"), keys_from_dns=True)
    own = End("left", host=ip_address(here), subnet=ip_network(subnet) if subnet else None, interface="eth0")
    made = Connection(
        OE, own, everybody, auth_by=AuthBy.RSASIG, ike=FAST_IKE, child=FAST_CHILD, keying_tries=1, rekey=False,
        failure_shunt=Shunt.PASSTHROUGH,
    )  # fmt: skip
    return replace(made, **changes)


def gateway(network: Network, here: str, key: PrivateKey) -> Box:
    """A box with a key, whose traffic leaves by its card."""
    box = network.box(here, secrets=Secrets(private=(RsaSecret((), key),)))
    box.exit = "eth0"
    return box


def street(
    keys: Keys, names: NameServer, clients: bool = False, east: bool = True, **changes: Any
) -> tuple[Network, Box, Box]:
    """Two boxes with the same conn and the keys of their own; ``clients``: for the networks behind them, too."""
    network = Network()
    network.names = names
    for here, net, key in ((WEST, "10.1.0.0/24", keys[0]), (EAST, "10.2.0.0/24", keys[1])):
        box = gateway(network, here, key)
        if here == WEST or east:
            box.add(opportunistic(here, net if clients else None, **changes))
            box.route(OE)
    return network, network.boxes[WEST], network.boxes[EAST]


def known(keys: Keys) -> NameServer:
    """Both hosts are their own gateways."""
    pairs = zip((WEST, EAST), keys, strict=True)
    return NameServer({(reverse(end), "TXT"): [delegation(end, key)] for end, key in pairs})


def delegated(keys: Keys) -> NameServer:
    """The hosts behind the boxes name them; the boxes' own keys are there, too."""
    names = known(keys)
    names.records[reverse(CLIENT), "TXT"] = [delegation(WEST, keys[0])]
    names.records[reverse(SERVER), "TXT"] = ['"v=spf1 -all"', delegation(EAST, keys[1])]
    return names


def meet(box: Box, source: str, destination: str, seconds: float = 5.0) -> object:
    """A packet, some time, and what becomes of the next packet."""
    box.traffic(source, destination)
    box.network.run(seconds)
    return box.traffic(source, destination)


def protected(here: Box, there: Box, source: str, destination: str) -> bool:
    """Whether a packet passes by an SA."""
    return here.kernel.deliver(there.kernel, source, destination) == "delivered"
