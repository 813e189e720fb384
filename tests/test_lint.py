"""Style and types are tests like any other: what `./inv lint` checks."""

from __future__ import annotations

import subprocess
import sys

import pytest

from builder.settings import PROJECT

CHECKS = {"ruff check": "ruff check", "ruff format": "ruff format --check", "mypy": "mypy"}


@pytest.mark.parametrize("check", CHECKS)
def test_nothing_is_found(check: str) -> None:
    done = subprocess.run([sys.executable, "-m", *CHECKS[check].split()], cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
