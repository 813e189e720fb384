"""What a box has on its data partition or volume from the start: nothing, or a seed of its own and its files.

A box's files are given by their paths below the partition's root: `etc/...` hides what the stock image has in /etc,
`root/...` is root's home.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from builder.errors import CygnetError
from builder.image.layout import MIB

# What a box reads at its first start to fill the kernel's pool; BusyBox seedrng credits it and makes the next.
SEED = "seedrng/seed.credit"
SEED_BYTES = 256
HOST_NAME = "etc/hostname"
# Folders that only root may enter, with all folders in them; overlay/manifest.toml says the same of /etc.
PRIVATE = ("etc/dropbear", "etc/ipsec.d/private", "root", "seedrng")
# Names go into the scripts of debugfs.
PATH = re.compile(r"[\w.@+-]+(/[\w.@+-]+)*", re.ASCII)
# What a file system keeps of a data partition for itself, and of a file.
OVERHEAD, FILE_OVERHEAD = 2 * MIB, 1024


class Content(Protocol):
    """A file of a box: what it holds, and its mode."""

    @property
    def content(self) -> bytes:
        """What it holds."""

    @property
    def mode(self) -> int:
        """Its permissions."""


@dataclass(frozen=True)
class File:
    """A file that the builder itself makes."""

    content: bytes
    mode: int = 0o644


Files = Mapping[str, Content]


def seed() -> dict[str, Content]:
    """A new seed, which no two boxes may share."""
    return {SEED: File(os.urandom(SEED_BYTES), 0o400)}


def of_box(name: str) -> dict[str, Content]:
    """The files of a box that has a name and nothing else of its own."""
    return {**seed(), HOST_NAME: File(f"{name}\n".encode())}


def lay_data(files: Files, to: Path) -> Path:
    """Write ``files`` below the new directory ``to``."""
    _make_folder(to, PurePosixPath())
    for name, file in files.items():
        if not PATH.fullmatch(name) or {".", ".."} & set(name.split("/")):
            raise CygnetError(f"{name!r} cannot be a file of a box: letters, digits and . _ @ + - make its path")
        for folder in reversed(PurePosixPath(name).parents):
            _make_folder(to / folder, folder)
        with os.fdopen(os.open(to / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as out:
            out.write(file.content)
        (to / name).chmod(file.mode)
    return to


def check_room(files: Files, size: int, what: str) -> None:
    """Raise when ``files`` do not fit into a data partition of ``size`` bytes; ``what`` is what an error calls it."""
    wanted = sum(len(file.content) + FILE_OVERHEAD for file in files.values())
    if wanted > size - OVERHEAD:
        raise CygnetError(
            f"this box's files are {wanted - size + OVERHEAD:,} bytes larger than {what} has room for; leave some out"
        )


def _make_folder(folder: Path, name: PurePosixPath) -> None:
    if not folder.is_dir():
        folder.mkdir(0o700)
        folder.chmod(0o700 if _is_private(name) else 0o755)


def _is_private(name: PurePosixPath) -> bool:
    return any(str(folder) in PRIVATE for folder in (name, *name.parents))
