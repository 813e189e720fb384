"""Which boards' images are looked at: those whose boxes are accepted in the same run, else those of CI."""

from __future__ import annotations

from pathlib import Path

import pytest
from labgrid.pytestplugin.hooks import LABGRID_ENV_KEY

from builder.boards import load_board
from builder.settings import PROJECT
from builder.smoke import CI_BOARDS

HERE = Path(__file__).parent


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make every test of an image once for each board."""
    if "board_name" in metafunc.fixturenames:
        environment = metafunc.config.stash[LABGRID_ENV_KEY]
        pairs = environment.config.get_option("pairs") if environment else []
        names = dict.fromkeys(board for pair in pairs for board in pair["boards"])
        metafunc.parametrize("board_name", list(names) or CI_BOARDS, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A board without a loader on its disk has nobody who chooses a slot."""
    unchosen = [item for item in items if "start" in getattr(item, "fixturenames", ()) and not _has_loader(item)]
    config.hook.pytest_deselected(items=unchosen)
    items[:] = [item for item in items if item not in unchosen]
    for item in items:
        if HERE in item.path.parents and isinstance(item, pytest.Function):
            item.user_properties.append(("proves", f"{item.originalname[5:].replace('_', ' ').capitalize()}"))


def _has_loader(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    name = callspec.params.get("board_name") if callspec else None
    return name is None or load_board(PROJECT / "board", name).loader != "direct"
