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

HERE = Path(__file__).parent
# Documentation addresses (RFC 5737): nothing else uses them.
WAN_ADDRESSES = {"box-a": "192.0.2.1", "box-b": "192.0.2.2"}


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
    """A quiet wire: both boxes have a fixed address on it, nothing else speaks (no DHCP, no IPv6)."""
    both = (box_a, box_b)
    for box in both:
        wan = box.settings("/etc/cygnet/network")["WAN"]
        box.run("sv down /run/service/udhcpc")
        box.all_of(
            f"sysctl -q -w net.ipv6.conf.{wan}.disable_ipv6=1",
            f"ip address flush dev {wan}",
            f"ip address add {WAN_ADDRESSES[box.name]}/24 dev {wan}",
            f"ip link set {wan} up",
            "ip xfrm state flush",
            "ip xfrm policy flush",
        )
    yield capture
    for box in both:
        box.all_of("ip xfrm state flush", "ip xfrm policy flush")
        box.run("sv up /run/service/udhcpc")
