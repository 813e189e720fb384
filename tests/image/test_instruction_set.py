"""Every program, library and kernel of every board's image: only instructions that its CPU has.

Booting in QEMU does not prove that (`-cpu 486` lets NOPL, cpuid and rdtsc through); this does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from builder.checks.instructions import Finding, Rules, rules, scan, unused
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


def test_every_exception_is_still_needed(image: Image) -> None:
    bare = msgspec.structs.replace(image.table, exception=())
    findings = [f for name, file in image.files.items() for f in scan(file, name, bare, image.objdump)]
    assert not unused(image.table, findings)


class TestI486:
    """What the table of the 486 lets through, and what it does not."""

    @pytest.mark.parametrize(
        "instruction",
        [
            "cmovne %eax,%ebx", "cmpxchg8b (%esi)", "nopl   0x0(%eax,%eax,1)", "nopw   0x0(%eax)", "rdtsc", "cpuid",
            "movq   %mm0,(%eax)", "movss  (%eax),%xmm0", "fcomi  %st(1),%st", "fucomip %st(1),%st", "endbr32", "sysenter",
            "lock cmpxchg8b (%edi)", "mfence", "prefetchnta (%eax)", "(bad)", "fisttpll (%esp)", "popcnt %eax,%eax",
        ],
    )  # fmt: skip
    def test_newer_instructions_are_found(self, instruction: str) -> None:
        assert rules("i486").lacking(instruction)

    @pytest.mark.parametrize(
        "instruction",
        [
            "nop", "mov    %eax,(%edx)", "movl   $0x0,0x4(%esp)", "lock cmpxchg %ecx,(%edx)", "lock xadd %eax,(%edx)",
            "bswap  %eax", "rep stos %al,%es:(%edi)", "fildll (%esp)", "fnstsw %ax", "jne    12 <main+0x4>", "xchg   %ax,%ax",
            "repz cmpsb %es:(%edi),%ds:(%esi)", "data16 nop", "lea    0x0(%esi,%eiz,1),%esi", "setne  %al", "shld $1,%eax,%edx",
        ],
    )  # fmt: skip
    def test_a_486_has_these(self, instruction: str) -> None:
        assert rules("i486").lacking(instruction) == ""

    def test_an_exception_covers_what_it_names_and_nothing_else(self) -> None:
        table = rules("i486")
        cpuid = Finding("boot/vmlinux", ".text", "cpu_detect", "cpuid")
        elsewhere = Finding("bin/busybox", ".text", "cpu_detect", "cpuid")
        assert any(exception.covers(cpuid) for exception in table.exception)
        assert not any(exception.covers(elsewhere) for exception in table.exception)
