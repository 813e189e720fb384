"""``ipsec rsasigkey``: an RSA key as bare numbers on standard output; ipsec_newhostkey(8) makes an entry of it.

ipsec rsasigkey 2048
"""

from __future__ import annotations

import sys

from cygnet.cli.options import Options, UsageError, number, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cygnet.crypto.rsa import PrivateKey

USAGE = (
    "ipsec rsasigkey [--verbose] [--hostname host] nbits",
    "ipsec rsasigkey [--verbose] [--hostname host] --oldkey file",
)
OPTIONS: Options = (
    ("--verbose", "", "say on standard error what is being done"),
    ("--hostname", "HOST", "name in the first line, instead of this host's"),
    ("--oldkey", "FILE", "print the key in FILE (- is standard input) in today's format"),
    ("--random", "FILE", "accepted; random bits come from the kernel"),
    ("--rounds", "NUMBER", "accepted; OpenSSL knows how often it must look at a prime"),
    ("--noopt", "", "accepted; means nothing to today's peers"),
)
BITS = range(1024, 8193, 16)


def run(words: list[str]) -> int:
    """The command."""
    given, others = parse("ipsec rsasigkey", USAGE, OPTIONS, words, range(2))
    if len(others) != ("--oldkey" not in given):
        raise UsageError("usage: " + "\n       ".join(USAGE))
    key = _old(given["--oldkey"]) if others == [] else generate("ipsec rsasigkey", others[0], "--verbose" in given)
    from cygnet.cli.hostkeys import key_text

    print("\n".join(key_text(key, given.get("--hostname", ""))))
    return 0


def _old(path: str) -> PrivateKey:
    from cygnet.cli.hostkeys import old_key

    return old_key(path)


def generate(command: str, bits: str, verbose: bool) -> PrivateKey:
    """A new key of so many bits."""
    size = number(command, "the number of bits", bits, BITS)
    from cygnet.crypto.rsa import PrivateKey

    if verbose:
        print(f"{command}: looking for two primes of {size // 2} bits, minutes of work for a slow CPU", file=sys.stderr)
    return PrivateKey.generate(size)
