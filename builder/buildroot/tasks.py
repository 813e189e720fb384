"""What `./inv buildroot` does: write the external tree, or have a Buildroot build a board of it."""

from __future__ import annotations

from pathlib import Path

from builder.errors import CygnetError
from builder.names import unknown

ACTIONS = ("export", "build")


def run(action: str, board: str, out: str, place: str, menuconfig: bool, jobs: int) -> None:
    """See tasks.buildroot."""
    if action not in ACTIONS:
        raise unknown("action of ./inv buildroot", action, ACTIONS)
    if action == "build" and out:
        raise CygnetError(f"--out={out}: only ./inv buildroot export writes there; an image goes to images/")
    if action == "export" and (place or menuconfig):
        raise CygnetError("--buildroot and --menuconfig are of ./inv buildroot build; an export asks no Buildroot")
    if action == "build":
        from builder.buildroot.build import build

        build(board, place, menuconfig, jobs)
    else:
        _export(board, out, jobs)


def _export(board: str, out: str, jobs: int) -> None:
    from builder.buildroot.export import export
    from builder.plan import Project
    from builder.progress import progress
    from builder.settings import settings

    if not out:
        raise CygnetError("where to? --out=DIR names the folder that becomes the external tree")
    with progress() as shown:
        tree = export(Project(settings(), shown, jobs=jobs), Path(out), (board,) if board else ())
        shown.say(f"external tree: {tree}")
