"""What the engine promises: nothing twice, nothing half, and the next run goes on."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from graph_project import Silent, engine, step

from builder.errors import CygnetError, StepFailed
from builder.steps.step import Workspace


def test_a_finished_step_is_never_made_again(tmp_path: Path) -> None:
    for expected in (["musl", "busybox"], []):
        shown = Silent()
        musl = step("musl")
        engine(tmp_path, shown).build([step("busybox", musl)])
        assert shown.begun == expected


def test_a_change_remakes_the_step_and_what_depends_on_it_only(tmp_path: Path) -> None:
    def graph(zlib_text: str) -> list:
        musl, zlib = step("musl"), step("zlib", text=zlib_text)
        return [step("python", zlib), step("busybox", musl)]

    engine(tmp_path, Silent()).build(graph("1.3"))
    shown = Silent()
    engine(tmp_path, shown).build(graph("1.3.1"))
    assert shown.begun == ["zlib", "python"]


def test_what_has_one_name_and_differs_is_made_for_each(tmp_path: Path) -> None:
    """Given boards whose crates differ, when they are built at once, then each has its own."""
    crates = [step("crates", text=cpu) for cpu in ("armv7", "i486")]
    shown = Silent()
    engine(tmp_path, shown).build([step(f"cryptography-{one.inputs}", one) for one in crates])
    assert shown.begun.count("crates") == 2
    assert len(shown.begun) == 4


def test_what_only_a_finished_step_needs_is_not_made(tmp_path: Path) -> None:
    musl = step("musl")
    engine(tmp_path, Silent()).build([step("busybox", musl)])
    maker = engine(tmp_path, Silent())
    maker.store.forget(musl)
    shown = Silent()
    engine(tmp_path, shown).build([step("busybox", musl)])
    assert shown.begun == []


def test_a_result_is_the_same_bytes_whatever_the_time_and_owner(tmp_path: Path) -> None:
    results = []
    for name in ("one", "another/place"):
        made = engine(tmp_path / name, Silent()).build([step("zlib", text="x")])
        results.append(made["zlib"].read_bytes())
        time.sleep(1.1)
    assert results[0] == results[1]


def test_a_failed_step_leaves_nothing_and_the_next_run_goes_on(tmp_path: Path) -> None:
    def fail(space: Workspace) -> None:
        (space.out / "half").write_text("half made")
        space.runner.run(["sh", "-c", "echo first; echo 'zlib.c:7: error: no such thing' >&2; exit 2"], cwd=space.work)

    musl = step("musl")
    with pytest.raises(StepFailed) as failure:
        engine(tmp_path, Silent()).build([step("zlib", musl, action=fail)])
    message = str(failure.value)
    assert "zlib: sh ended with status 2" in message
    assert "zlib.c:7: error: no such thing" in message
    assert next((tmp_path / "logs").glob("zlib-*.log")).name in message
    assert not list((tmp_path / "work").glob("*"))
    shown = Silent()
    engine(tmp_path, shown).build([step("zlib", musl)])
    assert shown.begun == ["zlib"]


def test_no_space_left_is_one_sentence(tmp_path: Path) -> None:
    def fill(space: Workspace) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(space.out / "big"))

    with pytest.raises(CygnetError, match="zlib: No space left on device: .*/big"):
        engine(tmp_path, Silent()).build([step("zlib", action=fill)])


@pytest.mark.parametrize("damage", [b"", b"x"])
def test_a_damaged_result_is_made_again_and_not_believed(tmp_path: Path, damage: bytes) -> None:
    made = engine(tmp_path, Silent()).build([step("zlib", text="right")])["zlib"]
    content = made.read_bytes()
    made.write_bytes(damage + content[len(damage) :] if damage else damage)
    shown = Silent()
    again = engine(tmp_path, shown).build([step("zlib", text="right")])["zlib"]
    assert shown.begun == ["zlib"]
    assert again.read_bytes() == content


def test_independent_steps_run_side_by_side(tmp_path: Path) -> None:
    def meet(space: Workspace) -> None:
        mine, other = (
            tmp_path / name for name in (("a", "b") if space.out.parent.name.startswith("a-") else ("b", "a"))
        )
        mine.touch()
        space.runner.run(["sh", "-c", 'while ! [ -e "$1" ]; do sleep 0.1; done', "sh", str(other)], cwd=space.work)

    done = engine(tmp_path / "cache", Silent()).build([step("a", action=meet), step("b", action=meet)])
    assert sorted(done) == ["a", "b"]


INTERRUPTED_BUILD = """
import signal, sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
sys.path.insert(0, sys.argv[2])
from graph_project import Silent, engine, step
def slow(space):
    Path(sys.argv[1], "pid").write_text("x")
    space.runner.run(["sh", "-c", "echo $$ >'" + sys.argv[1] + "/child'; exec sleep 600"], cwd=space.work)
try:
    engine(Path(sys.argv[1]) / "cache", Silent()).build([step("zlib", step("musl"), action=slow)])
except Exception as error:
    print(error)
"""


def test_ctrl_c_ends_the_programs_and_keeps_what_is_finished(tmp_path: Path) -> None:
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", INTERRUPTED_BUILD, str(tmp_path), here]
    root = Path(__file__).parents[2]
    build = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)
    child = tmp_path / "child"
    _until(lambda: child.exists() and child.read_text().strip() != "")
    build.send_signal(signal.SIGINT)
    said, _ = build.communicate(timeout=30)
    assert "the same command goes on from there" in said
    with pytest.raises(ProcessLookupError):
        os.kill(int(child.read_text()), 0)
    shown = Silent()
    engine(tmp_path / "cache", shown).build([step("zlib", step("musl"))])
    assert shown.begun == ["zlib"]


def test_a_killed_build_leaves_nothing_that_is_taken_for_made(tmp_path: Path) -> None:
    command = [sys.executable, "-c", INTERRUPTED_BUILD, str(tmp_path), str(Path(__file__).parent)]
    build = subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.DEVNULL)
    child = tmp_path / "child"
    _until(lambda: child.exists() and child.read_text().strip() != "")
    build.kill()
    build.wait()
    os.kill(int(child.read_text()), signal.SIGKILL)
    shown = Silent()
    made = engine(tmp_path / "cache", shown).build([step("zlib", step("musl"))])
    assert shown.begun == ["zlib"]
    with tarfile.open(made["zlib"]) as tar:
        assert "./root/zlib" in tar.getnames()


def _until(true: object, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
