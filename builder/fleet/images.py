"""Images of boxes, by the same functions as ./inv provision; one that would be the same again is left as it is."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

from builder import boxes, sites
from builder.fleet.folder import PRIVATE, is_so, lay
from builder.fleet.site import FILE
from builder.image.data import SEED, Files
from builder.plan import Project
from builder.progress import Progress
from builder.settings import settings

# Beside an image: what it was made from, as a hash.
MADE = ".img.made"


def make(folder: Path, names: Sequence[str], stock: Path, shown: Progress) -> None:
    """Make NAME/NAME.img of each box from the stock image. CygnetError where a site cannot be on that board."""
    project = Project(settings(), shown)
    board = boxes.board_of(project, stock)
    shown.plan(len(names), 0)
    for name in names:
        began = time.monotonic()
        image = folder / name / f"{name}.img"
        made = image.with_name(name + MADE)
        site = sites.read(folder / name / FILE)
        boxes.check_board(board, site)
        files = boxes.of_site(site)
        mark = _mark(files, stock)
        if not (image.exists() and is_so(made, mark, PRIVATE)):
            made.unlink(missing_ok=True)
            boxes.make(project, board, files, stock, image, name)
            lay(made, mark, PRIVATE)
        shown.finished(image.name, time.monotonic() - began)


def _mark(files: Files, stock: Path) -> bytes:
    """What an image depends on; the seed, new each time, is no reason to make it again."""
    about = stock.stat()
    found = hashlib.sha256(f"{about.st_size} {about.st_mtime_ns}".encode())
    for name, file in sorted(files.items()):
        if name != SEED:
            found.update(f"\0{name}\0{file.mode}\0{len(file.content)}\0".encode() + file.content)
    return found.hexdigest().encode()
