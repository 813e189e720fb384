"""U-Boot's prompt: a command is typed, its echo compared before Enter, and its status asked for.

A line without flow control loses characters, and a bad one invents some.  So a few characters are typed at a time and
the next only after their echo; what came back otherwise is struck out with Ctrl-C and typed again, one by one.
Commands may be run twice: give none that must not be.
"""

from __future__ import annotations

import re
import time

from builder.errors import CygnetError
from builder.flash.console.line import Line
from builder.flash.console.patience import Patience

TRIES = 6
# So many characters before an echo is waited for, at the first attempt and at later ones.
AT_ONCE = 16
ENTER, INTERRUPT = b"\r", b"\x03"


class Garbled(Exception):
    """What came is not what a board says that understood."""

    def __str__(self) -> str:
        return "what was typed did not come back"


class Silent(Exception):
    """The board says nothing any more, or something quite different: it hangs, or has been switched off."""


class Refused(Exception):
    """A command ended with a status that is not 0."""

    def __init__(self, command: str, said: str) -> None:
        super().__init__(command)
        self.command, self.said = command, said

    @property
    def last_words(self) -> str:
        """The last line of what it said."""
        lines = [line.strip() for line in self.said.splitlines() if line.strip()]
        return lines[-1] if lines else "nothing"


class Prompt:
    """A board at its U-Boot's prompt, which looks like ``looks``.

    ``terminal``: it is a shell's on a terminal, which echoes what is typed before the shell asks for it.
    """

    def __init__(self, line: Line, looks: bytes, patience: Patience, terminal: bool = False) -> None:
        self.line, self._looks, self._patience, self._terminal = line, looks.strip(), patience, terminal
        self._count = 0

    def run(self, command: str, silence: float = 0) -> str:
        """Run a command and return what it said; raises Refused, or Silent after so many seconds without a word."""
        for attempt in range(TRIES):
            self._count += 1
            mark = f"c{self._count}"
            try:
                self.type(f"{command}; echo {mark}=$?", AT_ONCE if attempt == 0 else 1)
                return self._answer(command, mark, silence or self._patience.answer)
            except Garbled:
                self.interrupt()
        raise CygnetError(
            f"{self.line.url} is too noisy: `{command}` did not come back as it was typed, {TRIES} times; look at the "
            "cable, or set the console to a lower speed"
        )

    def start(self, command: str) -> None:
        """Type a command that does not come back to the prompt at once; raises Garbled."""
        self.type(command, 1)
        self.line.write(ENTER)

    def interrupt(self) -> None:
        """Strike out what is typed, end what runs."""
        self.line.write(INTERRUPT)
        self.line.drain()

    def type(self, text: str, at_once: int) -> None:
        """Type without Enter; raises Garbled when another echo comes, or none."""
        # A prompt that comes after this is no harm: the echo has to come last.
        self.line.read(0)
        heard = b""
        for start in range(0, len(text), at_once):
            part = text[start : start + at_once].encode()
            self.line.write(part)
            wanted, end = text[: start + at_once].encode(), time.monotonic() + self._patience.echo
            while not heard.endswith(wanted):
                if time.monotonic() > end or len(heard) > 2 * len(text) + 80:
                    raise Garbled
                heard += self.line.read(self._patience.echo)

    def _answer(self, command: str, mark: str, silence: float) -> str:
        self.line.write(ENTER)
        done = re.compile(rb"\n" + mark.encode() + rb"=(\d+)[\r\n]")
        heard, last = b"", time.monotonic()
        while not (found := done.search(heard)):
            got = self.line.read(self._patience.echo)
            heard += got
            quiet = time.monotonic() - last
            if got:
                last = time.monotonic()
            elif heard.rstrip().endswith(b"\n" + self._looks) or (not heard and quiet > self._patience.echo):
                # The prompt without the status, or not even the end of the line that was typed.
                raise Garbled
            elif quiet > silence:
                raise Silent(command)
        if self._terminal:
            self._wait_for_prompt(heard)
        said = heard[: found.start()].decode(errors="replace")
        if found[1] != b"0":
            raise Refused(command, said)
        return said

    def _wait_for_prompt(self, heard: bytes) -> None:
        """One that comes damaged does not come."""
        while not heard.rstrip().endswith(self._looks) and (got := self.line.read(self._patience.echo)):
            heard += got
