"""From whatever a board is doing to its U-Boot's prompt: the boot is interrupted, a running Linux is recognised."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from enum import Enum

from builder.errors import CygnetError
from builder.flash.console.line import Line
from builder.flash.console.patience import Patience
from builder.flash.console.prompt import ENTER, INTERRUPT, Prompt

# What boot loaders say while they can be interrupted; board.toml may name another sentence.
STOP_AT = r"stop autoboot|autoboot in|abort autoboot|to (?:stop|abort|interrupt)\b"
# The last thing on a line, with nothing behind it.
ANY_PROMPT = re.compile(rb"(?:^|[\r\n])([^\r\n]{0,60}[>#$]) ?$")
LOGIN, PASSWORD = re.compile(rb"login: ?$"), re.compile(rb"[Pp]assword: ?$")
NOT_A_COMMAND = re.compile(rb"not found|No such", re.IGNORECASE)
TEXT = frozenset(b"\t\r\n\b\x1b" + bytes(range(32, 127)))


class State(Enum):
    """What a board was last seen doing, as a sentence says it."""

    NOTHING = "says nothing: switch it on, look whether the cable crosses RX and TX, and who else has the line open"
    NOISE = "sends what nobody can read at {speed} bit/s: --speed= is the console's speed, or the line is noisy"
    GARBLED = "has a prompt, but what is typed there does not come back whole: the line is too noisy, look at the cable"
    TALKS = "comes to no prompt of U-Boot, or the line is too noisy to see it: switch it off and on while this waits"
    LINUX = "runs Linux: switch it off and on while this waits, or give --reboot"
    LOCKED = "runs Linux, and its console wants a password that this does not have: switch it off and on"
    OTHER = "has a prompt that is not U-Boot's, {prompt!r}: U-Boot is what board.toml says is there"


def noisy(heard: bytes) -> bool:
    """Whether a third of it is no text: another speed."""
    return 3 * sum(letter not in TEXT for letter in heard) > len(heard)


class Reach:
    """The way to the prompt. ``reboot``: a running Linux may be restarted."""

    def __init__(
        self, line: Line, stop_at: str, stop_key: bytes, patience: Patience, say: Callable[[str], None], reboot: bool
    ) -> None:
        self._line, self._patience, self._say, self._reboot = line, patience, say, reboot
        self._stop_at = re.compile((stop_at or STOP_AT).encode(), re.IGNORECASE)
        self._stop_key = stop_key
        self._state, self._seen, self._prompt = State.NOTHING, b"", b""

    def prompt(self) -> Prompt:
        """U-Boot's prompt; raises CygnetError when it cannot be reached."""
        end = time.monotonic() + self._patience.switch_on
        nudges, spoken = 0, 0.0
        while time.monotonic() < end:
            if self._line_has_news():
                continue
            if found := ANY_PROMPT.search(self._seen):
                if self._is_uboot(found[1]):
                    return Prompt(self._line, found[1], self._patience)
            elif LOGIN.search(self._seen) or PASSWORD.search(self._seen):
                self._at_login()
            if time.monotonic() - spoken > self._patience.nudge and self._state is not State.LOCKED:
                spoken, nudges = time.monotonic(), nudges + 1
                self._line.write(ENTER if nudges % 2 == 0 else INTERRUPT)
        raise CygnetError(f"the board at {self._line.url} {self.sentence()}")

    def sentence(self) -> str:
        """What the board was last seen doing, and what to do."""
        return self._state.value.format(speed=self._line.speed, prompt=self._prompt.decode(errors="replace"))

    def _line_has_news(self) -> bool:
        """Whether something came; a boot that can be interrupted is."""
        came = self._line.read(self._patience.tick)
        if not came:
            return False
        self._seen = (self._seen + came)[-4096:]
        if self._state in (State.NOTHING, State.NOISE, State.TALKS):
            self._state = State.NOISE if noisy(self._seen) else State.TALKS
        if self._stop_at.search(self._seen):
            self._line.write(self._stop_key)
            self._seen = b""
        return True

    def _is_uboot(self, prompt: bytes) -> bool:
        """Ask what is behind a prompt: only U-Boot says its own name."""
        self._seen, self._prompt = b"", prompt
        self._line.write(INTERRUPT)
        self._line.drain()
        self._line.write(b"version" + ENTER)
        said = b""
        while came := self._line.read(self._patience.tick):
            said += came
        if b"U-Boot" in said:
            return True
        if NOT_A_COMMAND.search(said) or b"@" in prompt:
            self._now(State.LINUX)
            if self._reboot:
                self._say("the board runs Linux: it is restarted")
                self._line.write(b"reboot" + ENTER)
                self._reboot = False
        else:
            self._state = State.OTHER if b"version" in said else State.GARBLED
        return False

    def _at_login(self) -> None:
        """Log in, to restart: a Cygnet box lets root in at its console unless a password has been set."""
        asked_password = PASSWORD.search(self._seen)
        self._seen = b""
        if asked_password:
            self._now(State.LOCKED)
        else:
            self._now(State.LINUX)
            if self._reboot:
                self._line.write(b"root" + ENTER)

    def _now(self, state: State) -> None:
        """Say it once."""
        if state is not self._state:
            self._state = state
            if not self._reboot:
                self._say(f"the board {self.sentence()}")
