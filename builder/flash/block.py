"""Writing an image to a card in a reader, or to a plain file."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from builder.boards import Board
from builder.errors import CygnetError, Interrupted
from builder.flash import block_device, block_disk, block_file
from builder.flash.block_layout import FIRST, is_marked
from builder.flash.block_progress import shown
from builder.flash.block_write import Target, Writing
from builder.flash.image import Image, opened
from builder.flash.options import Options
from builder.progress import elapsed

Ask = Callable[[str], str]


def flash_block(board: Board, image: Path, to: Path, options: Options, ask: Ask = input) -> None:
    """Write ``image`` to the card or file ``to``; raises CygnetError, before a byte is written if that can be."""
    if board.disk is None:
        raise CygnetError(
            f"{board.name} has no disk that fits a reader, but a flash chip: docs/flashing.md says how it is written"
        )
    place = to.resolve()
    open_target = _device if place.is_block_device() else _file
    try:
        with opened(board, image) as source, open_target(place, source, options, ask) as target:
            _write(source, target, options)
    except OSError as error:
        # What fails while it is written says itself how far that came.
        raise CygnetError(f"{place}: {error.strerror}; nothing was written") from None


def _write(source: Image, target: Target, options: Options) -> None:
    began = time.monotonic()
    if is_marked(target.read(0, FIRST)):
        print(f"{target.name} was left half written by an earlier run; what is right already stays")
    with shown() as meter:
        written = Writing(source, target, options.keep_data, meter).run()
    header, kept = source.header, ", its data partition as it was" if options.keep_data else ""
    print(
        f"{target.name} holds Cygnet {header.version} for {header.board}{kept}: {written / 1e6:.1f} of "
        f"{header.size / 1e6:.1f} MB were written, all of it read back, in {elapsed(time.monotonic() - began)}"
    )


@contextlib.contextmanager
def _device(path: Path, source: Image, options: Options, ask: Ask) -> Iterator[Target]:
    number = _number(path)
    disk = block_disk.look(number)
    block_disk.check_may_be_written(disk, source.header.size, options.any_size, options.fixed_disk)
    block_disk.check_unused(number)
    with block_device.opened(path) as target:
        _confirm(str(disk), disk.name, options, ask)
        if block_disk.look(number) != disk:
            raise CygnetError(f"the card in {path} is another one than was shown; nothing was written")
        yield target


def _number(path: Path) -> tuple[int, int]:
    device = path.stat().st_rdev
    return os.major(device), os.minor(device)


@contextlib.contextmanager
def _file(path: Path, source: Image, options: Options, ask: Ask) -> Iterator[Target]:
    if path.exists():
        if path.samefile(source.path):
            raise CygnetError(f"{path} is the image itself; name another file")
        if loop := block_disk.loop_of(path):
            raise CygnetError(f"{path} is attached to {loop}: nothing was written; losetup --detach {loop} first")
        if path.stat().st_size:
            _confirm(f"{path} is there already, {block_disk.human(path.stat().st_size)}", path.name, options, ask)
    mode = stat.S_IMODE(os.fstat(source.file).st_mode)
    with block_file.opened(path, source.header.size, mode, options.keep_data) as target:
        yield target


def _confirm(what: str, name: str, options: Options, ask: Ask) -> None:
    """Show what will be overwritten; raise CygnetError unless the user means it."""
    print(what)
    if options.yes:
        return
    if not sys.stdin.isatty():
        raise CygnetError(f"{what}: nobody can be asked here; --yes, if it is the right one")
    lost = "Everything but the data partition" if options.keep_data else "Everything on it"
    try:
        typed = ask(f"{lost} will be overwritten. Type {name} to go on: ").strip()
    except KeyboardInterrupt:
        raise Interrupted("Nothing was written.") from None
    except EOFError:
        typed = ""
    if typed != name:
        raise CygnetError(f"nothing was written: {typed!r} is not {name}")
