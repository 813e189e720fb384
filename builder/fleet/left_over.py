"""What is in a fleet's folder and no row has a use for: it is told, and stays until a person removes it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from builder.fleet.site import FILE
from builder.fleet.table import Table

MOST_TOLD = 20


def left_over(path: Path, table: Table, keys: Sequence[str]) -> list[str]:
    """A sentence for each box that such a thing was made for, with the command that removes it."""
    found: dict[str, list[str]] = {}
    for box, file in _unused(path, table, set(keys)):
        found.setdefault(box, []).append(str(file))
    told = [
        f"{box}: the table has no use for {len(files)} things that were made for it, which are kept; they go by "
        f"rm -r {shlex.join(files)}"
        for box, files in found.items()
    ]
    more = [f"and {len(told) - MOST_TOLD} boxes more"] if len(told) > MOST_TOLD else []
    return told[:MOST_TOLD] + more


def _unused(path: Path, table: Table, keys: set[str]) -> Iterator[tuple[str, Path]]:
    """The box and the file or folder."""
    for file in sorted(path.glob(f"*/{FILE}")):
        if file.parent.name not in table.rows:
            yield file.parent.name, file.parent
    for file in sorted(path.glob("keys/*.*")):
        if file.suffix in (".rsa", ".psk") and file.name not in keys:
            yield file.name.split(".")[0], file
    for file in sorted(path.glob("*/spokes/*.conf")):
        hub, row = file.parts[-3], table.rows.get(file.stem)
        if hub in table.rows and (row is None or row.hub != hub):
            yield file.stem, file
