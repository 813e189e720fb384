"""What a recipe's ``build(b)`` is given: places, compilers, and ways to run and install.

A recipe reads from ``b.source`` and ``b.sysroot`` and leaves its products in
``b.root`` (what goes on the box) and ``b.dev`` (headers and archives that only other
packages' builds see).  Both are laid out like ``/``.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from builder.boards import Board, Cpu
from builder.run import Runner


@dataclass(frozen=True)
class Build:
    """One package being compiled for one CPU (or one board).

    ``source``: the unpacked source, Debian's and our patches applied; a private copy
    unless the recipe says ``shared_source``.  ``work``: an empty scratch directory.
    ``sysroot``: products of the packages it depends on.  ``tools``: the tools tree, a
    directory laid out like ``/``.  ``recipe``: the recipe's own folder.  ``cache``: the builder's
    cache directory, for compilers that keep one of their own.
    """

    name: str
    version: str
    cpu: Cpu
    board: Board
    recipe: Path
    source: Path
    work: Path
    sysroot: Path
    root: Path
    dev: Path
    tools: Path
    cache: Path
    jobs: int
    runner: Runner
    compilers: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def cc(self) -> str:
        """The C compiler for the box: zig cc for this CPU, assembler files to the right assembler."""
        return str(self.compilers / "cc")

    @property
    def cxx(self) -> str:
        """The C++ compiler for the box."""
        return str(self.compilers / "c++")

    @property
    def ar(self) -> str:
        """The archiver for the box's objects."""
        return str(self.compilers / "ar")

    @property
    def ranlib(self) -> str:
        """The indexer for the box's archives."""
        return str(self.compilers / "ranlib")

    @property
    def cflags(self) -> list[str]:
        """Flags for every C file: small, sections for the linker to drop, no path of this machine."""
        return [
            "-Os", "-fno-sanitize=all", "-fomit-frame-pointer", "-ffunction-sections", "-fdata-sections",
            f"-ffile-prefix-map={self.source}=/usr/src/{self.name}",
            f"-ffile-prefix-map={self.work}=/usr/src/{self.name}",
            f"-I{self.sysroot}/usr/include", *self.cpu.cflags,
        ]  # fmt: skip

    @property
    def ldflags(self) -> list[str]:
        """Flags for every program and library: stripped, unused sections dropped."""
        return ["-s", "-Wl,--gc-sections", f"-L{self.sysroot}/usr/lib"]

    def run(self, *argv: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> None:
        """Run a program in ``cwd`` (default: the source), logged; a failure ends the step."""
        self.runner.run([str(word) for word in argv], cwd=cwd or self.source, env={**self.environment, **(env or {})})

    def make(self, *argv: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> None:
        """Run make with this build's number of jobs."""
        self.run("make", f"-j{self.jobs}", *argv, cwd=cwd, env=env)

    def install(self, file: Path, to: str, mode: int = 0o755) -> None:
        """Copy ``file`` to the path ``to`` on the box, e.g. ``usr/bin/ip``."""
        self._copy(file, self.root / to, mode)

    def install_dev(self, file: Path, to: str) -> None:
        """Copy ``file`` where only other packages' builds see it, e.g. ``usr/lib/libz.a``."""
        self._copy(file, self.dev / to, 0o644)

    def link(self, target: str, at: str) -> None:
        """Make a symbolic link on the box at ``at`` that points to ``target``."""
        place = self.root / at
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)

    @staticmethod
    def _copy(file: Path, place: Path, mode: int) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
        place.chmod(mode)
