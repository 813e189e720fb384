"""The tables of ``boards`` and ``packages``: what there is, and what of it is built."""

from __future__ import annotations

import tarfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from builder.boards import board_names, load_board
from builder.errors import CygnetError
from builder.papers.licences import licence
from builder.plan import Plan, Project
from builder.recipes.load import Recipe
from builder.settings import VERSION
from builder.steps.step import Step
from builder.steps.store import Store

NOT_BUILT = "not built"
LEFT_OUT = "left out"


def boards(project: Project, console: Console | None = None) -> None:
    """Print every board: what it is, its CPU, console and budget, and whether its image is built."""
    table = Table("board", "description", "cpu", "console", "budget: kernel + root", "image")
    store = _store(project)
    for name in _known_boards(project):
        board = load_board(project.settings.boards, name)
        console_line = f"{board.console.device} {board.console.speed}"
        budget = f"{board.budget.kernel:,} + {board.budget.rootfs:,}"
        state = "built" if store.has(project.plan(name).image) else NOT_BUILT
        table.add_row(name, board.description, board.cpu.name, console_line, budget, state)
    (console or Console()).print(table)


def packages(project: Project, console: Console | None = None) -> None:
    """Print every package: version, licence, and the bytes that it puts on each board."""
    plans = {name: project.plan(name) for name in _known_boards(project)}
    table = Table("package", "version", "licence")
    for name in plans:
        table.add_column(name, justify="right", no_wrap=True)
    store = _store(project)
    for recipe in project.recipes.values():
        sizes = [_size(store, plan, recipe.name) for plan in plans.values()]
        table.add_row(recipe.name, version(project, recipe), licence(recipe), *sizes)
    (console or Console()).print(table)


def version(project: Project, recipe: Recipe) -> str:
    """The version to build, Debian's in full; a mark where it is not the locked one."""
    source = recipe.package.source
    if source is None:
        return VERSION
    mark = " (replaced)" if project.sources.replaced(source.name) else ""
    return project.sources.locked(source.name).version + mark


def size_on_box(tarball: Path) -> int:
    """The bytes of the files that a package's result puts on the box."""
    with tarfile.open(tarball) as tar:
        return sum(member.size for member in tar if member.isfile() and member.name.startswith("./root/"))


def _size(store: Store, plan: Plan, name: str) -> str:
    if name in plan.board.without:
        return LEFT_OUT
    step: Step = plan.packages[name]
    return f"{size_on_box(store.place(step)):,}" if store.has(step) else NOT_BUILT


def _known_boards(project: Project) -> list[str]:
    names = board_names(project.settings.boards)
    if not names:
        raise CygnetError(f"{project.settings.boards} holds no board; a board is a folder with a board.toml in it")
    return names


def _store(project: Project) -> Store:
    return Store(project.settings.store, project.settings.trees)
