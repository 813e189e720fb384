"""Recipe + board -> step: what of both goes into the key, and how a package is made."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from builder import run as run_module
from builder.boards import Board
from builder.compiler import host, zig
from builder.errors import CygnetError
from builder.recipes import build as build_module
from builder.recipes.build import Build
from builder.recipes.load import Recipe, closure
from builder.recipes.package import Package
from builder.run import ENVIRONMENT
from builder.settings import EPOCH, VERSION, Settings
from builder.sources import unpack as unpack_module
from builder.sources.archive import Archive
from builder.sources.unpack import unpack
from builder.steps.step import Step, Workspace, hash_bytes, hash_files
from builder.steps.store import extract
from builder.tools.tree import group_identity

# A change in what compiles and installs is a change of every package.
CODE = tuple(Path(str(module.__file__)) for module in (build_module, unpack_module, run_module)) + (Path(__file__),)


@dataclass(frozen=True)
class Factory:
    """Makes the steps of all packages for one board. ``tools``: the step of the tools tree."""

    settings: Settings
    recipes: Mapping[str, Recipe]
    board: Board
    archive: Archive
    tool_archive: Archive
    tools: Step

    def steps(self) -> dict[str, Step]:
        """The step of every package, by package name."""
        made: dict[str, Step] = {}

        def make(name: str) -> Step:
            if name not in made:
                made[name] = self._step(name, [make(other) for other in self._depends(name)])
            return made[name]

        for name in self.recipes:
            make(name)
        return made

    def _depends(self, name: str) -> list[str]:
        """All that ``name`` rests on, directly or not: its sysroot."""
        return [other for other in closure(dict(self.recipes), (name,)) if other != name]

    def _step(self, name: str, needed: list[Step]) -> Step:
        recipe = self.recipes[name]
        package = recipe.package
        source = self.source_step(recipe) if package.shared_source else None
        return Step(
            name=f"{name}:{self._serves(package)}",
            inputs={**self._source_inputs(recipe), **self._build_inputs(recipe)},
            action=functools.partial(self._make, recipe),
            needs=tuple(needed),
            uses=(self.tools, source) if source else (self.tools,),
            sources=() if source else self._fetches(recipe),
            size=self._size(recipe),
            notes={"package": name, "version": self.version(recipe)},
        )

    def _serves(self, package: Package) -> str:
        return {"cpu": self.board.cpu.name, "board": self.board.name, "all": "all"}[package.per]

    def source_step(self, recipe: Recipe) -> Step:
        """The step that keeps an unpacked source tree for all boards."""
        return Step(
            name=f"{recipe.name}:source",
            inputs={**self._source_inputs(recipe), "code": hash_files(Path(unpack_module.__file__))},
            action=lambda space: self._unpack(recipe, space.out / "source", space),
            kind="tree",
            sources=self._fetches(recipe),
        )

    def version(self, recipe: Recipe) -> str:
        """The upstream version; a package of our own carries the project's."""
        source = recipe.package.source
        return self.archive.locked(source.name, source.skip).upstream if source else VERSION

    def _source_inputs(self, recipe: Recipe) -> dict[str, str]:
        source = recipe.package.source
        files = self.archive.files(source.name, source.skip) if source else []
        patches = {f"patch {patch.name}": hash_files(patch) for patch in recipe.patches}
        return {**{f"source {file.name}": file.sha256 for file in files}, **patches}

    def _build_inputs(self, recipe: Recipe) -> dict[str, str]:
        package = recipe.package
        inputs = {
            "recipe": recipe.content,
            "code": hash_files(*CODE, *recipe.helpers),
            "epoch": str(EPOCH),
            "tools": group_identity(self.tool_archive, self._tools(package)),
        }
        if package.per != "all":
            inputs["compiler"] = f"{zig.identity(self.board.cpu)} {host.identity()}"
            inputs["cpu"] = hash_bytes(msgspec.json.encode(self.board.cpu))
        if package.per == "board":
            inputs["board"] = hash_bytes(msgspec.json.encode(self.board.kernel))
            inputs["board kernel.config"] = hash_files(self.board.folder / "kernel.config")
        return inputs

    def _tools(self, package: Package) -> tuple[str, ...]:
        """The groups of the tools tree that a package is built with; a kernel also with its board's compiler."""
        return (*package.tools, self.board.kernel.tools) if package.per == "board" else package.tools

    def _fetches(self, recipe: Recipe) -> tuple[Callable[[], object], ...]:
        source = recipe.package.source
        return (functools.partial(self.archive.fetch, source.name, source.skip),) if source else ()

    def _size(self, recipe: Recipe) -> int:
        source = recipe.package.source
        return sum(file.size for file in self.archive.files(source.name, source.skip)) if source else 0

    def _unpack(self, recipe: Recipe, to: Path, space: Workspace) -> None:
        source = recipe.package.source
        if source is None:
            to.mkdir()
            return
        unpack(self.archive.fetch(source.name, source.skip), recipe.patches, to, space.runner)

    def _make(self, recipe: Recipe, space: Workspace) -> None:
        build = self._build(recipe, space)
        if not recipe.package.shared_source:
            self._unpack(recipe, build.source, space)
        for place in (build.work, build.sysroot / "usr/include", build.sysroot / "usr/lib", build.root, build.dev):
            place.mkdir(parents=True, exist_ok=True)
        for name in self._depends(recipe.name):
            result = next(place for step, place in space.results.items() if step.split(":")[0] == name)
            for part in ("root", "dev"):
                extract(result, build.sysroot, part)
        hidden = {build.source: f"/usr/src/{recipe.name}", build.work: f"/usr/src/{recipe.name}/build"}
        compilers = space.work / "compilers"
        host.write_wrappers(build.tools, compilers)
        zig.write_wrappers(self.board.cpu, build.tools / "usr/bin", build.sysroot, hidden, compilers)
        if recipe.package.per == "cpu":
            zig.make_atomics(build, compilers)
        recipe.build(build)
        self._keep_licences(recipe, build, space.out / "licences")

    def _build(self, recipe: Recipe, space: Workspace) -> Build:
        shared, tools = recipe.package.shared_source, space.results["tools"]
        return Build(
            name=recipe.name,
            version=self.version(recipe),
            cpu=self.board.cpu,
            board=self.board,
            recipe=recipe.folder,
            source=space.results[f"{recipe.name}:source"] / "source" if shared else space.work / "source",
            work=space.work / "build",
            sysroot=space.work / "sysroot",
            root=space.out / "root",
            dev=space.out / "dev",
            tools=tools,
            cache=self.settings.cache,
            jobs=space.jobs,
            runner=space.runner,
            environment={
                **zig.caches(self.settings.cache, space.work),
                # libtool asks, and zig would compile all of musl for the answer; nothing on the box is static.
                "lt_cv_prog_compiler_static_works": "no",
                "PATH": f"{space.work / 'compilers'}:{tools}/usr/bin:{tools}/usr/sbin:{ENVIRONMENT['PATH']}",
            },
        )

    @staticmethod
    def _keep_licences(recipe: Recipe, build: Build, to: Path) -> None:
        to.mkdir(parents=True)
        for name in recipe.package.licence_files:
            file = build.source / name
            if not file.is_file():
                raise CygnetError(f"{recipe.folder}/recipe.py: licence file {name} is not in the source tree")
            (to / name.replace("/", "_")).write_bytes(file.read_bytes())
