"""What is shown while a build runs: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import re
import sys

import pexpect
import pytest
from rich.console import Console

from builder.progress import Lines, Table, elapsed
from builder.settings import PROJECT


def test_the_table_says_what_runs_and_what_is_done() -> None:
    screen = io.StringIO()
    with Table(Console(file=screen, force_terminal=True, color_system=None, width=100)) as shown:
        shown.plan(17, 4)
        shown.started("linux:pc486")
        shown.say("zlib 1.3 is gone [said once]")
        shown._live.refresh()
        shown.finished("linux:pc486", 12.3)
    text = screen.getvalue()
    assert "4/17 steps, 4 from cache" in text
    assert "linux:pc486 0 s" in text
    assert "zlib 1.3 is gone [said once]" in text
    assert "12.3 s" in text
    assert "5/17 steps" in text


def test_lines_count_up(capsys: pytest.CaptureFixture[str]) -> None:
    with Lines() as shown:
        shown.plan(3, 1)
        shown.started("zlib:i486")
        shown.finished("zlib:i486", 2.0)
    assert capsys.readouterr().out.splitlines() == [
        "0:00 3 steps, 1 from cache, 2 to do",
        "0:00 [1/3] zlib:i486 ...",
        "0:00 [2/3] zlib:i486 done in 2.0 s",
    ]


def test_minutes_and_seconds() -> None:
    assert [elapsed(seconds) for seconds in (0, 59.9, 60, 3725)] == ["0:00", "0:59", "1:00", "62:05"]


def test_a_build_on_a_terminal_shows_the_table() -> None:
    words = ["-m", "invoke", "build", "--package=zlib"]
    terminal = pexpect.spawn(sys.executable, words, cwd=str(PROJECT), encoding="utf-8", timeout=600)
    terminal.expect(pexpect.EOF)
    shown = str(terminal.before)
    terminal.close()
    assert "2/2 steps" in shown
    assert "from cache, 0:" in shown
    assert re.search(r"zlib: /\S+\.tar", shown)
    assert terminal.exitstatus == 0
