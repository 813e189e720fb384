"""Squarified treemaps: areas in proportion to sizes, as near to squares as they can be.

Rows are filled along the shorter side of what is left, as long as that makes the
worst rectangle of the row less oblong (Bruls, Huizing and van Wijk, 2000).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Box(NamedTuple):
    """A rectangle."""

    x: float
    y: float
    width: float
    height: float

    def inner(self, top: float, rest: float) -> Box:
        """What is left inside a border."""
        return Box(self.x + rest, self.y + top, max(0, self.width - 2 * rest), max(0, self.height - top - rest))


def squarify(sizes: Sequence[float], box: Box) -> list[Box]:
    """One rectangle a size, in the given order; sizes are positive and best sorted, largest first."""
    total = sum(sizes)
    if not total:
        return []
    scale = box.width * box.height / total
    areas, boxes = [size * scale for size in sizes], []
    while areas:
        count = _row_length(areas, min(box.width, box.height))
        row, areas = areas[:count], areas[count:]
        placed, box = _lay(row, box)
        boxes += placed
    return boxes


def _row_length(areas: Sequence[float], side: float) -> int:
    """How many areas the next row takes."""
    count = 1
    while count < len(areas) and _worst(areas[: count + 1], side) <= _worst(areas[:count], side):
        count += 1
    return count


def _worst(row: Sequence[float], side: float) -> float:
    """The proportions of the row's most oblong rectangle, 1 for a square."""
    thickness = sum(row) / side if side else 0
    if not thickness:
        return float("inf")
    return max(max(thickness * thickness / area, area / (thickness * thickness)) for area in row)


def _lay(row: Sequence[float], box: Box) -> tuple[list[Box], Box]:
    """The row's rectangles along the shorter side, and what is left of ``box``."""
    upright = box.width >= box.height
    side = box.height if upright else box.width
    thickness = sum(row) / side if side else 0
    placed, at = [], box.y if upright else box.x
    for area in row:
        length = area / thickness if thickness else 0
        placed.append(Box(box.x, at, thickness, length) if upright else Box(at, box.y, length, thickness))
        at += length
    if upright:
        return placed, Box(box.x + thickness, box.y, max(0, box.width - thickness), box.height)
    return placed, Box(box.x, box.y + thickness, box.width, max(0, box.height - thickness))
