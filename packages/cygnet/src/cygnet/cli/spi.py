"""``ipsec spi``: SAs, listed as ipsec_spi(5) does, added and removed one by one as ipsec_spi(8) does.

An SA is for packets only once a policy asks for it: `ipsec eroute`, or `ipsec manual`, which does both. FreeS/WAN took
keys as arguments; here they come from standard input or a file: the arguments of a process are seen by everybody.
"""

from __future__ import annotations

from cygnet.cli.options import Options, UsageError, parse
from cygnet.cli.said import SAID, read_said, said
from cygnet.errors import CygnetError

COMMAND = "ipsec spi"
USAGE = (
    "ipsec spi",
    "ipsec spi SA --src address --esp algorithms --enckey -|file --authkey -|file [options]",
    "ipsec spi SA --src address --ah algorithm --authkey -|file [options]",
    "ipsec spi SA --del",
    "ipsec spi --clear",
)
OPTIONS: Options = (
    *SAID,
    ("--src", "ADDRESS", "where its packets come from"),
    ("--esp", "ALGORITHMS", "cipher and hash, such as aes-sha2_256 or 3des-md5-96"),
    ("--ah", "ALGORITHM", "a hash, such as sha2_256 or hmac-md5-96"),
    ("--ip4", "", "in tunnel mode, without it in transport mode; --ip6 is the same"),
    ("--ip6", "", "in tunnel mode"),
    ("--enckey", "-|FILE", "the cipher's key, a line of standard input or a file; never the key itself"),
    ("--authkey", "-|FILE", "the hash's key, likewise; of standard input it is the second line"),
    ("--replay_window", "NUMBER", "0 to 64 packets; 0 without, which is no protection from replays"),
    ("--del", "", "remove it"),
    ("--clear", "", "remove all that were set by hand"),
)


def run(words: list[str]) -> int:
    """The command."""
    given, _ = parse(COMMAND, USAGE, OPTIONS, words)
    for option in ("--enckey", "--authkey"):
        if given.get(option, "")[:2].lower() in ("0x", "0s", "0t"):
            raise UsageError(f"{COMMAND}: everybody sees arguments: {option} - reads the key from standard input")
    if not given:
        from cygnet.cli.kernel_view import associations, described, our_addresses

        here = our_addresses()
        print("".join(described(one, here) + "\n" for one in associations() if one.key.spi), end="")
        return 0
    from cygnet.cli import by_hand
    from cygnet.kernel.ours import MANUAL_REQIDS

    kernel = by_hand.kernel()
    if not given.keys() & {"--clear", "--del"}:
        kernel.add_sa(by_hand.sa(COMMAND, given))
        return 0
    mine = [key for key, reqid in kernel.list_sas() if reqid in MANUAL_REQIDS]
    going = mine if "--clear" in given else [read_said(COMMAND, given)]
    if not set(going) <= set(mine):
        raise CygnetError(f"no {said(going[0])} was set by hand; ipsec auto --down takes the daemon's away")
    for key in going:
        kernel.delete_sa(key)
    return 0
