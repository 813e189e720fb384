"""Acceptance of a box over its serial line, whatever board it is: the fixtures.

`./inv smoke` runs these tests on two boxes in QEMU; `pytest tests/acceptance --lg-env FILE` on
whatever the labgrid environment FILE describes.  Boxes are booted once and shared by all tests; a
test that restarts one leaves it logged in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from labgrid import Environment
from labgrid.pytestplugin.hooks import LABGRID_ENV_KEY
from offices import WAN_ADDRESSES, quiet_wire

import builder.smoke.eager_qemu  # noqa: F401 - registers its driver
from builder.boards import load_board
from builder.settings import settings
from builder.smoke.box import Box
from builder.smoke.capture import Capture
from builder.smoke.plugin import sentence

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without an environment nothing could be proved: an error, not a row of skipped tests."""
    ours = [item for item in items if HERE in item.path.parents and isinstance(item, pytest.Function)]
    if ours and config.stash[LABGRID_ENV_KEY] is None:
        raise pytest.UsageError(
            "tests/acceptance needs boxes: run ./inv smoke, or pytest tests/acceptance --lg-env FILE"
        )
    for item in ours:
        item.user_properties.append(("proves", sentence(item)))
    left_out = [item for item in ours if (mixed(item) and "capture" not in item.fixturenames) or again(item, config)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def mixed(item: pytest.Function) -> bool:
    """Whether the boxes are of different boards: then only what they do with each other is tested."""
    boards = item.callspec.params["pair"]["boards"] if hasattr(item, "callspec") else []
    return len(set(boards)) > 1


def again(item: pytest.Function, config: pytest.Config) -> bool:
    """Whether it is marked `once`, and another pair of boxes of this run has it: what no CPU can change.

    Or marked `needs`, and a box of the pair is without that package.
    """
    pairs = config.stash[LABGRID_ENV_KEY].config.get_option("pairs")
    able = [pair["name"] for pair in pairs if not lacks(item, pair)]
    chosen = able[:1] if item.get_closest_marker("once") else able
    return (item.callspec.params["pair"] if hasattr(item, "callspec") else pairs[0])["name"] not in chosen


def lacks(item: pytest.Function, pair: dict[str, Any]) -> bool:
    """Whether a box of the pair has not all that the test needs."""
    needed = {package for mark in item.iter_markers("needs") for package in mark.args}
    return any(needed & set(load_board(settings().boards, name).without) for name in pair["boards"])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test of boxes is made once for each pair of boxes in labgrid's environment."""
    environment = metafunc.config.stash[LABGRID_ENV_KEY]
    if "pair" in metafunc.fixturenames and environment is not None:
        pairs = environment.config.get_option("pairs")
        ids = [pair["name"] for pair in pairs] if len(pairs) > 1 else [pytest.HIDDEN_PARAM]
        metafunc.parametrize("pair", pairs, indirect=True, ids=ids, scope="session")


@pytest.fixture(scope="session")
def pair(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Two boxes of labgrid's environment: name, boards, the file with what is on their wire."""
    return dict(request.param)


@pytest.fixture(scope="session")
def boxes(env: Environment, pair: dict[str, Any]) -> Iterator[dict[str, Box]]:
    """Both boxes, started side by side, then logged in one after the other; off at the end."""
    found = {name: Box(name, env.get_target(f"{pair['name']}-{name}")) for name in WAN_ADDRESSES}
    try:
        for box in found.values():
            box.switch_on()
        for box in found.values():
            box.log_in()
        yield found
    finally:
        for box in found.values():
            box.switch_off()


@pytest.fixture
def box_a(boxes: dict[str, Box]) -> Box:
    """The first box, logged in."""
    boxes["box-a"].log_in()
    return boxes["box-a"]


@pytest.fixture
def box_b(boxes: dict[str, Box]) -> Box:
    """The second box, logged in."""
    boxes["box-b"].log_in()
    return boxes["box-b"]


@pytest.fixture(scope="session")
def option(env: Environment) -> Callable[[str], Any]:
    """An option of the environment file."""
    return lambda name: env.config.get_option(name)


@pytest.fixture(scope="session")
def capture(pair: dict[str, Any]) -> Capture:
    """What goes over the wire between the boxes' WAN cards."""
    return Capture(Path(pair["capture"]))


@pytest.fixture
def wire(box_a: Box, box_b: Box, capture: Capture) -> Iterator[Capture]:
    """A quiet wire between both boxes, and what is on it."""
    with quiet_wire(box_a, box_b):
        yield capture
