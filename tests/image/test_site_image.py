"""A site's box from the real image: made while it is built, or from the finished image, it is the same box."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder import boxes, commands
from builder.boards import Board
from builder.image.header import beside, verify

SITE = """format = 1
name = "same-box"
[wan]
interface = "{0}"
address = "dhcp"
[[lan]]
interface = "{1}"
address = "192.168.77.1/24"
"""
CARDS = ("eth0", "eth1")


def test_a_stock_image_says_what_it_is(stock: tuple[Board, Path, Path]) -> None:
    board, folder, _ = stock
    assert verify(folder / ("ubi.img" if board.flash else "disk.img")).board == board.name


def test_provisioned_or_built_a_site_has_the_same_box(
    stock: tuple[Board, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board, folder, _ = stock
    site, provisioned = tmp_path / "site.toml", tmp_path / "fetched/box.img"
    cards = board.cards if len(board.cards) > 1 else CARDS
    site.write_text(SITE.format(*cards).partition("[[lan]]" if len(board.cards) == 1 else "\0")[0])
    # Two boxes differ by their seeds alone.
    monkeypatch.setattr(boxes, "seed", dict)
    commands.build(board.name, "", False, 0, str(site))
    commands.provision(str(folder / ("ubi.img" if board.flash else "disk.img")), str(site), str(provisioned))
    built = folder / "boxes/same-box.img"
    assert built.read_bytes() == provisioned.read_bytes()
    assert verify(built) == verify(provisioned)
    for file in (built, beside(built)):
        file.unlink(missing_ok=True)
