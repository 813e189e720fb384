"""What the user sees of the writing."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console
from rich.progress import Progress, TextColumn

from builder.flash.block_progress import Bar, Lines, shown


def test_lines_come_now_and_then_and_say_how_long_it_will_take() -> None:
    now, said = [100.0], []
    meter = Lines(said.append, lambda: now[0])
    meter.begin("writing", 60_000_000)
    for seconds, size in ((1, 1_000_000), (6, 5_000_000), (7, 1_000_000), (11, 5_000_000), (60, 48_000_000)):
        now[0] = 100.0 + seconds
        meter.advance(size)
    meter.begin("reading back", 60_000_000)
    assert said == [
        "writing: 60.0 MB",
        "writing: 6.0 of 60.0 MB, 1.0 MB/s, 0:54 to go",
        "writing: 12.0 of 60.0 MB, 1.1 MB/s, 0:44 to go",
        "reading back: 60.0 MB",
    ]


def test_a_bar_is_drawn_for_each_pass() -> None:
    screen = io.StringIO()
    columns = (TextColumn("{task.description}"), TextColumn("{task.percentage:.0f}%"))
    with Progress(*columns, console=Console(file=screen, force_terminal=True, width=80)) as progress:
        meter = Bar(progress)
        for what in ("writing", "reading back"):
            meter.begin(what, 4)
            meter.advance(3)
    drawn = [line.split() for line in re.sub(r"\x1b\[[?\d]*[A-Za-z]", "", screen.getvalue()).splitlines()]
    assert ["writing", "75%"] in drawn
    assert ["reading", "back", "75%"] in drawn


def test_the_bar_is_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    with shown() as meter:
        assert isinstance(meter, Lines)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    with shown() as meter:
        assert isinstance(meter, Bar)
