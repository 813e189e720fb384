"""The tasks of ./inv: thin, each one call into builder/.

Run `./inv --list` for all of them and `./inv --help=TASK` for one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from builder.errors import CygnetError, Interrupted

DEFAULT_BOARD = "pc486"
P = ParamSpec("P")


def told(function: Callable[P, None]) -> Callable[P, None]:
    """Turn an error that is meant for the user into one sentence and status 1 (130 after Ctrl-C)."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except (Interrupted, KeyboardInterrupt):
            raise Exit(str(Interrupted()), code=130) from None
        except CygnetError as error:
            raise Exit(f"error: {error}", code=1) from None

    return wrapper


@task(help={"board": "which board: see ./inv boards", "package": "only this package and what it needs",
            "frozen": "refuse when a locked source version has gone, instead of taking the next",
            "jobs": "how many cores to keep busy (default: all)"})  # fmt: skip
@told
def build(_: Context, board: str = DEFAULT_BOARD, package: str = "", frozen: bool = False, jobs: int = 0) -> None:
    """Build a board's disk image, or one package for it.

    What was built before is taken from the cache; an interrupted build goes on where it stopped.
    """
    from builder import commands

    commands.build(board, package, frozen, jobs)


@task(help={"package": "only this package's source"})
@told
def lock(_: Context, package: str = "") -> None:
    """Lock the newest version of every source and tool that can be had whole today."""
    from builder import commands

    commands.lock(package)
