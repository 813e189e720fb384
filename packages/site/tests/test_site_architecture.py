"""The house plan for this package: small, on the box without anything of Jinja2's, and never a part of the builder."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src/cygnet_site"
MODULES = sorted(SOURCE.rglob("*.py"))
# Of all modules, in lines of code; and of one.
MOST_LINES, MOST_LINES_OF_A_FILE = 1_250, 250


def imports(module: Path) -> Iterator[tuple[str, bool]]:
    """Names of what a module imports, and whether that is always so."""
    tree = ast.parse(module.read_text())
    for node in ast.walk(tree):
        match node:
            case ast.Import(names):
                yield from ((alias.name, node in tree.body) for alias in names)
            case ast.ImportFrom(module=str() as name):
                yield name, node in tree.body


def code_lines(module: Path) -> int:
    return sum(
        1 for line in module.read_text().splitlines() if line.strip() and not line.strip().startswith(("#", '"""'))
    )


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_it_knows_nothing_of_the_builder_and_jinja_is_not_loaded_with_it(module: Path) -> None:
    for name, always in imports(module):
        assert name.partition(".")[0] != "builder"
        assert not (always and name.partition(".")[0] in ("jinja2", "zoneinfo", "subprocess"))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_every_module_says_what_it_is_for_and_none_needs_an_assert(module: Path) -> None:
    tree = ast.parse(module.read_text())
    assert ast.get_docstring(tree)
    assert [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assert)] == []


def test_it_is_an_hours_reading() -> None:
    lines = {module.name: code_lines(module) for module in MODULES}
    assert sum(lines.values()) <= MOST_LINES
    assert {name: count for name, count in lines.items() if count > MOST_LINES_OF_A_FILE} == {}
