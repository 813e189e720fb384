"""The steps that packages become: what serves several boards is one and the same for each of them."""

from __future__ import annotations

from graph_project import Silent

from builder.plan import Project
from builder.settings import settings


def test_what_serves_all_boards_has_one_key() -> None:
    """Whatever differs between two CPUs, it must not be in the key of what is made once for all."""
    project = Project(settings(), Silent())
    keys: dict[str, set[str]] = {}
    for board in project.board_names():
        for step in project.plan(board).packages.values():
            keys.setdefault(step.name, set()).add(step.key)
    assert {name for name, found in keys.items() if len(found) > 1} == set()
