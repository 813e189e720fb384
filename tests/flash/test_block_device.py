"""Real disks of this machine's kernel: loop devices, which need root. Without them these tests fail; none is left out."""

from __future__ import annotations

import fcntl
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from cards import BOARD, DATA, KEEP, SIZE, YES, make_image, python, run

from builder.boards import load_board
from builder.errors import CygnetError
from builder.flash import Options, block_device, flash
from builder.flash.block import flash_block
from builder.flash.block_layout import FIRST, is_marked
from builder.image.layout import MIB
from builder.settings import PROJECT

Loop = Callable[..., Path]
# Flashes argv's image on argv's device, and ends itself with SIGKILL at argv's write.
KILLED = """
import os, sys
from pathlib import Path
sys.path.insert(0, "tests/flash")
from cards import BOARD, YES
from builder.flash import block_device
from builder.flash.block import flash_block
left, write = int(sys.argv[3]), block_device.Device.write
def counted(self, at, content):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), 9)
    write(self, at, content)
block_device.Device.write = counted
flash_block(BOARD, Path(sys.argv[1]), Path(sys.argv[2]), YES)
"""
# Flashes, and says in one line why not.
ANOTHER = """
import sys
from pathlib import Path
sys.path.insert(0, "tests/flash")
from cards import BOARD, YES
from builder.errors import CygnetError
from builder.flash.block import flash_block
try:
    flash_block(BOARD, Path(sys.argv[1]), Path(sys.argv[2]), YES)
except CygnetError as error:
    print(error, file=sys.stderr)
"""


def content(device: Path, size: int = SIZE) -> bytes:
    with device.open("rb") as disk:
        return disk.read(size)


