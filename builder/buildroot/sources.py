"""Buildroot's downloads, filled from those of the project's own engine: what was fetched once is not fetched again."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from builder.buildroot.drive import Make
from builder.buildroot.sbom import Info, hashes


def fill(packages: Mapping[str, Info], make: Make, downloads: Path) -> None:
    """Put what is in ``downloads`` by the hash that Buildroot wants where Buildroot looks for it."""
    folder = Path(make.environment["BR2_DL_DIR"])
    for one in packages.values():
        known = hashes(one, make.checkout)
        for download in one.downloads:
            found = _found(downloads / known.get(download.source, "unknown"))
            place = folder / one.dl_dir / download.source
            if found and not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(found, new := place.with_name(f".{place.name}.new"))
                new.replace(place)


def _found(folder: Path) -> Path | None:
    """The file in the folder of a hash, if it is whole."""
    return next((file for file in folder.glob("[!.]*") if file.suffix != ".part"), None)
