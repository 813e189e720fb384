"""SAIDs: an SA's protocol, SPI and destination in one word, esp0x200@192.0.2.2, esp:200@2001:db8::2 (ipsec_spi(8))."""

from __future__ import annotations

import re
from ipaddress import ip_address

from cygnet.cli.options import Options, UsageError
from cygnet.kernel.sa import SaKey

SAID: Options = (
    ("--said", "SA", "the SA in one word, esp0x200@192.0.2.2, or in four:"),
    ("--af", "inet|inet6", "accepted; the address says it"),
    ("--edst", "ADDRESS", "its destination"),
    ("--spi", "NUMBER", "its SPI, hexadecimal after 0x"),
    ("--proto", "esp|ah", "its protocol"),
)
PATTERN = re.compile(r"(esp|ah|comp|tun)(?:0x|\.|:)([0-9a-fA-F]{1,8})@([0-9a-fA-F.:]+)")
LEAST = 0x100


def said(key: SaKey) -> str:
    """As FreeS/WAN prints it."""
    return f"{key.protocol}{'0x' if key.destination.version == 4 else ':'}{key.spi:x}@{key.destination}"


def read_said(command: str, given: dict[str, str]) -> SaKey:
    """Of the options `SAID`."""
    word = given.get("--said", "")
    if not word and all(option in given for option in ("--edst", "--spi", "--proto")):
        spi = given["--spi"].removeprefix("0x") if given["--spi"].startswith("0x") else _hex(given["--spi"])
        word = f"{given['--proto']}.{spi}@{given['--edst']}"
    found = PATTERN.fullmatch(word)
    try:
        if found and int(found[2], 16) >= LEAST:
            key = SaKey(ip_address(found[3]), found[1], int(found[2], 16))
            if found[1] == "tun":
                raise UsageError(
                    f"{command}: there is no {word}: tunnel mode is of the ESP or AH SA itself (--ip4, --ip6)"
                )
            return key
    except ValueError:
        pass
    raise UsageError(
        f'{command}: name the SA by --said esp0x200@192.0.2.2, or by --edst, --spi and --proto, not "{word}"'
    )


def _hex(text: str) -> str:
    return f"{int(text):x}" if text.isdecimal() and len(text) < 11 else text
