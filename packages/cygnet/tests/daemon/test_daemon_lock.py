"""One daemon at a time, whatever became of the one before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cygnet.cli import service
from cygnet.daemon.lock import Lock, LockError


def test_the_lock_names_its_holder_and_keeps_a_second_daemon_out(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "run/pluto.pid")
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "run/pluto.pid").read_text() == f"{os.getpid()}\n"
    assert service.pid(str(tmp_path / "run/pluto")) == os.getpid()
    with pytest.raises(LockError, match=f"as process {os.getpid()}"):
        Lock(tmp_path / "run/pluto.pid")
    lock.release()
    assert service.pid(str(tmp_path / "run/pluto")) == 0
    assert not (tmp_path / "run/pluto.pid").exists()


def test_a_crash_leaves_nothing_that_keeps_the_next_one_out(tmp_path: Path) -> None:
    """Given a daemon that was killed, when the next one starts, then it takes the stale file over."""
    code = f"import os, pathlib; from cygnet.daemon.lock import Lock; Lock(pathlib.Path({str(tmp_path)!r}, 'pluto.pid')); os.kill(os.getpid(), 9)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    assert done.returncode == -9
    assert (tmp_path / "pluto.pid").exists()
    assert service.pid(str(tmp_path / "pluto")) == 0
    lock = Lock(tmp_path / "pluto.pid")
    assert service.pid(str(tmp_path / "pluto")) == os.getpid()
    lock.release()


def test_a_file_that_vanishes_while_it_is_locked_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given a daemon that ends just as we take its lock, when its file goes, then ours is a file that others see."""
    path, opened = tmp_path / "pluto.pid", os.open

    def ending(*arguments: object) -> int:
        file = opened(*arguments)  # type: ignore[arg-type]
        monkeypatch.setattr(os, "open", opened)
        path.unlink()
        return file

    monkeypatch.setattr(os, "open", ending)
    lock = Lock(path)
    assert path.read_text() == f"{os.getpid()}\n"
    lock.release()


def test_a_link_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept\n")
    (tmp_path / "pluto.pid").symlink_to(tmp_path / "precious")
    with pytest.raises(LockError, match="pluto.pid"):
        Lock(tmp_path / "pluto.pid")
    assert (tmp_path / "precious").read_text() == "kept\n"


def test_a_place_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LockError, match="--ctlbase"):
        Lock(tmp_path / "file/pluto.pid")
