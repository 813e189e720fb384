"""The fixture of these tests: a scratch copy of the box."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from scratch import DIRECTORIES, OVERLAY, TOOLS, Box


@pytest.fixture
def box(tmp_path: Path) -> Box:
    root, fakes = tmp_path / "root", tmp_path / "bin"
    shutil.copytree(OVERLAY, root)
    for name in DIRECTORIES:
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("dev/console", "dev/kmsg"):
        (root / name).touch()
    fakes.mkdir()
    for name in TOOLS:
        (fakes / name).symlink_to(shutil.which(name) or f"/bin/{name}")
    return Box(root, fakes)
