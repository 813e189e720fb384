"""What the policy takes from ``/etc/cygnet/network``: the names WAN and LAN stand for, and the networks on them."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_interface
from pathlib import Path
from typing import NamedTuple

from cygnet.errors import CygnetError

MAX_FILE = 1 << 20
NAMES = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
# As the scripts of the box have them, where the file has no such line.
DEFAULTS = {"WAN": "eth0", "LAN": "eth1", "WAN_ADDRESS": "dhcp", "LAN_ADDRESS": "192.168.77.1/24"}


class FirewallError(CygnetError):
    """The policy cannot be used; a line for each reason, with its file:line."""


class Settings(NamedTuple):
    """Values by key, as DEFAULTS has them."""

    values: dict[str, str]

    def words(self, name: str) -> list[str]:
        """What ``$NAME`` stands for: an interface, or the network of an address; nothing where that is not fixed."""
        value = self.values[name]
        if not name.endswith("_ADDRESS"):
            return [value] if value else []
        return [] if value in ("dhcp", "none") else [str(ip_interface(value).network)]

    def text(self) -> str:
        """What of them counts, as KEY=VALUE lines."""
        return "".join(f"{name}={self.values[name]}\n" for name in DEFAULTS)


def read_bytes(path: Path) -> bytes:
    """A whole file of bearable size."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise FirewallError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > MAX_FILE or b"\0" in data:
        raise FirewallError(f"{path}: this is no text file of at most {MAX_FILE} bytes")
    return data


def read_settings(path: Path) -> Settings:
    """The settings of a box; the other keys are not looked at."""
    values = dict(DEFAULTS)
    for number, line in enumerate(read_bytes(path).decode("utf-8", "replace").splitlines(), 1):
        name, equals, value = line.partition("=")
        if equals and name in DEFAULTS:
            if not _CHECKS[name](value):
                raise FirewallError(f"{path}:{number}: {name}= is {_EXPECTED[name]}")
            values[name] = value
    return Settings(values)


def is_interface(text: str) -> bool:
    """A name that the kernel and the scripts of the box take."""
    return 0 < len(text) <= 15 and text[0] not in ".-" and NAMES.issuperset(text)


def _is_prefix(text: str) -> bool:
    try:
        return "/" in text and ip_interface(text).version == 4
    except ValueError:
        return False


_INTERFACE = "an interface name, or empty"
_EXPECTED = {
    "WAN": _INTERFACE,
    "LAN": _INTERFACE,
    "WAN_ADDRESS": "dhcp, none or address/prefix length",
    "LAN_ADDRESS": "none or address/prefix length",
}
_CHECKS: dict[str, Callable[[str], bool]] = {
    "WAN": lambda text: not text or is_interface(text),
    "LAN": lambda text: not text or is_interface(text),
    "WAN_ADDRESS": lambda text: text in ("dhcp", "none") or _is_prefix(text),
    "LAN_ADDRESS": lambda text: text == "none" or _is_prefix(text),
}
