"""``ipsec tncfg``: which ipsecN is on which interface, and both MTUs (ipsec_tncfg(5)).

`ipsec setup start` and `ipsec manual` make what `interfaces=` of config setup says, nothing is attached by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cygnet.cli import confdir
from cygnet.cli.options import Options, parse

USAGE = ("ipsec tncfg",)
OPTIONS: Options = ()
NETWORK = Path("/sys/class/net")


def run(words: list[str]) -> int:
    """The command."""
    parse("ipsec tncfg", USAGE, OPTIONS, words)
    for name, below, mtu, beyond in attached():
        print(f"{name} -> {below} mtu={mtu}({mtu}) -> {beyond}")
    return 0


def attached() -> Iterator[tuple[str, str, str, str]]:
    """Each ipsecN, what it is on (NULL if that has gone), and the MTUs of both. The kernel ties it to nothing."""
    cards = configured()
    for path in sorted(NETWORK.glob("ipsec*")):
        below = NETWORK / cards.get(path.name, "NULL")
        there = below.exists()
        yield path.name, below.name if there else "NULL", _fact(path, "mtu"), _fact(below, "mtu") if there else "0"


def configured() -> dict[str, str]:
    """ipsecN -> its interface now, as interfaces= of config setup has it; none where the file cannot be used."""
    from cygnet.conf import ConfError, load
    from cygnet.connection.local import DEFAULT_ROUTE
    from cygnet.kernel.links import read_local

    local = read_local()
    try:
        pairs = load(Path(confdir()) / "ipsec.conf", local, lambda _: ()).setup.interfaces
    except ConfError:
        return {}
    found = {name: local.default_interface if card == DEFAULT_ROUTE else card for name, card in pairs}
    return {name: card for name, card in found.items() if card}


def _fact(path: Path, name: str) -> str:
    return (path / name).read_text().strip()
