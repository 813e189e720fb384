"""What each task does, in terms of the rest of the builder.

Modules that only some tasks need are imported where they are used: a build with nothing to do
must be quick.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from builder.boards import load_board
from builder.errors import CygnetError
from builder.flash.options import Options
from builder.image.image import medium
from builder.image.publish import publish
from builder.locking import lock_all
from builder.papers.tasks import boards, graph, legal_info, packages, sbom, size, why
from builder.plan import Plan, Project
from builder.progress import progress
from builder.run import Runner
from builder.settings import PROJECT, settings
from builder.steps.step import walk

__all__ = [
    "boards", "boot", "box", "build", "clean", "flash", "fuzz", "graph", "legal_info", "lint", "lock", "manual",
    "packages", "requirements", "sbom", "size", "smoke", "test", "why",
]  # fmt: skip


def build(board: str, package: str, frozen: bool, jobs: int) -> None:
    """See tasks.build."""
    with progress() as shown:
        project = Project(settings(), shown, frozen, jobs)
        plan, results = project.build(board, package)
        if package:
            shown.say(f"{package}: {results[plan.packages[package].name]}")
        else:
            shown.say(f"image: {publish(project, plan, results)}")


def boot(board: str) -> None:
    """See tasks.boot."""
    from builder import qemu

    load_board(settings().boards, board).need_twin()
    with progress() as shown:
        project = Project(settings(), shown)
        plan, results = project.build(board)
        image = publish(project, plan, results)
        disk = image.with_name("boot.img")
        if not disk.exists() or disk.stat().st_mtime < image.stat().st_mtime:
            _make_box(project, plan, image, disk, "cygnet")
    qemu.interactive(plan.board, disk)


def box(board: str, name: str) -> None:
    """See tasks.box."""
    if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9-]{0,62}", name):
        raise CygnetError(f"--name={name}: a box is called by letters, digits and hyphens, 63 at most")
    with progress() as shown:
        project = Project(settings(), shown)
        plan, results = project.build(board)
        image = publish(project, plan, results)
        place = image.parent / "boxes" / f"{name}.img"
        place.parent.mkdir(exist_ok=True)
        _make_box(project, plan, image, place, name)
        shown.say(f"image: {place}")


def _make_box(project: Project, plan: Plan, stock: Path, to: Path, name: str) -> None:
    tools = project.engine().build((plan.tools,))[plan.tools.name]
    work = to.with_suffix(".work")
    shutil.rmtree(work, ignore_errors=True)
    medium(plan.board).make_box(
        plan.board, name, stock, to, tools, work, Runner(to.name, project.settings.logs / "box.log")
    )


def flash(board: str, image: str, to: str, options: Options) -> None:
    """See tasks.flash."""
    from builder import flash as flashing

    chosen = load_board(settings().boards, board)
    stock = settings().images / board / medium(chosen).IMAGE
    if not (image or stock.is_file() or options.console.only_start):
        raise CygnetError(f"{stock} is not there: ./inv build --board={board} makes it, or --image names another")
    flashing.flash(chosen, Path(image) if image else stock, to, options)


def smoke(board: str, peer: str, frozen: bool, jobs: int) -> int:
    """See tasks.smoke."""
    from builder import smoke as smoking

    return smoking.smoke(board, peer, frozen, jobs)


def check(board: str, frozen: bool, jobs: int) -> int:
    """See tasks.check."""
    from builder import smoke as smoking

    return smoking.check(board, frozen, jobs)


def test(only: str, jobs: int) -> int:
    """See tasks.test."""
    from builder import smoke as smoking

    return smoking.test(only, jobs)


def lint() -> int:
    """See tasks.lint."""
    checks = (["ruff", "check"], ["ruff", "format", "--check", "--quiet"], ["mypy"])
    return max(subprocess.run([sys.executable, "-m", *check], cwd=PROJECT).returncode for check in checks)


def fuzz(minutes: str) -> None:
    """See tasks.fuzz."""
    from builder import fuzz as fuzzing

    if not re.fullmatch(r"\d{1,5}(\.\d+)?", minutes):
        raise CygnetError(f"--minutes={minutes}: expected a number of minutes, such as 10 or 0.5; 0 is until Ctrl-C")
    fuzzing.fuzz(settings(), float(minutes))


def manual() -> None:
    """See tasks.manual."""
    command = [sys.executable, "packages/cygnet/manual.py", str(settings().images / "man")]
    subprocess.run(command, cwd=PROJECT, check=True)


def lock(package: str) -> None:
    """See tasks.lock."""
    with progress() as shown:
        for change in lock_all(Project(settings(), shown), package):
            shown.say(change)


def requirements() -> None:
    """See tasks.requirements."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--universal", "--python-version=3.11", "--upgrade"]
    command += ["--generate-hashes", "--no-header", "--quiet", "requirements.in", "--output-file=requirements.txt"]
    subprocess.run(command, cwd=PROJECT, check=True)


def clean(everything: bool) -> None:
    """See tasks.clean."""
    with progress() as shown:
        here = settings()
        shutil.rmtree(here.images, ignore_errors=True)
        if everything:
            shutil.rmtree(here.cache, ignore_errors=True)
            shown.say(f"removed {here.images} and {here.cache}")
            return
        project = Project(here, shown)
        plans = [project.plan(board) for board in project.board_names()]
        used = [step for plan in plans for step in walk([plan.image, *plan.packages.values()])]
        freed = project.engine().store.keep_only(used)
        shutil.rmtree(here.work, ignore_errors=True)
        shown.say(f"removed {here.images} and {freed / 1e6:.0f} MB of unused results")
