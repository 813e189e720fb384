"""A scratch copy of the box for each test: the overlay's scripts over an empty tree.

The scripts find everything below CYGNET_ROOT and every program through PATH, so
a test gives them files, and small stand-ins for programs that write down how
they were called. They run under /bin/sh: Debian's BusyBox prefers its own applets
to the stand-ins. What needs only built-ins runs under both shells.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

OVERLAY = Path(__file__).resolve().parents[2] / "overlay"
LIBRARY = "usr/lib/cygnet"
SH = ("/bin/sh",)
BUSYBOX = (shutil.which("busybox") or "busybox", "ash")
SHELLS = [SH, BUSYBOX] if shutil.which("busybox") else [SH]
DIRECTORIES = ("dev", "proc/sys/kernel/random", "run/cygnet", "run/service", "run/sv", "data", "sys/class/net", "var")
TOOLS = ("cat", "chmod", "cp", "date", "head", "ln", "mkdir", "mv", "rm", "sed", "sleep", "sync")


@dataclass
class Box:
    """One scratch box: files to set and read, scripts to run."""

    root: Path
    fakes: Path

    def write(self, path: str, text: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def read(self, path: str) -> str:
        file = self.root / path
        return file.read_text() if file.exists() else ""

    def fake(self, name: str, body: str = "") -> None:
        """A program that appends its arguments to `calls`, then runs `body`."""
        program = self.fakes / name
        program.unlink(missing_ok=True)  # it may be a link to the real program
        program.write_text(f'#!/bin/sh\necho "{name} $*" >>"$CYGNET_ROOT/calls"\n{body}\n')
        program.chmod(0o755)

    def calls(self, program: str = "") -> list[str]:
        return [line for line in self.read("calls").splitlines() if line.startswith(program)]

    def run(
        self, argv: Sequence[str], shell: Sequence[str] = SH, typed: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        process = subprocess.Popen(
            [*shell, *argv],
            env=self.environment(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            output, errors = process.communicate(typed, timeout=30)
        finally:
            # What it left running in the background ends with it.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def script(
        self, name: str, *arguments: str, typed: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return self.run([str(self.root / LIBRARY / name), *arguments], typed=typed, **environment)

    def shell(
        self, libraries: str, code: str, *arguments: str, shell: Sequence[str] = SH
    ) -> subprocess.CompletedProcess[str]:
        """Runs `code` after the named libraries; arguments are $1 and on, whatever they hold."""
        sources = "".join(f'. "$CYGNET_ROOT/{LIBRARY}/lib/{name}.sh"\n' for name in libraries.split())
        return self.run(["-c", sources + code, "test", *arguments], shell)

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        return {"PATH": str(self.fakes), "CYGNET_ROOT": str(self.root), "LC_ALL": "C", **more}

    @property
    def said(self) -> str:
        """What the console showed."""
        return self.read("dev/console")
