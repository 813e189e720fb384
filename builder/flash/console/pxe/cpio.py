"""An initramfs: a cpio archive in the format that Linux unpacks before its first program.

Linux' Documentation/driver-api/early-userspace/buffer-format.rst, "newc".
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass

MAGIC = b"070701"
END = "TRAILER!!!"


@dataclass(frozen=True)
class Entry:
    """A file, folder or link; ``content`` of a link is where it points."""

    mode: int
    content: bytes = b""


FOLDER = Entry(stat.S_IFDIR | 0o755)


def program(content: bytes) -> Entry:
    """A file that can be run."""
    return Entry(stat.S_IFREG | 0o755, content)


def file(content: bytes) -> Entry:
    """A file for root alone."""
    return Entry(stat.S_IFREG | 0o600, content)


def link(to: str) -> Entry:
    """A symbolic link."""
    return Entry(stat.S_IFLNK | 0o777, to.encode())


def archive(entries: Mapping[str, Entry]) -> bytes:
    """The archive, in this order: a folder comes before what is in it. The owner is root, times are 0."""
    found = bytearray()
    for number, (name, entry) in enumerate({**entries, END: Entry(0)}.items(), 1):
        path = name.encode() + b"\0"
        # ino, mode, uid, gid, nlink, mtime, filesize, four device numbers, namesize, check
        fields = (number, entry.mode, 0, 0, 1, 0, len(entry.content), 0, 0, 0, 0, len(path), 0)
        found += MAGIC + b"".join(b"%08x" % field for field in fields) + path
        _fill(found)
        found += entry.content
        _fill(found)
    return bytes(found)


def _fill(content: bytearray) -> None:
    content += bytes(-len(content) % 4)
