"""Acceptance of a board in QEMU: build its image, make two boxes of it, run tests/acceptance on them.

Everything is kept in images/<board>/acceptance/: the boxes' images, junit.xml, what the consoles said
(console_box-a, console_box-b), the capture of the wire between them (wan.pcap), labgrid's environment.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from xml.etree import ElementTree

import jinja2

from builder import qemu
from builder.boards import Board
from builder.errors import CygnetError, Interrupted
from builder.image.disk import make_box
from builder.image.publish import publish
from builder.plan import Project
from builder.progress import progress
from builder.run import ENVIRONMENT, Children, Runner
from builder.settings import PROJECT, VERSION, settings

TESTS = PROJECT / "tests/acceptance"
FOLDER = "acceptance"
CI_BOARD = "pc486"
TEMPLATE = "labgrid.yaml.j2"
CAPTURE = "wan.pcap"
BOXES = ("box-a", "box-b")
MACS = {"box-a": "52:54:00:c9:0a", "box-b": "52:54:00:c9:0b"}
# Not a figure to reach: when to give up on a busy machine.
LOGIN_TIMEOUT = 120
GRACE_SECONDS = 15


@dataclass(frozen=True)
class Outcome:
    """One test of the report: what it proves, figures that it measured, why it failed ("" if it did not)."""

    proves: str
    figures: tuple[str, ...]
    failure: str

    @property
    def line(self) -> str:
        """One line for the user."""
        figures = f" ({', '.join(self.figures)})" if self.figures else ""
        return f"  FAILED  {self.proves}: {self.failure}" if self.failure else f"  proved  {self.proves}{figures}"


def smoke(board_name: str, frozen: bool = False, jobs: int = 0, arguments: Sequence[str] = ()) -> int:
    """Build and accept a board; 0 if all was proved. ``arguments`` are handed to pytest."""
    board, image = prepare(board_name, frozen, jobs)
    status = accept(board, image.parent / FOLDER, arguments)
    print(f"image:  {image}", flush=True)
    return status


def test(only: str, jobs: int) -> int:
    """Every test of the project in one run of pytest, the acceptance of CI_BOARD among them; its exit status."""
    board, image = prepare(CI_BOARD, False, jobs)
    # The boxes run until the end of the session: their tests come last.
    folders = [folder for folder in sorted((PROJECT / "tests").glob("[!_]*")) if folder != TESTS]
    own = sorted((PROJECT / "packages").glob("*/tests"))
    words = [*map(str, [*own, *folders, TESTS]), *(["-k", only] if only else [])]
    return _with_boxes(board, image.parent / FOLDER, words, dict(os.environ))


def prepare(board_name: str, frozen: bool, jobs: int) -> tuple[Board, Path]:
    """Build a board's image and make two boxes of it; the board and the image's path."""
    with progress() as shown:
        project = Project(settings(), shown, frozen, jobs)
        plan, results = project.build(board_name)
        qemu.program(plan.board)
        image = publish(project, plan, results)
        folder = _fresh(image.parent / FOLDER)
        shown.say(f"making two boxes in {folder}")
        tools = project.engine().build((plan.tools,))[plan.tools.name]
        make_boxes(plan.board, image, tools, folder)
    return plan.board, image


def make_boxes(board: Board, stock: Path, tools: Path, folder: Path) -> None:
    """Both boxes' images; each has a seed of its own."""
    for name in BOXES:
        runner = Runner(name, folder / "make-boxes.log")
        make_box(board, name, stock, folder / f"{name}.img", tools, folder / f"{name}.work", runner)


def accept(board: Board, folder: Path, arguments: Sequence[str] = ()) -> int:
    """Run the acceptance tests on the boxes in ``folder`` and say what was proved; pytest's exit status."""
    status = _with_boxes(board, folder, [str(TESTS), *arguments], {**ENVIRONMENT, "HOME": str(folder)})
    for line in report(folder):
        print(line)
    return status


