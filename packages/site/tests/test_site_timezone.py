"""Time zones: what BusyBox is told, from the system's files or from the table of a box."""

from __future__ import annotations

import struct
import zoneinfo
from pathlib import Path

import pytest
from cygnet_site.timezone import POSIX, footer, lines, posix

# Version 2: a header of 44 bytes, no data, once for each version.
HEADER = b"TZif2" + bytes(15) + struct.pack(">6I", 0, 0, 0, 0, 1, 1)


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("Europe/Vienna", "CET-1CEST,M3.5.0,M10.5.0/3"),
        ("UTC", "UTC0"),
        ("Asia/Kolkata", "IST-5:30"),
        ("America/New_York", "EST5EDT,M3.2.0,M11.1.0"),
        ("America/Sao_Paulo", "<-03>3"),
        # said as such
        ("CET-1CEST,M3.5.0,M10.5.0/3", "CET-1CEST,M3.5.0,M10.5.0/3"),
        ("<+05>-5", "<+05>-5"),
    ],
)
def test_a_zone_and_its_rules(name: str, rules: str) -> None:
    assert posix(name) == rules


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Europe/Viena", "; did you mean Europe/Vienna?"),
        ("Nowhere", ": write one such as Europe/Vienna, or a TZ string such as CET-1CEST,M3.5.0,M10.5.0/3"),
        ("../zone.tab", ": write one such"),
        ("Europe", "; did you mean "),
        ("zone.tab", ": write one such"),
    ],
)
def test_a_zone_that_there_is_not(name: str, hint: str) -> None:
    with pytest.raises(ValueError, match="is no time zone that is known here") as error:
        posix(name)
    assert hint in str(error.value)


def test_a_machine_without_files_of_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoneinfo, "TZPATH", ())
    monkeypatch.setattr(zoneinfo, "available_timezones", set)
    with pytest.raises(ValueError, match=r"it has no files of time zones \(apt install tzdata\)"):
        posix("Europe/Vienna")
    assert posix("CET-1") == "CET-1"


def test_a_box_has_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "timezones"
    table.write_text("".join(lines(Path("/usr/share/zoneinfo"))))
    monkeypatch.setattr(zoneinfo, "TZPATH", ())
    assert posix("Europe/Vienna", table) == "CET-1CEST,M3.5.0,M10.5.0/3"
    with pytest.raises(ValueError, match="did you mean Europe/Vienna"):
        posix("Europe/Viena", table)
    rows = dict(line.split() for line in table.read_text().splitlines())
    assert len(rows) > 400 and all(POSIX.fullmatch(rules) for rules in rows.values())
    assert not [name for name in rows if name.startswith(("posix", "right"))]


@pytest.mark.parametrize(
    ("data", "rules"),
    [
        (HEADER + b"\0" * 10 + b"\nCET-1CEST,M3.5.0,M10.5.0/3\n", "CET-1CEST,M3.5.0,M10.5.0/3"),
        (HEADER + b"\n\n", ""),
        (b"not TZif\nCET-1\n", ""),
        (HEADER + b"\n\xff\xfe\n", ""),
        (HEADER + b"\nCET-1;reboot\n", ""),
        (b"", ""),
    ],
)
def test_the_last_line_of_a_file(data: bytes, rules: str) -> None:
    assert footer(data) == rules
