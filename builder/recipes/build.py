"""What a recipe's ``build(b)`` is given: places, compilers, and ways to run and install.

A recipe reads from ``b.source`` and ``b.sysroot`` and leaves its products in
``b.root`` (what goes on the box) and ``b.dev`` (headers and archives that only other
packages' builds see).  Both are laid out like ``/``.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from builder.boards import Board, Cpu
from builder.run import Runner

# Programs and libraries with their symbols, below a package's ``dev``.
DEBUG = "usr/lib/debug"


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
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def cc(self) -> str:
        """The C compiler for the box, found by PATH: zig cc for this CPU, assembler files to the right assembler."""
        return f"{self.cpu.gnu}-cc"

    @property
    def cxx(self) -> str:
        """The C++ compiler for the box."""
        return f"{self.cpu.gnu}-c++"

    @property
    def ar(self) -> str:
        """The archiver for the box's objects."""
        return f"{self.cpu.gnu}-ar"

    @property
    def ranlib(self) -> str:
        """The indexer for the box's archives."""
        return f"{self.cpu.gnu}-ranlib"

    @property
    def cflags(self) -> list[str]:
        """Flags for every C file: small, in sections that the linker can drop."""
        return [
            "-Os", "-fomit-frame-pointer", "-ffunction-sections", "-fdata-sections",
            # Nobody unwinds a stack on the box; the tables would be a tenth of every program.
            "-fno-asynchronous-unwind-tables", "-fno-unwind-tables", *self.cpu.cflags,
        ]  # fmt: skip

    @property
    def ldflags(self) -> list[str]:
        """Flags for every program and library: unused sections dropped, atomic operations that zig's run time lacks.

        Without -Os zig links a debug build of its run time, larger and made anew for each kind of link; with it zig
        drops the symbols, unless it is asked for more than it needs here.
        """
        return ["-Os", "-g", "-Wl,--gc-sections", "-latomics"]

    def run(self, *argv: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> None:
        """Run a program in ``cwd`` (default: the source), logged; a failure ends the step."""
        words = [str(word) for word in argv]
        self.runner.run(words, cwd=cwd or self.source, env={**self.environment, **(env or {})})

    def output(self, *argv: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
        """What a program prints, run in ``cwd`` (default: the source)."""
        words = [str(word) for word in argv]
        return self.runner.output(words, cwd=cwd or self.source, env={**self.environment, **(env or {})})

    def record_parts(self, parts: list[dict[str, str]]) -> None:
        """Put into the SBOM what is compiled into this package: name, version, licence, purl of each."""
        bom = self.root.parent / "bom"
        bom.mkdir()
        (bom / "parts.json").write_text(json.dumps(parts, indent=1))

    def make(self, *argv: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> None:
        """Run make with this build's number of jobs."""
        self.run("make", f"-j{self.jobs}", *argv, cwd=cwd, env=env)

    def install(self, file: Path, to: str, mode: int = 0o755) -> None:
        """Copy ``file`` to the path ``to`` on the box, e.g. ``usr/bin/ip``.

        Of a program or library its symbols stay behind, where the instruction scan finds them.
        """
        self._copy(file, self.root / to, mode)
        if file.open("rb").read(4) == b"\x7fELF":
            self.install_dev(file, f"{DEBUG}/{to}")
            self.run(f"{self.cpu.binutils}-strip", "--strip-all", self.root / to)

    def install_kernel(self, file: Path, to: str) -> None:
        """Copy a kernel or device tree to the box as it is."""
        self._copy(file, self.root / to, 0o644)

    def install_dev(self, file: Path, to: str) -> None:
        """Copy ``file`` where only other packages' builds see it, e.g. ``usr/lib/libz.a``."""
        self._copy(file, self.dev / to, 0o644)

    def compile_python(self, folder: Path, on_box: str) -> None:
        """Turn the modules below ``folder`` (``on_box`` on the box) into byte code only, as -OO does.

        The byte code is believed without looking at its source, which is not there.
        """
        python = self.tools / "usr/bin/python3.13"
        words = ["-I", "-m", "compileall", "-q", "-b", "-o2", "--invalidation-mode=unchecked-hash"]
        self.run(python, *words, "-s", folder, "-p", on_box, "-j1", folder, env={"PYTHONHASHSEED": "0"})
        for source in folder.rglob("*.py"):
            source.unlink()

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
