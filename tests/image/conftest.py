"""Which boards' images are looked at: those that labgrid's environment names, else those of CI."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from labgrid.pytestplugin.hooks import LABGRID_ENV_KEY

from builder.boards import Board, load_board
from builder.image.publish import publish
from builder.plan import Project
from builder.progress import Lines
from builder.settings import PROJECT, settings
from builder.smoke import CI_BOARDS

HERE = Path(__file__).parent


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make every test of an image once for each board."""
    if "board_name" in metafunc.fixturenames:
        environment = metafunc.config.stash[LABGRID_ENV_KEY]
        pairs = environment.config.get_option("pairs") if environment else []
        names = dict.fromkeys(board for pair in pairs for board in pair["boards"])
        metafunc.parametrize("board_name", list(names) or CI_BOARDS, scope="session")


@pytest.fixture(scope="module")
def stock(board_name: str) -> tuple[Board, Path, Path]:
    """A board, the folder of its image, the tools tree."""
    project = Project(settings(), Lines())
    plan, results = project.build(board_name)
    tools = project.engine().build((plan.tools,))["tools"]
    return plan.board, publish(project, plan, results).parent, tools


@pytest.fixture
def accepted() -> None:
    """The board has a twin, on which it is accepted."""


# What a test asks for, and which boards have it.
NEEDS: dict[str, Callable[[Board], bool]] = {
    "start": lambda board: board.disk is not None and board.loader != "direct",
    "written": lambda board: board.flash is not None,
    # The table of a CPU follows the board that is accepted; another one's kernel may need less of it.
    "accepted": lambda board: board.qemu is not None,
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A board without a loader on its disk has nobody who chooses a slot, one without flash nothing to read back."""
    for item in items:
        if HERE in item.path.parents and isinstance(item, pytest.Function):
            item.user_properties.append(("proves", f"{item.originalname[5:].replace('_', ' ').capitalize()}"))
    foreign = [item for item in items if HERE in item.path.parents and not _fits(item)]
    config.hook.pytest_deselected(items=foreign)
    items[:] = [item for item in items if item not in foreign]


def _fits(item: pytest.Item) -> bool:
    assert isinstance(item, pytest.Function)
    name = item.callspec.params.get("board_name")
    board = load_board(PROJECT / "board", str(name))
    return all(has(board) for need, has in NEEDS.items() if need in item.fixturenames)
