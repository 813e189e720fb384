"""The folder a fleet is kept in: one run at a time, each file whole or not at all, nothing written that did not change.

A file is made below ``.new`` and renamed; what a killed run left there is removed by the next one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from builder.errors import CygnetError

NEW, LOCK = ".new", ".lock"
PRIVATE, OPEN = 0o600, 0o644


class Folder:
    """The folder at ``path``; names of files are relative to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.new = path / NEW

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """For this run alone. CygnetError when another one works here."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / LOCK).open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise CygnetError(f"{self.path}: another ./inv fleet works here: wait until it has ended") from None
            self.clear()
            try:
                yield
            finally:
                self.clear()

    def clear(self) -> None:
        """Remove what is half made."""
        shutil.rmtree(self.new, ignore_errors=True)

    def write(self, name: str, data: bytes, mode: int = OPEN, durable: bool = False) -> bool:
        """Write a file if it is not so already; whether it was. ``durable``: it is on the disk when this returns."""
        file = self.path / name
        if is_so(file, data, mode):
            return False
        self.new.mkdir(exist_ok=True)
        file.parent.mkdir(exist_ok=True)
        new = self.new / "file"
        lay(new, data, mode, durable)
        new.replace(file)
        return True

    def write_box(self, name: str, files: Mapping[str, bytes]) -> bool:
        """Write the files of a box; a new box appears with all of them. Whether anything changed.

        The order is kept: what others depend on comes first.
        """
        if (self.path / name).exists():
            written = [self.write(f"{name}/{file}", data) for file, data in files.items()]
            return any(written)
        folder = self.new / name
        shutil.rmtree(folder, ignore_errors=True)
        for file, data in files.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            lay(folder / file, data, OPEN)
        folder.rename(self.path / name)
        return True

    def settle(self, name: str) -> None:
        """That the names in this folder are on the disk."""
        if (self.path / name).is_dir():
            handle = os.open(self.path / name, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def is_so(file: Path, data: bytes, mode: int) -> bool:
    """Whether a file has these bytes, and nobody may read it beyond ``mode``."""
    try:
        return file.read_bytes() == data and file.stat().st_mode & 0o777 & ~mode == 0
    except (FileNotFoundError, NotADirectoryError):
        return False


def lay(file: Path, data: bytes, mode: int, durable: bool = False) -> None:
    """A new file, never readable beyond ``mode``."""
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
        stream.write(data)
        if durable:
            stream.flush()
            os.fsync(stream.fileno())
