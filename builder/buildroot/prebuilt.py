"""cryptography for CPUs that Buildroot's Rust does not know: the module of Cygnet's store, and the sources of it.

The module is linked against musl's libc.so and Python's stable ABI, so that any Python from 3.11 on loads it; OpenSSL
and Rust's standard library are inside.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass

from builder.boards import Board
from builder.buildroot.defconfig import package, package_lines, symbols
from builder.errors import CygnetError
from builder.papers.legal import SOURCE_GROUPS
from builder.plan import Project
from builder.recipes.load import closure
from builder.sources.lock import File
from builder.sources.mirror import mirrors
from builder.tools.tree import read_groups

PACKAGE = "cryptography"
MODULE = "_rust.abi3.so"


@dataclass(frozen=True)
class Source:
    """A file that the module was made from: its address and SHA-256."""

    address: str
    sha256: str

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.address.rsplit("/", 1)[-1]

    @property
    def folder(self) -> str:
        """The address without the name."""
        return self.address.rsplit("/", 1)[0]


@dataclass(frozen=True)
class Prebuilt:
    """What the store has of cryptography."""

    project: Project

    def module(self, board: Board) -> bytes:
        """The module for the board's CPU, built where the store lacks it."""
        plan, results = self.project.build(board.name, PACKAGE)
        with tarfile.open(results[plan.packages[PACKAGE].name]) as tar:
            for member in tar:
                if member.name.startswith("./root/") and member.name.endswith(f"/{MODULE}"):
                    content = tar.extractfile(member)
                    return content.read() if content else b""
        raise CygnetError(f"packages/{PACKAGE}: its product has no {MODULE}")

    @property
    def upstream(self) -> str:
        """The version of cryptography."""
        return self._locked(PACKAGE)

    @property
    def sources(self) -> list[Source]:
        """The sources of all that is inside: cryptography's first, then what is linked in, then crates."""
        names = [name for name in closure(self.project.recipes, (PACKAGE,)) if self._is_inside(name)]
        files = [file for name in sorted(names, key=lambda name: name != PACKAGE) for file in self._files(name)]
        known = mirrors()
        files = [file for file in [*files, *self._crates()] if file.repository in known]
        return [Source(f"{known[file.repository]}/{file.path}", file.sha256) for file in files]

    def _is_inside(self, name: str) -> bool:
        """Buildroot is not asked for it, so the module is where it is."""
        return not symbols(package_lines(package(self.project, name), prebuilt=True))

    def _files(self, name: str) -> list[File]:
        source = self.project.recipes[name].package.source
        return self.project.sources.files(source.name, source.skip) if source else []

    def _locked(self, name: str) -> str:
        source = self.project.recipes[name].package.source
        if source is None:
            raise CygnetError(f"packages/{name}: has no source")
        return self.project.sources.locked(source.name, source.skip).upstream

    def _crates(self) -> Iterator[File]:
        groups = [group for group in self.project.recipes[PACKAGE].package.tools if group in SOURCE_GROUPS]
        for name in sorted({name for group in groups for name in read_groups()[group]}):
            yield self.project.tool_sources.locked(name).files[0]
