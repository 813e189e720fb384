"""``python -m cygnet_site apply|check FILE``: a site file on the box that it describes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cygnet_site.check import problems
from cygnet_site.errors import SiteError
from cygnet_site.read import read_site
from cygnet_site.render import DIRECTORIES, File, render

USAGE = "usage: python -m cygnet_site apply|check FILE"


def main(words: list[str]) -> int:
    """Exit status 1 where the file cannot be used, which then is said."""
    match words:
        case ["check", name]:
            action = None
        case ["apply", name]:
            action = apply
        case _:
            print(USAGE, file=sys.stderr)
            return 2
    try:
        site = read_site(Path(name))
        if found := problems(site):
            raise SiteError.of(found)
        if action:
            action(render(site), Path(os.environ.get("CYGNET_ROOT", "/")))
    except (SiteError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def apply(files: dict[str, File], root: Path) -> None:
    """Lay the files below ``root``: each the old one or the new, whole, whatever happens."""
    for name, file in files.items():
        place = root / name
        for parent in reversed(Path(name).parents[:-1]):
            (root / parent).mkdir(mode=DIRECTORIES.get(str(parent), 0o755), exist_ok=True)
        new = place.with_name(f"{place.name}.new")
        new.unlink(missing_ok=True)
        with open(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, file.mode), "wb") as out:  # noqa: PTH123
            os.fchmod(out.fileno(), file.mode)
            out.write(file.content)
            out.flush()
            os.fsync(out.fileno())
        new.replace(place)
    os.sync()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
