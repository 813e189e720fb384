"""A Debian source package's tarballs -> one patched source tree (dpkg-source's format 3.0 (quilt)).

The .dsc is not needed: the signed index vouches for each tarball.
"""

from __future__ import annotations

import re
from pathlib import Path

from builder.errors import SourceError
from builder.run import Runner


def unpack(files: list[Path], patches: list[Path], to: Path, runner: Runner) -> None:
    """Unpack ``files`` into ``to``, apply Debian's series, then ``patches`` in the given order."""
    to.mkdir(parents=True)
    for file in sorted(files, key=_order):
        component = re.search(r"\.orig-([a-z0-9-]+)\.tar", file.name)
        _extract(file, to / component[1] if component else to, strip=not _is_debian(file), runner=runner)
    series = to / "debian/patches/series"
    debian = [to / "debian/patches" / name for name in read_series(series)] if series.exists() else []
    for patch in [*debian, *patches]:
        if not patch.is_file():
            raise SourceError(f"{series}: names {patch.name}, which is not there")
        runner.run(["patch", "-p1", "--batch", "--no-backup-if-mismatch", "-i", str(patch)], cwd=to)


def read_series(series: Path) -> list[str]:
    """The patch names of a quilt series: comments and blank lines dropped, options refused by ignoring them."""
    lines = (line.split("#")[0].split() for line in series.read_text().splitlines())
    return [words[0] for words in lines if words]


def _is_debian(file: Path) -> bool:
    return ".debian.tar" in file.name


def _order(file: Path) -> tuple[int, str]:
    """The main tarball first, components next, Debian's directory last."""
    return (2 if _is_debian(file) else ".orig-" in file.name, file.name)


def _extract(file: Path, to: Path, strip: bool, runner: Runner) -> None:
    to.mkdir(exist_ok=True)
    command = ["tar", "--extract", "--no-same-owner", f"--file={file}", f"--directory={to}"]
    runner.run([*command, "--strip-components=1"] if strip else command, cwd=to)
