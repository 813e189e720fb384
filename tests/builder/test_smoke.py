"""The environment file that a run of the acceptance tests hands to labgrid."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from labgrid import Environment

from builder.boards import load_board
from builder.settings import PROJECT
from builder.smoke import TESTS
from builder.smoke.pairs import Pair, render, targets


@pytest.mark.parametrize(("name", "boxes"), [("armv5", {"armv5-box-a", "armv5-box-b"}), ("kirkwood", set())])
def test_labgrid_knows_the_boxes_of_a_board_that_has_a_twin(tmp_path: Path, name: str, boxes: set[str]) -> None:
    board, file = load_board(PROJECT / "board", name), tmp_path / "labgrid.yaml"
    pair = Pair((board, board), tmp_path)
    render(targets([pair], tmp_path), [pair], file)
    environment = Environment(str(file))
    assert set(environment.config.get_targets()) == boxes
    assert environment.get_target_features() == set()
    assert [one["boards"] for one in environment.config.get_option("pairs")] == [[name, name]]


def test_boxes_of_an_image_from_elsewhere_are_started_with_the_kernel_beside_it(tmp_path: Path) -> None:
    board = load_board(PROJECT / "board", "armv5")
    pair = Pair((board, board), tmp_path / "images", tmp_path / "buildroot/disk.img")
    first, _ = targets([pair], tmp_path)
    assert first["kernel"] == str(tmp_path / "buildroot/kernel")
    assert str(tmp_path / "images/armv5/acceptance/box-a.img") in str(first["devices"])


def collected(folder: Path, *boards: str) -> list[str]:
    """The acceptance tests that a run with these boards has."""
    known = [load_board(PROJECT / "board", name) for name in boards]
    pairs = [Pair((board, board), folder) for board in known]
    render(targets(pairs, folder), pairs, folder / "labgrid.yaml")
    words = ["--collect-only", "-q", "-p", "no:cacheprovider", "--lg-env", str(folder / "labgrid.yaml"), str(TESTS)]
    done = subprocess.run([sys.executable, "-m", "pytest", *words], cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stdout
    return re.findall(r"^\S+::(\S+)$", done.stdout, re.MULTILINE)


def test_what_no_cpu_can_change_runs_on_the_first_board_alone(tmp_path: Path) -> None:
    alone = set(collected(tmp_path, "armv7"))
    assert {"test_memory", "test_reboot"} <= alone
    both = collected(tmp_path, "pc486", "armv7")
    assert "test_memory[pc486]" in both
    assert "test_memory[armv7]" not in both
    assert {"test_reboot[pc486]", "test_reboot[armv7]"} <= set(both)
