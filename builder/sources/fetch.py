"""Downloads, by apt's own transports: resumed where they stopped, believed only by their hash.

A file is kept under its SHA-256, so a name that is there is a file that is right.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
import threading
from collections import defaultdict
from pathlib import Path

from builder.errors import Interrupted, SourceError
from builder.sources import pypi
from builder.sources.lock import File
from builder.sources.mirror import mirrors

HELPER = "/usr/lib/apt/apt-helper"
RETRIES = 3
WRONG = "the mirror's file is not the one the signed index names (wrong SHA-256). Use another mirror: CYGNET_MIRROR=..."


class NotServed(SourceError):
    """The mirror does not have the file (any more): the next candidate may be had."""


class Downloads:
    """The downloaded files of one cache directory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._guard = threading.Lock()
        self._locks: dict[str, threading.Lock] = defaultdict(threading.Lock)

    def path(self, file: File) -> Path:
        """Where ``file`` is (or would be)."""
        return self._folder / file.sha256 / file.name

    def has(self, file: File) -> bool:
        """Whether it need not be downloaded."""
        return self.path(file).is_file()

    def fetch(self, file: File, again: bool = False) -> Path:
        """Download ``file`` unless it is there (``again``: even then). Raises NotServed, SourceError."""
        with self._guard:
            lock = self._locks[file.sha256]
        with lock:
            if again or not self.has(file):
                self._download(file)
        return self.path(file)

    def _download(self, file: File) -> None:
        place = self.path(file)
        place.parent.mkdir(parents=True, exist_ok=True)
        if file.repository == pypi.REPOSITORY:
            self._download_from_pypi(file)
            return
        download(f"{mirrors()[file.repository]}/{file.path}", place, file.sha256)

    def _download_from_pypi(self, file: File) -> None:
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            found = pypi.download(file.path, Path(folder))
            if hashlib.sha256(found.read_bytes()).hexdigest() != file.sha256:
                raise SourceError(f"{file.path}: the index's file is not the one that was locked (wrong SHA-256).")
            found.replace(self.path(file))


def download(address: str, place: Path, sha256: str, wrong: str = WRONG) -> None:
    """Download ``address`` to ``place``, going on where it was cut short; ``wrong``: what is said of another hash.

    Raises NotServed, SourceError, Interrupted.
    """
    part = place.with_name(f"{place.name}.part")
    command = [
        HELPER, "-o", f"Acquire::Retries={RETRIES}", "-o", "APT::Sandbox::User=",
        "download-file", address, str(part), f"SHA256:{sha256}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    if done.returncode < 0:
        raise Interrupted
    if done.returncode or not part.is_file():
        _forget_bad(part)
        raise _failure(address, done.stderr, wrong)
    part.replace(place)


def _forget_bad(part: Path) -> None:
    """apt leaves a file with the wrong hash as .FAILED; what was merely cut short stays to be resumed."""
    part.with_name(f"{part.name}.FAILED").unlink(missing_ok=True)


def _failure(address: str, words: str, wrong: str) -> SourceError:
    if "404" in words or "File not found" in words:
        return NotServed(f"{address}: the mirror does not serve this file.")
    if "Hash Sum mismatch" in words:
        return SourceError(f"{address}: {wrong}")
    if "No space left" in words or "Disk quota" in words:
        return SourceError(f"{address}: no space left in the cache directory; make room or set CYGNET_CACHE.")
    if "Could not resolve" in words or "Could not connect" in words or "Unable to connect" in words:
        return SourceError(f"{address}: the mirror cannot be reached. Is the network there?")
    reason = next((line[3:] for line in words.splitlines() if line.startswith("E:")), "no reason given")
    return SourceError(f"{address}: {reason}")
