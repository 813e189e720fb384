"""What a package of the image is: the description at the head of every recipe.

``packages/<name>/recipe.py`` holds one ``package = Package(...)`` and one function
``build(b)``; `builder.recipes.build.Build` is what that function is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class DebianSource:
    """A Debian source package.

    ``suites`` are tried in order; the first whose files can all be had is taken.
    ``skip`` names components (``orig-<component>``) that the build does not need.
    """

    name: str
    suites: tuple[str, ...] = ("trixie-security", "trixie")
    skip: tuple[str, ...] = ()


@dataclass(frozen=True)
class PypiSource:
    """A source distribution of the Python Package Index, for what no suite's pool holds whole."""

    name: str
    release: str
    suites: tuple[str, ...] = ("pypi",)
    skip: tuple[str, ...] = ()


@dataclass(frozen=True)
class Package:
    """One package: where it comes from, what it needs, how it may be given on.

    ``licence`` is an SPDX expression; ``licence_files`` are paths in the source tree.
    ``depends`` are packages whose products the build sees in its sysroot.
    ``tools`` are groups of builder/tools/groups.toml that the build runs.
    ``per`` says what a product serves: every board with the same CPU, one board (a kernel), or all.
    ``shared_source`` keeps one unpacked, read-only source tree for all boards.
    """

    source: DebianSource | PypiSource | None
    licence: str
    summary: str
    licence_files: tuple[str, ...] = ()
    depends: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    per: Literal["cpu", "board", "all"] = "cpu"
    shared_source: bool = False