def test_a_card_holds_the_image_afterwards(loop: Loop, new: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = loop(os.urandom(SIZE + MIB))
    behind = content(card, SIZE + MIB)[SIZE:]
    flash(BOARD, new, str(card), YES)
    assert content(card, SIZE + MIB) == new.read_bytes() + behind
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith(f"{card}: ")
    assert "6 MB, not removable" in told[0]
    assert told[1:3] == ["writing what differs: 5.2 MB", "reading back: 5.2 MB"]
    assert told[3].startswith(
        f"{card} holds Cygnet 0.1.0 for pc486: 5.2 of 5.2 MB were written, all of it read back, in "
    )


def test_its_data_is_kept_when_asked(loop: Loop, old: Path, new: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = loop(old.read_bytes())
    with card.open("r+b") as disk:
        disk.seek(DATA.start + 9999)
        disk.write(b"a key of this box")
    before, wanted = content(card), new.read_bytes()
    flash(BOARD, new, str(card), KEEP)
    after, end = content(card), DATA.start + DATA.size
    assert after[DATA.start : end] == before[DATA.start : end]
    assert after[: DATA.start] + after[end:] == wanted[: DATA.start] + wanted[end:]
    assert "for pc486, its data partition as it was: 3.1 of" in capsys.readouterr().out


def test_a_killed_run_leaves_a_card_that_does_not_boot_and_the_next_goes_on(
    loop: Loop, old: Path, new: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = loop(old.read_bytes())
    assert python(KILLED, new, card, 3).returncode == -signal.SIGKILL
    assert is_marked(content(card, FIRST))
    flash(BOARD, new, str(card), YES)
    assert content(card) == new.read_bytes()
    told = capsys.readouterr().out
    assert f"{card} was left half written by an earlier run; what is right already stays" in told
    # Nor is the slot that was zero before.
    assert "3.1 of 5.2 MB were written" in told


def test_what_the_page_cache_remembers_is_not_what_the_card_holds(loop: Loop, new: Path, tmp_path: Path) -> None:
    """Given a card that was read here, and then lost a byte by itself."""
    card = loop(new.read_bytes())
    with card.open("rb") as held:
        remembered = held.read(SIZE)
        with (tmp_path / "card0").open("r+b") as behind:
            behind.seek(2 * MIB + 12_345)
            behind.write(b"X" if remembered[2 * MIB + 12_345] != ord("X") else b"Y")
        flash(BOARD, new, str(card), YES)
    assert (tmp_path / "card0").read_bytes()[:SIZE] == new.read_bytes()


def test_a_card_that_goes_away_in_the_middle_is_told(
    loop: Loop, old: Path, new: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card, write = loop(old.read_bytes()), block_device.Device.write

    def shrinking(self: block_device.Device, at: int, piece: bytes) -> None:
        if at == MIB:
            os.truncate(tmp_path / "card0", 2 * MIB)
            run("losetup", "--set-capacity", card)
        write(self, at, piece)

    monkeypatch.setattr(block_device.Device, "write", shrinking)
    told = (
        rf"^{card}, at 2\.1 of 5\.2 MB: Input/output error: was the card pulled\? "
        rf"{card} is half written and does not boot until the same command has ended well$"
    )
    with pytest.raises(CygnetError, match=told):
        flash(BOARD, new, str(card), YES)
    assert is_marked(content(card, FIRST))


def refused(image: Path, card: Path, told: str, options: Options = YES) -> None:
    before = content(card)
    with pytest.raises(CygnetError, match=told):
        flash(BOARD, image, str(card), options)
    assert content(card) == before


def test_a_mounted_card_is_refused(loop: Loop, new: Path, tmp_path: Path) -> None:
    card, place = loop(), tmp_path / "mounted"
    place.mkdir()
    run("mkfs.ext4", "-q", card)
    run("mount", card, place)
    try:
        refused(new, card, f"^{card} is mounted on {place}: nothing was written; release it first$")
    finally:
        run("umount", place)
    flash(BOARD, new, str(card), YES)


def test_a_card_with_a_mounted_partition_is_refused(loop: Loop, new: Path, tmp_path: Path) -> None:
    card, place = loop(b"", SIZE + MIB, "--partscan"), tmp_path / "mounted"
    place.mkdir()
    run("addpart", card, "1", "2048", "8192")
    part = Path(f"{card}p1")
    run("mkfs.ext4", "-q", part)
    run("mount", part, place)
    try:
        refused(new, card, f"^{part} is mounted on {place}: nothing was written")
        refused(new, part, f"^{part} is a partition, an image is a whole disk: name {card}$")
    finally:
        run("umount", place)
        run("delpart", card, "1")


def test_a_card_used_as_swap_is_refused(loop: Loop, new: Path) -> None:
    card = loop()
    run("mkswap", card)
    run("swapon", card)
    try:
        refused(new, card, f"^{card} is swap space: nothing was written")
    finally:
        run("swapoff", card)


@pytest.mark.parametrize("how", ["opened for itself", "locked, as udev does"])
def test_a_card_that_another_program_has_is_refused(loop: Loop, new: Path, how: str) -> None:
    card = loop()
    holder = os.open(card, os.O_RDONLY | (os.O_EXCL if how == "opened for itself" else 0))
    try:
        fcntl.flock(holder, fcntl.LOCK_SH if how == "locked, as udev does" else fcntl.LOCK_UN)
        refused(
            new, card, f"^{card} is in use by another program, perhaps by another ./inv flash; nothing was written$"
        )
    finally:
        os.close(holder)


def test_of_two_runs_at_a_time_one_is_refused(loop: Loop, old: Path, new: Path) -> None:
    """While one waits for its answer the other finds the card taken."""
    card, told = loop(), []

    def ask(_question: str) -> str:
        told.append(python(ANOTHER, old, card).stderr)
        return card.name

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        flash_block(BOARD, new, card, Options(fixed_disk=True), ask)
    assert told == [f"{card} is in use by another program, perhaps by another ./inv flash; nothing was written\n"]
    assert content(card) == new.read_bytes()


@pytest.mark.parametrize("number", block_device.REASONS)
def test_why_a_card_cannot_be_opened_is_told(
    loop: Loop, new: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    card, really = loop(), os.open

    def refuse(path: Path, flags: int, *rest: int) -> int:
        if path == card:
            raise OSError(number, os.strerror(number))
        return really(path, flags, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        with pytest.raises(CygnetError, match=f"^{card} {re.escape(block_device.REASONS[number])}$"):
            flash(BOARD, new, str(card), YES)
    assert content(card) == bytes(SIZE)


def test_a_card_with_its_lock_on_is_refused(loop: Loop, new: Path) -> None:
    card = loop(b"", SIZE + MIB, "--read-only")
    refused(new, card, "is read-only: is the card's lock switch on?")


def test_a_small_card_is_refused(loop: Loop, new: Path) -> None:
    card = loop(b"", SIZE - MIB)
    refused(new, card, r"4 MB, not removable is too small: the image has 5 MB \(1,048,576 bytes more\)$")


def test_a_disk_that_is_no_card_is_refused_unless_told(loop: Loop, new: Path) -> None:
    card = loop()
    refused(new, card, "it may be a disk of this machine; --fixed-disk, if it is the right one$", Options(yes=True))


def test_another_boards_image_is_refused(loop: Loop, tmp_path: Path) -> None:
    other = make_image(tmp_path / "armv7.img", 1, "armv7")
    refused(other, loop(), r"armv7\.img is for armv7 and would not start on pc486: .*; nothing was written$")


def test_a_damaged_image_is_refused(loop: Loop, new: Path) -> None:
    with new.open("r+b") as image:
        image.seek(2 * MIB)
        image.write(b"damage")
    refused(new, loop(), r"new\.img is damaged: the SHA-256 of its content is ")


ANSWERS = {
    "the name": (True, lambda name: name, ""),
    "another name": (True, lambda _: "sda", "^nothing was written: 'sda' is not loop"),
    "yes": (True, lambda _: "y", "^nothing was written: 'y' is not loop"),
    "nobody there": (False, lambda _: "", "nobody can be asked here; --yes, if it is the right one$"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_the_user_types_the_cards_name(loop: Loop, new: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    terminal, answer, told = ANSWERS[case]
    monkeypatch.setattr("sys.stdin.isatty", lambda: terminal, raising=False)
    card, asked = loop(), []

    def ask(question: str) -> str:
        asked.append(question)
        return answer(card.name)

    if told:
        with pytest.raises(CygnetError, match=told):
            flash_block(BOARD, new, card, Options(fixed_disk=True), ask)
        assert content(card) == bytes(SIZE)
    else:
        flash_block(BOARD, new, card, Options(fixed_disk=True), ask)
        assert content(card) == new.read_bytes()
    assert asked == ([f"Everything on it will be overwritten. Type {card.name} to go on: "] if terminal else [])


@pytest.mark.parametrize("end", [EOFError, KeyboardInterrupt])
def test_no_answer_writes_nothing(
    loop: Loop, new: Path, monkeypatch: pytest.MonkeyPatch, end: type[BaseException]
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)

    def ask(_question: str) -> str:
        raise end

    card = loop()
    with pytest.raises(CygnetError, match="othing was written"):
        flash_block(BOARD, new, card, Options(fixed_disk=True), ask)
    assert content(card) == bytes(SIZE)


def test_a_card_changed_while_the_user_was_asked_is_not_written(
    loop: Loop, new: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    card = loop()

    def ask(_question: str) -> str:
        os.truncate(tmp_path / "card0", SIZE + 2 * MIB)
        run("losetup", "--set-capacity", card)
        return card.name

    with pytest.raises(CygnetError, match=f"the card in {card} is another one than was shown; nothing was written"):
        flash_block(BOARD, new, card, Options(fixed_disk=True), ask)
    assert content(card) == bytes(SIZE)


def test_a_card_by_another_name_is_the_same_card(loop: Loop, new: Path, tmp_path: Path) -> None:
    card, link = loop(), tmp_path / "usb-reader"
    link.symlink_to(card)
    flash(BOARD, new, str(link), YES)
    assert content(card) == new.read_bytes()


def test_a_board_without_a_disk_is_told(new: Path, tmp_path: Path) -> None:
    with pytest.raises(CygnetError, match=r"^kirkwood has no disk that fits a reader, but a flash chip: docs/"):
        flash(load_board(PROJECT / "board", "kirkwood"), new, str(tmp_path / "to.img"), YES)
