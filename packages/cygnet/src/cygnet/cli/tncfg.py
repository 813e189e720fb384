"""``ipsec tncfg``: which ipsecN is on which interface, and both MTUs (ipsec_tncfg(5)).

`ipsec setup start` and `ipsec manual` make what `interfaces=` of config setup says, nothing is attached by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

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
    """Each ipsecN, what it is on (NULL if that has gone), and the MTUs of both."""
    names = {_fact(path, "ifindex"): path for path in NETWORK.iterdir() if (path / "ifindex").exists()}
    for path in sorted(NETWORK.glob("ipsec*")):
        below = names.get(_fact(path, "iflink"))
        yield path.name, below.name if below else "NULL", _fact(path, "mtu"), _fact(below, "mtu") if below else "0"


def _fact(path: Path, name: str) -> str:
    return (path / name).read_text().strip()
