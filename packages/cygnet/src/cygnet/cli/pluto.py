"""``ipsec pluto``: the daemon, in this process."""

from __future__ import annotations


def run(words: list[str]) -> int:
    """The command."""
    from cygnet.daemon.main import main

    return main(words)
