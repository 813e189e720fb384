"""From a table and a template to a folder of boxes. A second run changes nothing; a killed one loses nothing.

In the folder: NAME/site.toml and NAME/tunnels.conf of each box, on a hub spokes/NAME.conf as well; keys/, sealed;
public.conf and public.zone. NAME/ipsec.secrets is there only while ``opened`` names the box.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from builder.errors import CygnetError
from builder.fleet import images, plain, published, site, tunnels
from builder.fleet import template as templates
from builder.fleet.folder import OPEN, PRIVATE, Folder, is_so
from builder.fleet.keyring import KEYS, Keyring
from builder.fleet.keys import make
from builder.fleet.left_over import left_over
from builder.fleet.operator import Ask, new_key, open_key
from builder.fleet.spread import on_cluster, on_cores
from builder.fleet.table import Row, Table, read_table
from builder.names import unknown
from builder.progress import Progress

ALL = "all"
IGNORED = b"# What holds secrets in the open, and what a run works with.\n/*/ipsec.secrets\n/*/*.img*\n/.new\n/.lock\n"
MOST_TOLD = 20


@dataclass(frozen=True)
class Wanted:
    """What a user asked for. ``opened``: names of boxes between commas, or all; ``new_key``: make ``key`` first.

    ``image``: the stock image to make boxes' images from, for those that are ``opened``.
    """

    table: Path
    template: Path
    to: Path
    key: Path | None = None
    new_key: bool = False
    opened: str = ""
    pool: Path | None = None
    image: Path | None = None
    scheduler: str = ""
    jobs: int = 1


def fleet(wanted: Wanted, shown: Progress, ask: Ask) -> None:
    """Make it so. CygnetError in one sentence; what was finished until then is kept."""
    table = read_table(wanted.table)
    opened = _opened(table, wanted)
    folder = Folder(wanted.to)
    try:
        with folder.locked():
            _Run(wanted, table, folder, shown, ask).all(opened)
    except OSError as error:
        what = f"{error.filename or wanted.to}: {error.strerror or error}"
        raise CygnetError(f"{what}; what was finished is kept, the same command goes on from there") from None


def _opened(table: Table, wanted: Wanted) -> list[Row]:
    if wanted.image and not wanted.opened:
        raise CygnetError("--image needs --open, which names the boxes: a box's secrets are in its image")
    if not wanted.opened:
        return []
    if not wanted.key:
        raise CygnetError("--open needs --key: the operator's key opens the others")
    if wanted.opened == ALL:
        return list(table.rows.values())
    names = wanted.opened.split(",")
    for name in names:
        if name not in table.rows:
            raise unknown("box", name, table.rows)
    return [table.rows[name] for name in names]


class _Run:
    """One run, with the folder for itself."""

    def __init__(self, wanted: Wanted, table: Table, folder: Folder, shown: Progress, ask: Ask) -> None:
        self.wanted, self.table, self.folder, self.shown, self.ask = wanted, table, folder, shown, ask
        self.keyring = Keyring(folder, table)

    def all(self, opened: list[Row]) -> None:
        """What others depend on comes first."""
        sites = self.sites()
        missing = self.keyring.missing()
        public, operator = self.operator(bool(opened))
        self.keys(missing, public)
        publics = self.keyring.publics()
        self.boxes(sites, publics)
        for name, data in published.files(self.table, publics).items():
            self.folder.write(name, data)
        self.folder.write(".gitignore", IGNORED)
        self.close(opened)
        if operator:
            self.open(opened, operator)
        if self.wanted.image:
            images.make(self.folder.path, [row.name for row in opened], self.wanted.image, self.shown)
        for sentence in left_over(self.folder.path, self.table, self.keyring.needed()):
            self.shown.say(sentence)

    def sites(self) -> dict[str, bytes]:
        """All site files, before anything is made: a mistake in one leaves all as it was."""
        template, found = templates.load(self.wanted.template), {}
        self.folder.new.mkdir(exist_ok=True)
        for row in self.table.rows.values():
            made = site.make(template, self.table, row)
            data = found[row.name] = made.text.encode()
            folder = self.folder.path / row.name
            if not is_so(folder / site.FILE, data, OPEN):
                site.check(made, folder, self.table, row, str(self.wanted.template))
        return found

    def operator(self, whole: bool) -> tuple[bytes, X25519PrivateKey | None]:
        """Both halves of the operator's key; the private one only if ``whole``."""
        key, private = self.wanted.key, None
        if self.wanted.new_key and key:
            self.keyring.expect_no_operator()
            private = new_key(key, self.ask)
        public = self.keyring.operator(key)
        if whole and key:
            return public, private or open_key(key, self.ask)
        return public, None

    def keys(self, missing: Sequence[str], operator: bytes) -> None:
        """Make what is missing."""
        wanted = self.wanted
        if missing:
            self.shown.plan(len(missing), 0)
        where = (
            partial(on_cluster, scheduler=wanted.scheduler) if wanted.scheduler else partial(on_cores, jobs=wanted.jobs)
        )
        self.keyring.make(missing, operator, wanted.pool, partial(where, make), self.shown)

    def boxes(self, sites: Mapping[str, bytes], publics: Mapping[str, str]) -> None:
        """Each box's files, and how many of them are new."""
        files = {}
        for name, row in self.table.rows.items():
            files[name] = {**tunnels.files(self.table, row, publics), site.FILE: sites[name]}
            if len(files[name].get(tunnels.CONF, b"")) > tunnels.MOST_BYTES:
                raise CygnetError(
                    f"{row.where}: {name} has more spokes than a box reads: give some of them another hub"
                )
        new = {name for name in sites if not (self.folder.path / name).exists()}
        changed = {name for name in sites if self.folder.write_box(name, files[name])} - new
        told = f"{len(sites)} boxes in {self.folder.path}: {len(new)} new, {len(changed)} changed"
        self.shown.say(told + (f": {', '.join(sorted(changed)[:MOST_TOLD])}" if changed else ""))

    def close(self, opened: Sequence[Row]) -> None:
        """Remove secrets that lie open and were not asked for."""
        names = {row.name for row in opened}
        files = [file for file in self.folder.path.glob(f"*/{plain.SECRETS}") if file.parent.name not in names]
        for file in files:
            file.unlink()
        if files:
            self.shown.say(f"secrets that lay open were removed: {len(files)}")

    def open(self, opened: Sequence[Row], operator: X25519PrivateKey) -> None:
        """Lay open what is asked for."""
        path = self.folder.path
        for row in (row for row in opened if self.table.has_tunnels(row)):
            data = plain.secrets(self.table, row, path / KEYS, operator)
            self.folder.write(f"{row.name}/{plain.SECRETS}", data, PRIVATE)
        self.shown.say(f"secrets of {len(opened)} boxes lie open in {path}; the next run without --open removes them")
