"""The lock file: which version of each source, file by file, with its SHA-256.

One entry a source (or tool package): version, the suite it was found in, and its files as
paths below a repository.  Written sorted, so that a change reads well in a diff.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from builder.errors import RecipeError


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of the archive. ``path`` is relative to ``repository``; ``size`` in bytes."""

    path: str
    sha256: str
    size: int
    repository: str = "debian"

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.path.rsplit("/", 1)[-1]


class Locked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One source at one version."""

    version: str
    suite: str
    files: tuple[File, ...]

    @property
    def upstream(self) -> str:
        """The upstream part of the version: without epoch and Debian revision."""
        return self.version.split(":")[-1].rsplit("-", 1)[0]


Lock = dict[str, Locked]


def read_lock(file: Path) -> Lock:
    """The lock in ``file``; an absent file is an empty lock."""
    if not file.exists():
        return {}
    try:
        return msgspec.json.decode(file.read_bytes(), type=Lock)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise RecipeError(file, 1, f"not a lock file ({error}); restore it from git or run: ./inv lock") from None


def write_lock(file: Path, lock: Lock) -> None:
    """Replace ``file`` in one rename."""
    text = msgspec.json.format(msgspec.json.encode(dict(sorted(lock.items()))), indent=1)
    new = file.with_name(f"{file.name}.new")
    new.write_bytes(text + b"\n")
    new.replace(file)
