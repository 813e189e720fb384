"""The order in which a card is written: whenever it ends, the card is the old one, the new one, or does not boot."""

from __future__ import annotations

import errno
import itertools
import os
import random
import re
from pathlib import Path

import pytest
from cards import BOARD, DATA, SIZE, Card, Silent, make_image, pulled

from builder.errors import CygnetError, Interrupted
from builder.flash.block_layout import FIRST, PIECE, is_marked, mark, pieces
from builder.flash.block_write import Writing
from builder.flash.image import opened
from builder.image.header import read_header
from builder.image.layout import SECTOR

# So many bytes behind the image are somebody else's.
BEHIND = b"behind the image" * 64


def write(image: Path, card: Card, keep_data: bool = False) -> int:
    with opened(BOARD, image) as source:
        return Writing(source, card, keep_data, Silent()).run()


def data(content: bytes | bytearray) -> bytes:
    return bytes(content[DATA.start : DATA.start + DATA.size])


def others(content: bytes | bytearray) -> bytes:
    return bytes(content[: DATA.start] + content[DATA.start + DATA.size :])


def test_the_pieces_are_everything_but_the_first_block(new: Path) -> None:
    header = read_header(new)
    covered = list(pieces(header, keep_data=False))
    assert [FIRST, *(at + size for at, size in covered)] == [*(at for at, _ in covered), SIZE]
    assert max(size for _, size in covered) <= PIECE
    kept = set(covered) - set(pieces(header, keep_data=True))
    assert sum(size for _, size in kept) == DATA.size
    assert min(kept)[0] == DATA.start


def test_a_card_becomes_the_image_and_what_is_behind_stays(new: Path) -> None:
    card = Card(os.urandom(SIZE) + BEHIND)
    assert write(new, card) == SIZE
    assert card.content == new.read_bytes() + BEHIND


def test_zeros_are_written_where_something_else_is_and_not_where_zeros_are(new: Path) -> None:
    card = Card(bytes(SIZE))
    write(new, card)
    assert card.content == new.read_bytes()
    slot_b = 3 * PIECE
    assert slot_b not in card.writes
    card = Card(b"\xff" * SIZE)
    write(new, card)
    assert slot_b in card.writes


def test_the_boot_sector_goes_first_and_comes_last(old: Path, new: Path) -> None:
    card = Card(old.read_bytes())
    write(new, card)
    assert card.writes[0] == card.writes[-2] == card.writes[-1] == 0
    assert 0 not in card.writes[1:-2]


def test_a_second_run_writes_nothing(new: Path) -> None:
    card = Card(os.urandom(SIZE))
    write(new, card)
    card.writes.clear()
    assert write(new, card) == 0
    assert card.writes == []


@pytest.mark.parametrize("keep_data", [False, True], ids=["all", "keep-data"])
def test_a_card_pulled_at_any_moment_boots_the_old_or_nothing_and_the_same_command_goes_on(
    old: Path, new: Path, keep_data: bool
) -> None:
    before, after = old.read_bytes(), new.read_bytes()
    for operations in itertools.count():
        card = Card(before, pulled(operations))
        try:
            write(new, card, keep_data)
        except CygnetError as error:
            told = str(error)
        else:
            break
        assert re.match(r"/dev/sdx, at \d\.\d of 5\.2 MB: Input/output error: was the card pulled\? /dev/sdx is", told)
        if card.content == before:
            # Whether the first write got there is not known when it failed.
            assert "is as it was" in told or not card.writes
        elif others(card.content) != others(after):
            assert is_marked(card.content[:FIRST])
            assert card.content[510:512] == b"\0\0"
            assert told.endswith("/dev/sdx is half written")
        card.before = lambda *_: None
        card.writes.clear()
        write(new, card, keep_data)
        assert others(card.content) == others(after)
        assert data(card.content) == data(before if keep_data else after)
    assert operations > 10


