"""What an image is made of, as every paper needs it: packages, and what the tools leave in it.

A package counts when its products are on the box and also when it is only linked into
another one.  Boot loader and compilers' run time come from the tools and count as well.
"""

from __future__ import annotations

import importlib.metadata
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path

from packageurl import PackageURL

from builder.errors import CygnetError
from builder.plan import Plan, Project
from builder.recipes.load import Recipe, closure
from builder.recipes.package import PypiSource
from builder.settings import VERSION
from builder.sources.lock import File, Locked
from builder.steps.step import Step
from builder.steps.store import Store


@dataclass(frozen=True)
class Part:
    """One package. ``locked`` is None for our own; ``left_out``: the board leaves it out, yet others link it."""

    recipe: Recipe
    step: Step
    locked: Locked | None
    files: tuple[File, ...]
    replaced: bool
    left_out: bool

    @property
    def name(self) -> str:
        """The package's name."""
        return self.recipe.name

    @property
    def version(self) -> str:
        """Debian's full version; the project's for a package of our own."""
        return self.locked.version if self.locked else VERSION

    @property
    def purl(self) -> PackageURL:
        """The package URL of the source it is made from."""
        source = self.recipe.package.source
        if source is None or self.locked is None:
            return PackageURL("generic", "cygnet", self.name, VERSION)
        if isinstance(source, PypiSource):
            return PackageURL("pypi", None, source.name, self.locked.version)
        return debian_purl(source.name, self.locked)


@dataclass(frozen=True)
class Carried:
    """Something that the image has from a tool: a boot loader, or what a compiler links into every program.

    ``source`` names the Debian source to give along where the licence asks for it; else ``tool`` is the
    Debian package that holds the licence's text.
    """

    name: str
    version: str
    licence: str
    summary: str
    purl: PackageURL
    source: str = ""
    suite: str = ""
    tool: str = ""


def parts(plan: Plan) -> list[Part]:
    """All packages in the image or linked into it, by name."""
    chosen = tuple(name for name in plan.recipes if name not in plan.board.without)
    return [_part(plan, name, name not in chosen) for name in closure(plan.recipes, chosen)]


def _part(plan: Plan, name: str, left_out: bool) -> Part:
    recipe = plan.recipes[name]
    source = recipe.package.source
    return Part(
        recipe=recipe,
        step=plan.packages[name],
        locked=plan.archive.locked(source.name) if source else None,
        files=tuple(plan.archive.files(source.name, source.skip)) if source else (),
        replaced=bool(source and plan.archive.replaced(source.name)),
        left_out=left_out,
    )


def carried(plan: Plan) -> list[Carried]:
    """What the tools leave in the image, by name."""
    found = [_zig_run_time()]
    if plan.board.loader == "grub-pc":
        found.append(_grub(plan))
    if plan.board.qemu and plan.board.qemu.firmware:
        found.append(_uboot(plan))
    if any("rust" in part.recipe.package.tools for part in parts(plan)):
        rust = plan.tool_archive.locked("rust-src")
        found.append(Carried(
            "rust-std", rust.version, "MIT OR Apache-2.0", "Rust's standard library, linked into Rust code",
            debian_purl("rustc", rust), tool="rust-src",
        ))  # fmt: skip
    return sorted(found, key=lambda one: one.name)


def _zig_run_time() -> Carried:
    version = importlib.metadata.version("ziglang")
    what = "start files and compiler run time, linked into every program"
    licence = "MIT AND Apache-2.0 WITH LLVM-exception"  # LLVM's unwinder goes into Rust code
    return Carried("zig-run-time", version, licence, what, PackageURL("pypi", None, "ziglang", version))


def _grub(plan: Plan) -> Carried:
    grub = plan.tool_archive.locked("grub-pc-bin")
    purl = debian_purl("grub2", grub)
    return Carried("grub2", purl.version or "", "GPL-3.0-or-later", "boot loader", purl, "grub2", grub.suite)


def _uboot(plan: Plan) -> Carried:
    uboot = plan.tool_archive.locked("u-boot-qemu")
    purl = debian_purl("u-boot", uboot)
    what = "boot loader of the QEMU twin, beside the image"
    return Carried("u-boot", purl.version or "", "GPL-2.0-or-later", what, purl, "u-boot", uboot.suite)


def debian_purl(source: str, locked: Locked) -> PackageURL:
    """The package URL of a Debian source; a binary-only rebuild's mark (+b1) is not part of its version."""
    version = re.sub(r"\+b\d+$", "", locked.version)
    return PackageURL("deb", "debian", source, version, {"arch": "source", "distro": locked.suite})


def address(file: File) -> str:
    """Where a source file is served: repository and path below it, the same on every mirror."""
    return f"{file.repository}/{file.path}"


def result(project: Project, plan: Plan, step: Step) -> Path:
    """A step's result in the store; an absent one ends in what to do."""
    store = Store(project.settings.store, project.settings.trees)
    try:
        if store.has(step):
            return store.verified(step)
    except FileNotFoundError:
        pass  # damaged: as good as absent
    name = plan.board.name
    raise CygnetError(
        f"{name}: {step.name} is not built, or what it is made from has changed; run: ./inv build --board={name}"
    )


def linked_only(project: Project, plan: Plan, part: Part) -> bool:
    """Whether a package is in the image only as a part of others' programs: no file of its own is on the box."""
    with tarfile.open(result(project, plan, part.step)) as tar:
        files = any(member.name.startswith("./root/") and not member.isdir() for member in tar)
    return part.left_out or not files


def images(project: Project, plan: Plan) -> Path:
    """The board's folder below images/, made if need be."""
    folder = project.settings.images / plan.board.name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write(file: Path, content: str | bytes) -> Path:
    """Replace ``file`` in one rename."""
    new = file.with_name(f"{file.name}.new")
    new.write_bytes(content.encode() if isinstance(content, str) else content)
    new.replace(file)
    return file
