"""The compiler of programs that run while building: the tools tree's gcc and C library.

Known as ``cc`` and ``gcc``, so that makefiles and build scripts find it where they look, and the
host needs no compiler of its own.
"""

from __future__ import annotations

from pathlib import Path

from builder.steps.step import hash_files
from builder.tools.tree import LIBRARIES, LOADER

PROGRAM = "usr/bin/x86_64-linux-gnu-gcc-14"


def identity() -> str:
    """What of this compiler goes into a content key; its version is the tools tree's."""
    return hash_files(Path(__file__))[:16]


def write_wrappers(tools: Path, to: Path) -> None:
    """Write ``cc`` and ``gcc`` into ``to``."""
    to.mkdir(parents=True, exist_ok=True)
    linking = f"-Wl,--dynamic-linker={tools}/{LOADER},--disable-new-dtags,-rpath,{tools}/{LIBRARIES}"
    for name in ("cc", "gcc"):
        script = to / name
        script.write_text(f'#!/bin/sh\nexec {tools}/{PROGRAM} -B{tools}/usr/bin --sysroot={tools} "$@" {linking}\n')
        script.chmod(0o755)
