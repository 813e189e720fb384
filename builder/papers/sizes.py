"""Where an image's bytes went: by package and file, against the board's budget.

Bytes on the box are exact for packages; the overlay's are those of its files in the project, before
templates are filled in.  What a package takes of the compressed image cannot be told
exactly, as squashfs packs files of many packages together: each package's files are
compressed alone, and the root file system's real size is divided in those proportions.
"""

from __future__ import annotations

import lzma
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from builder.image.loaders import LOADERS
from builder.image.overlay import MANIFEST, TEMPLATE
from builder.image.rootfs import KERNEL, OVERLAY
from builder.papers import size_page
from builder.papers.parts import images, result, write
from builder.plan import Plan, Project
from builder.steps.step import Step
from builder.steps.store import Store

PRESET = 6
TOP_FILES = 2
BAR_WIDTH = 30


@dataclass(frozen=True)
class Share:
    """What one package takes: ``files`` path -> bytes on the box, ``packed`` bytes of the compressed image."""

    name: str
    files: dict[str, int]
    packed: int

    @property
    def plain(self) -> int:
        """Bytes on the box."""
        return sum(self.files.values())

    def top(self, count: int = TOP_FILES) -> list[tuple[str, int]]:
        """The largest files."""
        return sorted(self.files.items(), key=lambda item: (-item[1], item[0]))[:count]


@dataclass(frozen=True)
class Sizes:
    """An image's sizes, compressed, in bytes, with their budgets; packages by what they take, largest first."""

    board: str
    kernel: int
    kernel_budget: int
    rootfs: int
    rootfs_budget: int
    shares: list[Share] = field(default_factory=list)

    @property
    def budgets(self) -> list[tuple[str, int, int]]:
        """(name, bytes, budget) of what has a budget."""
        return [("kernel", self.kernel, self.kernel_budget), ("root file system", self.rootfs, self.rootfs_budget)]


def run(project: Project, board: str, console: Console | None = None) -> Path:
    """Print the table and write ``size.html``; where that is.

    Works from the root file system: an image that is over its budget can be looked at too.
    """
    plan = project.plan(board)
    sizes = measure(project, plan)
    place = write(images(project, plan) / "size.html", size_page.page(sizes))
    show(sizes, console or Console())
    return place


def measure(project: Project, plan: Plan) -> Sizes:
    """Every package's share of the board's root file system."""
    contents = _system(result(project, plan, plan.rootfs))
    owners = msgspec.json.decode(contents["owners.json"], type=dict[str, str])
    kernel = len(contents["vmlinuz"])
    rootfs = len(contents["rootfs.squashfs"]) - (kernel if LOADERS[plan.board.loader].KERNEL_IN_ROOT else 0)
    files: dict[str, dict[str, int]] = {OVERLAY: _overlay(project, plan, owners)}
    packed = {OVERLAY: _packed_overlay(project, plan)}
    for name, step in plan.packages.items():
        if name in owners.values():
            tarball = result(project, plan, step)
            files[name] = {path: size for path, size in _root(tarball) if owners.get(path) == name}
            packed[name] = _packed(project, step, tarball)
    return Sizes(
        plan.board.name, kernel, plan.board.budget.kernel, rootfs, plan.board.budget.rootfs,
        _shares(files, packed, rootfs),
    )  # fmt: skip


def _shares(files: Mapping[str, dict[str, int]], packed: Mapping[str, int], rootfs: int) -> list[Share]:
    scale = rootfs / max(1, sum(packed.values()))
    shares = [Share(name, files[name], round(packed[name] * scale)) for name in files]
    return sorted((share for share in shares if share.files), key=lambda share: (-share.packed, share.name))


def _system(tarball: Path) -> dict[str, bytes]:
    with tarfile.open(tarball) as tar:
        return {member.name.removeprefix("./"): _content(tar, member) for member in tar if member.isfile()}


def _root(tarball: Path) -> Iterator[tuple[str, int]]:
    """Path and size of each file that a package puts on the box, the kernel aside: it has a budget of its own."""
    with tarfile.open(tarball) as tar:
        for member in tar:
            path = member.name.removeprefix("./root/")
            if member.name.startswith("./root/") and not member.isdir() and path != KERNEL:
                yield path, member.size


def _packed(project: Project, step: Step, tarball: Path) -> int:
    """A package's files compressed alone, in bytes; remembered by the result's hash."""
    record = Store(project.settings.store, project.settings.trees).record(step)
    known = project.settings.cache / "sizes" / (record.sha256 if record else step.key)
    if known.is_file() and known.read_text().isdigit():
        return int(known.read_text())
    with tarfile.open(tarball) as tar:
        chosen = [m for m in tar if m.name.startswith("./root/") and m.isfile() and m.name != f"./root/{KERNEL}"]
        size = _compressed(_content(tar, member) for member in chosen)
    known.parent.mkdir(parents=True, exist_ok=True)
    write(known, str(size))
    return size


def _packed_overlay(project: Project, plan: Plan) -> int:
    return _compressed(file.read_bytes() for _, file in _overlay_files(project, plan) if not file.is_symlink())


def _compressed(contents: Iterator[bytes]) -> int:
    packer = lzma.LZMACompressor(lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "preset": PRESET}])
    return sum(len(packer.compress(content)) for content in contents) + len(packer.flush())


def _overlay(project: Project, plan: Plan, owners: Mapping[str, str]) -> dict[str, int]:
    """The overlay's files by path on the box; links and what is made from the manifest take no room."""
    sizes = {path: file.lstat().st_size for path, file in _overlay_files(project, plan)}
    return {path: sizes.get(path, 0) for path, owner in owners.items() if owner == OVERLAY}


def _overlay_files(project: Project, plan: Plan) -> Iterator[tuple[str, Path]]:
    for folder in (project.settings.overlay, plan.board.folder / OVERLAY):
        for file in sorted(folder.rglob("*")):
            if (file.is_file() or file.is_symlink()) and file != folder / MANIFEST:
                yield str(file.relative_to(folder)).removesuffix(TEMPLATE), file


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    content = tar.extractfile(member)
    return content.read() if content else b""


def show(sizes: Sizes, console: Console) -> None:
    """The budgets as bars, then a table of the packages."""
    for name, used, budget in sizes.budgets:
        console.print(_bar(name, used, budget))
    table = Table(title=f"{sizes.board}: root file system by package")
    table.add_column("package")
    for title in ("on the box", "compressed, about", "share"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("largest files", overflow="ellipsis", no_wrap=True)
    for share in sizes.shares:
        largest = "\n".join(f"/{path} {size:,}" for path, size in share.top())
        part = f"{share.packed / max(1, sizes.rootfs):.1%}"
        table.add_row(share.name, f"{share.plain:,}", f"{share.packed:,}", part, largest)
    total = sum(share.plain for share in sizes.shares)
    table.add_section()
    table.add_row("total", f"{total:,}", f"{sizes.rootfs:,}", "100.0%", "")
    console.print(table)


def _bar(name: str, used: int, budget: int) -> Text:
    full = min(BAR_WIDTH, round(BAR_WIDTH * used / budget))
    left = f"{budget - used:,} left" if used <= budget else f"{used - budget:,} OVER"
    text = Text(f"{name:17}")
    text.append("█" * full, style="green" if used <= budget else "red").append("░" * (BAR_WIDTH - full), style="dim")
    return text.append(f" {used:,} of {budget:,} bytes ({used / budget:.0%}), {left}")
