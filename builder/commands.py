"""What each task does, in terms of the rest of the builder."""

from __future__ import annotations

from builder.locking import lock_all
from builder.plan import Project
from builder.progress import progress
from builder.settings import settings


def build(board: str, package: str, frozen: bool, jobs: int) -> None:
    """See tasks.build."""
    with progress() as shown:
        project = Project(settings(), shown, frozen, jobs)
        _, results = project.build(board, package)
        for name, place in results.items():
            shown.say(f"{name}: {place}")


def lock(package: str) -> None:
    """See tasks.lock."""
    with progress() as shown:
        for change in lock_all(Project(settings(), shown), package):
            shown.say(change)
