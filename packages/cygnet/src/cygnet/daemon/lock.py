"""The pid file as a lock: one daemon at a time, and nothing to clean up after one that crashed."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from cygnet.errors import CygnetError

LOCKED = 10  # exit status, pluto(8)


class LockError(CygnetError):
    """The lock cannot be had."""


class Lock:
    """Held from the moment that it is made until `release`, or until the process ends in whatever way."""

    def __init__(self, path: Path) -> None:
        self._path = path
        make_private_directory(path.parent)
        self._file = self._open()
        self._take()
        while not self._is_still_there():
            os.close(self._file)
            self._file = self._open()
            self._take()
        os.ftruncate(self._file, 0)
        os.write(self._file, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Remove the file, while it is still ours."""
        self._path.unlink(missing_ok=True)
        os.close(self._file)

    def _is_still_there(self) -> bool:
        """False if whoever held it before us has removed the file in between."""
        try:
            return os.path.samestat(os.fstat(self._file), self._path.stat())
        except FileNotFoundError:
            return False

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except OSError as problem:
            raise LockError(f"cannot make {self._path}: {problem.strerror}; try --ctlbase elsewhere") from None

    def _take(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._file, 20).decode("ascii", "replace").strip()
            raise LockError(f"Pluto runs already, as process {holder} ({self._path} is locked)") from None


def make_private_directory(path: Path) -> None:
    """Ours alone, if it is ours to make; a directory that others share (/tmp) is left as it is."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as problem:
        raise LockError(f"cannot make {path}: {problem.strerror}; try --ctlbase elsewhere") from None