def render(board: Board, folder: Path, sockets: Path) -> Path:
    """Write labgrid's environment file of two boxes on one wire."""
    machine, cpu = qemu.model(board)
    boxes = [
        {"name": name, "devices": shlex.join(qemu.devices(board, folder / f"{name}.img", cards))}
        for name, cards in _cards(folder, sockets).items()
    ]
    text = (board.folder / TEMPLATE).read_text()
    rendered = jinja2.Template(text, undefined=jinja2.StrictUndefined, trim_blocks=True).render(
        board=board, boxes=boxes, machine=machine, cpu=cpu, program=str(qemu.program(board)), version=VERSION,
        capture=str(folder / CAPTURE), login_timeout=LOGIN_TIMEOUT,
    )  # fmt: skip
    environment = folder / "labgrid.yaml"
    environment.write_text(rendered + "\n")
    return environment


def report(folder: Path) -> list[str]:
    """What the last run proved, one line a test, and where to look."""
    outcomes = read_junit(folder / "junit.xml")
    failed = [outcome for outcome in outcomes if outcome.failure]
    lines = [outcome.line for outcome in outcomes if not outcome.failure]
    for _, group in itertools.groupby(failed, lambda outcome: outcome.failure):
        first, *others = group
        lines += [first.line, *([f"          and {len(others)} more, for the same reason"] if others else [])]
    lines.append(f"{len(outcomes) - len(failed)} of {len(outcomes)} proved")
    lines.append(f"report: {folder / 'junit.xml'}")
    return lines + [f"console of {name}: {folder / f'console_{name}'}" for name in BOXES]


def read_junit(file: Path) -> list[Outcome]:
    """The tests in a JUnit file that pytest wrote; a skipped one counts as failed: nothing was proved."""
    if not file.is_file():
        raise CygnetError(f"the acceptance tests left no report in {file}: their output above says why")
    cases = ElementTree.parse(file).getroot().iter("testcase")  # noqa: S314 - our own file
    return [_outcome(case) for case in cases]


def _outcome(case: ElementTree.Element) -> Outcome:
    found = {item.get("name", ""): item.get("value", "") for item in case.iter("property")}
    proves = found.pop("proves", f"{case.get('classname')}.{case.get('name')}")
    wrong = next((case.find(kind) for kind in ("failure", "error", "skipped") if case.find(kind) is not None), None)
    message = "" if wrong is None else _one_line(wrong.get("message") or wrong.tag)
    return Outcome(proves, tuple(f"{name} {value}" for name, value in found.items()), message)


def _one_line(message: str) -> str:
    """pytest's message without its frame, on one line."""
    return message.removeprefix('failed on setup with "').splitlines()[0].strip('"')[:240]


def _cards(folder: Path, sockets: Path) -> dict[str, list[qemu.Card]]:
    """The cards of each box: WANs joined to each other and recorded, LANs unplugged."""
    found = {}
    for name, other in zip(BOXES, reversed(BOXES), strict=True):
        capture = folder / CAPTURE if name == BOXES[0] else None
        wan = qemu.wire_end("wan", f"{MACS[name]}:01", sockets / name, sockets / other, capture)
        found[name] = [wan, qemu.unplugged("lan", f"{MACS[name]}:02")]
    return found


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _with_boxes(board: Board, folder: Path, words: Sequence[str], variables: dict[str, str]) -> int:
    # Not in `folder`: the path of a Unix socket has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="cygnet-wire-") as sockets:
        return _run_pytest(render(board, folder, Path(sockets)), folder, words, variables)


def _run_pytest(environment: Path, folder: Path, words: Sequence[str], variables: dict[str, str]) -> int:
    """Its QEMUs are in its process group, and end with it whatever happens."""
    command = [
        sys.executable, "-m", "pytest", *words, "-q", "--no-header", "-p", "no:cacheprovider",
        "--lg-env", str(environment), "--lg-log", str(folder), "--junitxml", str(folder / "junit.xml"),
        "-o", "junit_family=xunit1",
    ]  # fmt: skip
    children = Children()
    sys.stdout.flush()
    with _terminated_is_interrupted():
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


@contextlib.contextmanager
def _terminated_is_interrupted() -> Iterator[None]:
    """SIGTERM ends the boxes as Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def main() -> int:
    """`python -m builder.smoke BOARD [pytest arguments]`: accept the boxes that the last run made."""
    board, *arguments = sys.argv[1:]
    from builder.boards import load_board

    here = settings()
    return accept(load_board(here.boards, board), here.images / board / FOLDER, arguments)


if __name__ == "__main__":
    os._exit(main())
