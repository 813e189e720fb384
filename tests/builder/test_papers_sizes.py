"""Where the bytes of a made-up image went, and whether the picture is true to the figures."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest
from papers_project import ALPHA_FILES, BOARD, Toy, built, toy
from rich.console import Console

from builder.errors import CygnetError
from builder.papers import size_page, sizes
from builder.papers.sizes import Share, Sizes
from builder.papers.treemap import Box, squarify

__all__ = ["built", "toy"]  # fixtures


def test_every_file_counts_for_its_package(built: Toy) -> None:
    found = {share.name: share for share in sizes.measure(built.project, built.plan).shares}

    assert found["alpha"].files == {"usr/bin/alpha": 5000, "usr/share/alpha.txt": 500}
    assert found["overlay"].files == {"etc/hostname": 4}
    assert "beta" not in found  # only linked


def test_a_file_that_the_overlay_replaced_is_the_overlays(built: Toy) -> None:
    owners = b'{"usr/bin/alpha": "alpha", "usr/share/alpha.txt": "overlay"}'
    system = {"rootfs.squashfs": b"s" * 4000, "vmlinuz": b"k" * 1000, "owners.json": owners}
    built.put(built.plan.rootfs, system)

    found = {share.name: share for share in sizes.measure(built.project, built.plan).shares}
    assert found["alpha"].files == {"usr/bin/alpha": 5000}


def test_the_compressed_shares_add_up_to_the_root_file_system(built: Toy) -> None:
    found = sizes.measure(built.project, built.plan)

    assert (found.kernel, found.rootfs) == (1000, 3000)
    assert sum(share.packed for share in found.shares) == pytest.approx(3000, abs=len(found.shares))


def test_the_kernel_is_not_counted_twice(built: Toy) -> None:
    built.put(built.plan.packages["alpha"], {**ALPHA_FILES, "root/boot/vmlinuz": b"k" * 1000})
    owners = b'{"boot/vmlinuz": "alpha", "usr/bin/alpha": "alpha"}'
    built.put(built.plan.rootfs, {"rootfs.squashfs": b"s" * 4000, "vmlinuz": b"k" * 1000, "owners.json": owners})

    found = sizes.measure(built.again().project, built.plan)
    assert "boot/vmlinuz" not in found.shares[0].files


def test_compressing_is_done_once(built: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    first = sizes.measure(built.project, built.plan)
    monkeypatch.setattr(sizes, "_compressed", lambda contents: sum(0 for _ in contents))
    again = sizes.measure(built.project, built.plan)
    assert {s.name for s in first.shares} == {s.name for s in again.shares}
    assert next(s for s in again.shares if s.name == "alpha").packed > 0


def test_over_the_budget_is_said() -> None:
    console = Console(record=True, width=100)
    sizes.show(Sizes("toy", 120, 100, 50, 100, [Share("alpha", {"a": 90}, 50)]), console)
    text = console.export_text()
    assert "120 of 100 bytes (120%), 20 OVER" in text
    assert "50 of 100 bytes (50%), 50 left" in text


def test_the_page_needs_nothing_from_elsewhere_and_escapes_names(built: Toy) -> None:
    page = sizes.run(built.project, BOARD, Console(quiet=True)).read_text()
    assert not re.search(r"https?://|<script|<link|@import|url\(", page)
    odd = Sizes("toy", 1, 2, 100, 200, [Share("a<b", {'x"&y': 100}, 100)])
    assert "a<b" not in size_page.page(odd)
    picture = ElementTree.fromstring(size_page.treemap(odd))  # noqa: S314 - our own
    tips = [text.text for text in picture.iter("title")]
    assert tips == ["a<b: 100 bytes compressed, 100 on the box", '/x"&y: 100 bytes']


def test_only_what_is_over_its_budget_is_shown_as_over() -> None:
    page = size_page.page(Sizes("toy", 120, 100, 50, 100, [Share("alpha", {"a": 90}, 50)]))
    assert page.count('<i class="over"') == 1
    assert "20 over" in page and "50 left" in page


@pytest.mark.parametrize("shares", [[1.0], [6, 6, 4, 3, 2, 2, 1], [1000, 1, 1], [5] * 40])
def test_treemap_areas_are_in_proportion_and_inside(shares: list[float]) -> None:
    boxes = squarify(shares, Box(10, 20, 600, 400))

    assert len(boxes) == len(shares)
    for size, box in zip(shares, boxes, strict=True):
        assert box.width * box.height == pytest.approx(size * 600 * 400 / sum(shares))
        assert box.x >= 10 - 1e-6 and box.x + box.width <= 610 + 1e-6
        assert box.y >= 20 - 1e-6 and box.y + box.height <= 420 + 1e-6


def test_treemap_rectangles_do_not_overlap() -> None:
    boxes = squarify([6, 6, 4, 3, 2, 2, 1], Box(0, 0, 600, 400))
    for at, one in enumerate(boxes):
        for other in boxes[:at]:
            across = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
            down = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
            assert across < 1e-6 or down < 1e-6


def test_treemap_of_equal_sizes_is_nearly_square() -> None:
    for box in squarify([1] * 16, Box(0, 0, 400, 400)):
        assert max(box.width / box.height, box.height / box.width) < 1.5


def test_an_unbuilt_image_names_the_command(toy: Toy) -> None:
    with pytest.raises(CygnetError, match=r"\./inv build --board=toy"):
        sizes.run(toy.project, BOARD)
