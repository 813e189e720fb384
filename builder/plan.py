"""The whole graph of one board: from settings, recipes and locks to steps.

This is where the parts of the builder meet; tasks.py talks to this module.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.boards import Board, board_names, load_board
from builder.image.image import image_step
from builder.image.rootfs import rootfs_step
from builder.names import unknown
from builder.progress import Progress
from builder.recipes.load import Recipe, load_recipes
from builder.settings import Settings
from builder.sources.archive import Archive, Candidates, Replaced
from builder.sources.fetch import Downloads
from builder.sources.index import TOOL_SUITES, Index
from builder.sources.lock import Locked
from builder.steps.engine import Engine
from builder.steps.packages import Factory
from builder.steps.step import Step
from builder.tools.tree import LOCK as TOOLS_LOCK
from builder.tools.tree import packages_of, read_groups, tools_step

SOURCES_LOCK = "sources.lock"


@dataclass(frozen=True)
class Plan:
    """The steps of one board. ``packages`` by package name, in the order of the names."""

    board: Board
    recipes: dict[str, Recipe]
    packages: dict[str, Step]
    rootfs: Step
    image: Step
    tools: Step
    archive: Archive
    tool_archive: Archive


class Project:
    """The sources, recipes and boards of one project directory, and the cache it builds in."""

    def __init__(self, settings: Settings, progress: Progress, frozen: bool = False, jobs: int = 0) -> None:
        self.settings = settings
        self.progress = progress
        self._index = Index(settings.cache / "apt")
        self._downloads = Downloads(settings.downloads)
        self.recipes = load_recipes(settings.packages)
        self.sources = self._archive(settings.packages / SOURCES_LOCK, self._source_candidates, frozen)
        self.tool_sources = self._archive(TOOLS_LOCK, self.index_binary, frozen)
        self.jobs = jobs or len(os.sched_getaffinity(0))

    def plan(self, board_name: str) -> Plan:
        """The graph of board ``board_name`` with the sources as they are locked or replaced now."""
        board = load_board(self.settings.boards, board_name)
        for name in board.without:
            if name not in self.recipes:
                raise unknown("package", name, self.recipes)
        tools = tools_step(self.tool_sources)
        factory = Factory(self.settings, self.recipes, board, self.sources, self.tool_sources, tools)
        packages = factory.steps()
        chosen = {name: step for name, step in packages.items() if name not in board.without}
        rootfs = rootfs_step(self.settings, board, chosen, self.tool_sources, tools)
        image = image_step(board, rootfs, self.tool_sources, tools, self.engine().store.latest(f"image:{board.name}"))
        return Plan(board, self.recipes, packages, rootfs, image, tools, self.sources, self.tool_sources)

    def board_names(self) -> list[str]:
        """All boards."""
        return board_names(self.settings.boards)

    def engine(self) -> Engine:
        """What runs steps."""
        return Engine(self.settings, self.progress, self.jobs)

    def tools(self) -> Path:
        """The tools tree. Where it is there already no build is waited for."""
        step, engine = tools_step(self.tool_sources), self.engine()
        if engine.missing((step,)):
            return engine.build((step,))[step.name]
        return engine.store.verified(step)

    def build(self, board_name: str, package: str = "") -> tuple[Plan, dict[str, Path]]:
        """Build the image of a board, or one package of it."""
        (plan,), results = self._build([board_name], package)
        return plan, results

    def build_all(self, boards: Sequence[str]) -> None:
        """Build the images of several boards in one graph: no core waits for the last steps of one of them."""
        self._build(boards)

    def _build(self, boards: Sequence[str], package: str = "") -> tuple[list[Plan], dict[str, Path]]:
        """Plans again when a source was replaced."""
        engine = self.engine()
        while True:
            plans = [self.plan(board) for board in boards]
            try:
                return plans, engine.build([step for plan in plans for step in self._targets(plan, package)])
            except Replaced:
                continue

    def _targets(self, plan: Plan, package: str) -> Sequence[Step]:
        if not package:
            return (plan.image, plan.rootfs)
        if package not in plan.packages:
            raise unknown("package", package, plan.packages)
        return (plan.packages[package],)

    def _archive(self, lock: Path, candidates: Candidates, frozen: bool) -> Archive:
        replacements = self.settings.cache / f"replaced-{lock.name}.json"
        return Archive(lock, self._downloads, replacements, candidates, self.progress.say, frozen)

    @functools.cached_property
    def index(self) -> Index:
        """Debian's index, brought up to date on first use."""
        self._index.update()
        return self._index

    def index_binary(self, name: str) -> list[Locked]:
        """What the index offers of a tool's package."""
        return self.index.binary(name, packages_of(read_groups(), tuple(read_groups()))[name])

    def _source_candidates(self, name: str) -> list[Locked]:
        suites = next(
            (
                r.package.source.suites
                for r in self.recipes.values()
                if r.package.source and r.package.source.name == name
            ),
            TOOL_SUITES,
        )
        return self.index.sources(name, suites)
