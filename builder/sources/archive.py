"""From a name to files that are there: the locked version, or the next candidate, said aloud.

Debian drops old versions when new ones come.  A locked version that has gone is replaced
by the newest candidate whose files can all be had; what replaced what is remembered in the
cache, told to the user, and ends up in the image's SBOM.  ``frozen`` refuses instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from builder.errors import SourceError
from builder.sources.fetch import Downloads, NotServed
from builder.sources.lock import File, Lock, Locked, read_lock

Candidates = Callable[[str], Iterable[Locked]]


class Replaced(Exception):  # not an error: the plan is made again with the new version
    """A locked version had gone and another was chosen; content keys have to be computed anew."""


class Archive:
    """The sources named by one lock file.

    ``candidates(name)`` yields what the index offers, in order of preference; it is asked
    only when a locked version has gone.  ``say`` gets one sentence a replacement.
    """

    def __init__(
        self, lock: Path, downloads: Downloads, replacements: Path, candidates: Candidates,
        say: Callable[[str], None], frozen: bool = False,
    ) -> None:  # fmt: skip
        self._file = lock
        self._lock = read_lock(lock)
        self._downloads = downloads
        self._replacements = replacements
        self._candidates = candidates
        self._say = say
        self._frozen = frozen

    def locked(self, name: str, skip: tuple[str, ...] = ()) -> Locked:
        """The version to build: the lock's, or what replaced it before."""
        entry = self._lock.get(name)
        if entry is None:
            raise SourceError(f"{self._file} has no entry for {name!r}; add it with: ./inv lock --package={name}")
        if self._frozen or self._have(entry, skip):
            return entry
        return self._replaced().get(f"{name} {entry.version}", entry)

    def replaced(self, name: str) -> bool:
        """Whether what is to be built is not what the lock file names; the same files from elsewhere are the same."""
        now, then = self.locked(name), self._lock[name]
        return [file.sha256 for file in now.files] != [file.sha256 for file in then.files]

    def files(self, name: str, skip: tuple[str, ...] = ()) -> list[File]:
        """The files of the version to build, without the components that the recipe skips."""
        return wanted(self.locked(name, skip), skip)

    def fetch(self, name: str, skip: tuple[str, ...] = ()) -> list[Path]:
        """The files of the version to build, downloaded. Raises Replaced after choosing another."""
        try:
            return self._fetch(self.locked(name, skip), skip)
        except NotServed as gone:
            if self._frozen:
                raise SourceError(f"{name}: {gone} --frozen forbids another version; run ./inv lock.") from None
            self._replace(name, gone, skip)
            raise Replaced from None

    def _have(self, entry: Locked, skip: tuple[str, ...]) -> bool:
        return all(self._downloads.has(file) for file in wanted(entry, skip))

    def _fetch(self, entry: Locked, skip: tuple[str, ...]) -> list[Path]:
        return [self._downloads.fetch(file) for file in wanted(entry, skip)]

    def _replace(self, name: str, gone: NotServed, skip: tuple[str, ...]) -> None:
        locked = self._lock[name]
        for candidate in self._candidates(name):
            if candidate in (locked, self.locked(name, skip)):
                continue
            try:
                self._fetch(candidate, skip)
            except NotServed:
                continue
            self._say(
                f"{name} {locked.version} is gone from {locked.suite}: {candidate.version} from {candidate.suite}."
            )
            self._remember(f"{name} {locked.version}", candidate)
            return
        raise SourceError(f"{name}: {gone} No other version can be had; try another mirror: CYGNET_MIRROR=...")

    def _replaced(self) -> Lock:
        return read_lock(self._replacements)

    def _remember(self, key: str, candidate: Locked) -> None:
        self._replacements.parent.mkdir(parents=True, exist_ok=True)
        text = msgspec.json.encode({**self._replaced(), key: candidate})
        new = self._replacements.with_suffix(".new")
        new.write_bytes(text)
        new.replace(self._replacements)


def wanted(entry: Locked, skip: tuple[str, ...]) -> list[File]:
    """The files of ``entry`` without the components that the recipe skips."""
    return [file for file in entry.files if not any(f".orig-{part}." in file.name for part in skip)]
