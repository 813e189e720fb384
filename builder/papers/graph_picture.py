"""Draws the graph of steps as an SVG picture: columns of boxes, curves between them, bars of time below."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from builder.papers.graph import Node

BOX_WIDTH, BOX_HEIGHT = 170, 40
COLUMN, ROW, WAY = 240, 54, 14
MARGIN, HEAD = 24, 56
BAR_LEFT, BAR_WIDTH, BAR_ROW = 200, 620, 20
SWEEPS = 6
STYLE = """\
svg { font: 13px system-ui, sans-serif; background: #fff; }
text { fill: #1b1f24; } .small { font-size: 11px; fill: #3d4650; } .title { font-size: 18px; font-weight: 600; }
path { fill: none; stroke: #8b95a1; stroke-width: 1.3; } path.chain { stroke: #b71c1c; stroke-width: 2.6; }
rect.node { stroke: #5b6470; } rect.todo { stroke-dasharray: 5 4; } rect.chain { stroke: #b71c1c; stroke-width: 2.6; }
rect.wall { fill: #e08a3c; } rect.cpu { fill: #3f7fbf; }
"""


def draw(board: str, nodes: Sequence[Node], chain: Sequence[str]) -> str:
    """The whole picture."""
    level = levels(nodes)
    routes = [route(other, node.name, level) for node in nodes for other in node.needs]
    place = _places(ordered(columns(level, routes), routes))
    graph_height = max(y for _, y in place.values()) + ROW + 24
    width = max(max(x for x, _ in place.values()) + BOX_WIDTH + MARGIN, BAR_LEFT + BAR_WIDTH + 160)
    timed = sorted((node for node in nodes if node.wall), key=lambda node: (-node.wall, node.name))
    height = graph_height + 48 + len(timed) * BAR_ROW + MARGIN
    longest = max((node.wall for node in nodes), default=0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" style="max-width:100%;height:auto">',
        f"<style>{STYLE}</style>",
        '<rect width="100%" height="100%" fill="#fff"/>',
        _text(MARGIN, 28, f"{board}: steps and build time", "title"),
        _text(MARGIN, 46, "darker: took longer; red: the longest chain; dashed: not in the store", "small"),
        *_links(routes, place, chain),
        *(_box(node, place[node.name], node.name in chain, longest) for node in nodes),
        *_bars(timed, graph_height),
        "</svg>\n",
    ]
    return "\n".join(parts)


def levels(nodes: Sequence[Node]) -> dict[str, int]:
    """The column of each step: right of all that it needs, and as near to its first user as can be."""
    level: dict[str, int] = {}
    for node in nodes:
        level[node.name] = 1 + max((level[other] for other in node.needs), default=-1)
    for node in reversed(nodes):
        users = [level[other.name] for other in nodes if node.name in other.needs]
        if users and node.needs:
            level[node.name] = min(users) - 1
    return level


def route(start: str, end: str, level: Mapping[str, int]) -> list[str]:
    """A link as the points it runs through: one in each column between, so that it passes no box."""
    return [start, *(f"{start} {end} {at}" for at in range(level[start] + 1, level[end])), end]


def columns(level: Mapping[str, int], routes: Sequence[Sequence[str]]) -> list[list[str]]:
    """What stands in each column: steps and the points of links."""
    found: list[list[str]] = [[] for _ in range(max(level.values(), default=0) + 1)]
    for name, at in level.items():
        found[at].append(name)
    for points in routes:
        for step, name in enumerate(points[1:-1], 1):
            found[level[points[0]] + step].append(name)
    return found


def ordered(found: list[list[str]], routes: Sequence[Sequence[str]]) -> list[list[str]]:
    """Each column sorted by where its neighbours stand, to and fro, so that few links cross."""
    neighbours: dict[str, set[str]] = {name: set() for column in found for name in column}
    for one, other in (pair for points in routes for pair in itertools.pairwise(points)):
        neighbours[one].add(other)
        neighbours[other].add(one)
    for sweep in range(SWEEPS):
        for column in found if sweep % 2 == 0 else reversed(found):
            height = {name: y for name, (_, y) in _places(found).items()}
            means = {name: statistics.fmean(height[n] for n in neighbours[name] or {name}) for name in column}
            column.sort(key=lambda name: (means[name], name))
    return found


def _places(found: Sequence[Sequence[str]]) -> dict[str, tuple[float, float]]:
    """The upper left corner of every box, the height of every point of a link; columns are centred."""
    sizes = [[WAY if " " in name else ROW for name in column] for column in found]
    tallest = max(sum(column) for column in sizes)
    place = {}
    for at, (column, rows) in enumerate(zip(found, sizes, strict=True)):
        y = HEAD + (tallest - sum(rows)) / 2
        for name, size in zip(column, rows, strict=True):
            place[name] = (float(MARGIN + at * COLUMN), y + (size - BOX_HEIGHT) / 2)
            y += size
    return place


def _links(
    routes: Sequence[Sequence[str]], place: Mapping[str, tuple[float, float]], chain: Sequence[str]
) -> Iterator[str]:
    steps = set(itertools.pairwise(chain))
    for points in sorted(routes, key=lambda points: (points[0], points[-1]) in steps):
        kind = ' class="chain"' if (points[0], points[-1]) in steps else ""
        yield f'<path{kind} d="{_curve([place[name] for name in points])}"/>'


def _curve(points: Sequence[tuple[float, float]]) -> str:
    """From the right of the first box to the left of the last, level through the columns between."""
    middle = BOX_HEIGHT / 2
    x, y = points[0][0] + BOX_WIDTH, points[0][1] + middle
    path = f"M{x:.0f} {y:.1f}"
    for at, (left, top) in enumerate(points[1:], 1):
        bend = (left - x) * 0.5
        path += f" C{x + bend:.0f} {y:.1f} {left - bend:.0f} {top + middle:.1f} {left:.0f} {top + middle:.1f}"
        x, y = left, top + middle
        if at < len(points) - 1:
            x += BOX_WIDTH
            path += f" H{x:.0f}"
    return path


def _box(node: Node, place: tuple[float, float], in_chain: bool, longest: float) -> str:
    x, y = place
    kind = " ".join(["node", *(["todo"] if not node.cached else []), *(["chain"] if in_chain else [])])
    times = f"{seconds(node.wall)}, CPU {seconds(node.cpu)}" if node.record else "never made here"
    return (
        f'<g><title>{escape(node.name)}: {times}; {node.state}</title><rect class="{kind}" x="{x:.1f}" y="{y:.1f}" '
        f'width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="5" fill="{_colour(node, longest)}"/>'
        f"{_text(x + 8, y + 17, node.name)}{_text(x + 8, y + 32, times, 'small')}</g>"
    )


def _colour(node: Node, longest: float) -> str:
    """White to orange by the logarithm of the time; grey for what was never made."""
    if node.record is None:
        return "#eceff2"
    share = math.log1p(node.wall) / math.log1p(longest) if longest else 0
    red, green, blue = (round(255 + (end - 255) * share) for end in (240, 150, 70))
    return f"#{red:02x}{green:02x}{blue:02x}"


def _bars(nodes: Sequence[Node], top: float) -> Iterator[str]:
    """Two bars a step: wall clock above, CPU below."""
    if not nodes:
        return
    most = max(max(node.wall, node.cpu) for node in nodes)
    yield _text(MARGIN, top + 16, "Where time went: wall clock (orange), CPU of the programs run (blue)", "title")
    for row, node in enumerate(nodes):
        y = top + 36 + row * BAR_ROW
        yield _text(MARGIN, y + 12, node.name)
        for kind, value, dy in (("wall", node.wall, 1), ("cpu", node.cpu, 8)):
            length = max(1.0, value / most * BAR_WIDTH)
            yield f'<rect class="{kind}" x="{BAR_LEFT}" y="{y + dy:.1f}" width="{length:.1f}" height="6"/>'
        end = BAR_LEFT + max(node.wall, node.cpu) / most * BAR_WIDTH
        yield _text(end + 8, y + 12, f"{seconds(node.wall)}, {seconds(node.cpu)}", "small")


def seconds(value: float) -> str:
    """A time that reads well: ``0.4 s``, ``75 s``, ``12:05 min``."""
    if value < 9.95:
        return f"{value:.1f} s"
    whole = round(value)
    return f"{whole} s" if whole < 120 else f"{whole // 60}:{whole % 60:02d} min"


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    cls = f' class="{kind}"' if kind else ""
    return f'<text{cls} x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'
