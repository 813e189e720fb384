"""Boxes of one's own: a stock image with a name or a site file's settings on its data partition.

What `./inv box`, `./inv build --site`, `./inv provision` and the boxes of `./inv smoke --site` have in common.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from builder import sites
from builder.boards import Board, board_names, load_board
from builder.errors import CygnetError, RecipeError
from builder.image.data import Files, seed
from builder.image.header import read_header
from builder.image.provision import make_box
from builder.names import unknown
from builder.plan import Project

if TYPE_CHECKING:
    from cygnet_site.model import Lan, Site, Wan

FOLDER = "boxes"
NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9-]{0,62}", re.ASCII)


def check_name(name: str) -> None:
    """Raise when a box cannot be called so."""
    if not NAME.fullmatch(name):
        raise CygnetError(f"--name={name}: a box is called by letters, digits and hyphens, 63 at most")


def of_site(site: Site) -> Files:
    """The files of a site's box, with a new seed; secrets are read here. What its programs would not take is told."""
    if found := sites.problems(site):
        raise CygnetError("\n".join(found))
    return {**seed(), **sites.render(site)}


def board_of(project: Project, image: Path) -> Board:
    """The board that an image is for."""
    name = read_header(image).board
    known = board_names(project.settings.boards)
    if name not in known:
        raise CygnetError(f"{image} is for another board than we have. {unknown('board', name, known)}")
    return load_board(project.settings.boards, name)


def make(project: Project, board: Board, files: Files, stock: Path, to: Path | None, name: str) -> Path:
    """Make a box's image from the stock image of its board, by default in images/<board>/boxes/; where it is."""
    place = to or project.settings.images / board.name / FOLDER / f"{name}.img"
    if place.exists() and place.samefile(stock):
        raise CygnetError(f"{place} is the stock image: name another --to, it is needed for the next box")
    make_box(board, files, stock, place, project.tools(), project.settings.logs / "box.log")
    return place


def check_board(board: Board, site: Site) -> None:
    """Raise when the site speaks of a network card that the board has not, or needs what its image is without."""
    if site.dns.dnssec == "box" and "unbound" in board.without:
        raise RecipeError(
            site.path,
            site.line("dns", "dnssec"),
            f"unbound, which would check signatures, is not in {board.name}'s image: take it out of `without` in "
            f"{board.folder / 'board.toml'}, or leave this line out",
        )
    for at, port in ports(site) if board.cards else ():
        if port.interface not in board.cards:
            raise RecipeError(
                site.path,
                site.line(*at, "interface"),
                f"board {board.name} has no network card {port.interface}: it has {' and '.join(board.cards)}",
            )


def ports(site: Site) -> Iterable[tuple[tuple[str | int, ...], Wan | Lan]]:
    """Where the site speaks of a network card, and what it says there."""
    if site.wan:
        yield ("wan",), site.wan
    for number, lan in enumerate(site.lans):
        yield ("lan", number), lan
