"""A plain file as target: the old one until it is the new one."""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cards import BOARD, DATA, KEEP, SIZE, YES, attach, make_image, run

from builder.errors import CygnetError, Interrupted
from builder.flash import Options, flash
from builder.flash.block_file import File
from builder.image.header import Header, verify
from builder.image.layout import MIB


def mode(file: Path) -> str:
    return oct(file.stat().st_mode & 0o777)


def test_a_new_file_is_the_image_with_its_holes(new: Path, tmp_path: Path) -> None:
    to = tmp_path / "to.img"
    flash(BOARD, new, str(to), YES)
    assert to.read_bytes() == new.read_bytes()
    assert to.stat().st_blocks * 512 < SIZE


def test_an_existing_file_is_replaced_when_the_user_says_so(new: Path, tmp_path: Path) -> None:
    to = tmp_path / "to.img"
    to.write_bytes(b"something" * MIB)
    with pytest.raises(CygnetError, match=r"to\.img is there already, 9 MB: nobody can be asked here; --yes, if it is"):
        flash(BOARD, new, str(to), Options())
    assert to.read_bytes() == b"something" * MIB
    flash(BOARD, new, str(to), YES)
    assert to.read_bytes() == new.read_bytes()


def test_an_empty_file_is_taken_without_a_question(new: Path, tmp_path: Path) -> None:
    to = tmp_path / "to.img"
    to.touch()
    flash(BOARD, new, str(to), Options())
    assert to.read_bytes() == new.read_bytes()


@pytest.mark.parametrize(
    ("image", "there", "expected"),
    [(0o600, None, "0o600"), (0o644, None, "0o644"), (0o644, 0o600, "0o600"), (0o600, 0o644, "0o600")],
)
def test_nobody_sees_more_than_before(new: Path, tmp_path: Path, image: int, there: int | None, expected: str) -> None:
    """A box's image has its seed inside, a file that was there perhaps a box's keys."""
    to = tmp_path / "to.img"
    new.chmod(image)
    if there is not None:
        to.touch()
        to.chmod(there)
    flash(BOARD, new, str(to), YES)
    assert mode(to) == expected


def test_its_data_is_kept_when_asked_and_what_is_behind_too(old: Path, new: Path, tmp_path: Path) -> None:
    """Given the disk of a box in QEMU that was made larger."""
    to, wanted = tmp_path / "to.img", new.read_bytes()
    to.write_bytes(old.read_bytes() + b"behind")
    flash(BOARD, new, str(to), KEEP)
    end = DATA.start + DATA.size
    assert to.read_bytes() == wanted[: DATA.start] + old.read_bytes()[DATA.start : end] + wanted[end:] + b"behind"


