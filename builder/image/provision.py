"""One box's image from a stock image: its data partition is written, all else is copied and compared with the hash.

The image gets its name when it is whole; it is its owner's alone, since a box's secrets are in it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.boards import Board
from builder.errors import CygnetError, StepFailed
from builder.full_disk import FULL
from builder.image.data import Files
from builder.image.header import beside
from builder.image.image import medium
from builder.run import Runner

# Less than this is a full disk, whatever a program said when it could not write.
LEAST = 1 << 16


def make_box(board: Board, files: Files, stock: Path, to: Path, tools: Path, log: Path) -> None:
    """Write the image of a box that has ``files`` to ``to``; what was there before stays until the new one is whole.

    Raises CygnetError when ``stock`` is damaged, when another run makes the same image, when the disk is full.
    """
    # Programs run in a folder of their own.
    to, stock, tools = to.absolute(), stock.absolute(), tools.absolute()
    with _new(to) as new, _workshop(to) as work:
        try:
            medium(board).make_box(board, files, stock, new, tools, work, Runner(to.name, log))
        except (OSError, StepFailed) as error:
            if not _is_full(error, to.parent):
                raise
            raise CygnetError(
                f"{to.parent}: no space is left there for a box's image; make room, or name another --to"
            ) from None
        if beside(new).is_file():
            beside(new).replace(beside(to))
        new.replace(to)


@contextmanager
def _new(to: Path) -> Iterator[Path]:
    """The empty file that will be ``to``, locked, for its owner's eyes only; gone if it was not renamed."""
    new = to.with_name(f"{to.name}.new")
    if to.exists() and not to.is_file():
        raise CygnetError(f"{to} is no file: name a file for the image, ./inv flash writes it to a card")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(new, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise CygnetError(f"{new}: {error.strerror}; name a place for the image where files can be made") from None
    try:
        _lock(file, new, to)
        os.fchmod(file, 0o600)
        os.ftruncate(file, 0)
        try:
            yield new
        finally:
            new.unlink(missing_ok=True)
            beside(new).unlink(missing_ok=True)
    finally:
        os.close(file)


def _lock(file: int, new: Path, to: Path) -> None:
    """Take the file for ourselves; it must still be the one of that name, not an image that was just renamed."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        ours = os.path.samestat(os.fstat(file), new.stat())
    except (BlockingIOError, FileNotFoundError):
        ours = False
    if not ours:
        raise CygnetError(f"another run is making {to} now; wait for it")


@contextmanager
def _workshop(to: Path) -> Iterator[Path]:
    """A folder for what the image is made of, for its owner's eyes only; a run that was killed leaves none for long."""
    work = to.with_name(f"{to.name}.work")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(mode=0o700)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _is_full(error: OSError | StepFailed, folder: Path) -> bool:
    if isinstance(error, OSError):
        return error.errno in FULL
    return shutil.disk_usage(folder).free < LEAST
