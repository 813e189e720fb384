"""Where a policy lies: its text, and the rules made from it, each file whole or not there at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from cygnet.firewall.settings import FirewallError

# A copy of the text that the rules beside it were made from.
DESCRIPTION = "firewall"


class Places(NamedTuple):
    """``root`` is empty on the box; tests point CYGNET_ROOT at a scratch tree, as with the scripts."""

    root: str

    @property
    def description(self) -> Path:
        return Path(f"{self.root}/etc/cygnet/firewall")

    @property
    def network(self) -> Path:
        return Path(f"{self.root}/etc/cygnet/network")

    @property
    def rules(self) -> Path:
        """What is loaded at boot: the last policy that was confirmed."""
        return Path(f"{self.root}/etc/cygnet/firewall.rules")

    @property
    def run(self) -> Path:
        """What does not outlast this boot: a policy that waits to be confirmed."""
        return Path(f"{self.root}/run/cygnet/firewall")


def write(folder: Path, rules: dict[str, str], description: bytes) -> None:
    """The rules, and the text that they are from; through a power cut each of them is the old one or the new."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in {**{name: text.encode() for name, text in rules.items()}, DESCRIPTION: description}.items():
            new = folder / f"{name}.new"
            with new.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            new.replace(folder / name)
        handle = os.open(folder, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
    except OSError as error:
        raise FirewallError(f"{folder}: cannot be written: {error.strerror}") from None
