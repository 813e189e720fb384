"""What each task does, in terms of the rest of the builder.

Modules that only some tasks need are imported where they are used: a build with nothing to do
must be quick.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from builder import boxes, sites
from builder.boards import Board, load_board
from builder.errors import CygnetError
from builder.flash.options import Options
from builder.image.data import Files, of_box
from builder.image.image import medium
from builder.image.publish import publish
from builder.locking import lock_all
from builder.papers.tasks import boards, graph, legal_info, packages, sbom, size, why
from builder.plan import Project
from builder.progress import Lines, progress
from builder.settings import PROJECT, settings
from builder.steps.step import walk

__all__ = [
    "boards", "boot", "box", "build", "clean", "flash", "fleet", "fuzz", "graph", "legal_info", "lint", "lock",
    "manual", "packages", "provision", "requirements", "sbom", "size", "smoke", "test", "why",
]  # fmt: skip


def build(board: str, package: str, frozen: bool, jobs: int, site: str = "") -> None:
    """See tasks.build."""
    if package and site:
        raise CygnetError(
            f"--package={package} --site={site}: one package is no image for a site; leave one of them out"
        )
    with progress() as shown:
        project = Project(settings(), shown, frozen, jobs)
        box = _box_of(load_board(project.settings.boards, board), site) if site else None
        plan, results = project.build(board, package)
        if package:
            shown.say(f"{package}: {results[plan.packages[package].name]}")
            return
        image = publish(project, plan, results)
        if box:
            name, files = box
            image = boxes.make(project, plan.board, files, image, None, name)
        shown.say(f"image: {image}")


def provision(image: str, site: str, to: str) -> None:
    """See tasks.provision."""
    with progress() as shown:
        project, stock = Project(settings(), shown), Path(image)
        board = boxes.board_of(project, stock)
        name, files = _box_of(board, site)
        shown.say(f"image: {boxes.make(project, board, files, stock, Path(to) if to else None, name)}")


def _box_of(board: Board, site_file: str) -> tuple[str, Files]:
    """Name and files of the box that a site file describes."""
    site = sites.read(Path(site_file))
    boxes.check_board(board, site)
    return site.name, boxes.of_site(site)


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
            boxes.make(project, plan.board, of_box("cygnet"), image, disk, "cygnet")
    qemu.interactive(plan.board, disk)


def box(board: str, name: str) -> None:
    """See tasks.box."""
    boxes.check_name(name)
    with progress() as shown:
        project = Project(settings(), shown)
        plan, results = project.build(board)
        image = publish(project, plan, results)
        shown.say(f"image: {boxes.make(project, plan.board, of_box(name), image, None, name)}")


def fleet(
    table: str, template: str, to: str, new_key: str, key: str, opened: str | bool, pool: str, image: str,
    scheduler: str, jobs: int,
) -> None:  # fmt: skip
    """See tasks.fleet."""
    from builder.fleet.fleet import ALL, Wanted
    from builder.fleet.fleet import fleet as make
    from builder.fleet.operator import ask

    if new_key and key:
        raise CygnetError("--new-key and --key: --new-key makes the operator's key, --key names one that is there")
    path = {name: Path(word) for name, word in (("key", new_key or key), ("pool", pool), ("image", image)) if word}
    wanted = Wanted(
        Path(table), Path(template), Path(to), new_key=bool(new_key), opened=ALL if opened is True else opened or "",
        scheduler=scheduler, jobs=jobs or len(os.sched_getaffinity(0)), **path,
    )  # fmt: skip
    # Lines, not a live table: a passphrase is asked for in between.
    make(wanted, Lines(), ask)


def flash(board: str, image: str, to: str, options: Options) -> None:
    """See tasks.flash."""
    from builder import flash as flashing

    chosen = load_board(settings().boards, board)
    stock = settings().images / board / medium(chosen).IMAGE
    if not (image or stock.is_file() or options.console.only_start):
        raise CygnetError(f"{stock} is not there: ./inv build --board={board} makes it, or --image names another")
    flashing.flash(chosen, Path(image) if image else stock, to, options)


def smoke(board: str, peer: str, files: Sequence[str], image: str, junit: str, frozen: bool, jobs: int) -> int:
    """See tasks.smoke."""
    from builder import smoke as smoking
    from builder.smoke.report import place_for

    if peer and (files or image):
        raise CygnetError("--peer goes without --site and --image: see ./inv --help=smoke")
    report = place_for(junit) if junit else None
    stock = Path(image) if image else None
    if files:
        return smoking.smoke_sites(board, [Path(file) for file in files], stock, report, frozen, jobs)
    if stock:
        return smoking.smoke_image(board, stock, jobs, report)
    return smoking.smoke(board, peer, frozen, jobs, junit=report)


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
