"""Every program, library and kernel of every board's image: only instructions that its CPU has.

Booting in QEMU does not prove that (`-cpu 486` lets NOPL, cpuid and rdtsc through); this does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from builder.checks.instructions import Rules, rules, scan, unused
from builder.plan import Project
from builder.progress import Lines
from builder.recipes.build import DEBUG
from builder.run import Runner
from builder.settings import settings
from builder.steps.store import extract


@dataclass
class Image:
    """One board's files: name on the box -> the file to scan, with symbols where we have them."""

    files: dict[str, Path]
    table: Rules
    objdump: Path


@pytest.fixture(scope="module")
def image(board_name: str, tmp_path_factory: pytest.TempPathFactory) -> Image:
    project = Project(settings(), Lines())
    plan, results = project.build(board_name)
    folder = tmp_path_factory.mktemp(board_name)
    tools = project.engine().build((plan.tools,))["tools"]
    extract(results[plan.rootfs.name], folder)
    unpack = [str(tools / "usr/bin/unsquashfs"), "-d", str(folder / "root"), str(folder / "rootfs.squashfs")]
    Runner("scan", folder / "log").run(unpack, cwd=folder)
    files = _elf_files(folder / "root")
    made = project.engine().build(list(plan.packages.values()))
    for result in made.values():
        extract(result, folder / "dev", "dev")
    files |= {name: folder / "dev" / DEBUG / name for name in files if (folder / "dev" / DEBUG / name).is_file()}
    files["boot/vmlinux"] = folder / "dev/boot/vmlinux"
    return Image(files, rules(plan.board.cpu.scan), tools / f"usr/bin/{plan.board.cpu.binutils}-objdump")


def _elf_files(root: Path) -> dict[str, Path]:
    return {
        str(file.relative_to(root)): file
        for file in sorted(root.rglob("*"))
        if file.is_file() and not file.is_symlink() and file.open("rb").read(4) == b"\x7fELF"
    }


def test_the_image_holds_only_instructions_that_its_cpu_has(image: Image) -> None:
    assert {"boot/vmlinux", "bin/busybox", "usr/bin/python3.13"} <= image.files.keys()
    assert all("dev" in file.parts for file in image.files.values()), "a file without symbols"
    findings = [
        finding for name, file in image.files.items() for finding in scan(file, name, image.table, image.objdump)
    ]
    assert not findings, "\n".join(map(str, findings))


@pytest.mark.usefixtures("accepted")
def test_every_exception_is_still_needed(image: Image) -> None:
    bare = msgspec.structs.replace(image.table, exception=())
    findings = [f for name, file in image.files.items() for f in scan(file, name, bare, image.objdump)]
    assert not unused(image.table, findings)
