"""Acceptance of boards in QEMU: build their images, make two boxes, run tests/acceptance on them.

What a run leaves is in images/<board>/acceptance/: the boxes' images, junit.xml, what the consoles said
(console_<board>-box-a, ...-box-b), the capture of the wire between them (wan.pcap), labgrid's environment.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from builder.boards import load_board
from builder.errors import Interrupted
from builder.image.publish import publish
from builder.interrupts import terminated_is_interrupted
from builder.plan import Project
from builder.progress import progress
from builder.run import ENVIRONMENT, Children
from builder.settings import PROJECT, settings
from builder.smoke import sites
from builder.smoke.pairs import FOLDER, Pair, build_pair, pair_of, render, targets
from builder.smoke.report import JUNIT, copy_report, report

TESTS = PROJECT / "tests/acceptance"
# Of the image itself: instruction set, slots.
IMAGE_TESTS = PROJECT / "tests/image"
# Of a user's own site files.
SITE_TESTS = Path(__file__).with_name("accept_site.py")
CHECK = "check"
CI_BOARDS = ("pc486", "armv7", "mipsel")
GRACE_SECONDS = 15


def smoke(
    board: str,
    peer: str = "",
    frozen: bool = False,
    jobs: int = 0,
    arguments: Sequence[str] = (),
    junit: Path | None = None,
) -> int:
    """Build and accept a board; 0 if all was proved. ``junit``: a second place for the report.

    With a ``peer``, another board's name, one box of each: what two boxes do with each other is tested then.
    ``arguments`` are handed to pytest.
    """
    (pair,) = prepare([(board, peer or board)], frozen, jobs)
    status = accept(pair, arguments)
    copy_report(pair.folder, junit)
    print(f"image:  {pair.images / board / 'disk.img'}", flush=True)
    return status


def smoke_image(board: str, image: Path, jobs: int = 0, junit: Path | None = None) -> int:
    """Accept a stock image that is there already, whoever made it; 0 if all was proved. Nothing is built."""
    with progress() as shown:
        project = Project(settings(), shown, jobs=jobs)
        of_board, stock = sites.stock_image(project, board, image)
        pair = pair_of(project, of_board, stock.resolve())
    status = accept(pair, folders=(TESTS,))
    copy_report(pair.folder, junit)
    print(f"image:  {stock}", flush=True)
    return status


def test(only: str, jobs: int) -> int:
    """Every test of the project in one run of pytest, the acceptance of CI_BOARDS among them; its exit status."""
    pairs = prepare([(board, board) for board in CI_BOARDS], False, jobs)
    # Boxes take longest, so they come first.
    folders = [folder for folder in sorted((PROJECT / "tests").glob("[!_]*")) if folder != TESTS]
    own = sorted((PROJECT / "packages").glob("*/tests"))
    words = [*map(str, [TESTS, *folders, *own]), *(["-k", only] if only else [])]
    workers = jobs or len(os.sched_getaffinity(0))
    words += ["-p", "builder.smoke.sharing", "-n", str(workers), "--no-loadscope-reorder"]
    folder = pairs[0].images / FOLDER
    folder.mkdir(exist_ok=True)
    return _run_pytest(pairs, folder, words, dict(os.environ))


def check(board: str, frozen: bool = False, jobs: int = 0) -> int:
    """Build a board and look at its image, no box started; 0 if all was proved."""
    with progress() as shown:
        project = Project(settings(), shown, frozen, jobs)
        plan, results = project.build(board)
        image = publish(project, plan, results)
    folder = image.parent / CHECK
    folder.mkdir(exist_ok=True)
    pair = Pair((plan.board, plan.board), settings().images)
    status = _run_pytest([pair], folder, [str(IMAGE_TESTS)], dict(os.environ))
    _tell(folder)
    print(f"image:  {image}", flush=True)
    return status


def prepare(boards: Sequence[tuple[str, str]], frozen: bool, jobs: int) -> list[Pair]:
    """Build what is missing and make the boxes of all pairs."""
    names = list(dict.fromkeys(name for pair in boards for name in pair))
    for name in names:
        load_board(settings().boards, name).need_twin()
    with progress() as shown:
        project = Project(settings(), shown, frozen, jobs)
        project.build_all(names)
        return [build_pair(project, names) for names in boards]


def accept(pair: Pair, arguments: Sequence[str] = (), folders: Sequence[Path] = ()) -> int:
    """Run the acceptance tests on a pair's boxes and say what was proved; pytest's exit status."""
    folders = folders or ([TESTS, IMAGE_TESTS] if len(set(pair.boards)) == 1 else [TESTS])
    words = [*map(str, folders), *arguments]
    status = _run_pytest([pair], pair.folder, words, _variables(pair.folder))
    _tell(pair.folder)
    return status


def smoke_sites(
    board: str,
    files: Sequence[Path],
    image: Path | None,
    junit: Path | None = None,
    frozen: bool = False,
    jobs: int = 0,
) -> int:
    """Build a board, or take a stock image of it; accept the boxes of one or two site files. 0 if all was proved."""
    with progress() as shown:
        project = Project(settings(), shown, frozen, jobs)
        sites.read(files)
        of_board, stock = sites.stock_image(project, board, image)
    folder = settings().images / of_board.name / sites.FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    words = [str(SITE_TESTS), "-p", "builder.smoke.plugin", "--cygnet-image", str(stock.resolve())]
    words += [word for file in files for word in ("--cygnet-site", str(file.resolve()))]
    status = run_pytest(folder, words, _variables(folder))
    _tell(folder)
    copy_report(folder, junit)
    return status


def _variables(folder: Path) -> dict[str, str]:
    return {**os.environ, **ENVIRONMENT, "HOME": str(folder), "CYGNET_CACHE": str(settings().cache)}


def _tell(folder: Path) -> None:
    for line in report(folder):
        print(line)


def again(board: str, arguments: Sequence[str], peer: str = "") -> int:
    """Accept the boxes that the last run made."""
    here = settings()
    boards = (load_board(here.boards, board), load_board(here.boards, peer or board))
    return accept(Pair(boards, here.images), arguments)


def _run_pytest(pairs: Sequence[Pair], folder: Path, words: Sequence[str], variables: dict[str, str]) -> int:
    environment = folder / "labgrid.yaml"
    # Not in `folder`: the path of a Unix socket has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="cygnet-wire-") as sockets:
        render(targets(pairs, Path(sockets)), pairs, environment, Path(sockets))
        return run_pytest(folder, [*words, "--lg-env", str(environment)], variables)


def run_pytest(folder: Path, words: Sequence[str], variables: dict[str, str]) -> int:
    """Its status. Its QEMUs are in its process group, and end with it whatever happens."""
    command = [
        sys.executable, "-m", "pytest", *words, "-q", "--no-header", "-p", "no:cacheprovider",
        "--lg-log", str(folder), "--junitxml", str(folder / JUNIT), "-o", "junit_family=xunit1",
    ]  # fmt: skip
    children = Children()
    sys.stdout.flush()
    with terminated_is_interrupted():
        process = children.start(command, PROJECT, {**variables, "PYTHONDONTWRITEBYTECODE": "1"}, sys.stdout.buffer)
        try:
            return process.wait()
        except KeyboardInterrupt:
            _ask_to_end(process)
            raise Interrupted from None
        finally:
            children.stop()


def _ask_to_end(process: subprocess.Popen[bytes]) -> None:
    """Ctrl-C for pytest alone: it switches the boxes off and writes its report."""
    process.send_signal(signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
        process.wait(GRACE_SECONDS)
