"""From the store to images/<board>/: the image and its papers, where a user looks for them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from builder.image.image import medium
from builder.plan import Plan, Project
from builder.steps.store import extract

STAMP = ".built"


def publish(project: Project, plan: Plan, results: Mapping[str, Path]) -> Path:
    """Put a board's image, kernel, root file system and SBOM into images/<board>/; the image's path.

    Does nothing if they are there already.
    """
    folder = project.settings.images / plan.board.name
    stamp = folder / STAMP
    image = folder / medium(plan.board).IMAGE
    if not (stamp.is_file() and stamp.read_text() == plan.image.key and image.is_file()):
        from builder.papers import sbom

        stamp.unlink(missing_ok=True)
        extract(results[plan.image.name], folder)
        sbom.write_sbom(project, plan)
        stamp.write_text(plan.image.key)
    return image
