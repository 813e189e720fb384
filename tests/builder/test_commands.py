"""What a user types: mistakes end in one sentence and a status, with no traceback."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from invoke.exceptions import Exit

import tasks
from builder.settings import PROJECT

PATIENCE = 20
MISTAKES = [
    (["build", "--board=pc468"], "error: No board is called 'pc468'; did you mean pc486?"),
    (["build", "--package=busibox"], "error: No package is called 'busibox'; did you mean busybox?"),
    (["why", "--package=busibox"], "No package is called 'busibox'; did you mean"),
    (["box", "--name=../shop"], "error: --name=../shop: a box is called by letters, digits and hyphens, 63 at most"),
    (["fuzz", "--minutes=long"], "error: --minutes=long: expected a number of minutes, such as 10 or 0.5"),
    (["build", "--package=zlib", "--site=s.toml"], "error: --package=zlib --site=s.toml: one package is no image"),
    (["build", "--site=nothing.toml"], "error: nothing.toml: "),
    (
        ["provision", "--image=nothing.img", "--site=s.toml"],
        "error: nothing.img: No such file or directory; name an image",
    ),
    (["provision", "--image=README.md", "--site=s.toml"], "error: README.md is no Cygnet image: it has no header; "),
    (
        ["flash", "--to=/dev/sdzz", "--image=x"],
        "error: --to=/dev/sdzz: there is no such device; lsblk lists what there is",
    ),
    (["flash", "--to=card.img", "--image=none.img"], "error: none.img: No such file or directory; name an image that"),
    (["flash", "--to=card.img", "--image=README.md"], "error: README.md is no Cygnet image: it has no header; ./inv b"),
    (
        ["flash", "--to=card.img", "--image=README.md", "--board=mt7621"],
        "mt7621 has no disk that fits a reader, but a flash chip: ",
    ),
    (["sbom", "--board=pc"], "No board is called 'pc'; "),
]


def inv(words: list[str], cache: Path) -> subprocess.CompletedProcess[str]:
    """What `./inv` hands to Invoke."""
    environment = {**os.environ, "CYGNET_CACHE": str(cache), "TERM": "dumb"}
    command = [sys.executable, "-m", "invoke", *words]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, env=environment)


@pytest.mark.parametrize(("words", "expected"), MISTAKES)
def test_a_mistake_is_one_sentence(tmp_path: Path, words: list[str], expected: str) -> None:
    done = inv(words, tmp_path)
    assert done.returncode == 1
    assert expected in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_cache_that_make_cannot_use_is_refused(tmp_path: Path) -> None:
    done = inv(["build"], tmp_path / "my cache")
    assert done.returncode == 1
    assert "has a space or colon in its path, which make cannot use: set CYGNET_CACHE" in done.stderr


def test_a_full_disk_is_one_sentence_whoever_meets_it() -> None:
    @tasks.told
    def copy() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "images/pc486/disk.img")

    with pytest.raises(Exit, match="^error: images/pc486/disk.img: No space left on device; make room, then give the"):
        copy()


def test_every_task_says_what_it_does(tmp_path: Path) -> None:
    tasks = [
        line.split()[0]
        for line in inv(["--list"], tmp_path).stdout.splitlines()
        if line.startswith("  ") and line[2] != " "
    ]
    assert {
        "boards",
        "packages",
        "build",
        "boot",
        "smoke",
        "check",
        "flash",
        "test",
        "size",
        "sbom",
        "legal-info",
        "graph",
        "why",
    } <= set(tasks)
    for task in tasks:
        text = inv([f"--help={task}"], tmp_path).stdout
        assert "Docstring:" in text
        assert "none" not in text.split("Docstring:")[1].split("Options:")[0]


def test_an_unreachable_mirror_leaves_nothing_half_made(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    environment = {**os.environ, "CYGNET_CACHE": str(cache), "CYGNET_MIRROR": "http://127.0.0.1:9/debian"}
    command = [sys.executable, "-m", "invoke", "build", "--package=zlib", "--frozen"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert "the mirror cannot be reached" in done.stderr
    assert not list((cache / "store").glob("*")) if (cache / "store").exists() else True
    assert not [file for file in cache.rglob("*") if file.is_file() and file.name != "lock"]


def test_a_build_that_is_terminated_ends_what_it_started() -> None:
    """Given a task that waits for a program, when it gets SIGTERM, then the program is gone too."""
    text = (
        "import sys, threading\nfrom pathlib import Path\nfrom invoke.exceptions import Exit\n"
        "from builder.run import Children, ENVIRONMENT\nimport tasks\n"
        "def work():\n"
        "    children = Children()\n"
        "    process = children.start(['sleep', '1000'], Path('.'), ENVIRONMENT, sys.stdout.buffer)\n"
        "    try:\n        print(process.pid, flush=True)\n        process.wait()\n    finally:\n        children.stop()\n"
        "try:\n    tasks.told(work)()\nexcept Exit as end:\n    sys.exit(end.code)\n"
    )
    with subprocess.Popen([sys.executable, "-c", text], cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.terminate()
        assert process.wait(30) == 130
    end = time.monotonic() + PATIENCE
    while runs(child):
        assert time.monotonic() < end
        time.sleep(0.05)


def runs(number: int) -> bool:
    """Whether a process is alive: one that is dead and not yet collected by whoever inherited it has no words."""
    words = Path(f"/proc/{number}/cmdline")
    try:
        return bool(words.read_bytes())
    except OSError:
        return False
