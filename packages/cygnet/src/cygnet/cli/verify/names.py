"""Names and their addresses: this host's own, the peers', and who answers for them."""

from __future__ import annotations

from collections.abc import Iterator

from cygnet.cli.verify.scene import Finding, Problem, Scene


def findings(scene: Scene) -> Iterator[Finding]:
    """Peers whose names have no address now are problems of the configuration already."""
    named = sorted({end.name for one in scene.connections for end in (one.here, one.there) if end.name})
    if named and "nameserver" not in scene.text("etc/resolv.conf"):
        text = f"/etc/resolv.conf names no server, and {', '.join(named[:5])} must be found"
        yield Finding("DNS server", (Problem(text, "write addresses for names, or set DNS= in /etc/cygnet/network"),))
    host = scene.text("proc/sys/kernel/hostname")
    if host and not scene.resolve(host):
        text = f"{host}, this host's own name, has no address"
        yield Finding("Own host name", (Problem(text, f"a line in /etc/hosts: 127.0.1.1 {host}", grave=False),))
