"""The keys of a fleet in its folder: which are needed, which are there; those that are missing are made, once."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from builder.errors import CygnetError
from builder.fleet.folder import PRIVATE, Folder
from builder.fleet.keys import Made, Order, psk_file, rsa_file
from builder.fleet.operator import SIZE, public_half
from builder.fleet.operator import shown as as_text
from builder.fleet.pool import take
from builder.fleet.sealed import CannotOpen, parse
from builder.fleet.table import Row, Table
from builder.fleet.tunnels import CONF
from builder.progress import Progress

KEYS, OPERATOR = "keys", "keys/operator.pub"
Spread = Callable[[Sequence[Order]], Iterator[Made]]


class Keyring:
    """The folder ``keys`` of a fleet."""

    def __init__(self, folder: Folder, table: Table) -> None:
        self.folder, self.table = folder, table
        self.path = folder.path / KEYS

    def needed(self) -> list[str]:
        """The files of all keys, a box's before those of its pairs."""
        boxes = [rsa_file(row.name) for row in self.table.rows.values() if self.table.has_key(row)]
        return boxes + [psk_file(spoke.name, hub.name) for spoke, hub in self.table.pairs() if spoke.auth == "psk"]

    def missing(self) -> list[str]:
        """Of these, what is to be made. CygnetError where one was made before, and is gone."""
        files = [file for file in self.needed() if not (self.path / file).exists()]
        for file in files:
            box = file.split(".")[0]
            if _mentions(self.folder.path / box / CONF, self.table.rows[box], file):
                raise CygnetError(
                    f"{self.path / file} is gone, and {box} was made with it: take it from a backup, "
                    f"or remove {self.folder.path / box} to make {box} anew"
                )
        return files

    def operator(self, key: Path | None) -> bytes:
        """The public half that all is sealed to; ``key``: the operator's file, which must be that one."""
        kept = self.folder.path / OPERATOR
        known = kept.read_text() if kept.exists() else ""
        if key is None and not known:
            raise CygnetError(
                f"{self.folder.path} has no operator yet: --new-key=FILE makes the key that opens all others"
            )
        if key is None:
            return _public_of(known, kept)
        public = public_half(key)
        if known and _public_of(known, kept) != public:
            raise CygnetError(f"{key}: the keys in {self.path} are sealed for another operator's key")
        self.folder.write(OPERATOR, f"{as_text(public)}\n".encode(), durable=True)
        return public

    def expect_no_operator(self) -> None:
        """CygnetError where there is one."""
        if (self.folder.path / OPERATOR).exists():
            raise CygnetError(
                f"{self.path}: these keys have an operator: --key names the operator's key, not --new-key"
            )

    def make(self, files: Sequence[str], operator: bytes, pool: Path | None, spread: Spread, shown: Progress) -> None:
        """Make what is missing; each is on the disk before anything that depends on it is written."""
        orders = [Order(file, operator) for file in files]
        if pool:
            boxes = [order for order in orders if order.file.endswith(".rsa")]
            pairs = [order for order in orders if order not in boxes]
            used = {self.public(file.name) for file in self.path.glob("*.rsa")}
            orders = take(pool, boxes, used, self.keep) + pairs
        expected = {order.file for order in orders}
        for made in spread(orders) if orders else ():
            if made.file not in expected:
                raise CygnetError(f"{made.file!a}: a key came back that nobody asked for; it was not kept")
            self.keep(made)
            shown.finished(made.file, made.seconds)
        self.folder.settle(KEYS)

    def keep(self, made: Made) -> None:
        """Put a key into its file."""
        if parse(made.data).fields.get("name") != made.file:
            raise CygnetError(f"{made.file}: what came back for it is another key; it was not kept")
        self.folder.write(f"{KEYS}/{made.file}", made.data, PRIVATE, durable=True)

    def publics(self) -> dict[str, str]:
        """The public half of each box that has a key."""
        rows = [row for row in self.table.rows.values() if self.table.has_key(row)]
        return {row.name: self.public(rsa_file(row.name)) for row in rows}

    def public(self, file: str) -> str:
        """Of one file."""
        try:
            fields = parse((self.path / file).read_bytes()).fields
            if fields.get("name") == file and "public" in fields:
                return fields["public"]
        except CannotOpen as error:
            raise CygnetError(f"{self.path / file}: {error}") from None
        raise CygnetError(f"{self.path / file}: it is another key's file: put it back to its own name")


def _public_of(text: str, file: Path) -> bytes:
    """An operator's public half as it is kept."""
    try:
        public = base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        public = b""
    if len(public) != SIZE:
        raise CygnetError(f"{file}: it is damaged: remove it, and name the operator's key by --key")
    return public


def _mentions(conf: Path, row: Row, file: str) -> bool:
    """Whether a box was made with such a key."""
    text = conf.read_text() if conf.exists() else ""
    if file.endswith(".psk"):
        return f"also={row.hub}\n" in text and "authby=secret\n" in text
    return ("leftrsasigkey=" if row.hub else "rightrsasigkey=") in text
