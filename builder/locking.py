"""Making the lock files anew: the newest version of everything that can be had whole today."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from builder.errors import SourceError
from builder.names import unknown
from builder.plan import SOURCES_LOCK, Project
from builder.recipes.package import DebianSource, PypiSource
from builder.sources import pypi
from builder.sources.fetch import Downloads, NotServed
from builder.sources.index import Index
from builder.sources.lock import Lock, Locked, read_lock, write_lock
from builder.steps.engine import DOWNLOADS_AT_ONCE
from builder.tools.tree import LOCK as TOOLS_LOCK
from builder.tools.tree import packages_of, read_groups


def lock_all(project: Project, only: str = "") -> list[str]:
    """Lock every source and tool, or the source of package ``only`` or the tool ``only``; one line a change."""
    downloads = Downloads(project.settings.downloads)
    sources = {
        r.package.source.name: r.package.source
        for name, r in project.recipes.items()
        if r.package.source and only in ("", name)
    }
    found = _complete_all(
        {name: partial(_locate, project.index, source, downloads) for name, source in sources.items()}
    )
    all_tools = packages_of(read_groups(), tuple(read_groups()))
    if only and only not in project.recipes and only not in all_tools:
        raise unknown("package or tool", only, [*project.recipes, *all_tools])
    tools = _complete_all(
        {
            name: partial(_complete, name, project.index.binary(name, suites), downloads, ())
            for name, suites in all_tools.items()
            if only in ("", name)
        }
    )
    changes = _write(project.settings.packages / SOURCES_LOCK, found, keep=bool(only))
    return changes + _write(TOOLS_LOCK, tools, keep=bool(only))


def _complete_all(wanted: dict[str, Callable[[], Locked]]) -> Lock:
    """All of ``wanted``, several downloads at once."""
    with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
        running = {name: pool.submit(find) for name, find in wanted.items()}
        return {name: future.result() for name, future in running.items()}


def _locate(index: Index, source: DebianSource | PypiSource, downloads: Downloads) -> Locked:
    if isinstance(source, PypiSource):
        return pypi.locate(source.name, source.release)
    return _complete(source.name, index.sources(source.name, source.suites), downloads, source.skip)


def _complete(name: str, candidates: Iterable[Locked], downloads: Downloads, skip: tuple[str, ...]) -> Locked:
    """The first candidate whose files are all served."""
    for candidate in candidates:
        try:
            for file in candidate.files:
                if not any(f".orig-{part}." in file.name for part in skip):
                    downloads.fetch(file, again=True)
        except NotServed:
            continue
        return candidate
    raise SourceError(f"{name}: no version of it can be had whole from this mirror; name other suites in its recipe")


def _write(file: Path, found: Lock, keep: bool) -> list[str]:
    old = read_lock(file)
    new = {**old, **found} if keep else found
    write_lock(file, new)
    changed = [name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
    return [f"{name}: {_version(old, name)} -> {_version(new, name)}" for name in changed]


def _version(lock: Lock, name: str) -> str:
    return lock[name].version if name in lock else "none"
