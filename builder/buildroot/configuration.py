"""Buildroot's configuration as symbols: what was asked for, what became of it, what a build may go on with.

The format is Kconfig's: ``SYMBOL=value``, or ``# SYMBOL is not set``; here the value of the latter is "n".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

LINE = re.compile(r"(?:# )?(?P<name>BR2_\w+)(?:=(?P<value>.*)| is not set)")
OFF = "n"
# These say where things come from and how fast, or are only of the images that are made last.
BESIDE = re.compile(
    r"BR2_(JLEVEL|CCACHE|DL_DIR|DEFCONFIG|EXTERNAL|VERSION|ROOTFS_|TARGET_ROOTFS_|PRIMARY_SITE|BACKUP_SITE|\w+_MIRROR$)"
)
# Packages that were not there before are built and installed beside the others.
ADDED = re.compile(r"BR2_(PACKAGE|NEEDS_HOST)_")

Symbols = Mapping[str, str]


def read(text: str) -> dict[str, str]:
    """The symbols of a configuration; of one that stands there twice, the last."""
    found = (LINE.fullmatch(line.rstrip()) for line in text.splitlines())
    return {one["name"]: OFF if one["value"] is None else one["value"] for one in found if one}


def write(symbols: Symbols) -> str:
    """The symbols as a configuration's text."""
    return "".join(
        f"# {name} is not set\n" if value == OFF else f"{name}={value}\n" for name, value in sorted(symbols.items())
    )


def lost(asked: Symbols, got: Symbols) -> list[str]:
    """The symbols of ``asked`` that ``got`` does not have so."""
    return sorted(name for name, value in asked.items() if got.get(name, OFF) != value)


def differences(before: Symbols, after: Symbols) -> dict[str, str]:
    """What has to be asked for to come from ``before`` to ``after``."""
    names = before.keys() | after.keys()
    return {name: after.get(name, OFF) for name in names if before.get(name, OFF) != after.get(name, OFF)}


def conflicts(before: Symbols, after: Symbols) -> list[str]:
    """The symbols because of which what was built with ``before`` is no use for ``after``."""
    return sorted(_conflicts(before, after))


def _conflicts(before: Symbols, after: Symbols) -> Iterator[str]:
    for name in differences(before, after):
        added = before.get(name, OFF) == OFF and ADDED.match(name)
        if not (BESIDE.match(name) or added):
            yield name


def words(symbols: list[str], most: int = 8) -> str:
    """Symbols for a sentence."""
    more = len(symbols) - most
    return ", ".join(symbols[:most]) + (f" and {more} more" if more > 0 else "")
