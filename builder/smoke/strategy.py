"""How labgrid brings a box from one state to another: off, on, shell.

"on" only starts it: so that two boxes start side by side, and their shells are taken one after
the other (labgrid's step stack is not made for threads).  Nothing here knows of a board.
"""

from __future__ import annotations

import enum
import time
from typing import Any

import attr
from labgrid.driver import QEMUDriver
from labgrid.factory import target_factory
from labgrid.strategy import Strategy, StrategyError
from labgrid.strategy.common import never_retry


class Status(enum.Enum):
    """The states."""

    unknown = 0
    off = 1
    on = 2
    shell = 3


@target_factory.reg_driver
@attr.s(eq=False)
class BoxStrategy(Strategy):  # type: ignore[misc]
    """One box: its power, its serial line, the shell on it. ``boot_seconds``: from power to login, last time."""

    bindings = {"power": "PowerProtocol", "console": "ConsoleProtocol", "shell": "ShellDriver"}  # noqa: RUF012
    status: Any = attr.ib(default=Status.unknown)
    boot_seconds: float = attr.ib(default=0.0)

    @never_retry  # type: ignore[untyped-decorator]
    def transition(self, status: Status | str) -> None:
        """Go to ``status`` from whatever is now; a box that once failed to is not tried again."""
        wanted = Status[status] if isinstance(status, str) else status
        if wanted == self.status:
            return
        match wanted:
            case Status.off:
                self._off()
            case Status.on:
                self.transition(Status.off)
                self._on()
            case Status.shell:
                if self.status != Status.on:
                    self.transition(Status.on)
                self._log_in()
            case _:
                raise StrategyError(f"no way leads to {wanted}")
        self.status = wanted

    def pull_plug(self, clock_chip: str = "") -> None:
        """Cut the power without a word to the box, give it back, log in; ``clock_chip``: the time it then shows."""
        if clock_chip:
            self._set_clock_chip(clock_chip)
        self.transition(Status.off)
        self.transition(Status.shell)

    def restart(self, command: str) -> None:
        """Have the box restart by ``command`` and log in again."""
        self.status = Status.unknown
        self.console.sendline(command)
        self.target.deactivate(self.shell)
        self._began = time.monotonic()
        self._log_in()
        self.status = Status.shell

    def hand_over(self) -> None:
        """End the shell: the serial line is for a person who types; the next shell is a new login."""
        self.console.sendline("exit")
        self.target.deactivate(self.shell)
        self.status = Status.on

    def switch_off(self) -> None:
        """Cut the power, also of a box that is broken."""
        self._off()
        self.status = Status.off

    @property
    def last_words(self) -> str:
        """Why the box is broken: what it said last, on one line."""
        lines = str(self.broken).splitlines()
        said = next((line for line in lines if line.startswith("buffer")), lines[0] if lines else "")
        return f"{type(self.broken).__name__}: {said}"

    def _off(self) -> None:
        self.target.deactivate(self.shell)
        self.target.activate(self.power)
        self.power.off()
        # labgrid's QEMU builds its command line when it is activated.
        self.target.deactivate(self.power)

    def _on(self) -> None:
        self.target.activate(self.power)
        self.target.activate(self.console)
        self._began = time.monotonic()
        self.power.on()

    def _log_in(self) -> None:
        self.console.expect(self.shell.login_prompt, timeout=self.shell.login_timeout)
        self.boot_seconds = time.monotonic() - self._began
        # The prompt is read; the driver wants to see one.
        self.console.sendline("")
        self.target.activate(self.shell)

    def _set_clock_chip(self, when: str) -> None:
        if isinstance(self.power, QEMUDriver):
            self.power.extra_args += f" -rtc base={when}"
        else:
            self.shell.run_check(f"now=$(date +%s); date -s {when}; hwclock -u -w; date -s @$now")
