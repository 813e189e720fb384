"""The table of sites: a CSV file, a row for each box. All that is wrong in it is told by file and line.

Columns: ``name``, ``hub`` (the name of another row, empty for a hub), ``address`` (as in site.toml's [wan]: dhcp,
pppoe, or an address with its prefix length), ``lan`` (the box's own address there, with its prefix length). ``auth``
(rsa or psk) and ``id`` (such as @shop1.example.org) may be left out. Any other column is for the template.
"""

from __future__ import annotations

import csv
import functools
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from itertools import pairwise
from pathlib import Path

from builder.errors import CygnetError
from builder.names import unknown

REQUIRED = ("name", "hub", "address", "lan")
DYNAMIC = ("dhcp", "pppoe")
METHODS = ("rsa", "psk")
# A folder beside the boxes', --open=all, and conns that FreeS/WAN 2.x has by itself.
TAKEN = ("keys", "all", "clear", "block", "private", "clear-or-private", "private-or-clear", "packetdefault")
LARGEST = 64 << 20
_COLUMN = re.compile(r"[a-z][a-z0-9_]{0,31}")
# Letters first: a conn's name is made of it.
_NAME = re.compile(r"[a-zA-Z](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?")
_ID = re.compile(r"@[a-zA-Z0-9](?:[a-zA-Z0-9.-]{0,251}[a-zA-Z0-9])?")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class Cells:
    """The cells of a row by their columns, for templates: nothing else has a name in here."""

    __slots__ = ("_cells",)

    def __init__(self, cells: Mapping[str, str]) -> None:
        self._cells = cells

    def __getitem__(self, column: str) -> str:
        if column not in self._cells:
            raise unknown("column", column, self._cells)
        return self._cells[column]


@dataclass(frozen=True)
class Row:
    """One box. ``where`` is file:line; ``address`` None where it changes; ``cells`` has every column as it stands."""

    where: str
    cells: Cells
    name: str
    hub: str
    address: IPv4Address | None
    lan: IPv4Interface
    auth: str
    id: str


@dataclass(frozen=True)
class Table:
    """The rows by name, in the file's order."""

    rows: Mapping[str, Row]

    @functools.cached_property
    def _by_hub(self) -> Mapping[str, list[Row]]:
        found: dict[str, list[Row]] = {}
        for row in self.rows.values():
            found.setdefault(row.hub, []).append(row)
        return found

    def spokes(self, hub: Row) -> list[Row]:
        """Those that have this row as their hub."""
        return self._by_hub.get(hub.name, [])

    def has_tunnels(self, row: Row) -> bool:
        """Whether it is a spoke, or a hub that has some."""
        return bool(row.hub or self.spokes(row))

    def has_key(self, row: Row) -> bool:
        """Whether it needs an RSA key: one of its tunnels does."""
        ends = [row] if row.hub else self.spokes(row)
        return any(end.auth == "rsa" for end in ends)

    def pairs(self) -> Iterator[tuple[Row, Row]]:
        """Each spoke and its hub."""
        return ((row, self.rows[row.hub]) for row in self.rows.values() if row.hub)


def read_table(file: Path) -> Table:
    """The table in ``file``. CygnetError with file:line where it is none, or where its rows do not go together."""
    lines = csv.reader(io.StringIO(_text(file), newline=""), delimiter=",", strict=True)
    try:
        header = next(lines, [])
        if len(header) == 1 and ";" in header[0]:
            raise CygnetError(f"{file}:1: its cells are separated by semicolons: separate them by commas")
        columns = _columns(f"{file}:1", header)
        rows = [_row(f"{file}:{lines.line_num}", columns, cells) for cells in lines if any(cells)]
    except csv.Error as error:
        raise CygnetError(f"{file}:{lines.line_num}: this is no CSV: {error}") from None
    if not rows:
        raise CygnetError(f"{file}: there is no row in it: below the line of columns each box has one")
    for check in _CHECKS:
        check(rows)
    return Table({row.name: row for row in rows})


