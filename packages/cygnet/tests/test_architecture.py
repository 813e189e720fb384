"""The house plan as tests: what may import what, and how much there is to read."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src/cygnet"
MODULES = sorted(SOURCE.rglob("*.py"))
# The parts that one reads by themselves, and how many lines each may have.
MOST_LINES = {"daemon": 9_000, "commands": 4_000, "firewall": 1_200, "strangers": 900}
STRANGERS = ("ike/directory.py", "ike/strangers.py", "daemon/lookups.py")
PARTS = {"cli": "commands", "why": "commands", "firewall": "firewall", "dns": "strangers"}
MOST_LINES_OF_A_FILE = 400
FAKES = ("fake", "refusals")
# Folders whose code takes bytes and a clock and gives results: nothing in them reaches the outside.
SANS_IO = ("connection", "conf", "crypto", "dns", "ike")
OUTSIDE = {"asyncio", "select", "selectors", "signal", "socket", "subprocess", "threading"}
# (folder, name): what is shared for good reason.
ALLOWED = {("conf", "socket")}
# The layers, what each may use of the others: read from the bottom up.
LAYERS = {
    "errors": set(),
    "index": set(),
    "crypto": {"errors", "connection"},
    "connection": {"errors", "crypto"},
    # conf/local.py says what kernel/links.py finds out about this box.
    "kernel": {"errors", "connection", "conf"},
    "conf": {"errors", "connection", "crypto"},
    "updown": {"errors", "connection", "tunnel"},
    "tunnel": {"errors", "index", "connection", "crypto", "kernel", "updown"},
    "dns": {"errors", "connection", "crypto"},
    "ike": {"errors", "index", "connection", "crypto", "dns", "kernel", "tunnel"},
    "control": {"errors"},
    "firewall": {"errors", "connection", "conf"},
    "why": {"errors", "connection", "conf", "control", "kernel"},
}


def imports(module: Path) -> Iterator[str]:
    """Full names of what a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: imports are absolute, so that one sees where a name lives"
            yield node.module or ""


def layer(module: Path) -> str:
    return module.relative_to(SOURCE).parts[0].removesuffix(".py")


def name_of(module: Path) -> str:
    return str(module.relative_to(SOURCE))


def part(module: Path) -> str:
    """Which of MOST_LINES it counts to."""
    return "strangers" if name_of(module) in STRANGERS else PARTS.get(layer(module), "daemon")


def code_lines(module: Path) -> int:
    """Lines that hold code: neither blank nor comment nor docstring."""
    text = module.read_text()
    words = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            words |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = enumerate(text.splitlines(), 1)
    return sum(1 for number, line in lines if number not in words and line.strip() and line.strip()[0] != "#")


def test_the_source_is_an_afternoons_reading() -> None:
    """The fakes are what tests and --noklips have in the kernel's place: nobody reads them to know the daemon."""
    lines = {module: code_lines(module) for module in MODULES if module.stem not in FAKES}
    parts = {name: sum(lines[module] for module in lines if part(module) == name) for name in MOST_LINES}
    assert {name: count for name, count in parts.items() if count >= MOST_LINES[name]} == {}
    assert {name_of(module): count for module, count in lines.items() if count > MOST_LINES_OF_A_FILE} == {}


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_only_crypto_imports_the_cryptography_library(module: Path) -> None:
    if layer(module) != "crypto":
        assert [name for name in imports(module) if name.split(".")[0] == "cryptography"] == []


@pytest.mark.parametrize("module", [module for module in MODULES if layer(module) in SANS_IO], ids=name_of)
def test_what_thinks_does_not_touch_the_outside(module: Path) -> None:
    found = {name.split(".")[0] for name in imports(module)} & OUTSIDE
    assert {name for name in found if (layer(module), name) not in ALLOWED} == set()


@pytest.mark.parametrize("module", [module for module in MODULES if layer(module) in LAYERS], ids=name_of)
def test_layers_look_down_and_never_up(module: Path) -> None:
    used = {name.split(".")[1] for name in imports(module) if name.startswith("cygnet.")} - {layer(module)}
    assert used <= LAYERS[layer(module)]


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_every_module_says_what_it_is_for(module: Path) -> None:
    tree = ast.parse(module.read_text())
    assert ast.get_docstring(tree) or not tree.body


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_nothing_depends_on_an_assert(module: Path) -> None:
    """The box's byte code has neither asserts nor docstrings."""
    tree = ast.parse(module.read_text())
    assert [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assert)] == []
    assert [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "__doc__"] == []
