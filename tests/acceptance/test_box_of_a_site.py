"""The example of a user's own repository (docs/examples/repository), run by the commands that docs/ci.md gives to a CI."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from builder.settings import PROJECT
from builder.smoke.report import read_junit

pytestmark = pytest.mark.once

EXAMPLE = PROJECT / "docs/examples/repository"
SECRETS = ': PSK "what a CI job has from its own secrets"\n'
# What ./inv makes and hands over to, which a run of these tests is in already.
PROGRAMS = {
    "cygnet/inv": [sys.executable, "-P", "-m", "invoke", "--search-root", "cygnet"],
    "cygnet/.venv/bin/python": [sys.executable],
}


def yaml_of(heading: str) -> Any:
    """The example below a heading of docs/ci.md."""
    text = (PROJECT / "docs/ci.md").read_text().split(f"\n## {heading}\n")[1]
    return yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])


def commands() -> list[str]:
    """What a job of GitLab runs of Cygnet."""
    return [str(line) for line in yaml_of("GitLab")["boxes"]["script"]]


def test_both_examples_run_the_same() -> None:
    """GitHub's example runs what GitLab's does, and keeps the same but no image"""
    steps = yaml_of("GitHub Actions")["jobs"]["boxes"]["steps"]
    assert [step["run"] for step in steps if str(step.get("run", "")).startswith("cygnet/")] == commands()
    kept = steps[-1]["with"]["path"].split()
    assert kept[1:] == yaml_of("GitLab")["boxes"]["artifacts"]["paths"]
    assert not [path for path in kept if path.endswith(".img")]


def test_the_example_repository(tmp_path: Path, pair: dict[str, Any]) -> None:
    """A repository with two sites is accepted, and its own test of their tunnel passes"""
    shutil.copytree(EXAMPLE, here := tmp_path / "mine", ignore=shutil.ignore_patterns("__pycache__"))
    (here / "cygnet").symlink_to(PROJECT)
    (here / "secrets").mkdir()
    (here / "secrets/vpn.secrets").touch(0o600)
    (here / "secrets/vpn.secrets").write_text(SECRETS)
    board = str(pair["boards"][0])
    ini = here / "pytest.ini"
    ini.write_text(ini.read_text().replace("pc486", board))
    for command in commands():
        program, *words = shlex.split(command.replace("pc486", board))
        done = subprocess.run(
            [*PROGRAMS[program], *words], cwd=here, capture_output=True, text=True, env={**os.environ, "TERM": "dumb"}
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    outcomes = {name: read_junit(here / name) for name in ("smoke.xml", "tests.xml")}
    assert {name: len(found) for name, found in outcomes.items()} == {"smoke.xml": 12, "tests.xml": 3}
    assert not [one.line for found in outcomes.values() for one in found if one.failure]
