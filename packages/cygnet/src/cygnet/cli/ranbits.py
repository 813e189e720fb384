"""``ipsec ranbits``: random bits as text, for a shared secret in ipsec.secrets(5).

ipsec ranbits --quick 256
"""

from __future__ import annotations

import os

from cygnet.cli.options import Options, number, parse

USAGE = ("ipsec ranbits [--quick] [--continuous] [--bytes] nbits",)
OPTIONS: Options = (
    ("--quick", "", "accepted; the kernel's generator is the same for both since Linux 5.6"),
    ("--continuous", "", "no underscore after every 32 bits"),
    ("--bytes", "", "the number counts bytes"),
)
MOST_BITS = 20000
GROUP = 8


def run(words: list[str]) -> int:
    """The command."""
    given, others = parse("ipsec ranbits", USAGE, OPTIONS, words, range(1, 2))
    unit = 8 if "--bytes" in given else 1
    bits = number("ipsec ranbits", "nbits", others[0], range(1, MOST_BITS // unit + 1)) * unit
    digits = os.urandom((bits + 7) // 8).hex()
    groups = [digits[at : at + GROUP] for at in range(0, len(digits), GROUP)]
    print("0x" + ("" if "--continuous" in given else "_").join(groups))
    return 0
