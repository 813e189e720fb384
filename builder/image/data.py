"""What a box has on its data partition or volume from the start: nothing, or its name and a seed of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

# What a box reads at its first start to fill the kernel's pool; BusyBox seedrng credits it and makes the next.
SEED = "seedrng/seed.credit"
SEED_BYTES = 256
# /etc is an overlay: what stands here hides the stock image's file.
HOST_NAME = "etc/hostname"


def of_box(name: str) -> dict[str, bytes]:
    """The files of one box."""
    return {SEED: os.urandom(SEED_BYTES), HOST_NAME: f"{name}\n".encode()}


def lay_data(files: Mapping[str, bytes], to: Path) -> Path:
    """Write ``files`` below the new directory ``to``, the seed for root's eyes only."""
    to.mkdir()
    to.chmod(0o755)
    for name, data in files.items():
        file = to / name
        file.parent.mkdir(mode=0o700 if name == SEED else 0o755)
        file.write_bytes(data)
        file.chmod(0o400 if name == SEED else 0o644)
    return to


def for_owner_only(file: Path) -> Path:
    """An empty file that only its owner can read, for an image with a seed inside."""
    file.unlink(missing_ok=True)
    os.close(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600))
    return file
