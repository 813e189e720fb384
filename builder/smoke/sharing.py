"""How the tests of the whole project are shared among cores by pytest-xdist; loaded by `./inv test`.

Tests that share something costly run one after the other on one core: those of one pair of boxes, those with other
IKE daemons, those of one folder.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest
from labgrid.pytestplugin.hooks import LABGRID_ENV_KEY
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

BOXES = "tests/acceptance/"
DEPTH = {"tests": 2, "packages": 4}


class Sharing(LoadScopeScheduling):  # type: ignore[misc] # xdist has no types
    """Hands out whole groups, in the order in which they were collected."""

    def __init__(self, config: pytest.Config, log: Producer) -> None:
        super().__init__(config, log)
        environment: Any = config.stash[LABGRID_ENV_KEY]
        self._pairs = [str(pair["name"]) for pair in environment.config.get_option("pairs")] if environment else []

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid, self._pairs)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Sharing:
    """Called by pytest-xdist."""
    return Sharing(config, log)


def group(test: str, pairs: Sequence[str]) -> str:
    """The pair of boxes that a test needs, or its folder."""
    path, _, name = test.partition("::")
    if path.startswith(BOXES):
        return next((pair for pair in pairs if re.search(rf"[\[-]{re.escape(pair)}[\]-]", name)), BOXES)
    parts = path.split("/")
    return "/".join(parts[: DEPTH.get(parts[0], 1)])
