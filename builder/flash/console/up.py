"""Whether a board that was started comes up as a box: its banner or its login prompt ends the waiting."""

from __future__ import annotations

import re

from builder.boards import Board
from builder.errors import CygnetError
from builder.flash.console.line import Line, LineDropped
from builder.flash.console.patience import Patience
from builder.flash.console.prompt import ENTER

# /etc/issue of the box.
BANNER = re.compile(rb"Cygnet \S+ on ([\w-]+),")
LOGIN = re.compile(rb"login: ?$")
# A box that came up while nobody listened says its prompt again when it is asked, after so much silence.
ASK_AFTER = 10.0
# Words that no box says which comes up, and what they mean.
NEVER = {
    rb"no slot boots": "its boot loader can start neither slot",
    rb"Kernel panic": "its kernel gave up",
    rb"[Bb]ad [Mm]agic|Wrong Image Format|Bad Data CRC": "its boot loader finds no kernel where one was written",
}


def wait_until_up(line: Line, board: Board, patience: Patience, log: str) -> None:
    """Return when the box is up; raises CygnetError when it is not, or is a box of another board."""
    heard, silence = b"", 0.0
    while not (found := BANNER.search(heard)) and not LOGIN.search(heard):
        got = _listen(line, patience)
        heard = (heard + got)[-4096:]
        # In all: a monitor that answers each question with its prompt is no box that comes up.
        silence += 0 if got else min(ASK_AFTER, patience.boot)
        for words, meaning in NEVER.items():
            if re.search(words, heard):
                raise _not_up(line, board, meaning, log)
        if silence >= patience.boot:
            raise _not_up(line, board, f"it has said nothing for {patience.boot:.0f} s", log)
    if found and found[1].decode() != board.name:
        raise _not_up(line, board, f"it came up as {found[1].decode()}: another disk is started first", log)


def _listen(line: Line, patience: Patience) -> bytes:
    try:
        got = line.read(min(ASK_AFTER, patience.boot))
        if not got:
            line.write(ENTER)
    except LineDropped:
        try:
            line.reopen(patience.line)
        except LineDropped as reason:
            raise CygnetError(
                f"the image is written whole, but the line has gone before the box was up ({reason})"
            ) from None
        return b""
    return got


def _not_up(line: Line, board: Board, why: str, log: str) -> CygnetError:
    return CygnetError(
        f"{board.name} at {line.url} holds the whole image, but did not come up: {why}; what it said is in {log}"
    )