def test_there_is_no_data_to_keep_in_a_new_file(new: Path, tmp_path: Path) -> None:
    with pytest.raises(CygnetError, match=r"--keep-data: .*to\.img is no Cygnet card of pc486 with the data partition"):
        flash(BOARD, new, str(tmp_path / "to.img"), KEEP)
    assert not list(tmp_path.glob("to.img*"))


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(5, "Input/output error")])
def test_a_run_that_ends_early_leaves_the_file_as_it_was(
    old: Path, new: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    to, write = tmp_path / "to.img", File.write
    to.write_bytes(old.read_bytes())

    def broken(self: File, at: int, content: bytes) -> None:
        if at == 2 * MIB:
            raise error
        write(self, at, content)

    monkeypatch.setattr(File, "write", broken)
    kind = Interrupted if error is KeyboardInterrupt else CygnetError
    with pytest.raises(kind, match=r"to\.img is as it was"):
        flash(BOARD, new, str(to), YES)
    assert to.read_bytes() == old.read_bytes()
    assert [file.name for file in tmp_path.glob("to.img*")] == ["to.img"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for half an image."""
    place = tmp_path / "small"
    place.mkdir()
    run("mount", "-t", "tmpfs", "-o", f"size={SIZE // 2}", "none", place)
    yield place
    run("umount", place)


def test_a_full_disk_is_told_and_nothing_is_left_on_it(new: Path, small_disk: Path) -> None:
    to = small_disk / "to.img"
    with pytest.raises(CygnetError, match=rf"^{to}, at \d\.\d of 5\.2 MB: No space left on device; {to} is as it was$"):
        flash(BOARD, new, str(to), YES)
    assert list(small_disk.iterdir()) == []


def test_a_full_disk_while_the_old_file_is_copied(old: Path, new: Path, small_disk: Path) -> None:
    run("mount", "-o", f"remount,size={SIZE + MIB}", small_disk)
    to = small_disk / "to.img"
    to.write_bytes(old.read_bytes())
    with pytest.raises(CygnetError, match=f"^{to}: No space left on device; nothing was written$"):
        flash(BOARD, new, str(to), KEEP)
    assert to.read_bytes() == old.read_bytes()
    assert list(small_disk.iterdir()) == [to]


def test_what_a_killed_run_left_is_in_nobodys_way(new: Path, tmp_path: Path) -> None:
    (tmp_path / "to.img.new").write_bytes(b"half" * 2 * MIB)
    flash(BOARD, new, str(tmp_path / "to.img"), YES)
    assert (tmp_path / "to.img").read_bytes() == new.read_bytes()
    assert not (tmp_path / "to.img.new").exists()


@pytest.mark.parametrize("name", ["to.img", "to.img.new"])
def test_a_file_in_use_is_refused(new: Path, tmp_path: Path, name: str) -> None:
    """By QEMU, which locks single bytes of its disks for reading, or by another run."""
    (tmp_path / name).write_bytes(b"a box's disk")
    with (tmp_path / name).open("rb") as disk:
        fcntl.fcntl(disk, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, 100, 1, 0))
        with pytest.raises(
            CygnetError, match=r"is in use by another program, perhaps by QEMU or another \./inv flash; not"
        ):
            flash(BOARD, new, str(tmp_path / "to.img"), YES)
    assert (tmp_path / name).read_bytes() == b"a box's disk"


@pytest.mark.parametrize("ends", [Path.unlink, lambda new: new.rename(new.with_suffix(""))], ids=["failed", "done"])
def test_a_run_that_another_one_overtook_leaves_its_file_alone(
    new: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: Callable[[Path], object]
) -> None:
    """Given another run that ends between this one's opening of the new file and its lock."""
    to, other, lock = tmp_path / "to.img", tmp_path / "to.img.new", fcntl.fcntl
    other.write_bytes(b"the other run's")

    def overtaken(file: int, *words: object) -> object:
        if other.exists():
            ends(other)
        return lock(file, *words)  # type: ignore[arg-type]

    monkeypatch.setattr(fcntl, "fcntl", overtaken)
    with pytest.raises(CygnetError, match=r"to\.img is in use by another program"):
        flash(BOARD, new, str(to), YES)
    assert not to.exists() or to.read_bytes() == b"the other run's"


def test_the_next_run_may_begin_as_soon_as_this_one_has_renamed_its_file(
    new: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to, replace = tmp_path / "to.img", Path.replace

    def and_the_next_begins(this: Path, name: Path) -> None:
        replace(this, name)
        this.write_bytes(b"the next run's")

    monkeypatch.setattr(Path, "replace", and_the_next_begins)
    flash(BOARD, new, str(to), YES)
    assert to.read_bytes() == new.read_bytes()
    assert (tmp_path / "to.img.new").read_bytes() == b"the next run's"


def test_an_image_that_is_built_anew_while_it_is_looked_at(
    new: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(path: Path) -> Header:
        header = verify(path)
        path.rename(tmp_path / "before.img")
        make_image(path, 3)
        return header

    monkeypatch.setattr("builder.flash.image.verify", meanwhile)
    with pytest.raises(CygnetError, match=r"new\.img was changed while it was written: is a build running\?"):
        flash(BOARD, new, str(tmp_path / "to.img"), YES)
    assert not list(tmp_path.glob("to.img*"))


def test_a_file_behind_a_loop_device_is_refused(new: Path, tmp_path: Path) -> None:
    to = tmp_path / "to.img"
    to.write_bytes(bytes(MIB))
    device = attach(to)
    try:
        with pytest.raises(
            CygnetError, match=f"^{to} is attached to {device}: nothing was written; losetup --detach {device}"
        ):
            flash(BOARD, new, str(to), YES)
    finally:
        run("losetup", "--detach", device)
    assert to.read_bytes() == bytes(MIB)


def test_the_image_is_no_target_for_itself(new: Path, tmp_path: Path) -> None:
    before, link = new.read_bytes(), tmp_path / "link.img"
    link.symlink_to(new)
    for to in (new, link):
        with pytest.raises(CygnetError, match=r"new\.img is the image itself; name another file"):
            flash(BOARD, new, str(to), YES)
    assert new.read_bytes() == before


def test_a_link_stays_one_and_its_file_is_replaced(new: Path, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    link, to = tmp_path / "link.img", tmp_path / "sub/to.img"
    link.symlink_to(to)
    flash(BOARD, new, str(link), YES)
    assert link.is_symlink()
    assert to.read_bytes() == new.read_bytes()


def test_a_missing_image_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        CygnetError, match=r"none\.img: No such file or directory; name an image that \./inv build made"
    ):
        flash(BOARD, tmp_path / "none.img", str(tmp_path / "to.img"), YES)
    assert list(tmp_path.iterdir()) == []
