"""A pytest plug-in: the boxes of one's own site files, started in QEMU, for one's own tests.

In pytest.ini of one's own repository (docs/ci.md, docs/examples/repository):

    [pytest]
    pythonpath = cygnet
    cygnet_board = pc486
    cygnet_sites = sites/hub.toml sites/shop1.toml

Fixtures: `box` is the first site's box, `two_boxes` both, `wire` what goes over the wire between them.  Boxes are
started once and shared by all tests of a run; each is logged in at its serial line (builder/smoke/box.py).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from builder.smoke.box import Box
    from builder.smoke.capture import Capture
    from builder.smoke.sites import Shelf

FIXTURES = {"cygnet_shelf", "cygnet_boxes", "box", "two_boxes", "wire"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """What can be said on the command line, and in pytest.ini."""
    group = parser.getgroup("cygnet", "boxes of Cygnet")
    group.addoption("--cygnet-board", help="the board that the boxes are of (in pytest.ini: cygnet_board)")
    group.addoption(
        "--cygnet-site", action="append", type=Path, metavar="FILE", help="a site file; two at most (cygnet_sites)"
    )
    group.addoption(
        "--cygnet-image",
        type=Path,
        metavar="FILE",
        help="a stock image; without one the board's is built (cygnet_image)",
    )
    parser.addini("cygnet_board", "the board that the boxes are of", default="pc486")
    parser.addini("cygnet_sites", "one or two site files", type="paths", default=[])
    parser.addini("cygnet_image", "a stock image", type="paths", default=[])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The report says of each test of boxes what it proves."""
    for item in items:
        if isinstance(item, pytest.Function) and FIXTURES & set(item.fixturenames):
            item.user_properties.append(("proves", sentence(item)))


def sentence(item: pytest.Function) -> str:
    """What a test proves: the first line of its docstring, and which case."""
    text = (inspect.getdoc(item.function) or item.name).splitlines()[0]
    case = item.callspec.id if hasattr(item, "callspec") else ""
    return f"{text} [{case}]" if case else text


@pytest.fixture(scope="session")
def cygnet_shelf(pytestconfig: pytest.Config) -> Iterator[Shelf]:
    """The boxes of this run's sites, made and not started."""
    from builder.errors import CygnetError
    from builder.plan import Project
    from builder.progress import progress
    from builder.settings import settings
    from builder.smoke import sites

    option, ini = pytestconfig.getoption, pytestconfig.getini
    capturing = pytestconfig.pluginmanager.getplugin("capturemanager")
    with ExitStack() as stack:
        try:
            # A build is seen as it goes on.
            with capturing.global_and_fixture_disabled(), progress() as shown:
                project = Project(settings(), shown)
                found = sites.read(option("cygnet_site") or ini("cygnet_sites"))
                images = [option("cygnet_image"), *ini("cygnet_image"), None]
                image = next(image for image in images if image or image is images[-1])
                board, stock = sites.stock_image(project, option("cygnet_board") or ini("cygnet_board"), image)
                shelf = stack.enter_context(sites.prepared(project, board, stock, found))
        except CygnetError as error:
            pytest.fail(str(error), pytrace=False)
        yield shelf


@pytest.fixture(scope="session")
def cygnet_boxes(cygnet_shelf: Shelf, pytestconfig: pytest.Config) -> Iterator[tuple[Box, ...]]:
    """All boxes, started side by side; off at the end."""
    from labgrid import Environment
    from labgrid.consoleloggingreporter import ConsoleLoggingReporter

    import builder.smoke.eager_qemu  # noqa: F401 - registers its driver
    from builder.smoke.box import Box
    from builder.smoke.sites import environment

    if not pytestconfig.getoption("lg_log"):
        ConsoleLoggingReporter(str(cygnet_shelf.folder))
    with environment(cygnet_shelf) as file:
        targets = Environment(str(file))
        found = tuple(Box(site.name, targets.get_target(site.name)) for site in cygnet_shelf.sites)
        try:
            for box in found:
                box.switch_on()
            yield found
        finally:
            for box in found:
                box.switch_off()


@pytest.fixture
def box(cygnet_boxes: tuple[Box, ...]) -> Box:
    """The box of the first site, logged in."""
    first, *_ = cygnet_boxes
    first.log_in()
    return first


@pytest.fixture
def two_boxes(cygnet_boxes: tuple[Box, ...]) -> tuple[Box, Box]:
    """The boxes of both sites, logged in; their WANs are on one wire."""
    if len(cygnet_boxes) != 2:
        pytest.fail(f"two_boxes needs two site files, and {cygnet_boxes[0].name}'s is the only one", pytrace=False)
    for each in cygnet_boxes:
        each.log_in()
    first, second = cygnet_boxes
    return first, second


@pytest.fixture
def wire(cygnet_shelf: Shelf) -> Capture:
    """What goes over the WAN of the first site's box."""
    from builder.smoke.capture import Capture

    return Capture(cygnet_shelf.capture)
