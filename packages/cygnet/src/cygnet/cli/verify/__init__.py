"""``ipsec verify``: is everything there that IPsec needs, and does the configuration mean here what it says.

It looks at the kernel (algorithms, XFRM interfaces, forwarding, rp_filter), the daemon and its ports, interfaces and
routes, the firewall (IKE, ESP and AH, forwarded traffic, address translation), names, secrets and certificates, and at
every connection. A line for each, which ends with [OK], [NOTE] for what may be as it is, or [FAILED]; below the last
two stands what is wrong, and the remedy. Nothing is changed.

The firewall is what iptables-save(8) prints. Rules whose matches cannot be judged (a rate, a mark) are taken for
possible: where the answer depends on them, it is a note.

Exit status: 0, 1 if anything failed.

    ipsec verify
    ipsec verify --config /etc/ipsec.conf.new
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from cygnet.cli import confdir
from cygnet.cli.options import Options, parse
from cygnet.cli.service import pid
from cygnet.cli.verify import conns, firewall, names, network, system
from cygnet.cli.verify.scene import Finding, Problem, Scene, has_algorithm, has_xfrm
from cygnet.conf import ConfError, load, load_secrets
from cygnet.conf.parameters import TABLES
from cygnet.conf.resolve import Resolver
from cygnet.connection.selector import Network
from cygnet.control.codes import CONTROL_BASE

USAGE = ("ipsec verify [--config file] [--secretsfile file] [--ctlbase path]",)
OPTIONS: Options = (
    ("--config", "FILE", "another file than /etc/ipsec.conf"),
    ("--secretsfile", "FILE", "another file than /etc/ipsec.secrets"),
    ("--ctlbase", "PATH", "the daemon's socket is PATH.ctl"),
)
WIDTH = 66
CHECKS = (system.findings, network.findings, firewall.findings, names.findings, conns.findings)


def run(words: list[str]) -> int:
    """The command. Exit status 1 if anything failed."""
    given, _ = parse("ipsec verify", USAGE, OPTIONS, words)
    config = Path(given.get("--config", f"{confdir()}/ipsec.conf"))
    secrets = Path(given.get("--secretsfile", f"{confdir()}/ipsec.secrets"))
    print("Checking that this system has what IPsec needs")
    try:
        scene = look(config, secrets, given.get("--ctlbase", CONTROL_BASE))
    except ConfError as problem:
        show(Finding(f"Configuration {config}", (Problem(str(problem), "without it there are no connections"),)))
        return 1
    failed = False
    for finding in (*files(scene, config, secrets), *(each for check in CHECKS for each in check(scene))):
        show(finding)
        failed |= finding.verdict == "FAILED"
    return int(failed)


def show(finding: Finding) -> None:
    """One finding, what is wrong with it, and what to do."""
    lines = [f"{finding.what:{WIDTH}}[{finding.verdict}]"]
    for text, remedy, _ in finding.problems:
        lines += [f"\t{text}", f"\t  remedy: {remedy}"]
    print("\n".join(lines), flush=True)


def files(scene: Scene, config: Path, secrets: Path) -> Iterator[Finding]:
    """The two files, line by line."""
    found = scene.configuration
    broken = [Problem(text, "correct the line, then: ipsec auto --replace NAME") for text in found.problems]
    yield Finding(f"Configuration {config}, {len(found.connections)} connections", tuple(broken))
    reasons = {name: row.reason for table in TABLES.values() for name, row in table.items()}
    for name, where in found.setup.ignored.items():
        text = f"{where}: it has no effect: {reasons.get(name, '')}"
        yield Finding(f"Parameter {name}", (Problem(text, "leave it, or take the line out", grave=False),))
    again = "correct the entry, then: ipsec secrets"
    yield Finding(f"Secrets {secrets}", tuple(Problem(text, again) for text in scene.secrets.problems))
    if not (scene.secrets.private or scene.secrets.preshared or scene.secrets.problems):
        yield Finding("A key or password is there", (Problem("none of them is", "ipsec newhostkey makes a key"),))


def look(config: Path, secrets: Path, base: str) -> Scene:
    """The machine that this runs on. Raises ConfError where the configuration cannot be read at all."""
    from cygnet.daemon.lookups import look_up
    from cygnet.kernel.links import read_local
    from cygnet.why import host, netfilter

    local, resolve = read_local(), Resolver()
    return Scene(
        configuration=load(config, local, resolve),
        secrets=load_secrets(secrets, resolve),
        local=local,
        attached=_attached(),
        pid=pid(base),
        links=host.links(),
        way=host.way,
        switch=host.switch,
        firewall=netfilter.read,
        has=shutil.which,
        xfrm=has_xfrm(),
        algorithm=has_algorithm,
        resolve=resolve,
        ask=look_up,
        folder=config.parent,
    )


def _attached() -> Mapping[Network, str]:
    """From the routes to what is next door."""
    import socket
    from ipaddress import ip_network

    from cygnet.kernel.route_netlink import MAIN, UNICAST, routes, rtnetlink

    names = dict(socket.if_nameindex())
    with rtnetlink() as netlink:
        near = [
            (ip_network((each.destination, each.bits)), names.get(each.interface, ""))
            for each in routes(netlink)
            if each.table == MAIN and each.kind == UNICAST and each.destination and not each.gateway
        ]
    return {at: name for at, name in near if not name.startswith("ipsec") and not at.is_link_local}
