"""A card in a reader, opened so that nobody else uses it, read and written around the page cache.

Manual pages: open(2) for O_EXCL on a block device and O_DIRECT; https://systemd.io/BLOCK_DEVICE_LOCKING for flock.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

from builder.errors import CygnetError
from builder.flash.block_layout import PIECE

# linux/fs.h: read the partition table anew.
BLKRRPART = 0x125F
IN_USE = "is in use by another program, perhaps by another ./inv flash; nothing was written"
REASONS = {
    errno.EBUSY: IN_USE,
    errno.EAGAIN: IN_USE,
    errno.EACCES: "is not yours to write: run it as root (sudo ./inv flash ...), or as a member of the device's group",
    errno.EPERM: "is not yours to write: run it as root (sudo ./inv flash ...)",
    errno.EROFS: "is read-only: is the card's lock switch on?",
    errno.ENOMEDIUM: "has no card in it",
    errno.ENXIO: "has no card in it",
}


class Device:
    """An open block device; a `Target`."""

    unfinished = "is half written and does not boot until the same command has ended well"

    def __init__(self, name: str, file: int) -> None:
        self.name, self._file = name, file
        # O_DIRECT wants whole pages.
        self._buffer = mmap.mmap(-1, PIECE)

    def read(self, at: int, size: int) -> bytes:
        """See Target."""
        done = os.preadv(self._file, [memoryview(self._buffer)[:size]], at)
        return self._whole(done, size)

    def write(self, at: int, content: bytes) -> None:
        """See Target."""
        self._buffer[: len(content)] = content
        self._whole(os.pwritev(self._file, [memoryview(self._buffer)[: len(content)]], at), len(content))

    def flush(self) -> None:
        """See Target."""
        os.fsync(self._file)

    def _whole(self, done: int, size: int) -> bytes:
        if done != size:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return self._buffer[:size]


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Device]:
    """The device at ``path``, claimed: meanwhile nobody can mount it, and udev leaves it alone."""
    try:
        file = os.open(path, os.O_RDWR | os.O_EXCL | os.O_DIRECT | os.O_CLOEXEC)
    except OSError as error:
        raise _told(path, error) from None
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise _told(path, error) from None
        yield Device(str(path), file)
        with contextlib.suppress(OSError):
            fcntl.ioctl(file, BLKRRPART)
    finally:
        os.close(file)


def _told(path: Path, error: OSError) -> CygnetError:
    return CygnetError(f"{path} {REASONS.get(error.errno or 0, f'cannot be opened: {error.strerror}')}")
