"""The kernel, the programs, the daemon and its ports."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from cygnet.cli.verify.scene import Finding, Problem, Scene
from cygnet.connection.connection import Connection
from cygnet.connection.proposal import ChildProposal
from cygnet.crypto.transforms import CIPHERS, INTEGRITIES

CONFIG = "proc/config.gz"
# What of the kernel's configuration is needed always, by layers of some protocol, by leftfirewall=.
NEEDED = ("XFRM_USER", "XFRM_INTERFACE", "INET_ESP")
NEEDED_BY_PROTOCOL = {"ah": "INET_AH", "esp": "INET_ESP"}
NEEDED_BY_FIREWALL = "NETFILTER_XT_MATCH_POLICY"
SOCKETS = ("proc/net/udp", "proc/net/udp6")


def findings(scene: Scene) -> Iterator[Finding]:
    """What everything else stands on comes first."""
    if os.geteuid():
        yield Finding("Run by root", (Problem("much cannot be seen without root's rights", "run it as root"),))
    lacking = [
        Problem(f"it is built without CONFIG_{name}", f"use a kernel with CONFIG_{name}=y") for name in _lacking(scene)
    ]
    yield Finding("Kernel has XFRM, with interfaces", tuple(lacking))
    yield Finding("Kernel has the algorithms of all connections", tuple(_algorithms(scene)))
    yield from _programs(scene)
    yield from _daemon(scene)


def _lacking(scene: Scene) -> list[str]:
    """Symbols that are neither built in nor a module; a kernel that shows no configuration is asked for the first."""
    needed = {*NEEDED, *(NEEDED_BY_PROTOCOL[layer.protocol] for one in scene.connections for layer in _layers(one))}
    needed |= {"INET_IPCOMP" for one in scene.connections if one.compress}
    needed |= {NEEDED_BY_FIREWALL for one in scene.connections if one.here.firewall}
    config = _kernel_config(scene)
    if not config:
        return [] if scene.xfrm else ["XFRM_USER"]
    return sorted(name for name in needed if f"CONFIG_{name}=" not in config)


def _kernel_config(scene: Scene) -> str:
    import gzip

    with suppress(OSError, EOFError):
        return gzip.decompress((scene.root / CONFIG).read_bytes()).decode("ascii", "replace")
    return scene.text(f"boot/config-{scene.text('proc/sys/kernel/osrelease')}")


def _layers(connection: Connection) -> list[ChildProposal]:
    return [layer for proposal in connection.child for layer in proposal.layers]


def _algorithms(scene: Scene) -> Iterator[Problem]:
    users: dict[tuple[str, str], str] = {}
    for one in scene.connections:
        for layer in _layers(one):
            if layer.encryption:
                cipher = CIPHERS[layer.encryption]
                users.setdefault(("aead" if cipher.aead else "skcipher", cipher.kernel), one.name)
            if layer.integrity:
                users.setdefault(("hash", INTEGRITIES[layer.integrity].kernel), one.name)
    for (kind, name), user in users.items():
        if scene.algorithm(kind, name) is False:
            remedy = "take it out of esp= or ah= there, or use a kernel that has it"
            yield Problem(f'the kernel lacks {name}, which connection "{user}" may use', remedy)
    crypto = scene.text("proc/crypto")
    if crypto and "deflate" not in crypto and any(one.compress for one in scene.connections):
        yield Problem("the kernel lacks deflate, which compress=yes needs", "write compress=no")


def _programs(scene: Scene) -> Iterator[Finding]:
    """What the updown script runs."""
    if not scene.has("ip"):
        yield Finding('Program "ip"', (Problem("the updown script sets routes with it", "install iproute2"),))
    if any(one.here.firewall for one in scene.connections) and not scene.has("iptables"):
        text = "leftfirewall=yes sets rules with it"
        yield Finding('Program "iptables"', (Problem(text, "install iptables, or write leftfirewall=no"),))


def _daemon(scene: Scene) -> Iterator[Finding]:
    setup = scene.configuration.setup
    wanted = [setup.port, *([4500] if setup.nat_traversal else [])]
    bound = {
        int(row.split()[1].rpartition(":")[2], 16) for name in SOCKETS for row in scene.text(name).splitlines()[1:]
    }
    if scene.pid:
        deaf = [
            Problem(f"UDP port {port} is not open, though it runs", "ipsec setup restart; its log says why")
            for port in wanted
            if port not in bound
        ]
        yield Finding("Pluto is running, and listens", tuple(deaf))
        return
    problems = [Problem("it does not run", '"ipsec setup start" starts it')]
    problems += [
        Problem(f"another program has UDP port {port}", "end the other IKE daemon first (netstat -ulnp names it)")
        for port in wanted
        if port in bound
    ]
    yield Finding("Pluto is running, and listens", tuple(problems))
