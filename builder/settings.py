"""Where things stand on this machine, and the few settings a user may give.

Environment variables: ``CYGNET_CACHE`` (default: ``$XDG_CACHE_HOME/cygnet``),
``CYGNET_MIRROR`` and ``CYGNET_SECURITY_MIRROR`` (default: what the host's apt uses), ``CYGNET_BUILDROOT`` (a checkout
or a release tarball of Buildroot, or the address of one: builder/buildroot/checkout.py).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from builder.errors import CygnetError

VERSION = "0.1.0"
# Every time stamp inside an image; also the floor below which a box's clock never falls.
EPOCH = 1_767_225_600

PROJECT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Settings:
    """The directories one build works in; tests make their own."""

    cache: Path
    project: Path = PROJECT
    images: Path = PROJECT / "images"
    buildroot: str = ""

    @property
    def packages(self) -> Path:
        """The recipes."""
        return self.project / "packages"

    @property
    def boards(self) -> Path:
        """The boards."""
        return self.project / "board"

    @property
    def overlay(self) -> Path:
        """What the root file system holds beside packages."""
        return self.project / "overlay"

    @property
    def downloads(self) -> Path:
        """Downloaded files, named by their SHA-256."""
        return self.cache / "downloads"

    @property
    def store(self) -> Path:
        """Finished steps, named by their key."""
        return self.cache / "store"

    @property
    def work(self) -> Path:
        """Scratch directories of the steps that run now."""
        return self.cache / "work"

    @property
    def trees(self) -> Path:
        """Unpacked, read-only trees (tools, shared sources), named by their key."""
        return self.cache / "trees"

    @property
    def logs(self) -> Path:
        """One log a step."""
        return self.cache / "logs"


def settings() -> Settings:
    """The settings of this machine and user."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = Path(os.environ.get("CYGNET_CACHE") or Path(base) / "cygnet")
    if any(letter.isspace() or letter == ":" for letter in str(cache)):
        raise CygnetError(
            f"the cache directory {cache} has a space or colon in its path, which make cannot use: set CYGNET_CACHE"
        )
    return Settings(cache=cache.resolve(), buildroot=os.environ.get("CYGNET_BUILDROOT", ""))
