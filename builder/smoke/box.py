"""A box as the tests see it: commands on its serial line, its power, files sent to it.

Nothing here knows of a board or of QEMU; labgrid's environment file decides what is at the other end.
"""

from __future__ import annotations

import base64
import gzip
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from labgrid.strategy import StrategyError
from labgrid.target import Target

from builder.smoke.strategy import BoxStrategy
from builder.smoke.waiting import wait_for

# BusyBox's line editor takes 1,023 characters; labgrid's own words and quotes need some of them.
LINE = 700


class Box:
    """One box. ``run`` gives output and status, ``text`` the output of what must succeed."""

    def __init__(self, name: str, target: Target) -> None:
        self.name = name
        self._strategy: BoxStrategy = target.get_driver("BoxStrategy", activate=False)
        self._shell = self._strategy.shell

    @property
    def boot_seconds(self) -> float:
        """From power to the login prompt, last time."""
        return float(self._strategy.boot_seconds)

    def switch_on(self) -> None:
        """Start the box and do not wait for it."""
        self._strategy.transition("on")

    def switch_off(self) -> None:
        """Cut its power, whatever state it is in."""
        self._strategy.switch_off()

    def log_in(self) -> None:
        """Have a shell; a box that was lost on the way is started anew, once."""
        try:
            self._strategy.transition("shell")
        except StrategyError:
            pytest.fail(f"{self.name} came to no login; {self._strategy.last_words}", pytrace=False)
        self._settle()

    def pull_plug(self, clock_chip: str = "") -> None:
        """Power off without warning, and on again; ``clock_chip``: the time its clock chip then shows."""
        self._strategy.pull_plug(clock_chip)
        self._settle()

    def restart(self, command: str) -> None:
        """Restart by ``command``, then log in."""
        self._strategy.restart(command)
        self._settle()

    @property
    def line(self) -> Any:
        """Its serial line (labgrid's ConsoleProtocol), as a person has it; after ``hand_over``, or at a boot."""
        return self._strategy.console

    def hand_over(self) -> None:
        """End the shell, so that a person has the line; ``log_in`` takes it back, at a login prompt."""
        self._strategy.hand_over()

    def _settle(self) -> None:
        """The login comes early; wait until every service has its supervisor, or `sv` would not reach it."""
        self.wait_for("cat /run/cygnet/boot", lambda text: "boot-seconds=" in text)
        self.wait_for("sv status /run/service/*", lambda text: "warning:" not in text and "fail:" not in text)

    def run(self, command: str, timeout: float = 30.0) -> tuple[str, int]:
        """Output (errors among it) and exit status."""
        lines, _, status = self._shell.run(f"{{ {command}; }} 2>&1", timeout=timeout)
        return "\n".join(lines), status

    def text(self, command: str, timeout: float = 30.0) -> str:
        """Output of a command; the test fails if the command does."""
        output, status = self.run(command, timeout)
        last = output.rpartition("\n")[2]
        assert status == 0, f"{self.name}: `{command}` ended with status {status}: {last}\n{output}"
        return output

    def all_of(self, *commands: str) -> None:
        """Run commands one after the other, as many in a line as fit; each must succeed."""
        line = ""
        for command in (f"{{ {command}; }}" for command in commands):
            if line and len(line) + len(command) > LINE:
                self.text(line)
                line = ""
            line = f"{line} && {command}" if line else command
        self.text(line)

    def settings(self, file: str) -> dict[str, str]:
        """A file of KEY=VALUE lines, quotes taken off."""
        lines = (line.split("=", 1) for line in self.text(f"cat {file}").splitlines() if "=" in line)
        return {key: value.strip('"') for key, value in lines if not key.startswith("#")}

    def boot_facts(self) -> dict[str, str]:
        """What the box's own boot scripts found out."""
        return self.settings("/run/cygnet/boot")

    def wait_for(self, command: str, good: Callable[[str], bool], seconds: float = 60.0) -> str:
        """Repeat a command until its output is good; the last output fails the test if it never is."""
        return wait_for(self, command, good, seconds)

    def send(self, file: Path, to: str) -> None:
        """Copy a file to the box over the serial line, as short lines of base64; its checksum is compared."""
        packed = base64.b64encode(gzip.compress(file.read_bytes(), mtime=0)).decode()
        self.text(f": >{to}.b64")
        for start in range(0, len(packed), LINE):
            self.text(f"printf %s {packed[start : start + LINE]} >>{to}.b64")
        self.text(f"base64 -d {to}.b64 | gunzip >{to} && rm {to}.b64")
        assert self.text(f"wc -c <{to}").strip() == str(file.stat().st_size), f"{to} did not arrive whole"

    def python(self, program: Path, timeout: float) -> str:
        """Send a Python program and run it; the last line that it prints (warnings come before)."""
        to = f"/tmp/{program.name}"
        self.send(program, to)
        return self.text(f"python3 {shlex.quote(to)}", timeout).splitlines()[-1]
