"""The clock a box starts with: never before the last boot, never before its own image."""

from __future__ import annotations

import pytest
from scratch import Box

BUILD = 1_700_000_000
YEAR = 31_557_600

CASES = [
    # kernel, saved, ceiling -> clock, source
    pytest.param(BUILD + 500, BUILD + 100, BUILD + 900, BUILD + 500, "rtc", id="clock chip after the saved time"),
    pytest.param(BUILD + 100, BUILD + 100, BUILD + 900, BUILD + 100, "rtc", id="clock chip equal to the saved time"),
    pytest.param(BUILD + 99, BUILD + 100, BUILD + 900, BUILD + 900, "saved", id="clock chip behind the saved time"),
    pytest.param(7, BUILD + 100, BUILD + 900, BUILD + 900, "saved", id="no clock chip, power was cut"),
    pytest.param(7, BUILD + 100, BUILD + 100, BUILD + 100, "saved", id="no clock chip, clean shutdown"),
    pytest.param(7, 0, 0, BUILD, "build", id="nothing at all"),
    pytest.param(7, BUILD - 900, BUILD - 100, BUILD, "build", id="new image, old saved time"),
    pytest.param(BUILD + 30 * YEAR, 0, 0, BUILD, "build", id="clock chip with a flat battery says 2053"),
    pytest.param(BUILD + 30 * YEAR, BUILD + 1, BUILD + 2, BUILD + 2, "saved", id="absurd chip, sane saved time"),
    pytest.param(7, BUILD + 30 * YEAR, BUILD + 30 * YEAR, BUILD, "build", id="absurd saved time"),
    pytest.param(7, BUILD + 9, BUILD + 1, BUILD, "build", id="saved numbers contradict each other"),
]


@pytest.mark.parametrize(("kernel", "saved", "ceiling", "clock", "source"), CASES)
def test_choice(box: Box, kernel: int, saved: int, ceiling: int, clock: int, source: str) -> None:
    code = f'choose_clock {kernel} {saved} {ceiling} {BUILD}; echo "$clock $clock_source"'
    assert box.shell("base check clock", code).stdout == f"{clock} {source}\n"


@pytest.mark.parametrize(
    "text", ["", "x", "12", "1 2 3", "-5 7", "08 09", "1;reboot 2", "9" * 40 + " 1", "\x00\x00\x00"]
)
def test_a_spoilt_file_counts_as_no_saved_time(box: Box, text: str) -> None:
    box.write("data/time", text + "\n")
    result = box.shell("base check clock", 'read_saved_time; echo "$saved $ceiling"')
    assert (result.stdout, result.stderr) == ("0 0\n", "")


def test_a_power_cut_never_turns_time_back(box: Box) -> None:
    # Given a running box that saved its time some minutes ago, without a clock chip,
    box.fake("date", f"echo {BUILD + 1000}")
    box.shell("base check clock", "save_time")
    last_moment_before_the_next_save = BUILD + 1000 + 899
    # when power goes and comes,
    code = f'read_saved_time; choose_clock 0 "$saved" "$ceiling" {BUILD}; echo "$clock"'
    # then its clock starts after anything the box has seen.
    assert int(box.shell("base check clock", code).stdout) > last_moment_before_the_next_save


def test_a_clean_shutdown_allows_for_nothing(box: Box) -> None:
    box.fake("date", f"echo {BUILD + 1000}")
    box.shell("base check clock", "save_time final")
    assert box.read("data/time") == f"{BUILD + 1000} {BUILD + 1000}\n"


def test_the_clock_is_set_from_the_image_on_a_box_that_knows_nothing(box: Box) -> None:
    box.write("usr/lib/cygnet/image", f"# a comment\nversion=1\nepoch={BUILD}\n")
    box.fake("date", '[ "$1" != +%s ] || echo 12')
    box.shell("base check clock", "set_clock")
    assert box.calls("date")[-1] == f"date -s @{BUILD}"
    assert box.read("run/cygnet/boot") == "time-source=build\n"


def test_the_clock_chip_is_written_only_after_ntp(box: Box) -> None:
    box.fake("hwclock")
    box.write("dev/rtc0", "")
    box.shell("base check clock", "set_clock_chip")
    assert box.calls("hwclock") == []
    box.write("run/cygnet/ntp-synchronised", "")
    box.shell("base check clock", "set_clock_chip")
    assert box.calls("hwclock") == ["hwclock -u -w"]


@pytest.mark.parametrize(
    ("event", "stratum", "saved"),
    [
        ("step", "2", True),
        ("stratum", "2", True),
        ("stratum", "16", False),
        ("periodic", "2", False),
        ("stratum", "$(id)", False),
    ],
)
def test_ntp_saves_time_when_it_sets_it(box: Box, event: str, stratum: str, saved: bool) -> None:
    box.script("ntp-event", event, stratum=stratum)
    assert bool(box.read("data/time")) is saved


@pytest.mark.parametrize(
    ("text", "zone", "said"),
    [
        (None, "", ""),
        ("CET-1CEST,M3.5.0,M10.5.0/3\n", "CET-1CEST,M3.5.0,M10.5.0/3\n", ""),
        ("Europe/Vienna\n", "", "/etc/TZ: expected a POSIX time zone"),
        ("\n", "", "/etc/TZ: expected a POSIX time zone"),
    ],
)
def test_the_time_zone_is_checked_for_those_who_use_it(box: Box, text: str | None, zone: str, said: str) -> None:
    if text is not None:
        box.write("etc/TZ", text)
    box.shell("base check clock", "set_time_zone")
    assert box.read("run/cygnet/TZ") == zone
    assert said in box.said
    assert bool(said) == bool(box.said)
