"""Copies of boards that leave out no package: their projects have only a few."""

from __future__ import annotations

import re
from pathlib import Path

LEFT_OUT = re.compile(r"^without = .*\n", re.MULTILINE)


def leave_nothing_out(boards: Path) -> None:
    """Take `without` from each board.toml below a folder."""
    for file in boards.glob("*/board.toml"):
        file.write_text(LEFT_OUT.sub("", file.read_text()))
