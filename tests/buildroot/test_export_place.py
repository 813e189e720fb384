"""Where an export may write, and what it leaves alone: nothing half-written, nothing of the user's harmed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from builder.buildroot import tree
from builder.buildroot.tree import LIST, File, put, read_list
from builder.errors import CygnetError

FILES = {
    "Config.in": File(b"config A\n"),
    "board/run.sh": File(b"#!/bin/sh\n", runs=True),
    "board/link": File(link="run.sh"),
}


def test_a_tree_is_what_was_asked_for(tmp_path: Path) -> None:
    put(FILES, tmp_path / "deep/tree")
    found = tmp_path / "deep/tree"
    assert (found / "Config.in").read_bytes() == b"config A\n"
    assert (found / "board/run.sh").stat().st_mode & 0o777 == 0o755
    assert str((found / "board/link").readlink()) == "run.sh"
    assert read_list(found) == {path: file.mark for path, file in FILES.items()}
    assert sorted(tmp_path.iterdir()) == [tmp_path / "deep"]
    assert list((tmp_path / "deep").iterdir()) == [found]


def test_an_empty_folder_is_as_good_as_none(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    put(FILES, tmp_path / "tree")
    assert (tmp_path / "tree/Config.in").is_file()


def test_what_has_not_changed_is_not_touched_and_what_is_no_longer_part_goes(tmp_path: Path) -> None:
    out = tmp_path / "tree"
    put({**FILES, "old/deep/file": File(b"old")}, out)
    (out / "mine").mkdir()
    (out / "mine/Config.in").write_text("my own\n")
    before = {path: (out / path).lstat().st_mtime_ns for path in FILES}
    put({**FILES, "Config.in": File(b"config B\n")}, out)
    after = {path: (out / path).lstat().st_mtime_ns for path in FILES}
    assert [path for path in FILES if before[path] != after[path]] == ["Config.in"]
    assert not (out / "old").exists()
    assert (out / "mine/Config.in").read_text() == "my own\n"
    assert set(read_list(out) or {}) == set(FILES)


def foreign(out: Path) -> None:
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")


def plain(out: Path) -> None:
    out.write_text("a file")


def changed(out: Path) -> None:
    put(FILES, out)
    (out / "Config.in").write_text("my own\n")


def in_the_way(out: Path) -> None:
    put({"Config.in": FILES["Config.in"]}, out)
    (out / "board").mkdir()
    (out / "board/run.sh").write_text("my own\n")


REFUSED = {
    foreign: "is neither empty nor a tree that ./inv buildroot export made (it has no cygnet.list): name another folder",
    plain: "is neither empty nor a tree that ./inv buildroot export made (it has no cygnet.list): name another folder",
    changed: "Config.in was changed since it was exported: take it back or move it away",
    in_the_way: "board/run.sh was changed since it was exported: take it back or move it away",
}


@pytest.mark.parametrize("make", REFUSED, ids=lambda make: make.__name__)
def test_what_is_not_ours_is_refused_and_stays_as_it_is(make: Callable[[Path], None], tmp_path: Path) -> None:
    out = tmp_path / "tree"
    make(out)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(CygnetError) as error:
        put({**FILES, "Config.in": File(b"config C\n")}, out)
    assert REFUSED[make] in str(error.value)
    assert str(error.value).startswith(f"--out={out}")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_an_interrupted_export_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the files are new, the list is the old one: that is no change of the user's."""
    out, later = (
        tmp_path / "tree",
        {path: File(file.content + b"more\n", file.runs, file.link) for path, file in FILES.items()},
    )
    put(FILES, out)
    write = tree._write
    written: list[Path] = []

    def stop(file: File, place: Path) -> None:
        if written:
            raise OSError(28, "No space left on device", str(place))
        written.append(place)
        write(file, place)

    monkeypatch.setattr(tree, "_write", stop)
    with pytest.raises(CygnetError, match=r"^--out=.*: No space left on device$"):
        put(later, out)
    monkeypatch.undo()
    put(later, out)
    assert (out / "Config.in").read_bytes() == b"config A\nmore\n"
    assert (out / "board/run.sh").read_bytes() == b"#!/bin/sh\nmore\n"


def test_a_new_tree_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "_list", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(CygnetError, match="No space left on device"):
        put(FILES, tmp_path / "tree")
    assert not list(tmp_path.iterdir())


def test_a_list_cannot_name_files_outside_the_tree(tmp_path: Path) -> None:
    out, outside = tmp_path / "tree", tmp_path / "precious"
    outside.write_text("precious")
    put(FILES, out)
    (out / LIST).write_text((out / LIST).read_text() + f"../precious\tx\n{outside}\tx\n")
    put(FILES, out)
    assert outside.read_text() == "precious"


def test_a_damaged_list_is_told_and_nothing_is_written(tmp_path: Path) -> None:
    put(FILES, tmp_path)
    for damage in (b"Config.in\n", b"\xff\t\xff\n"):
        (tmp_path / LIST).write_bytes(damage)
        with pytest.raises(
            CygnetError, match="cygnet.list is damaged: take it back, or name another folder with --out"
        ):
            put({"new": File(b"")}, tmp_path)
        assert not (tmp_path / "new").exists()