class Volatile(Card):
    """A card with a cache of its own: when its power fails, any sectors of what was not flushed are there or not."""

    def __init__(self, content: bytes, seed: int, operations: int) -> None:
        super().__init__(content, pulled(operations))
        self.chance = random.Random(seed)  # noqa: S311
        self.kept, self.cached = bytearray(content), list[tuple[int, bytes]]()

    def write(self, at: int, content: bytes) -> None:
        self.cached.append((at, content))
        super().write(at, content)

    def flush(self) -> None:
        super().flush()
        self.kept[:] = self.content
        self.cached.clear()

    def fail(self) -> None:
        for at, content in self.cached:
            for sector in range(0, len(content), SECTOR if at == 0 else PIECE // 8):
                if self.chance.random() < 0.5:
                    piece = content[sector : sector + SECTOR]
                    self.kept[at + sector : at + sector + len(piece)] = piece
        self.content, self.before, self.cached = self.kept, lambda *_: None, []


@pytest.mark.parametrize("seed", range(4))
def test_after_a_power_cut_the_first_sector_tells_what_the_card_is(old: Path, new: Path, seed: int) -> None:
    before, after, seen = old.read_bytes(), new.read_bytes(), set()
    for operations in itertools.count():
        card = Volatile(before, seed, operations)
        try:
            write(new, card)
        except CygnetError:
            card.fail()
        else:
            break
        whole = {before[:SECTOR]: before, after[:SECTOR]: after}.get(bytes(card.content[:SECTOR]))
        seen.add("marked" if whole is None else "whole")
        assert is_marked(card.content[:FIRST]) if whole is None else card.content == whole
        write(new, card)
        assert card.content == after
    assert seen == {"marked", "whole"}


def test_what_was_written_before_a_pull_is_not_written_again(old: Path, new: Path) -> None:
    card = Card(old.read_bytes())
    card.before = pulled(9)
    with pytest.raises(CygnetError):
        write(new, card)
    done = set(card.writes) - {0}
    card.before, card.writes = lambda *_: None, []
    write(new, card)
    assert done
    assert not done & set(card.writes)


def test_the_user_may_interrupt(old: Path, new: Path) -> None:
    def ctrl_c(what: str, at: int) -> None:
        if what == "write" and at > 2 * PIECE:
            raise KeyboardInterrupt

    card = Card(old.read_bytes(), ctrl_c)
    with pytest.raises(Interrupted, match=r"^Interrupted\. /dev/sdx is half written\.$"):
        write(new, card)
    card = Card(new.read_bytes(), lambda *_: ctrl_c("write", SIZE))
    with pytest.raises(Interrupted, match=r"^Interrupted\. /dev/sdx is as it was\.$"):
        write(new, card)


def test_a_card_that_forgets_is_found_and_stays_one_that_does_not_boot(old: Path, new: Path) -> None:
    class Forgetful(Card):
        def flush(self) -> None:
            self.content[2 * PIECE + 7] ^= 1

    card = Forgetful(old.read_bytes())
    with pytest.raises(
        CygnetError, match=r"at 2\.1 of 5\.2 MB: what reads back is not what was written; .* half written; "
    ):
        write(new, card)
    assert is_marked(card.content[:FIRST])


def test_an_image_that_changes_meanwhile_is_noticed(old: Path, new: Path) -> None:
    card = Card(old.read_bytes())
    card.before = lambda what, at: os.utime(new, (1, 1)) if (what, at) == ("write", 2 * PIECE) else None
    with pytest.raises(CygnetError, match=r"new\.img was changed while it was written: is a build running\?"):
        write(new, card)
    assert is_marked(card.content[:FIRST])
    card.before = lambda what, at: os.truncate(new, 2 * PIECE) if (what, at) == ("read", PIECE) else None
    make_image(new, 2)
    with pytest.raises(CygnetError, match="was changed while"):
        write(new, card)


class TestKeepData:
    """--keep-data: only on a card whose data partition the new image would find."""

    def test_an_update_leaves_what_the_box_has_written(self, old: Path, new: Path) -> None:
        card = Card(old.read_bytes())
        card.content[DATA.start + 5000 : DATA.start + 5004] = b"mine"
        before = data(card.content)
        write(new, card, keep_data=True)
        assert data(card.content) == before
        assert others(card.content) == others(new.read_bytes())

    def test_after_a_run_without_it_the_data_is_lost(self, old: Path, new: Path) -> None:
        card = Card(old.read_bytes(), pulled(9))
        with pytest.raises(CygnetError):
            write(new, card)
        card.before = lambda *_: None
        with pytest.raises(
            CygnetError, match="left half written by a run without --keep-data: its data partition is lost"
        ):
            write(new, card, keep_data=True)

    @pytest.mark.parametrize("case", ["empty", "other board", "data elsewhere", "other board, half written"])
    def test_any_other_card_is_refused_and_as_it_was(self, new: Path, tmp_path: Path, case: str) -> None:
        content = bytearray(SIZE)
        if case == "other board":
            content[:] = make_image(tmp_path / "armv7.img", 3, "armv7").read_bytes()
        if case == "data elsewhere":
            content[:] = new.read_bytes()
            content[446 + 3 * 16 + 8] ^= 8
        if case == "other board, half written":
            content[:SECTOR] = mark(read_header(make_image(tmp_path / "armv7.img", 3, "armv7")), True)
        card = Card(bytes(content))
        told = (
            r"--keep-data: /dev/sdx is no Cygnet card of pc486 with the data partition where .*new\.img has it; leave"
        )
        with pytest.raises(CygnetError, match=told):
            write(new, card, keep_data=True)
        assert card.writes == []

    def test_a_data_partition_without_a_file_system_is_nothing_to_keep(self, old: Path, new: Path) -> None:
        content = bytearray(old.read_bytes())
        content[DATA.start : DATA.start + FIRST] = bytes(FIRST)
        with pytest.raises(
            CygnetError, match="the data partition of /dev/sdx holds no file system; leave the switch out"
        ):
            write(new, Card(bytes(content)), keep_data=True)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_an_error_has_its_own_words(new: Path, number: int) -> None:
    def fail(what: str, _at: int) -> None:
        if what == "write":
            raise OSError(number, os.strerror(number))

    with pytest.raises(CygnetError) as told:
        write(new, Card(bytes(SIZE), fail))
    assert ("was the card pulled?" in str(told.value)) == (number == errno.EIO)
    assert os.strerror(number) in str(told.value)
