"""A story in QEMU, told in a file of its own for the tests of another to read what became of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from builder.image.publish import publish
from builder.plan import Project
from builder.progress import Lines
from builder.settings import PROJECT, settings


def what_became_of(story: str, board: str, folder: Path) -> Any:
    """Run ``story``, a file of this folder, with a board's image in a network namespace; what it leaves as found.json."""
    project = Project(settings(), Lines())
    plan, results = project.build(board)
    image = publish(project, plan, results).parent
    # The servers' ports are root's; in a namespace everybody is root.
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    alone = ["unshare", *user, "--net", "--kill-child", "--fork", "--"]
    words = [*alone, sys.executable, str(Path(__file__).with_name(story)), str(image), str(folder)]
    subprocess.run(words, check=True, cwd=PROJECT, env={**os.environ, "PYTHONPATH": str(PROJECT)})
    return json.loads((folder / "found.json").read_text())
