"""How the tests of the whole project are shared among cores (pytest-xdist, --dist=loadgroup).

Loaded by `./inv test`.  Tests that share something costly run one after the other: those of one pair of boxes, those
with other IKE daemons, those of one folder.
"""

from __future__ import annotations

from pathlib import Path

import pytest

DEPTH = {"tests": 2, "packages": 4}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give each test its group."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group(item, config.rootpath)))


def group(item: pytest.Item, root: Path) -> str:
    """The pair of boxes, or the folder."""
    callspec = getattr(item, "callspec", None)
    pair = callspec.params.get("pair") if callspec else None
    if isinstance(pair, dict):
        return str(pair["name"])
    parts = item.path.relative_to(root).parts
    return "/".join(parts[: DEPTH.get(parts[0], 1)])
