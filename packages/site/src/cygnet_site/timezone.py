"""From a time zone's name to what BusyBox understands: a POSIX TZ string, the last line of a TZif file (RFC 9636).

Where boxes are made the system's own files say it; a box has a table made from such files, a name and a string a line.

    python -m cygnet_site.timezone ZONEINFO TABLE
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

POSIX = re.compile(r"(?:[A-Za-z]{3,}|<[A-Za-z0-9+-]{3,}>)[+-]?\d{1,3}[A-Za-z0-9<>+:,./-]{0,80}", re.ASCII)
NAME = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+){0,3}", re.ASCII)
TABLE = Path(__file__).with_name("timezones")
MAX_FILE = 1 << 18


def posix(name: str, table: Path = TABLE) -> str:
    """The rules that hold from now on: "CET-1CEST,M3.5.0,M10.5.0/3". ValueError for a name that nobody knows."""
    known = dict(line.split() for line in table.read_text().splitlines()) if table.exists() else {}
    found = known.get(name) or _of_system(name) or name
    if POSIX.fullmatch(found):
        return found
    raise ValueError(f"{name[:60]!r} is no time zone that is known here{_hint(name, list(known))}")


def _of_system(name: str) -> str:
    """From this machine's files, or from the Python package tzdata; "" where there is no such zone."""
    import zoneinfo

    if not NAME.fullmatch(name):
        return ""
    found = next((file for folder in zoneinfo.TZPATH if (file := Path(folder, name)).is_file()), None)
    if found:
        return footer(found.read_bytes())
    try:
        from importlib import resources

        return footer(resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes())
    except (ImportError, OSError):
        return ""


def footer(data: bytes) -> str:
    """The TZ string of a TZif file; "" if it has none, or is none."""
    text = data.rstrip(b"\n").rpartition(b"\n")[2].decode("ascii", "replace")
    return text if data.startswith(b"TZif") and POSIX.fullmatch(text) else ""


def _hint(name: str, known: Sequence[str]) -> str:
    import zoneinfo

    from cygnet.conf.error import nearest

    names = known or sorted(zoneinfo.available_timezones())
    if not names:
        return ": it has no files of time zones (apt install tzdata)"
    return (
        nearest(name, list(names))
        or ": write one such as Europe/Vienna, or a TZ string such as CET-1CEST,M3.5.0,M10.5.0/3"
    )


def lines(zoneinfo: Path) -> Iterator[str]:
    """The table for a box: every zone that has rules from now on, but for copies of the tree within itself."""
    for file in sorted(zoneinfo.rglob("*")):
        name = str(file.relative_to(zoneinfo))
        if file.is_file() and NAME.fullmatch(name) and not name.startswith(("posix/", "right/", "posixrules")):
            rules = footer(file.read_bytes()[-MAX_FILE:] if file.stat().st_size < MAX_FILE else b"")
            if rules:
                yield f"{name} {rules}\n"


if __name__ == "__main__":
    Path(sys.argv[2]).write_text("".join(lines(Path(sys.argv[1]))))
