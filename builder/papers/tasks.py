"""What the tasks of ./inv that write or print papers call: one function each.

Modules are imported when they are used: each brings libraries that the others do not need.
"""

from __future__ import annotations

from builder.plan import Project
from builder.progress import Lines
from builder.settings import settings


def _project() -> Project:
    return Project(settings(), Lines())


def boards() -> None:
    """See tasks.boards."""
    from builder.papers import tables

    tables.boards(_project())


def packages() -> None:
    """See tasks.packages."""
    from builder.papers import tables

    tables.packages(_project())


def size(board: str) -> None:
    """See tasks.size."""
    from builder.papers import sizes

    print(f"picture: {sizes.run(_project(), board)}")


def sbom(board: str) -> None:
    """See tasks.sbom."""
    from builder.papers import sbom

    print(sbom.run(_project(), board))


def legal_info(board: str) -> None:
    """See tasks.legal_info."""
    from builder.papers import legal

    print(legal.run(_project(), board))


def graph(board: str) -> None:
    """See tasks.graph."""
    from builder.papers import graph

    print(f"picture: {graph.run(_project(), board)}")


def why(board: str, package: str) -> None:
    """See tasks.why."""
    from builder.papers import why

    print("\n".join(why.run(_project(), board, package)))
