"""``ipsec showdefaults``: what %defaultroute stands for in ipsec.conf(5) now.

Four lines: the interface of the default route, its ipsecN, its address, and the next router, empty on a point-to-point
link. They are those of this moment; the daemon follows them when they change.

Exit status: 0, 1 if there is no default route, or interfaces= leaves its interface out.
"""

from __future__ import annotations

from pathlib import Path

from cygnet.cli import confdir
from cygnet.cli.options import Options, parse
from cygnet.errors import CygnetError

USAGE = ("ipsec showdefaults [--config file]",)
OPTIONS: Options = (("--config", "FILE", "another file than /etc/ipsec.conf"),)


def run(words: list[str]) -> int:
    """The command."""
    given, _ = parse("ipsec showdefaults", USAGE, OPTIONS, words)
    from cygnet.conf import load
    from cygnet.connection.local import DEFAULT_ROUTE
    from cygnet.kernel.links import read_local

    local = read_local()
    if not local.default_interface:
        raise CygnetError(
            "there is no default route, so %defaultroute stands for nothing: ip route add default via ..."
        )
    setup = load(Path(given.get("--config", f"{confdir()}/ipsec.conf")), local, lambda _: ()).setup
    known = (local.default_interface, DEFAULT_ROUTE)
    virtual = next((name for name, physical in setup.interfaces if physical in known), "")
    if not virtual:
        raise CygnetError(
            f"interfaces= has no pair for {local.default_interface}, where the default route goes: write %defaultroute"
        )
    print(f"routephys={local.default_interface}\nroutevirt={virtual}")
    print(f"routeaddr={local.default_address or ''}\nroutenexthop={local.default_gateway or ''}")
    return 0
