"""The tools tree: Debian packages of one release, unpacked below the cache and made to run there.

Without root, chroot or namespaces: each program gets the tree's own loader and library
path (patchelf), so that compilers and image makers are the same on every host.
``groups.toml`` names the packages, ``tools.lock`` their versions and hashes.
"""

from __future__ import annotations

import functools
import os
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import InterpSegment

from builder.errors import RecipeError
from builder.names import unknown
from builder.sources.archive import Archive
from builder.sources.index import TOOL_SUITES
from builder.steps.step import Step, Workspace, hash_bytes, hash_files

HERE = Path(__file__).parent
GROUPS = HERE / "groups.toml"
LOCK = HERE / "tools.lock"
LOADER = "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
LIBRARIES = "usr/lib/x86_64-linux-gnu"
PROGRAM_FOLDERS = ("usr/bin", "usr/sbin", "usr/libexec", "usr/lib/gcc")
UNUSED = ("etc", "var", "usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/lintian")


def read_groups(file: Path = GROUPS) -> dict[str, list[str]]:
    """Group name -> Debian packages."""
    try:
        return tomllib.loads(file.read_text())
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(file, 1, f"this is not TOML: {error}") from None


def packages_of(groups: dict[str, list[str]], names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """The packages of some groups, the always needed group ``base`` included: name -> suites."""
    for name in names:
        if name not in groups:
            raise unknown("group of tools", name, groups)
    chosen = (package.partition("/") for name in ("base", *names) for package in groups[name])
    return {name: (f"{suite}-security", suite) if suite else TOOL_SUITES for name, _, suite in sorted(chosen)}


def tools_step(archive: Archive) -> Step:
    """The step that makes the whole tree."""
    packages = packages_of(read_groups(), tuple(read_groups()))
    hashes = {package: archive.locked(package).files[0].sha256 for package in packages}
    return Step(
        name="tools",
        inputs={"code": hash_files(Path(__file__)), **hashes},
        action=lambda space: _make([archive.fetch(package)[0] for package in packages], space),
        kind="tree",
        sources=tuple(functools.partial(archive.fetch, package) for package in packages),
    )


def group_identity(archive: Archive, names: tuple[str, ...]) -> str:
    """What of the tree goes into the key of a step that runs these groups."""
    packages = packages_of(read_groups(), names)
    hashes = "".join(archive.locked(package).files[0].sha256 for package in packages)
    return hash_bytes((hashes + hash_files(Path(__file__))).encode())


def _make(debs: list[Path], space: Workspace) -> None:
    for deb in debs:
        space.runner.run(["dpkg-deb", "--extract", str(deb), str(space.out)], cwd=space.work)
    for folder in UNUSED:
        shutil.rmtree(space.out / folder, ignore_errors=True)
    for name in ("bin", "lib", "lib64", "sbin"):
        if not (space.out / name).exists():
            (space.out / name).symlink_to(f"usr/{name}")
    _turn_links_inward(space.out)
    patchelf = str(Path(sys.executable).with_name("patchelf"))
    for program in _programs(space.out):
        command = [patchelf, "--force-rpath", "--set-rpath", str(space.place / LIBRARIES)]
        space.runner.run([*command, "--set-interpreter", str(space.place / LOADER), str(program)], cwd=space.work)
    # A library with a RUNPATH of its own would no longer look where its program says.
    for library in (space.out / LIBRARIES).glob("libLLVM.so.*"):
        if not library.is_symlink():
            space.runner.run([patchelf, "--remove-rpath", str(library)], cwd=space.work)


def _turn_links_inward(tree: Path) -> None:
    """Make absolute links relative: they mean the tree's root, not the host's."""
    for folder, folders, files in os.walk(tree):
        for name in folders + files:
            link = Path(folder, name)
            if link.is_symlink() and link.readlink().is_absolute():
                target = os.path.relpath(tree / link.readlink().relative_to("/"), folder)
                link.unlink()
                link.symlink_to(target)


def _programs(tree: Path) -> Iterator[Path]:
    """Every dynamic program: an ELF file that asks for a loader."""
    for folder in PROGRAM_FOLDERS:
        for file in sorted((tree / folder).rglob("*")):
            if file.is_file() and not file.is_symlink() and file.stat().st_mode & 0o100 and _has_loader(file):
                yield file


def _has_loader(file: Path) -> bool:
    with file.open("rb") as content:
        if content.read(4) != b"\x7fELF":
            return False
        try:
            return any(isinstance(segment, InterpSegment) for segment in ELFFile(content).iter_segments())
        except ELFError:
            return False
