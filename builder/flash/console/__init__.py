"""Flashing a board over its serial console, by what its boot loader can do.

`line` is the serial line, `reach` comes to the boot loader's prompt, `prompt` types commands there, `transfer` brings
bytes into the board's RAM (`tftp`, `modem`), `pieces` says what is written where, `uboot` does it, `up` waits for the
box.  The commands themselves stand in the board's board.toml, [monitor].  `combios` is another monitor, which cannot
write a disk but start from a network: there `pxe` has an installer.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.boards import Board
from builder.errors import CygnetError
from builder.flash.console import combios, pxe
from builder.flash.console.line import Line
from builder.flash.console.patience import PATIENCE, Patience
from builder.flash.console.pieces import pieces
from builder.flash.console.tftp import PORT
from builder.flash.console.transfer import Transfer, Ymodem, over_network
from builder.flash.console.uboot import Writer
from builder.flash.console.up import wait_until_up
from builder.flash.options import Console, Options
from builder.image.loaders import LOADERS
from builder.image.loaders.loader import render
from builder.image.loaders.uimage import COMMANDS
from builder.progress import progress
from builder.settings import settings

SPEEDS = (9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600)


def flash_by_console(board: Board, image: Path, to: str, options: Options) -> None:
    """Put ``image`` on the board at the other end of ``to``, which pyserial's serial_for_url takes."""
    with progress() as shown:
        put(board, image, to, options, shown.say)


def put(
    board: Board, image: Path, to: str, options: Options, say: Callable[[str], None],
    patience: Patience = PATIENCE, port: int = PORT,
) -> None:  # fmt: skip
    """The same for those who tell their user themselves; ``port``: where TFTP is served."""
    log = settings().logs / "flash-console.log"
    prepared = _prepared(board, image, options, say, patience, port)
    with prepared as go, Line(to, _speed(board, options.console), log) as line:
        go(line)
        say("the board starts; waiting until the box is up")
        wait_until_up(line, board, patience, str(log))
        say("the box is up")


@contextmanager
def _prepared(
    board: Board, image: Path, options: Options, say: Callable[[str], None], patience: Patience, port: int
) -> Iterator[Callable[[Line], None]]:
    """What is to be done on the line. Before it is opened, all is checked that can be without the board."""
    wishes = options.console
    if board.need_monitor().name == "combios":
        with _by_combios(board, image, options, say, patience, port) as go:
            yield go
        return
    todo = [] if wishes.only_start else pieces(board, image, options.keep_data)
    with _transfer(wishes, patience, port) as transfer:

        def go(line: Line) -> None:
            say(f"{board.name} at {line.url}: waiting for the prompt of its U-Boot; switch it on, or off and on")
            writer = Writer(board, line, transfer, wishes, patience, say)
            if options.keep_data and todo:
                writer.expect_table(image)
            if todo:
                writer.write(todo)
                writer.environment(environment(board))
            writer.boot()

        yield go


@contextmanager
def _by_combios(
    board: Board, image: Path, options: Options, say: Callable[[str], None], patience: Patience, port: int
) -> Iterator[Callable[[Line], None]]:
    start = functools.partial(combios.start, board, patience, say)
    if options.console.only_start:
        yield start
        return
    combios.check(options.console)
    with pxe.served(board, image, options, patience, say, port) as install:

        def go(line: Line) -> None:
            start(line, from_network=True)
            install(line)

        yield go


def environment(board: Board) -> list[str]:
    """The commands that a board without a disk has to be given once, as u-boot.txt has them."""
    if COMMANDS not in LOADERS[board.loader].TEMPLATES:
        return []
    lines = render(board, COMMANDS).splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


@contextmanager
def _transfer(wishes: Console, patience: Patience, port: int) -> Iterator[Transfer]:
    if wishes.ymodem or wishes.only_start:
        yield Ymodem(patience)
    else:
        with over_network(wishes, port) as tftp:
            yield tftp


def _speed(board: Board, wishes: Console) -> int:
    speed = wishes.speed or board.console.speed
    if speed not in SPEEDS:
        raise CygnetError(f"--speed={speed}: expected one of {', '.join(map(str, SPEEDS))}")
    return speed
