"""The store: results of finished steps, named by content key, under the user's cache directory.

A result is a tarball with its record (JSON) beside it, both written under another name and
renamed, the record last: what has a record is whole.  The record holds the tarball's hash, which
is checked when the tarball is used, so a damaged store rebuilds and never misleads.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import subprocess
import uuid
from collections.abc import Iterable
from pathlib import Path

import msgspec

from builder.run import ENVIRONMENT, Runner
from builder.settings import EPOCH
from builder.steps.step import Step


class Record(msgspec.Struct, frozen=True):
    """What is known of a finished step. Times in seconds, ``size`` in bytes of the tarball."""

    name: str
    key: str
    inputs: dict[str, str]
    wall_seconds: float
    cpu_seconds: float
    sha256: str = ""
    size: int = 0
    notes: dict[str, str] = {}


class Store:
    """Results below ``folder``; trees (used in place) below ``trees``."""

    def __init__(self, folder: Path, trees: Path) -> None:
        self._folder = folder
        self._trees = trees
        self._verified: set[str] = set()

    def place(self, step: Step) -> Path:
        """Where the step's result stands, or would."""
        if step.kind == "tree":
            return self._trees / f"{step.name.replace(':', '-')}-{step.key[:16]}"
        return self._folder / f"{step.key}.tar"

    def has(self, step: Step) -> bool:
        """Whether the result is there, whole."""
        if step.kind == "tree":
            return self.place(step).is_dir()
        record = self.record(step)
        return record is not None and self._undamaged(step, record)

    def record(self, step: Step) -> Record | None:
        """The record of a finished step."""
        return self._read(self._folder / f"{step.key}.json")

    def latest(self, name: str) -> Record | None:
        """The record of the last step of this name that was made, whatever its key."""
        return self._read(self._folder / "latest" / f"{name}.json")

    def put(self, step: Step, out: Path, record: Record, runner: Runner) -> None:
        """Take the directory ``out`` as the step's result."""
        place = self.place(step)
        place.parent.mkdir(parents=True, exist_ok=True)
        if step.kind == "tree":
            out.rename(place)
        else:
            new = place.with_name(f"{place.name}.{uuid.uuid4().hex}.new")
            try:
                runner.run([*PACK, f"--directory={out}", f"--file={new}", "."], cwd=out)
                record = msgspec.structs.replace(record, sha256=hash_file(new), size=new.stat().st_size)
                new.replace(place)
            finally:
                new.unlink(missing_ok=True)
        self._write(self._folder / f"{step.key}.json", record)
        self._write(self._folder / "latest" / f"{step.name}.json", record)

    def _undamaged(self, step: Step, record: Record) -> bool:
        place = self.place(step)
        with contextlib.suppress(FileNotFoundError):
            return place.stat().st_size == record.size
        return False

    def verified(self, step: Step) -> Path:
        """The step's result, its hash checked once a run; a damaged one is removed and reported absent."""
        place, record = self.place(step), self.record(step)
        if step.kind == "tree" or step.key in self._verified:
            return place
        if record is None or hash_file(place) != record.sha256:
            self.forget(step)
            raise FileNotFoundError(place)
        self._verified.add(step.key)
        return place

    def forget(self, step: Step) -> None:
        """Remove a result."""
        if step.kind == "tree":
            shutil.rmtree(self.place(step), ignore_errors=True)
            return
        (self._folder / f"{step.key}.json").unlink(missing_ok=True)
        self.place(step).unlink(missing_ok=True)

    def keep_only(self, steps: Iterable[Step]) -> int:
        """Remove the results of all other steps; how many bytes that freed."""
        kept = list(steps)
        results = {f"{step.key}.{kind}" for step in kept for kind in ("tar", "json")}
        trees = {self.place(step) for step in kept}
        freed = 0
        for file in self._folder.glob("*.*"):
            if file.name not in results:
                freed += file.stat().st_size
                file.unlink()
        for tree in self._trees.glob("*"):
            if tree not in trees:
                freed += sum(file.lstat().st_size for file in tree.rglob("*"))
                shutil.rmtree(tree)
        return freed

    def _read(self, file: Path) -> Record | None:
        with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
            return msgspec.json.decode(file.read_bytes(), type=Record)
        return None

    def _write(self, file: Path, record: Record) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_name(f"{file.name}.{uuid.uuid4().hex}.new")
        new.write_bytes(msgspec.json.encode(record))
        new.replace(file)


PACK = (
    "tar", "--create", "--sparse", "--format=gnu", "--sort=name", f"--mtime=@{EPOCH}",
    "--owner=0", "--group=0", "--numeric-owner",
)  # fmt: skip


def extract(tarball: Path, to: Path, part: str = "") -> None:
    """Unpack the folder ``part`` of a result (default: all of it) into ``to``; an absent part is nothing."""
    to.mkdir(parents=True, exist_ok=True)
    command = [
        "tar",
        "--extract",
        "--no-same-owner",
        "--preserve-permissions",
        f"--file={tarball}",
        f"--directory={to}",
    ]
    if part and not _has(tarball, f"./{part}/"):
        return
    chosen = [f"--strip-components={part.count('/') + 2}", f"./{part}"] if part else []
    subprocess.run([*command, *chosen], check=True, env=ENVIRONMENT)


def _has(tarball: Path, member: str) -> bool:
    listing = subprocess.run(
        ["tar", "--list", f"--file={tarball}"], capture_output=True, text=True, check=True, env=ENVIRONMENT
    )
    return member in listing.stdout.split("\n")


def hash_file(file: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
