"""A short run of the fuzz target, always the same; `./inv fuzz` is the long one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TARGET = Path(__file__).with_name("fuzz_dispatcher.py")
RUNS = 2000


def test_a_short_run_finds_nothing(tmp_path: Path) -> None:
    command = [sys.executable, str(TARGET), str(tmp_path / "corpus"), f"-runs={RUNS}", "-seed=1", "-close_fd_mask=1"]
    run = subprocess.run(
        [*command, f"-artifact_prefix={tmp_path}/"], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert f"Done {RUNS} runs" in run.stderr
    assert len(list((tmp_path / "corpus").glob("recorded-*"))) > 20
    # What it found on top shows that it came further than the recorded exchanges.
    assert len(list((tmp_path / "corpus").iterdir())) > 60


def test_a_broken_parser_is_found(tmp_path: Path) -> None:
    """The target can fail: with a parser that breaks, a run ends with the bug's name."""
    (tmp_path / "broken.py").write_text(
        "import runpy, sys\n"
        "sys.argv = sys.argv[1:]\n"
        "names = runpy.run_path(sys.argv[0], run_name='target')\n"
        "from cygnet.ike.v1 import selectors\n"
        "def broken(payload): raise ZeroDivisionError\n"
        "selectors.read = broken\n"
        "names['main']()\n"
    )
    command = [
        sys.executable,
        str(tmp_path / "broken.py"),
        str(TARGET),
        str(tmp_path / "corpus"),
        "-runs=500",
        "-seed=1",
    ]
    run = subprocess.run(
        [*command, f"-artifact_prefix={tmp_path}/"], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert run.returncode != 0
    assert "internal error with a packet" in run.stdout + run.stderr
