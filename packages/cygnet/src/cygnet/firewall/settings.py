"""What the policy takes from ``/etc/cygnet/network``: what WAN, LAN, LAN2 ... stand for, and the networks on them."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_interface
from pathlib import Path
from typing import NamedTuple

from cygnet.errors import CygnetError

MAX_FILE = 1 << 20
NAMES = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
# As the scripts of the box have them, where the file has no such line.
ALWAYS = {"WAN": "eth0", "LAN": "eth1", "WAN_ADDRESS": "dhcp", "LAN_ADDRESS": "192.168.77.1/24"}
FURTHER = tuple(f"LAN{number}" for number in range(2, 9))
DEFAULTS = ALWAYS | {key: value for lan in FURTHER for key, value in ((lan, ""), (f"{lan}_ADDRESS", "none"))}
PPPOE = "ppp0"
# Values of an address that is not fixed.
MOVING = ("dhcp", "none", "pppoe")


class FirewallError(CygnetError):
    """The policy cannot be used; a line for each reason, with its file:line."""


class Settings(NamedTuple):
    """Values by key, as DEFAULTS has them."""

    values: dict[str, str]

    def words(self, name: str) -> list[str]:
        """What ``$NAME`` stands for: an interface, or the network of an address; nothing where that is not fixed."""
        value = self.values[name]
        if name.endswith("_ADDRESS"):
            return [] if value in MOVING else [str(ip_interface(value).network)]
        if name == "WAN" and value and self.values["WAN_ADDRESS"] == "pppoe":
            return [PPPOE]
        return [value] if value else []

    def text(self) -> str:
        """What of them counts, as KEY=VALUE lines."""
        further = [name for lan in FURTHER if self.values[lan] for name in (lan, f"{lan}_ADDRESS")]
        return "".join(f"{name}={self.values[name]}\n" for name in (*ALWAYS, *further))


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
            check, expected = _CHECKS[name.translate(_NUMBERS)]
            if not check(value):
                raise FirewallError(f"{path}:{number}: {name}= is {expected}")
            values[name] = value
    return Settings(values)


def is_interface(text: str) -> bool:
    """A name that the kernel and the scripts of the box take."""
    return 0 < len(text) <= 15 and text[0] not in ".-" and NAMES.issuperset(text)


def is_link(text: str) -> bool:
    """An interface, or a VLAN on one, which the box makes: ``eth0.7``."""
    _, dot, vlan = text.partition(".")
    return is_interface(text) and (not dot or (vlan.isdecimal() and vlan[0] != "0" and int(vlan) <= 4094))


def _is_prefix(text: str) -> bool:
    try:
        return "/" in text and ip_interface(text).version == 4
    except ValueError:
        return False


# LAN2 is checked as LAN is.
_NUMBERS = dict.fromkeys(map(ord, "2345678"))
_LINK = (lambda text: not text or is_link(text)), "an interface name, one with a VLAN (eth0.7), or empty"
_CHECKS: dict[str, tuple[Callable[[str], bool], str]] = {
    "WAN": _LINK,
    "LAN": _LINK,
    "WAN_ADDRESS": (
        lambda text: text in MOVING or _is_prefix(text),
        "dhcp, pppoe, none or address/prefix length",
    ),
    "LAN_ADDRESS": (lambda text: text == "none" or _is_prefix(text), "none or address/prefix length"),
}
