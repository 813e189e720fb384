"""Gathers the facts: the file, the daemon, the kernel, the firewall, each asked once for all connections."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cygnet.conf import ConfError, Configuration, load, load_secrets
from cygnet.connection.connection import Address, Auto, Connection, Type, fingerprint
from cygnet.connection.local import DEFAULT_ROUTE, Local
from cygnet.connection.secret import Secrets
from cygnet.connection.selector import Network
from cygnet.control import client
from cygnet.kernel import ours
from cygnet.kernel.policy import Direction, Policy
from cygnet.kernel.sa import SaCounters
from cygnet.why import host, netfilter, xfrm
from cygnet.why.facts import NEVER, Carried, Facts
from cygnet.why.netfilter import Firewall
from cygnet.why.xfrm import Association

DECRYPTED = ("XfrmInNoPols", "XfrmInTmplMismatch", "XfrmInPolBlock", "XfrmInStateModeError")


@dataclass(frozen=True)
class Box:
    """What is alike for all connections. ``daemon``: why it does not answer. ``said``: its facts of each connection.

    ``secrets_problem``: why the file of secrets cannot be used, or that the daemon has not read it as it is now.
    """

    local: Local
    configuration: Configuration
    daemon: str = ""
    said: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    secrets: Secrets = field(default_factory=Secrets)
    secrets_problem: str = ""
    links: Mapping[str, host.Link] = field(default_factory=dict)
    associations: Sequence[Association] = ()
    policies: Sequence[Policy] = ()
    firewalls: Mapping[int, Firewall] = field(default_factory=dict)
    thrown: str = ""

    @property
    def names(self) -> list[str]:
        """What is to work: what the file says, and what the daemon has beside it; no part that waits for an --add."""
        known = self.configuration.connections
        wanted = [
            name for name, one in known.items() if name in self.said or one.auto not in (Auto.IGNORE, Auto.MANUAL)
        ]
        return wanted + [name for name in self.said if name not in known and "[" not in name]


def read_box(config: Path, secrets: Path, base: str) -> Box:
    """This box. Raises CygnetError where there is nothing to be said: the file cannot be read, or the kernel."""
    from cygnet.kernel.links import read_local

    local = read_local()
    configuration = load(config, local)
    daemon, read, said = ask_daemon(base)
    known, problem = read_secrets(secrets, read)
    thrown = ", ".join(f"{name} {count}" for name, count in host.counters().items() if name in DECRYPTED)
    return Box(
        local, configuration, daemon, said, known, problem, host.links(), xfrm.associations(), xfrm.policies(),
        dict(_firewalls(configuration.connections.values())), thrown,
    )  # fmt: skip


def ask_daemon(base: str) -> tuple[str, float, dict[str, dict[str, str]]]:
    """Why it does not answer; how many seconds ago it read its secrets; its facts by connection."""
    lines: list[str] = []
    try:
        status = client.ask({"command": "why"}, lambda _, text: lines.append(text), base)
    except client.ControlError as problem:
        return str(problem), NEVER, {}
    if status:
        return f"the daemon does not answer: {lines[-1] if lines else status}", NEVER, {}
    return "", float(lines[0].removeprefix("secrets ")), by_name(lines[1:])


def by_name(lines: Iterable[str]) -> dict[str, dict[str, str]]:
    """The daemon's lines "fact value": each connection's begin with its name."""
    said: dict[str, dict[str, str]] = {}
    facts: dict[str, str] = {}
    for line in lines:
        fact, _, value = line.partition(" ")
        if fact == "name":
            facts = said[value] = {}
        else:
            facts[fact] = value
    return said


def read_secrets(path: Path, read: float) -> tuple[Secrets, str]:
    """The secrets, and what is wrong with them; ``read``: how many seconds ago the daemon read them."""
    try:
        secrets = load_secrets(path)
        changed = time.time() - path.stat().st_mtime < read < NEVER
    except (ConfError, OSError) as problem:
        return Secrets(), f"{problem}, then `ipsec auto --rereadsecrets`."
    return secrets, f"{path} has changed since the daemon read it: `ipsec auto --rereadsecrets`." if changed else ""


def _firewalls(connections: Iterable[Connection]) -> Iterable[tuple[int, Firewall]]:
    """By IP version, as far as it is used; where it cannot be read there is nothing to be said of it."""
    ends = [end for one in connections for end in (one.here.host, one.here.selector and one.here.selector.network)]
    for version in sorted({end.version for end in ends if end}):
        try:
            yield version, netfilter.read(version)
        except netfilter.NetfilterError:
            continue


def facts(box: Box, connection: Connection) -> Facts:
    """Of one connection."""
    here, there, said = connection.here, connection.there, box.said.get(connection.name, {})
    network, tunnel = here.selector.network if here.selector else None, tunnel_of(connection, box)
    six = network is not None and network.version == 6
    return Facts(
        connection,
        box.daemon,
        said,
        callers=sum("expires" in one for name, one in box.said.items() if name.startswith(f"{connection.name}[")),
        changed="digest" in said and said["digest"] != fingerprint(connection),
        lacking=lacking(connection, box.secrets) or box.secrets_problem,
        link=box.links.get(here.interface, host.Link()),
        to_peer=host.way(there.host, ours.UNDERLAY_MARK) if there.host else host.Way(),
        homeward=host.way(there.host) if there.host else host.Way(),
        to_theirs=host.way(_someone(there.selector.network, box)) if there.selector else host.Way(tunnel),
        lan=host.way(_someone(here.subnet, box)).interface if here.subnet else "",
        tunnel=tunnel,
        out=carried(box, connection, outward=True),
        back=carried(box, connection, outward=False),
        outer=box.firewalls.get(here.host.version if here.host else 4, Firewall()),
        inner=box.firewalls.get(6 if six else 4, Firewall()),
        nat_traversal=box.configuration.setup.nat_traversal,
        forwards=bool(host.switch("ipv6/conf/all/forwarding" if six else "ipv4/ip_forward")),
        strict=max(host.switch(f"ipv4/conf/{one}/rp_filter") for one in ("all", here.interface or "all")) == 1,
        thrown=box.thrown,
    )


def tunnel_of(connection: Connection, box: Box) -> str:
    """The interface that a connection's traffic goes through in clear."""
    default, pairs = box.local.default_interface, box.configuration.setup.interfaces
    names = {default if physical == DEFAULT_ROUTE else physical: name for name, physical in pairs}
    if connection.type is not Type.TUNNEL:
        return connection.here.interface
    return names.get(connection.here.interface) or next(iter(names.values()), "ipsec0")


