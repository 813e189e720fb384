"""What may be shown of files that hold secrets: only what is known to be none. And a net, for whatever else is printed.

Nothing here looks for secrets by what they look like. A parameter is shown if the table of parameters has it and it is
no key; a line that is not understood is not shown. The net holds every word that ipsec.secrets and ipsec.conf have as a
secret, usable or not, in the forms that programs print, and takes away each line that has one.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from cygnet.conf.error import ConfError, Problems
from cygnet.conf.hosts import numeric
from cygnet.conf.parameters import ALIASES, TABLES
from cygnet.conf.secrets import confidential
from cygnet.conf.sections import SETTING
from cygnet.conf.text import Files, Line, without_comment
from cygnet.conf.values import to_data

HIDDEN = "[not shown]"
CAUGHT = "[a line with a secret: not shown]"
HEADINGS = ("version", "config", "conn", "include")
KNOWN = {*TABLES["conn"], *TABLES["config"], "also", "alsoflip"}
KEYS = ("espenckey", "espauthkey", "ahkey")
PUBLIC_KEYS = ("rsasigkey", "rsasigkey2")
PROGRAMS = ("updown", "prepluto", "postpluto")
# Of /etc/cygnet/network.
LANS = ("LAN", *(f"LAN{number}" for number in range(2, 9)))
SETTINGS = "WAN WAN_ADDRESS WAN_GATEWAY DNS DOMAIN NTP SYSLOG".split() + [
    lan + key for lan in LANS for key in ("", "_ADDRESS", "_DHCP")
]
# Shorter words stand everywhere by chance; what is printed from files never holds them.
LEAST = 6


def configuration(path: Path) -> Iterator[str]:
    """ipsec.conf with what it includes, without comments and keys. Raises ConfError."""
    last = None
    for line in Files(Problems()).lines(path):
        if line.path != last:
            yield f"#< {line.path}"
            last = line.path
        if shown := _line(line)[0]:
            yield shown


def settings(text: str) -> Iterator[str]:
    """A file of KEY=VALUE lines."""
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            yield f"{key}={value if key in SETTINGS else HIDDEN}" if key.isidentifier() else HIDDEN


class Net:
    """Knows the secrets of these two files."""

    def __init__(self, config: Path, secrets: Path) -> None:
        words: set[str] = set()
        for read, path in ((_keys, config), (confidential, secrets)):
            with suppress(ConfError):
                words.update(read(path))
        self.words = {form for word in words for form in _forms(word) if len(form) >= LEAST}

    def clean(self, text: str) -> str:
        """The text without the lines that hold a secret."""
        if not any(word in text for word in self.words):
            return text
        lines = text.split("\n")
        return "\n".join(CAUGHT if any(word in line for word in self.words) else line for line in lines)


def _keys(path: Path) -> Iterable[str]:
    return [secret for line in Files(Problems()).lines(path) if (secret := _line(line)[1])]


def _line(line: Line) -> tuple[str, str]:
    """What is shown of a line, "" for nothing; and the key in it."""
    text = without_comment(line.text)
    words = text.split()
    if not words:
        return "", ""
    if not line.indented:
        return (text if words[0] in HEADINGS and len(words) <= 2 else HIDDEN), ""
    match = SETTING.fullmatch(text.strip())
    if not match:
        return f"\t{HIDDEN}", ""
    name, quoted, plain = match.groups()
    value = plain if quoted is None else quoted
    key = ALIASES.get(name, name)
    kind = key.removeprefix("left").removeprefix("right")
    if kind in KEYS:
        return f"\t{name}={HIDDEN}", value
    if key not in KNOWN:
        return f"\t{name}={HIDDEN}", ""
    if kind in PUBLIC_KEYS and not value.startswith("%"):
        return f"\t{name}=[keyid {value[2:11]}]", ""
    if kind in PROGRAMS and len(value.split()) > 1 and not value.startswith("ipsec _updown"):
        return f'\t{name}="{value.split()[0]} {HIDDEN}"', ""
    return f"\t{text.strip()}", ""


def _forms(word: str) -> Iterator[str]:
    """As it is written, and what it means in the ways that bytes are printed; an address is none."""
    with suppress(ValueError):
        if numeric(word) is not None:
            return
    yield word
    data = word.encode("utf-8", "surrogateescape")
    with suppress(ValueError):
        data = to_data(word)
    yield data.decode("ascii", "backslashreplace")
    yield from (data.hex(), data.hex().upper(), base64.b64encode(data).decode().rstrip("="))
