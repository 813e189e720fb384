"""``python3 -m cygnet_site apply|check FILE``: a site file on the box that it describes."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from cygnet_site.check import problems_of
from cygnet_site.errors import SiteError
from cygnet_site.files import LEASES, PPPOE
from cygnet_site.read import read_site
from cygnet_site.render import File, directories, make

USAGE = "usage: python3 -m cygnet_site apply|check FILE"
# Parts of the network that nobody else writes: without them in the site they go.
OPTIONAL = (LEASES, PPPOE)


def main(words: list[str]) -> int:
    """Exit status 1 where the file cannot be used, which then is said."""
    if len(words) != 2 or words[0] not in ("apply", "check"):
        print(USAGE, file=sys.stderr)
        return 2
    try:
        site = read_site(Path(words[1]))
        made = make(site)
        if found := problems_of(site, made):
            raise SiteError.of(found)
        if words[0] == "apply":
            apply(made.files, Path(os.environ.get("CYGNET_ROOT", "/")))
    except SiteError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename}: cannot be written: {error.strerror}; nothing is changed", file=sys.stderr)
        return 1
    return 0


def apply(files: dict[str, File], root: Path) -> None:
    """Lay the files below ``root``. Until all of them are on the disk each stays what it was."""
    new = {root / f"{name}.new": root / name for name in files}
    try:
        for folder, mode in directories(files).items():
            (root / folder).mkdir(mode=mode, exist_ok=True)
        for place, file in zip(new, files.values(), strict=True):
            _write(place, file)
    except OSError:
        for place in new:
            with suppress(OSError):
                place.unlink()
        raise
    for place, final in new.items():
        place.replace(final)
    for name in OPTIONAL:
        if name not in files:
            (root / name).unlink(missing_ok=True)
    os.sync()


def _write(place: Path, file: File) -> None:
    place.unlink(missing_ok=True)
    handle = os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, file.mode)
    try:
        with open(handle, "wb", closefd=False) as out:
            out.write(file.content)
        os.fsync(handle)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(place)) from None
    finally:
        os.close(handle)


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main(sys.argv[1:]))
