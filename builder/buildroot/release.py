"""Which release of Buildroot a tree is, and whether Cygnet is made for it.

A series is YEAR.MONTH, of February, May, August and November; February's has long-term support.  Its point releases
(2026.05.1) are of the same series; 2026.05-rc4 and 2026.05-git come before it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# The newest series with long-term support, and the newest stable one.
SUPPORTED = ("2026.02", "2026.05")
NUMBER = re.compile(r"(?P<series>\d{4}\.\d{2})(?:\.\d+)?(?P<before>-rc\d+|-git)?")


@dataclass(frozen=True)
class Release:
    """As BR2_VERSION in Buildroot's Makefile has it. ``before``: it is only on the way to its series."""

    name: str
    series: str
    before: bool

    @property
    def warning(self) -> str:
        """One sentence where Cygnet is not made for it, else nothing."""
        if self.series in SUPPORTED and not self.before:
            return ""
        than = "newer" if self.series > SUPPORTED[-1] else "older"
        return (
            f"Buildroot {self.name} is {than} than what Cygnet is made for and tested with, "
            f"{' and '.join(SUPPORTED)}: it may work, and what it lacks will be named"
        )


def parse(name: str) -> Release | None:
    """The release of that name; None for what is no release of Buildroot."""
    found = NUMBER.fullmatch(name)
    return Release(name, found["series"], bool(found["before"])) if found else None
