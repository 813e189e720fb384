"""From a time zone's name to what BusyBox understands: a POSIX TZ string, the last line of a TZif file (RFC 9636)."""

from __future__ import annotations

import re

POSIX = re.compile(r"(?:[A-Za-z]{3,}|<[A-Za-z0-9+-]{3,}>)[+-]?\d{1,3}[A-Za-z0-9<>+:,./-]{0,80}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*", re.ASCII)


def posix(name: str) -> str:
    """The rules that hold from now on: "CET-1CEST,M3.5.0,M10.5.0/3". ValueError for a name that nobody knows."""
    footer = (_tzif(name) or b"").rstrip(b"\n").rpartition(b"\n")[2].decode("ascii", "replace")
    for found in (footer, name):
        if POSIX.fullmatch(found):
            return found
    raise ValueError(f"{name[:60]!r} is no time zone that this machine knows{_hint(name)}")


def _tzif(name: str) -> bytes | None:
    """The file of a zone, from this machine or from the package tzdata."""
    import zoneinfo
    from importlib import resources
    from pathlib import Path

    if not _NAME.fullmatch(name):
        return None
    for folder in zoneinfo.TZPATH:
        file = Path(folder, name)
        if file.is_file() and (data := file.read_bytes())[:4] == b"TZif":
            return data
    try:
        return resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()
    except (ImportError, OSError):
        return None


def _hint(name: str) -> str:
    import zoneinfo

    from cygnet.conf.error import nearest

    known = sorted(zoneinfo.available_timezones())
    return (
        nearest(name, known) or ": write one such as Europe/Vienna, or a POSIX TZ string such as EST5EDT,M3.2.0,M11.1.0"
    )