def _text(file: Path) -> str:
    """Its text; the mark that spreadsheets put in front of UTF-8 is no part of it."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise CygnetError(f"{file}: {error.strerror}: --table names the CSV file with a row for each box") from None
    if not data.strip():
        raise CygnetError(f"{file}: it is empty: its first line names the columns, {', '.join(REQUIRED)} among them")
    if len(data) > LARGEST:
        raise CygnetError(f"{file}: it is larger than {LARGEST >> 20} MB: this is no table of sites")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        kind = "UTF-16" if data.startswith(_UTF16) else "not UTF-8"
        raise CygnetError(f"{file}:{line}: its text is {kind}: save it as CSV in UTF-8") from None


def _columns(where: str, header: Sequence[str]) -> list[str]:
    columns = [name.strip() for name in header]
    for name in columns:
        if not _COLUMN.fullmatch(name):
            raise CygnetError(f"{where}: {name!a} is no name of a column: a to z, digits and _, a letter first")
        if columns.count(name) > 1:
            raise CygnetError(f"{where}: two columns are called {name}")
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise CygnetError(f"{where}: the column {missing[0]} is missing; needed are {', '.join(REQUIRED)}")
    return columns


def _row(where: str, columns: Sequence[str], cells: Sequence[str]) -> Row:
    if len(cells) != len(columns):
        raise CygnetError(f"{where}: {len(cells)} cells, and {len(columns)} columns: a cell with a comma needs quotes")
    table = {column: cell.strip() for column, cell in zip(columns, cells, strict=True)}
    for column, cell in table.items():
        if not cell.isprintable():
            raise CygnetError(f"{where}: {column} has a line break or another character that cannot be printed")
    name = _matching(where, "name", table["name"], _NAME, "a letter, then letters, digits and hyphens, 63 at most")
    if name.lower() in TAKEN:
        raise CygnetError(f"{where}: no box can be called {name}: that has a meaning of its own")
    identity = table.get("id") or f"@{name}"
    return Row(
        where, Cells(table), name, table["hub"], _address(where, table["address"]), _lan(where, table["lan"]),
        _method(where, table.get("auth") or METHODS[0]), _matching(where, "id", identity, _ID, "@ and a host name"),
    )  # fmt: skip


def _matching(where: str, column: str, text: str, pattern: re.Pattern[str], what: str) -> str:
    if not pattern.fullmatch(text):
        raise CygnetError(f"{where}: {column}: {text!a} is not {what}")
    return text


def _method(where: str, text: str) -> str:
    if text not in METHODS:
        raise CygnetError(f"{where}: auth: {text!a} is not {' or '.join(METHODS)}")
    return text


def _address(where: str, text: str) -> IPv4Address | None:
    what = f"{', '.join(DYNAMIC)}, or an IPv4 address with its prefix length such as 203.0.113.5/24"
    return None if text in DYNAMIC else _interface(where, "address", text, what).ip


def _lan(where: str, text: str) -> IPv4Interface:
    return _interface(where, "lan", text, "the box's own IPv4 address with its prefix length, such as 10.1.7.1/24")


def _interface(where: str, column: str, text: str, what: str) -> IPv4Interface:
    try:
        found = IPv4Interface(text)
        network = found.network
        usable = "/" in text and not (found.is_loopback or found.is_multicast or found.is_unspecified)
        if usable and (network.prefixlen > 30 or found.ip not in (network[0], network[-1])):
            return found
    except ValueError:
        pass
    raise CygnetError(f"{where}: {column}: {text!a} is not {what}")


def _names(rows: Sequence[Row]) -> None:
    _unique(rows, "is called", lambda row: row.name, str.lower)


def _ids(rows: Sequence[Row]) -> None:
    _unique(rows, "has the id", lambda row: row.id, str.lower)


def _addresses(rows: Sequence[Row]) -> None:
    _unique([row for row in rows if row.address], "has the address", lambda row: str(row.address), str)


def _unique(rows: Sequence[Row], what: str, get: Callable[[Row], str], same: Callable[[str], str]) -> None:
    seen: dict[str, Row] = {}
    for row in rows:
        first = seen.setdefault(same(get(row)), row)
        if first is not row:
            raise CygnetError(f"{row.where}: another box {what} {get(row)}: {first.where}")


def _lans(rows: Sequence[Row]) -> None:
    """Sorted by their first address only neighbours can overlap, or what an earlier one still covers."""
    ordered = sorted(rows, key=lambda row: (row.lan.network.network_address, row.lan.network.prefixlen))
    for before, row in pairwise(ordered):
        if before.lan.network.overlaps(row.lan.network):
            first, later = sorted((before, row), key=rows.index)
            what = f"lan {later.lan.network} overlaps {first.lan.network} of {first.name}"
            raise CygnetError(f"{later.where}: {what}: {first.where}")


def _hubs(rows: Sequence[Row]) -> None:
    by_name = {row.name: row for row in rows}
    for row in rows:
        if not row.hub:
            continue
        hub = by_name.get(row.hub)
        if hub is None:
            raise CygnetError(f"{row.where}: hub: {unknown('box', row.hub, by_name)}")
        if hub.hub:
            raise CygnetError(f"{row.where}: hub: {hub.name} has a hub itself ({hub.where}); a hub has none")
        if hub.address is None:
            raise CygnetError(f"{hub.where}: address: a hub needs a fixed one, for its spokes ({row.where}) to find it")
        if row.auth == "psk" and row.address is None:
            raise CygnetError(
                f"{row.where}: auth: psk needs a fixed address, by which the hub chooses the secret; write rsa"
            )


_CHECKS = (_names, _hubs, _ids, _addresses, _lans)
