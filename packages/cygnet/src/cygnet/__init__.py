"""Cygnet's keying daemon and the ``ipsec`` commands: FreeS/WAN's Pluto, in Python, on XFRM.

The folders, from the words to the wire::

    connection/  what everything talks about: Connection, End, Identity, Selector, Proposal, Secrets
    conf/        ipsec.conf(5) and ipsec.secrets(5) -> those
    crypto/      the only importer of `cryptography`: transforms, key exchange, signatures, certificates
    ike/         messages and negotiations; sans-I/O: bytes and a clock in, bytes and results out
    kernel/      XFRM over netlink, and a fake kernel for tests
    tunnel/      a connection's policies, SAs, routes: what is installed when, and what replaces it
    updown/      the updown script and how it is called
    control/     the Unix socket between the daemon and the commands
    daemon/      sockets, timers, the event loop: where all of the above meet
    why/         from the configuration to the wire: what keeps a tunnel down, and what to do
    cli/         the ``ipsec`` commands
"""

__version__ = "0.1"
