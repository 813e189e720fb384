"""Buildroot's make, run out of tree: its configuration, what it knows of packages, the build itself."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builder.buildroot.checkout import Checkout
from builder.errors import CygnetError, Interrupted, StepFailed
from builder.run import ENVIRONMENT, Children, tail

# Of the user's environment: the way to the network, and Buildroot's own settings.
KEPT = re.compile(r"(HOME|BR2_\w+|(?:https?|ftp|all|no)_proxy)", re.IGNORECASE)
STEP = "Buildroot"


@dataclass(frozen=True)
class Make:
    """One board's build: which Buildroot, the external tree, the output folder, the log.

    ``cache``: what builds of all boards share, downloads and ccache's files; the user's own place for them goes first.
    """

    checkout: Checkout
    external: Path
    output: Path
    cache: Path
    log: Path
    children: Children = field(default_factory=Children)

    def run(self, *words: str) -> list[str]:
        """One of Buildroot's targets; the lines that it says. Raises StepFailed, Interrupted."""
        lines: list[str] = []
        status = self.follow(lines.append, *words)
        if status:
            raise StepFailed(STEP, f"make {words[-1]} {ended(status)}", self.log, tail(self.log))
        return lines

    def show_info(self) -> dict[str, Any]:
        """What Buildroot says of each package of the configuration (`make show-info`): one line of JSON."""
        found = next((line for line in self.run("-s", "show-info") if line.startswith("{")), "")
        try:
            return dict(json.loads(found))
        except ValueError as error:
            raise CygnetError(f"{self.checkout.folder}: show-info says no JSON ({error}); see {self.log}") from None

    def menuconfig(self) -> None:
        """Buildroot's menu, on this terminal."""
        environment = {**self.environment, "TERM": os.environ.get("TERM", "linux")}
        if subprocess.run(self.command("menuconfig"), cwd=self.output, env=environment).returncode:
            raise CygnetError(
                "Buildroot's menuconfig failed: see above; it needs a terminal and the host's ncurses (libncurses-dev)"
            )

    def follow(self, told: Callable[[str], None], *words: str) -> int:
        """Run a target, its lines into the log and ``told``; make's status. Raises Interrupted when the user does."""
        here, there = os.pipe()
        with os.fdopen(here, "rb") as output, self.log.open("ab") as log:
            log.write(f"\n{shlex.join(self.command(*words))}\n".encode())
            with os.fdopen(there, "wb") as into:
                process = self.children.start(self.command(*words), self.output, self.environment, into)
            try:
                for line in output:
                    log.write(line)
                    log.flush()
                    told(line.decode(errors="replace"))
                return process.wait()
            except KeyboardInterrupt:
                raise Interrupted from None
            finally:
                self._end(process)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Whatever still runs of it."""
        if process.poll() is None:
            self.children.stop()
            process.wait()
        self.children.ended(process)

    def command(self, *words: str) -> list[str]:
        """Make's command line for Buildroot's ``words``."""
        place = [f"--directory={self.checkout.folder}", f"O={self.output}", f"BR2_EXTERNAL={self.external}"]
        return ["make", "--no-print-directory", *place, *words]

    @property
    def environment(self) -> Mapping[str, str]:
        """What make and all below it see."""
        own = {"BR2_DL_DIR": str(self.cache / "dl"), "BR2_CCACHE_DIR": str(self.cache / "ccache")}
        return {**ENVIRONMENT, **own, **{name: value for name, value in os.environ.items() if KEPT.fullmatch(name)}}


def ended(status: int) -> str:
    """How make ended, for a sentence."""
    return f"ended with signal {-status}" if status < 0 else f"ended with status {status}"
