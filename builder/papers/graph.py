"""``graph.svg``: the steps of a board, what each rests on, and where build time went.

Columns from left to right: a step stands right of all that it needs.  Links that follow
from others are left out.  Colour is the time that a step took when it was last made; bars below
tell it step by step, wall clock against CPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from builder.papers import graph_picture
from builder.papers.parts import images, write
from builder.plan import Plan, Project
from builder.steps.step import Step, walk
from builder.steps.store import Record, Store


@dataclass(frozen=True)
class Node:
    """A step: ``needs`` what it rests on directly; ``record`` is of when it was last made.

    ``cached``: it is in the store as it would be made now.
    """

    name: str
    needs: tuple[str, ...]
    record: Record | None
    cached: bool

    @property
    def wall(self) -> float:
        """Seconds by the clock, 0 where it was never made."""
        return self.record.wall_seconds if self.record else 0.0

    @property
    def cpu(self) -> float:
        """Seconds of CPU, of the programs that it ran."""
        return self.record.cpu_seconds if self.record else 0.0

    @property
    def state(self) -> str:
        """In words."""
        if self.cached:
            return "in the store"
        return "to do" if self.record is None else "to do again"


def run(project: Project, board: str, console: Console | None = None) -> Path:
    """Print the summary and write the picture; where that is."""
    plan = project.plan(board)
    found = nodes(plan, Store(project.settings.store, project.settings.trees))
    place = write(images(project, plan) / "graph.svg", graph_picture.draw(board, found, longest_chain(found)))
    show(board, found, console or Console())
    return place


def nodes(plan: Plan, store: Store) -> list[Node]:
    """All steps of a board, what is needed first."""
    steps = walk((plan.image, plan.rootfs))
    direct = reduced({step.name: {other.name for other in step.before} for step in steps})
    return [_node(step, direct[step.name], store) for step in steps]


def _node(step: Step, needs: set[str], store: Store) -> Node:
    record = store.record(step) or store.latest(step.name)
    return Node(step.name, tuple(sorted(needs)), record, store.has(step))


def reduced(needs: dict[str, set[str]]) -> dict[str, set[str]]:
    """The same graph without links that follow from others. ``needs`` is in order: what is needed first."""
    reach: dict[str, set[str]] = {}
    for name, others in needs.items():
        reach[name] = others.union(*(reach[other] for other in others))
    return {
        name: {other for other in others if not any(other in reach[between] for between in others)}
        for name, others in needs.items()
    }


def longest_chain(found: list[Node]) -> list[str]:
    """The steps that follow each other and take longest: no number of cores builds faster."""
    chains: dict[str, tuple[float, list[str]]] = {}
    for node in found:
        seconds, before = max((chains[other] for other in node.needs), default=(0.0, []))
        chains[node.name] = (seconds + node.wall, [*before, node.name])
    return max(chains.values(), default=(0.0, []))[1]


def show(board: str, found: list[Node], console: Console) -> None:
    """A table of the steps, longest first."""
    chain = longest_chain(found)
    table = Table(title=f"{board}: where build time went (seconds)")
    table.add_column("step")
    for title in ("wall", "cpu", "cores"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("chain", no_wrap=True)
    for node in sorted(found, key=lambda node: (-node.wall, node.name)):
        cores = f"{node.cpu / node.wall:.1f}" if node.wall else ""
        times = (f"{node.wall:.1f}", f"{node.cpu:.1f}", cores) if node.record else ("", "", "")
        table.add_row(node.name, *times, node.state, "longest" if node.name in chain else "")
    table.add_section()
    table.add_row("all", f"{sum(n.wall for n in found):.1f}", f"{sum(n.cpu for n in found):.1f}", "", "", "")
    console.print(table)
    wall = sum(node.wall for node in found if node.name in chain)
    console.print(f"longest chain, {wall:.1f} s: {' > '.join(chain)}")
