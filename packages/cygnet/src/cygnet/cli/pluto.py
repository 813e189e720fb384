"""``ipsec pluto``: the keying daemon, in this process, until told to end; ipsec_setup(8) starts it as it should be.

Its log is standard error. Only one can run with a control socket; who runs holds a lock, which no crash leaves behind.

Exit status: 0, 1 if it could not start, 2 for a wrong command line, 10 if another one runs.
"""

from __future__ import annotations


def run(words: list[str]) -> int:
    """The command."""
    from cygnet.daemon.main import main

    return main(words)
