"""The one seam through which every outside program runs.

No shell; a fixed, small environment; output into the step's log; CPU time counted;
the last lines shown when a program fails; everything ended when the user interrupts.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from builder.errors import CygnetError, Interrupted, StepFailed
from builder.settings import EPOCH

TAIL_LINES = 12
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "SOURCE_DATE_EPOCH": str(EPOCH),
}


class Children:
    """The process groups that run now, so that an interrupt can end them all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: set[int] = set()
        self._stopped = False

    @property
    def stopped(self) -> bool:
        """True once `stop` was called: nothing new may start."""
        return self._stopped

    def start(
        self, argv: Sequence[str], cwd: Path, env: Mapping[str, str], output: IO[bytes], errors: IO[bytes] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start ``argv`` in a process group of its own; errors go where the output goes unless said otherwise."""
        with self._lock:
            if self._stopped:
                raise Interrupted
            process = subprocess.Popen(
                list(argv), cwd=cwd, env=dict(env), stdin=subprocess.DEVNULL, stdout=output, stderr=errors or output,
                start_new_session=True,
            )  # fmt: skip
            self._groups.add(process.pid)
            return process

    def ended(self, process: subprocess.Popen[bytes]) -> None:
        """Forget a process that was waited for."""
        with self._lock:
            self._groups.discard(process.pid)

    def stop(self) -> None:
        """End every group and let no other start."""
        with self._lock:
            self._stopped = True
            for group in self._groups:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(group, signal.SIGKILL)


@dataclass
class Runner:
    """Runs the programs of one step. ``cpu_seconds`` adds up user and system time."""

    step: str
    log: Path
    children: Children = field(default_factory=Children)
    cpu_seconds: float = 0.0

    def run(
        self, argv: Sequence[str], cwd: Path, env: Mapping[str, str] | None = None, output: Path | None = None
    ) -> None:
        """Run ``argv`` in ``cwd`` with ENVIRONMENT and ``env``; what it prints goes to ``output`` if that is given.

        Raises StepFailed when it cannot be started or ends with another status than 0,
        Interrupted when the build is being stopped.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            log.write(f"\n[{cwd}] {shlex.join(argv)}\n".encode())
            log.flush()
            full = {**ENVIRONMENT, "HOME": str(cwd), **(env or {})}
            try:
                process = self._start(argv, cwd, full, log, output)
            except OSError as error:
                raise CygnetError(f"{self.step}: cannot run {argv[0]}: {error.strerror}. Is it installed?") from None
            status = self._wait(process)
        if status == 0:
            return
        if self.children.stopped:
            raise Interrupted
        end = f"signal {-status}" if status < 0 else f"status {status}"
        raise StepFailed(self.step, f"{Path(argv[0]).name} ended with {end}", self.log, tail(self.log))

    def output(self, argv: Sequence[str], cwd: Path, env: Mapping[str, str] | None = None) -> str:
        """What ``argv`` prints; the command and its errors go to the log."""
        file = cwd / f".output-{uuid.uuid4().hex}"
        self.run(argv, cwd, env, file)
        text = file.read_text()
        file.unlink()
        return text

    def _start(
        self, argv: Sequence[str], cwd: Path, env: Mapping[str, str], log: IO[bytes], output: Path | None
    ) -> subprocess.Popen[bytes]:
        if output is None:
            return self.children.start(argv, cwd, env, log, log)
        with output.open("wb") as file:
            return self.children.start(argv, cwd, env, file, log)

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        try:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            self.children.ended(process)
        self.cpu_seconds += usage.ru_utime + usage.ru_stime
        return process.returncode


def tail(log: Path, lines: int = TAIL_LINES) -> list[str]:
    """The last lines of a log, long ones cut."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 16_384))
        text = file.read().decode(errors="replace")
    return [line[:300] for line in text.splitlines() if line.strip()][-lines:]