def lacking(connection: Connection, secrets: Secrets) -> str:
    """What ipsec.secrets would need for this end to prove who it is; "" if it has it."""
    here, there = connection.here, connection.there
    kinds = connection.auth_by.value.split("|")
    if here.identity is None or "never" in kinds:
        return ""
    keys = secrets.private if here.cert else secrets.private_keys(here.identity)
    if ("secret" in kinds and secrets.preshared_key(here.identity, there.identity)) or ("rsasig" in kinds and keys):
        return ""
    needs = f'`{here.identity} {there.identity or "%any"} : PSK "..."`, alike at both ends,'
    if "secret" not in kinds:
        needs = f"the RSA key of {here.identity} (`ipsec newhostkey --output /etc/ipsec.secrets` makes one)"
    why = f" ({secrets.problems[0]})" if secrets.problems else ""
    return f"/etc/ipsec.secrets needs {needs}, then `ipsec auto --rereadsecrets`{why}.".replace(",,", ",")


def carried(box: Box, connection: Connection, outward: bool) -> Carried:
    """By all SAs of its policies; of several protocols around each other one stands for all."""
    here, there = connection.here.selector, connection.there.selector
    mine = [one for one in box.policies if one.direction is Direction.OUT and one.source == here]
    reqids = {layer.reqid for one in mine if there in (None, one.destination) for layer in one.templates}
    found = [one for one in box.associations if one.reqid in reqids and one.key.protocol != "comp" and one.key.spi]
    found = [one for one in found if bool(box.local.interface_of(one.key.destination)) is not outward]
    counts = [one.counters for one in found if one.key.protocol == found[0].key.protocol]
    return Carried(len(counts), *_sums(counts))


def _sums(counts: Sequence[SaCounters]) -> tuple[int, int, float, int, int]:
    last = max((one.last_used for one in counts), default=0)
    return (
        sum(one.packets for one in counts),
        sum(one.bytes for one in counts),
        max(0, int(time.time()) - last) if last else NEVER,
        sum(one.replay_drops for one in counts),
        sum(one.integrity_failures for one in counts),
    )


def _someone(network: Network, box: Box) -> Address:
    """An address of a network, if there is another one not this box's own."""
    first, last = network[min(1, network.num_addresses - 1)], network[max(0, network.num_addresses - 2)]
    return first if box.local.interface_of(last) else last


def missing(box: Box, name: str) -> str:
    """Why there is no connection of this name: one sentence."""
    from cygnet.conf.error import nearest

    left_out = [problem for problem in box.configuration.problems if f'conn "{name}"' in problem]
    if left_out:
        return f"{left_out[0]}: mend that, then `ipsec auto --replace {name}`."
    if name in box.said:
        return f"it is loaded and stands no longer in the file: `ipsec auto --delete {name}`, or write it there again."
    hint = nearest(name, list(box.configuration.connections)) or f": {'; '.join(box.configuration.problems[:3])}"
    return f"there is no such connection in the file{hint.rstrip(': ')}."
