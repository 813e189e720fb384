"""One step of a build: what goes in, what it needs, what makes it; its content key.

The key is a hash of everything that can change the result.  Two steps with the same key
have the same result, so a result is looked up by its key and never made twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import msgspec

from builder.run import Runner


@dataclass(frozen=True)
class Workspace:
    """What a step's action is given.

    ``out``: the empty directory that becomes the result.  ``work``: scratch, removed
    afterwards.  ``result(name)``: the result of a step it needs: a directory for a tree, else
    a tarball.  ``place``: where a tree will stand in the end.  ``notes``: facts that the action
    found and wants in the step's record.
    """

    out: Path
    work: Path
    place: Path
    runner: Runner
    jobs: int
    results: Mapping[str, Path]
    notes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """A node of the graph.

    ``inputs`` and the keys of ``needs`` make the key; ``uses`` must be there before it runs
    but do not count (their relevant part stands in ``inputs``).  ``kind`` is "tar" for a
    result in the store, "tree" for a directory that is used where it stands.
    ``sources`` are names to fetch first; ``size`` (bytes of source) guesses its length.
    """

    name: str
    inputs: Mapping[str, str]
    action: Callable[[Workspace], None]
    needs: tuple[Step, ...] = ()
    uses: tuple[Step, ...] = ()
    kind: Literal["tar", "tree"] = "tar"
    sources: tuple[Callable[[], object], ...] = ()
    size: int = 0
    notes: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def all_inputs(self) -> dict[str, str]:
        """Every input by name, the keys of needed steps among them: what `why` compares."""
        return dict(sorted({**self.inputs, **{f"step {need.name}": need.key for need in self.needs}}.items()))

    @cached_property
    def key(self) -> str:
        """The content key, 64 hexadecimal digits."""
        return hash_bytes(msgspec.json.encode([self.kind, self.all_inputs]))

    @property
    def identity(self) -> tuple[str, str]:
        """Name and key: what serves all CPUs has one name, and may differ from one to the other."""
        return self.name, self.key

    @property
    def before(self) -> tuple[Step, ...]:
        """All that must be there before this step can run."""
        return self.needs + self.uses


def walk(targets: Iterable[Step]) -> list[Step]:
    """All steps that ``targets`` rest on, themselves included, each once, what is needed first."""
    seen: dict[tuple[str, str], Step] = {}

    def visit(step: Step) -> None:
        if step.identity not in seen:
            for other in step.before:
                visit(other)
            seen[step.identity] = step

    for target in targets:
        visit(target)
    return list(seen.values())


def hash_bytes(data: bytes) -> str:
    """SHA-256, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def hash_folder(folder: Path, without: Callable[[Path], bool] = lambda _: False) -> str:
    """One hash of every file below ``folder``: names, executable bits, contents, link targets.

    ``without`` is asked about each path, relative to ``folder``: what it is true of does not count.
    """
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if "__pycache__" in file.parts or (file.is_dir() and not file.is_symlink()):
            continue
        if without(file.relative_to(folder)):
            continue
        content = str(file.readlink()).encode() if file.is_symlink() else file.read_bytes()
        mode = "l" if file.is_symlink() else "x" if file.stat().st_mode & 0o100 else "-"
        digest.update(f"{file.relative_to(folder)}\0{mode}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def hash_files(*files: Path) -> str:
    """One hash of the contents of ``files``, in the given order."""
    return hash_bytes(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files))
