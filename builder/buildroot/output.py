"""The folder that Buildroot builds a board in, and what it was begun with.

Buildroot marks each finished step of a package with a stamp and goes on from there, whatever has changed since.  So a
record of the release, the configuration and the packages' own files stands beside the stamps, and a build is only gone
on with where that is right.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from builder.buildroot.configuration import Symbols, conflicts, words
from builder.errors import CygnetError

RECORD = "cygnet.json"
DONE = ".stamp_installed"
# A package that has one of these is patched, or needs no patches.
PATCHED = (".stamp_patched", ".stamp_rsynced")


class Record(msgspec.Struct, frozen=True):
    """What an output was begun with. ``packages``: hash of the files of each package of the external tree."""

    release: str
    config: dict[str, str]
    packages: dict[str, str] = {}


@dataclass(frozen=True)
class Output:
    """One board's output folder."""

    folder: Path

    @property
    def config(self) -> Path:
        """The configuration that Buildroot builds by."""
        return self.folder / ".config"

    @property
    def images(self) -> Path:
        """What Buildroot leaves in the end."""
        return self.folder / "images"

    @property
    def begun(self) -> bool:
        """Whether any step of any package has been made."""
        return next(self.folder.glob("build/*/.stamp_*"), None) is not None

    def record(self) -> Record | None:
        """What it was begun with; None where nobody knows."""
        with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
            return msgspec.json.decode((self.folder / RECORD).read_bytes(), type=Record)
        return None

    def write(self, record: Record) -> None:
        """Note what is built from now on."""
        new = self.folder / f"{RECORD}.new"
        new.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1))
        new.replace(self.folder / RECORD)

    def check(self, release: str, config: Symbols) -> None:
        """Raise unless what is there can be gone on with."""
        if not self.begun:
            return
        record = self.record()
        if record is None:
            raise self._unusable("holds a build that ./inv buildroot did not begin")
        if record.release != release:
            raise self._unusable(f"holds a build by Buildroot {record.release}, and this is {release}")
        if found := conflicts(record.config, config):
            raise self._unusable(f"was built with another configuration ({words(found)})")

    def _unusable(self, why: str) -> CygnetError:
        return CygnetError(f"{self.folder} {why}: it cannot be gone on with; to begin anew, rm -r {self.folder}")

    def drop_half_patched(self, packages: Iterable[Path]) -> list[str]:
        """Remove those of the packages' folders that an interruption left unpatched; their names.

        Buildroot would unpack and patch over what is there already, and patches do not apply twice.
        """
        found = [place for place in packages if _half_patched(place)]
        for place in found:
            shutil.rmtree(place)
        return [place.name for place in found]

    def changed(self, packages: Mapping[str, str]) -> list[str]:
        """The packages whose own files are others than those it was begun with."""
        record = self.record()
        before = record.packages if record else {}
        return [name for name, digest in packages.items() if name in before and before[name] != digest]


def _half_patched(place: Path) -> bool:
    """Whether more is there than the stamp of a download, and yet it is not patched."""
    names = {file.name for file in place.iterdir()} if place.is_dir() else set()
    return any(not name.startswith(".stamp_") for name in names) and names.isdisjoint(PATCHED)
