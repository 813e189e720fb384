"""The exported tree: what its parts are called, and how it is put in place without harm to what a user has there.

A tree has a list of its files and their hashes.  What is not on it is the user's and stays; what is on it and was
changed stops an export before it writes anything; what an export would write with the same bytes is not touched, so
that Buildroot builds nothing again.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.errors import CygnetError
from builder.settings import VERSION
from builder.steps.step import hash_bytes

NAME = "CYGNET"
# How the tree is called in a defconfig and in make, and in a script that Buildroot runs.
TREE, TREE_SHELL = f"$(BR2_EXTERNAL_{NAME}_PATH)", f"$BR2_EXTERNAL_{NAME}_PATH"
BOARDS = "board/cygnet"
COMMON = f"{BOARDS}/common"
LIST = "cygnet.list"


@dataclass(frozen=True)
class File:
    """A file of the tree: what it holds, whether it is run; ``link``: a symbolic link, and where to."""

    content: bytes = b""
    runs: bool = False
    link: str = ""

    @property
    def mark(self) -> str:
        """What the list says of it."""
        return f"-> {self.link}" if self.link else f"{hash_bytes(self.content)}{' x' if self.runs else ''}"


Files = Mapping[str, File]


def defconfig_name(board: str) -> str:
    """What `make` is told to configure Buildroot for a board."""
    return f"cygnet_{board}_defconfig"


def board_folder(board: str) -> str:
    """A board's folder in the tree."""
    return f"{BOARDS}/{board}"


def made_by(of: str) -> str:
    """What a file of the tree says of itself."""
    return f"Made by ./inv buildroot export (Cygnet {VERSION}) from {of}; change that, not this."


def put(files: Files, to: Path) -> None:
    """Make ``to`` hold ``files``. Raises CygnetError, and changes nothing, if it is no tree of ours or was changed."""
    try:
        before = read_list(to)
        if before is None:
            _put_new(files, to)
        else:
            _refuse_changed(files, before, to)
            _update(files, before, to)
    except OSError as error:
        raise CygnetError(f"--out={to}: {error.filename or to}: {error.strerror}") from None


def read_list(folder: Path) -> dict[str, str] | None:
    """Path -> mark of a tree's files; None where nothing is yet. Raises CygnetError for a folder that is not ours."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    file = folder / LIST
    if not folder.is_dir() or not file.is_file():
        raise CygnetError(
            f"--out={folder} is neither empty nor a tree that ./inv buildroot export made (it has no {LIST}): "
            "name another folder"
        )
    try:
        pairs = [line.split("\t") for line in file.read_text().splitlines() if not line.startswith("#")]
        return {path: mark for path, mark in pairs if _is_below(path)}
    except ValueError:
        raise CygnetError(f"{file} is damaged: take it back, or name another folder with --out") from None


def _is_below(path: str) -> bool:
    return not path.startswith("/") and ".." not in Path(path).parts


def _put_new(files: Files, to: Path) -> None:
    new = to.with_name(f"{to.name}.new")
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(new, ignore_errors=True)
    try:
        for path, file in sorted(files.items()):
            _write(file, new / path)
        _write(_list(files), new / LIST)
        new.replace(to)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _refuse_changed(files: Files, before: Mapping[str, str], to: Path) -> None:
    """What an interrupted export wrote already is no change."""
    fresh = {path: file.mark for path, file in files.items()}
    for path in sorted({*before, *files}):
        found = _mark(to / path)
        if found and found not in (before.get(path), fresh.get(path)):
            raise CygnetError(
                f"--out={to}: {path} was changed since it was exported: take it back or move it away "
                f"(what a board or package needs of its own stands in its folder: docs/buildroot.md)"
            )


def _update(files: Files, before: Mapping[str, str], to: Path) -> None:
    for path, file in sorted(files.items()):
        if _mark(to / path) != file.mark:
            _write(file, to / path)
    for path in sorted(before.keys() - files.keys(), reverse=True):
        (to / path).unlink(missing_ok=True)
        _remove_empty((to / path).parent, to)
    _write(_list(files), to / LIST)


def _remove_empty(folder: Path, top: Path) -> None:
    while folder != top and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def _list(files: Files) -> File:
    lines = [f"# {made_by('all of it')}", *(f"{path}\t{file.mark}" for path, file in sorted(files.items()))]
    return File("\n".join([*lines, ""]).encode())


def _mark(place: Path) -> str:
    """What the list would say of a file that is there; nothing where none is."""
    if place.is_symlink():
        return File(link=str(place.readlink())).mark
    if not place.is_file():
        return "a folder" if place.is_dir() else ""
    return File(place.read_bytes(), bool(place.stat().st_mode & 0o100)).mark


def _write(file: File, place: Path) -> None:
    """A file whole or not at all."""
    place.parent.mkdir(parents=True, exist_ok=True)
    new = place.with_name(f".{place.name}.new")
    new.unlink(missing_ok=True)
    if file.link:
        new.symlink_to(file.link)
    else:
        new.write_bytes(file.content)
        new.chmod(0o755 if file.runs else 0o644)
    new.replace(place)
