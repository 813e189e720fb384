"""Source distributions from the Python Package Index, by pip and from the index that pip is set to.

The lock holds the hash of what was locked, as for every other source.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

from builder.errors import SourceError
from builder.sources.lock import File, Locked

REPOSITORY = "pypi"


def locate(name: str, release: str) -> Locked:
    """The source distribution of one release, as an entry for the lock."""
    with tempfile.TemporaryDirectory() as folder:
        file = download(f"{name}/{release}", Path(folder))
        content = file.read_bytes()
        path = f"{name}/{release}/{file.name}"
    return Locked(release, REPOSITORY, (File(path, hashlib.sha256(content).hexdigest(), len(content), REPOSITORY),))


def download(path: str, to: Path) -> Path:
    """Download the source distribution that ``path`` (name/release/...) names into the folder ``to``."""
    name, release = path.split("/")[:2]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary=:all:", f"--dest={to}"]
    done = subprocess.run([*command, f"{name}=={release}"], capture_output=True, text=True)
    found = [file for file in to.glob("*") if file.suffix in (".gz", ".bz2", ".xz", ".zip")]
    if done.returncode or len(found) != 1:
        reason = next((line for line in done.stderr.splitlines() if line.startswith("ERROR:")), "no reason given")
        raise SourceError(f"pip cannot download the source of {name} {release}: {reason}")
    return found[0]
