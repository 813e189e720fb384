"""The environment file that a run of the acceptance tests hands to labgrid."""

from __future__ import annotations

from pathlib import Path

import pytest
from labgrid import Environment

from builder.boards import load_board
from builder.settings import PROJECT
from builder.smoke import TESTS
from builder.smoke.pairs import TEMPLATE, Pair, render, targets


@pytest.mark.parametrize(("name", "boxes"), [("armv5", {"armv5-box-a", "armv5-box-b"}), ("kirkwood", set())])
def test_labgrid_knows_the_boxes_of_a_board_that_has_a_twin(tmp_path: Path, name: str, boxes: set[str]) -> None:
    board, file = load_board(PROJECT / "board", name), tmp_path / "labgrid.yaml"
    pair = Pair((board, board), tmp_path)
    render(TESTS / TEMPLATE, targets([pair], tmp_path), [pair], file)
    environment = Environment(str(file))
    assert set(environment.config.get_targets()) == boxes
    assert environment.get_target_features() == set()
    assert [one["boards"] for one in environment.config.get_option("pairs")] == [[name, name]]
