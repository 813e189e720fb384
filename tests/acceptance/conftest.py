"""Acceptance of a box over its serial line, whatever board it is: the fixtures.

`./inv smoke` runs these tests on two boxes in QEMU; `pytest tests/acceptance --lg-env FILE` on
whatever the labgrid environment FILE describes.  Boxes are booted once and shared by all tests; a
test that restarts one leaves it logged in.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import eager_qemu  # noqa: F401 - registers its driver
import pytest
from box import Box
from capture import Capture
from labgrid import Environment
from labgrid.pytestplugin.hooks import LABGRID_ENV_KEY
from offices import WAN_ADDRESSES, quiet_wire

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


def sentence(item: pytest.Function) -> str:
    """What the test proves, for the report: the first line of its docstring, and which case."""
    text = (inspect.getdoc(item.function) or item.name).splitlines()[0]
    return f"{text} [{item.callspec.id}]" if hasattr(item, "callspec") else text


@pytest.fixture(scope="session")
def boxes(env: Environment) -> Iterator[dict[str, Box]]:
    """Both boxes, started side by side, then logged in one after the other; off at the end."""
    found = {name: Box(env.get_target(name)) for name in WAN_ADDRESSES}
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
def capture(option: Callable[[str], Any]) -> Capture:
    """What goes over the wire between the boxes' WAN cards."""
    return Capture(Path(option("wan-capture")))


@pytest.fixture
def wire(box_a: Box, box_b: Box, capture: Capture) -> Iterator[Capture]:
    """A quiet wire between both boxes, and what is on it."""
    with quiet_wire(box_a, box_b):
        yield capture
