"""Runs what is missing of a graph, independent steps side by side.

A step whose key is in the store is not made, and neither is what only it needs.  A step that
fails ends the build, but those that run at that moment are ended too and leave nothing behind;
everything finished before stays in the store.
"""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from graphlib import TopologicalSorter
from pathlib import Path

from builder.errors import CygnetError, Interrupted
from builder.progress import Progress
from builder.run import Children, Runner
from builder.settings import Settings
from builder.steps.step import Step, Workspace, walk
from builder.steps.store import Record, Store

DOWNLOADS_AT_ONCE = 4


class Engine:
    """Builds targets into the store. ``jobs``: cores to keep busy."""

    def __init__(self, settings: Settings, progress: Progress, jobs: int) -> None:
        self.store = Store(settings.store, settings.trees)
        self._settings = settings
        self._progress = progress
        self._jobs = jobs
        self._children = Children()

    def build(self, targets: Sequence[Step]) -> dict[str, Path]:
        """Make all that is missing; the targets' results by step name.

        Raises Replaced (builder.sources.archive) when a source had to be replaced before
        anything ran: the caller plans again.
        """
        with self._alone():
            missing = self.missing(targets)
            self._progress.plan(len(walk(targets)), len(walk(targets)) - len(missing))
            self._fetch(missing)
            self._run(missing)
        return {target.name: self.store.verified(target) for target in targets}

    def missing(self, targets: Iterable[Step]) -> list[Step]:
        """The steps that have to be made, what is needed first."""
        found: dict[tuple[str, str], Step] = {}

        def visit(step: Step) -> None:
            if step.identity in found or self._usable(step):
                return
            for other in step.before:
                visit(other)
            found[step.identity] = step

        for target in targets:
            visit(target)
        return list(found.values())

    def _usable(self, step: Step) -> bool:
        if not self.store.has(step):
            return False
        try:
            self.store.verified(step)
        except FileNotFoundError:
            self._progress.say(f"{step.name}: its result in the store is damaged; it is made again.")
            return False
        return True

    def _fetch(self, steps: Iterable[Step]) -> None:
        fetches = [fetch for step in steps for fetch in step.sources]
        if not fetches:
            return
        self._progress.say(f"fetching the sources of {len(fetches)} packages")
        with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
            try:
                for done in [pool.submit(fetch) for fetch in fetches]:
                    done.result()
            except BaseException:
                pool.shutdown(
                    wait=False, cancel_futures=True
                )  # nobody wants to hear 100 times that there is no network
                raise

    def _run(self, steps: Sequence[Step]) -> None:
        todo = {step.identity: step for step in steps}
        sorter = TopologicalSorter(
            {one: [other.identity for other in step.before if other.identity in todo] for one, step in todo.items()}
        )
        sorter.prepare()
        ready: list[Step] = []
        running: dict[Future[None], Step] = {}
        with ThreadPoolExecutor(self._jobs) as pool:
            try:
                while sorter.is_active():
                    ready += [todo[one] for one in sorter.get_ready()]
                    ready.sort(key=self._length)
                    while ready and len(running) < self._jobs:
                        step = ready.pop()
                        running[pool.submit(self._make, step)] = step
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        step = running.pop(future)
                        future.result()
                        sorter.done(step.identity)
            except KeyboardInterrupt:
                self._children.stop()
                raise Interrupted from None
            except BaseException:
                self._children.stop()
                raise

    def _length(self, step: Step) -> tuple[float, int]:
        """How long a step will probably take: as last time, else by the size of its source."""
        last = self.store.latest(step.name)
        return (last.wall_seconds if last else float(step.size) / 1_000_000, step.size)

    def _make(self, step: Step) -> None:
        work = self._settings.work / f"{step.name.replace(':', '-')}-{step.key[:12]}"
        shutil.rmtree(work, ignore_errors=True)
        log = self._settings.logs / f"{step.name.replace(':', '-')}-{step.key[:12]}.log"
        log.unlink(missing_ok=True)
        runner = Runner(step.name, log, self._children)
        out = work / "out"
        out.mkdir(parents=True)
        self._progress.started(step.name)
        began = time.monotonic()
        try:
            results = {other.name: self.store.verified(other) for other in step.before}
            space = Workspace(out, work, self.store.place(step), runner, self._jobs, results, dict(step.notes))
            step.action(space)
            wall = time.monotonic() - began
            record = Record(step.name, step.key, step.all_inputs, wall, runner.cpu_seconds, notes=space.notes)
            self.store.put(step, out, record, runner)
        except OSError as error:
            what = error.strerror or "damaged in the store, where it was whole before; the same command makes it again"
            raise CygnetError(f"{step.name}: {what}: {error.filename or error}") from error
        finally:
            shutil.rmtree(work, ignore_errors=True)
        self._progress.finished(step.name, time.monotonic() - began)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One build at a time in one cache; a second one waits and says so."""
        self._settings.cache.mkdir(parents=True, exist_ok=True)
        with (self._settings.cache / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                self._progress.say("another build uses this cache; waiting for it")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield
