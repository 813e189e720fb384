"""``legal-info/``: what the GPL asks of whoever ships a box: licences and the complete corresponding source.

For each package, linked-in ones too: the source files as downloaded, our patches, its recipe, the licence
texts.  For what the tools leave in the image (GRUB, run-time code of compilers): the same, from
Debian's source of that very version.  Beside them the scripts that control compilation,
which are this project, and the versions of all tools.
"""

from __future__ import annotations

import csv
import importlib.metadata
import io
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from debian.debfile import DebFile

from builder.errors import CygnetError, SourceError
from builder.papers.legal_texts import MISSING, README
from builder.papers.licences import licence
from builder.papers.parts import Carried, Part, carried, images, linked_only, parts, result
from builder.papers.scripts import write_scripts
from builder.plan import Plan, Project
from builder.settings import VERSION
from builder.sources.archive import Archive, Replaced
from builder.sources.fetch import Downloads
from builder.sources.index import TOOL_SUITES
from builder.sources.lock import Lock, Locked, read_lock, write_lock
from builder.steps.store import extract, hash_file
from builder.tools.tree import packages_of, read_groups

SCRIPTS = "cygnet-build-scripts.tar.xz"
COPYRIGHT = "debian/copyright"
COLUMNS = ("package", "version", "licence", "in the image", "file", "sha256")
# Where the pip package keeps the licences of what zig links into programs.
ZIG_LICENCES = ("LICENSE", "lib/libc/musl/COPYRIGHT", "lib/libunwind/LICENSE.TXT")
# Groups of tools whose packages are source code: what a recipe compiles along.
SOURCE_GROUPS = ("crates",)


@dataclass(frozen=True)
class Row:
    """One line of the manifest: a file, and whose it is."""

    package: str
    version: str
    licence: str
    how: str
    file: str
    sha256: str


def run(project: Project, board: str) -> Path:
    """Make the folder for a built board; where it is.  An older one is replaced as a whole."""
    plan = project.plan(board)
    result(project, plan, plan.image)
    place = images(project, plan) / "legal-info"
    new = place.with_name(f"{place.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    try:
        missing = write_folder(project, plan, new)
    except OSError as error:
        raise CygnetError(f"{board}: legal-info: {error.strerror}: {error.filename or new}") from None
    shutil.rmtree(place, ignore_errors=True)
    new.rename(place)
    if missing:
        raise CygnetError(
            f"{board}: legal-info is NOT COMPLETE, no box may be given on with it: {'; '.join(missing)} "
            f"What could be had is in {place}; another mirror may have the rest: CYGNET_MIRROR=..."
        )
    return place


def write_folder(project: Project, plan: Plan, to: Path) -> list[str]:
    """Everything that can be had, into the empty directory ``to``; what cannot, one sentence each."""
    missing: list[str] = []
    rows = [row for part in parts(plan) for row in _package(project, plan, part, to)]
    for one in carried(plan):
        try:
            rows += _carried(project, plan, one, to)
        except SourceError as error:
            missing.append(f"{one.name} {one.version}: {error}")
    write_scripts(project.settings.project, to / SCRIPTS)
    rows.append(Row("cygnet", VERSION, "Apache-2.0", "build scripts", SCRIPTS, hash_file(to / SCRIPTS)))
    _write_csv(to / "manifest.csv", COLUMNS, ([r.package, r.version, r.licence, r.how, r.file, r.sha256] for r in rows))
    _write_csv(to / "tools.csv", ("tool", "version", "file", "sha256"), _tools(plan))
    (to / "README.txt").write_text(README.format(board=plan.board.name, version=VERSION, scripts=SCRIPTS))
    if missing:
        (to / "MISSING.txt").write_text("\n".join([MISSING, *missing, ""]))
    return missing


def _package(project: Project, plan: Plan, part: Part, to: Path) -> Iterator[Row]:
    folder = to / part.name
    terms = licence(part.recipe)
    sources = _sources(plan, part)
    extract(result(project, plan, part.step), folder / "licences", "licences")
    shutil.copytree(part.recipe.folder, folder / "recipe", ignore=shutil.ignore_patterns("patches", "__pycache__"))
    _copy(sources, folder / "sources")
    _copy(part.recipe.patches, folder / "patches")
    _debian_copyright(sources, folder / "licences")
    for name in _compiled_along(part):
        deb = _fetched(plan, plan.tool_archive, name)[0]
        _copy([deb], folder / "sources")
        _deb_copyright(deb, name, folder / "licences" / name)
    if part.locked and not any((folder / "licences").iterdir()):
        raise CygnetError(f"{part.recipe.folder}/recipe.py: licence_files names no licence text, and Debian has none")
    how = "linked in" if linked_only(project, plan, part) else "yes"
    for file in _files(folder):
        yield Row(part.name, part.version, terms, how, str(file.relative_to(to)), hash_file(file))


def _sources(plan: Plan, part: Part) -> list[Path]:
    """The package's source files, fetched where they are not in the cache."""
    source = part.recipe.package.source
    return _fetched(plan, plan.archive, source.name, source.skip) if source else []


def _fetched(plan: Plan, archive: Archive, name: str, skip: tuple[str, ...] = ()) -> list[Path]:
    try:
        return archive.fetch(name, skip)
    except Replaced:
        raise CygnetError(
            f"{name}: what the image was made from is gone from the mirror and from the cache. "
            f"Build with what replaced it, then call this again: ./inv build --board={plan.board.name}"
        ) from None


def _carried(project: Project, plan: Plan, one: Carried, to: Path) -> Iterator[Row]:
    folder = to / one.name
    licences = folder / "licences"
    licences.mkdir(parents=True)
    if one.source:
        sources = fetch_source(project, one)
        _copy(sources, folder / "sources")
        _debian_copyright(sources, licences)
    elif one.tool:
        _deb_copyright(_fetched(plan, plan.tool_archive, one.tool)[0], one.tool, licences)
    else:
        for name in ZIG_LICENCES:
            (licences / name.replace("/", "_")).write_bytes(_zig_file(name).read_bytes())
    for file in _files(folder):
        yield Row(one.name, one.version, one.licence, one.summary, str(file.relative_to(to)), hash_file(file))


def fetch_source(project: Project, one: Carried) -> list[Path]:
    """The Debian source of what a tool left in the image, of the tool's own version.

    Which files those are the signed index says; it is remembered in the cache.
    """
    known = project.settings.cache / "tool-sources.json"
    lock: Lock = read_lock(known)
    name = f"{one.source} {one.purl.version}"
    if name not in lock:
        lock = {**lock, name: _find_source(project, one)}
        write_lock(known, lock)
    downloads = Downloads(project.settings.downloads)
    return [downloads.fetch(file) for file in lock[name].files]


def _find_source(project: Project, one: Carried) -> Locked:
    suites = tuple(dict.fromkeys((one.suite, *TOOL_SUITES)))
    found = project.index.sources(one.source, suites)
    for locked in found:
        if locked.version == one.purl.version:
            return locked
    there = ", ".join(locked.version for locked in found) or "none"
    raise SourceError(
        f"{one.name}: the mirror has no source of the version in use, {one.purl.version} (it has: {there}). "
        "Run ./inv lock to use a tool whose source can be had, then build again."
    )


def _zig_file(name: str) -> Path:
    for file in importlib.metadata.files("ziglang") or []:
        if str(file).endswith((f"ziglang/{name}", f"licenses/ziglang/{name}")):
            return Path(str(file.locate()))
    raise CygnetError(f"the Python package ziglang lacks its {name}; run ./inv, which makes the environment anew")


def _copy(files: Iterable[Path], to: Path) -> None:
    """Real copies: a change in them must not reach the cache."""
    for file in files:
        to.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, to / file.name)


def _debian_copyright(sources: Iterable[Path], to: Path) -> None:
    """Debian's own account of the licences, out of its tarball (or of a native package's only one)."""
    to.mkdir(parents=True, exist_ok=True)
    for file in sorted(sources, key=lambda file: ".debian.tar" not in file.name):
        if ".orig" not in file.name:
            with tarfile.open(file) as tar:
                if _keep_copyright(tar, COPYRIGHT, to):
                    return


def _compiled_along(part: Part) -> list[str]:
    """Tools that are the source of something the package links in."""
    groups = [group for group in part.recipe.package.tools if group in SOURCE_GROUPS]
    return sorted({name for group in groups for name in read_groups()[group]})


def _deb_copyright(deb: Path, name: str, to: Path) -> None:
    to.mkdir(parents=True, exist_ok=True)
    if not _keep_copyright(DebFile(str(deb)).data.tgz(), f"usr/share/doc/{name}/copyright", to):
        raise CygnetError(f"{deb.name} holds no account of its licences; it cannot be given on")


def _keep_copyright(tar: tarfile.TarFile, path: str, to: Path) -> bool:
    """Write the first member called ``path`` (or so below one folder) into ``to``; whether there was one."""
    for member in tar:
        name = member.name.removeprefix("./")
        if member.isfile() and path in (name, name.partition("/")[2]):
            content = tar.extractfile(member)
            (to / "debian-copyright").write_bytes(content.read() if content else b"")
            return True
    return False


def _tools(plan: Plan) -> Iterator[list[str]]:
    zig = importlib.metadata.distribution("ziglang")
    yield ["ziglang", zig.version, f"pypi/ziglang/{zig.version}", ""]
    for name in packages_of(read_groups(), tuple(read_groups())):
        locked = plan.tool_archive.locked(name)
        yield [name, locked.version, locked.files[0].name, locked.files[0].sha256]


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())


def _write_csv(file: Path, header: Iterable[str], rows: Iterable[list[str]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    file.write_text(text.getvalue())
