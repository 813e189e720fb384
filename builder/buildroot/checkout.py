"""The Buildroot that the user has: a checkout, a release tarball, or the address of one with its hash.

`--buildroot=` names it, or the setting CYGNET_BUILDROOT.  A tarball is unpacked in the cache, once; a checkout is used
where it stands, and nothing is written into it.
"""

from __future__ import annotations

import re
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

from builder.buildroot.release import Release, parse
from builder.errors import CygnetError
from builder.run import Runner
from builder.settings import Settings
from builder.sources.fetch import download
from builder.steps.store import hash_file

VERSION = re.compile(r"^export BR2_VERSION := (\S+)$", re.MULTILINE)
# What every release since 2015.02 has.
MARKS = ("Makefile", "Config.in", "package", "support/scripts")
ADDRESS = re.compile(r"(https?|ftp)://(?P<rest>[^#]+)")
HASHED = re.compile(r"(?P<address>\w+://[^#\s]+)#sha256=(?P<sha256>[0-9a-f]{64})")
# make cannot name a file in such a folder.
NOT_FOR_MAKE = re.compile(r"[\s:@#$%]")


@dataclass(frozen=True)
class Checkout:
    """A Buildroot, ready to be used."""

    folder: Path
    release: Release


def find(place: str, settings: Settings) -> Checkout:
    """The Buildroot at ``place``, else at the setting's. Raises CygnetError when there is none."""
    named = place or settings.buildroot
    if not named:
        raise CygnetError(
            "which Buildroot? Name a checkout or a release tarball, --buildroot=..., or set CYGNET_BUILDROOT"
        )
    path = _fetched(named, settings) if ADDRESS.match(named) else Path(named).expanduser()
    if path.is_file():
        path = _unpacked(path, settings)
    return look(path.resolve())


def look(folder: Path) -> Checkout:
    """The Buildroot in a folder; raises CygnetError when that is something else."""
    if not folder.is_dir():
        raise CygnetError(f"{folder} is not there: --buildroot= or CYGNET_BUILDROOT names a checkout or a tarball")
    makefile = folder / "Makefile"
    found = VERSION.search(makefile.read_text(errors="replace")) if makefile.is_file() else None
    release = parse(found[1]) if found else None
    missing = next((name for name in MARKS if not (folder / name).exists()), "")
    if missing or release is None:
        why = f"it has no {missing}" if missing else "its Makefile names no release (BR2_VERSION)"
        raise CygnetError(f"{folder} is no Buildroot: {why}; name the top folder of a checkout or a release tarball")
    if wrong := NOT_FOR_MAKE.search(str(folder)):
        raise CygnetError(f"{folder}: Buildroot cannot be in a folder with {wrong[0]!r} in its path; move it")
    return Checkout(folder, release)


def _fetched(named: str, settings: Settings) -> Path:
    found = HASHED.fullmatch(named)
    if not found:
        raise CygnetError(
            f"{named}: an address needs the tarball's hash behind it, ...tar.xz#sha256=...; "
            "Buildroot publishes it beside each release, in the .sign file"
        )
    place = settings.downloads / found["sha256"] / found["address"].rpartition("/")[2]
    if not place.is_file():
        place.parent.mkdir(parents=True, exist_ok=True)
        download(found["address"], place, found["sha256"], "the file there is another than #sha256= names")
    return place


def _unpacked(tarball: Path, settings: Settings) -> Path:
    if not tarfile.is_tarfile(tarball):
        raise CygnetError(f"{tarball} is no Buildroot: it is neither a folder nor a tarball")
    place = settings.cache / "buildroot" / "releases" / hash_file(tarball)[:16]
    if not place.is_dir():
        new = place.with_name(f"{place.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        runner = Runner(tarball.name, settings.logs / "buildroot-unpack.log")
        runner.run(
            ["tar", "--extract", "--no-same-owner", "--strip-components=1", f"--file={tarball.resolve()}"], cwd=new
        )
        look(new)
        new.rename(place)
    return place
