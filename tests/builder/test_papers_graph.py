"""The picture of the steps: its layout, its times, and that it is well-formed."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest
from papers_project import BOARD, Toy, built, toy
from rich.console import Console

from builder.papers import graph
from builder.papers.graph import Node, longest_chain, reduced
from builder.papers.graph_picture import columns, draw, levels, ordered, route, seconds
from builder.steps.store import Record

__all__ = ["built", "toy"]  # fixtures


def node(name: str, *needs: str, wall: float = 1.0) -> Node:
    return Node(name, needs, Record(name, "key", {}, wall, wall), cached=True)


SHORT = [
    node("tools"), node("libc", "tools"), node("ssl", "libc"), node("big", "tools", wall=9), node("all", "ssl", "big"),
]  # fmt: skip


def test_links_that_follow_from_others_are_left_out() -> None:
    needs = {"a": set(), "b": {"a"}, "c": {"a", "b"}, "d": {"a", "b", "c"}}
    assert reduced(needs) == {"a": set(), "b": {"a"}, "c": {"b"}, "d": {"c"}}


def test_the_longest_chain_is_the_one_that_takes_longest() -> None:
    assert longest_chain(SHORT) == ["tools", "big", "all"]


def test_every_step_stands_right_of_what_it_needs_and_near_its_user() -> None:
    level = levels(SHORT)
    assert all(level[other] < level[one.name] for one in SHORT for other in one.needs)
    assert level["big"] == level["all"] - 1


def test_a_long_link_has_a_place_in_every_column_between() -> None:
    level = levels(SHORT)
    points = route("tools", "big", level)
    assert len(points) == level["big"] - level["tools"] + 1
    found = columns(level, [points])
    assert points[1] in found[1]


def test_neighbours_are_put_side_by_side() -> None:
    nodes = [node("a"), node("b"), node("y", "b"), node("z", "a")]
    level = levels(nodes)
    routes = [route(other, one.name, level) for one in nodes for other in one.needs]
    left, right = ordered(columns(level, routes), routes)
    assert [{"a": "z", "b": "y"}[name] for name in left] == right


@pytest.mark.parametrize(("value", "text"), [(0.04, "0.0 s"), (9.96, "10 s"), (119.4, "119 s"), (724.6, "12:05 min")])
def test_times_read_well(value: float, text: str) -> None:
    assert seconds(value) == text


def test_names_are_escaped_and_the_picture_is_xml() -> None:
    picture = ElementTree.fromstring(draw("toy", [node("a<&b")], ["a<&b"]))  # noqa: S314 - our own
    assert "a<&b" in [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")]


def test_what_is_not_built_is_drawn_as_such(toy: Toy) -> None:
    picture = graph.run(toy.project, BOARD, Console(quiet=True)).read_text()
    assert picture.count("never made here; to do<") == len(graph.nodes(toy.plan, toy.store))


def test_the_table_adds_up_what_was_measured(built: Toy) -> None:
    console = Console(record=True, width=120)
    picture = graph.run(built.project, BOARD, console).read_text()
    found = graph.nodes(built.plan, built.store)

    assert {"tools", "alpha:i486", "beta:i486", f"rootfs:{BOARD}", f"image:{BOARD}"} == {one.name for one in found}
    text = console.export_text()
    assert f"{sum(one.wall for one in found):.1f}" in text and "in the store" in text
    assert "to do" not in picture


def test_a_changed_recipe_is_to_do_again(built: Toy) -> None:
    with built.recipe("alpha").open("a") as recipe:
        recipe.write("# another\n")
    states = {one.name: one.state for one in graph.nodes(built.again().plan, built.store)}
    assert (states["alpha:i486"], states["beta:i486"]) == ("to do again", "in the store")
