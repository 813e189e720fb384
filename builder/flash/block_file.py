"""A plain file as target: written under another name first, so that it is the old one until it is the new one."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

from builder.errors import CygnetError
from builder.flash.block_layout import PIECE

# fcntl_locking(2): struct flock. A lock of the open file, the kind that QEMU has on its disks.
WHOLE_FILE = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)


class File:
    """The new file, not yet under its name; a `Target`."""

    unfinished = "is as it was"

    def __init__(self, path: Path, file: int) -> None:
        self.name, self._file = str(path), file

    def read(self, at: int, size: int) -> bytes:
        """See Target."""
        return os.pread(self._file, size, at).ljust(size, b"\0")

    def write(self, at: int, content: bytes) -> None:
        """See Target."""
        while content:
            done = os.pwrite(self._file, content, at)
            at, content = at + done, content[done:]

    def flush(self) -> None:
        """See Target."""
        os.fsync(self._file)
        os.posix_fadvise(self._file, 0, 0, os.POSIX_FADV_DONTNEED)


@contextlib.contextmanager
def opened(path: Path, size: int, mode: int, copied: bool) -> Iterator[File]:
    """A file of ``size`` zeros, or a copy of the one at ``path``; it takes that one's place when all went well.

    ``mode``: its permissions; nobody gets more than those of the file that was there.
    """
    new = path.with_name(f"{path.name}.new")
    with _locked(path, os.O_RDWR) as old, _made(new, path) as file:
        if old is not None:
            mode &= stat.S_IMODE(os.fstat(old).st_mode)
        os.fchmod(file, mode & 0o777)
        if copied and old is not None:
            _copy(old, file)
        os.ftruncate(file, max(size, os.fstat(file).st_size))
        yield File(path, file)
        new.replace(path)


@contextlib.contextmanager
def _made(new: Path, path: Path) -> Iterator[int]:
    """An empty file, ours alone; gone afterwards unless it got another name."""
    with _locked(new, os.O_RDWR | os.O_CREAT) as file:
        assert file is not None
        # Another run may have ended, and renamed it, between opening and locking.
        if not _is_called(file, new):
            raise _busy(path)
        try:
            os.ftruncate(file, 0)
            yield file
        finally:
            if _is_called(file, new):
                new.unlink()


@contextlib.contextmanager
def _locked(path: Path, flags: int) -> Iterator[int | None]:
    """The file, locked; None when there is none and ``flags`` do not make it."""
    try:
        file = os.open(path, flags | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        yield None
        return
    except OSError as error:
        raise CygnetError(f"{path} cannot be written: {error.strerror}") from None
    try:
        try:
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, WHOLE_FILE)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            raise _busy(path) from None
        yield file
    finally:
        os.close(file)


def _is_called(file: int, name: Path) -> bool:
    return name.exists() and os.path.samestat(name.stat(), os.fstat(file))


def _busy(path: Path) -> CygnetError:
    return CygnetError(
        f"{path} is in use by another program, perhaps by QEMU or another ./inv flash; nothing was written"
    )


def _copy(old: int, new: int) -> None:
    """What is zero is not written: holes stay holes."""
    os.ftruncate(new, os.fstat(old).st_size)
    at = 0
    while piece := os.pread(old, PIECE, at):
        if piece.strip(b"\0"):
            os.pwrite(new, piece, at)
        at += len(piece)
